"""The parsers of the verbs that say how good tracks are: eval, bench, tune."""

import argparse
from collections.abc import Callable

from kprtrack.cli.options import (
    ActionParser,
    Parser,
    add_common,
    add_networks,
    add_settings,
    add_tracker,
    new_parser,
)
from kprtrack.cli.reid_parsers import add_eval_reid

ABLATIONS = "prompts,negatives,motion,parts"


def _eval() -> Parser:
    parser = new_parser("eval", "Score tracks against truth; docs/evaluation.md explains every number.")
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="WHAT", parser_class=ActionParser, help="what the files are"
    )
    posetrack = _action(
        actions, "posetrack21", "PoseTrack21: keypoint and box HOTA, MOTA, IDF1, AP, identities across videos"
    )
    posetrack.add_argument(
        "--ground-truth", metavar="ROOT", help="folder with posetrack_data/ and posetrack_mot/"
    )
    posetrack.add_argument("--split", default="val", metavar="NAME", help="val (default) or train")
    posetrack.add_argument("--results", metavar="DIR", help="folder with a pose .json for each sequence")
    posetrack.add_argument(
        "--box-results",
        metavar="DIR",
        help="folder with a MOT .txt for each sequence; else boxes of --results",
    )
    _add_processes(posetrack, "as many as there are cores")
    mot = _action(actions, "mot", "MOTChallenge: box HOTA, MOTA, IDF1")
    mot.add_argument(
        "--ground-truth", metavar="DIR", help="folder of NAME/gt/gt.txt or NAME.txt, or one such file"
    )
    mot.add_argument("--results", metavar="DIR", help="folder with NAME.txt for each sequence, or one file")
    tracks = _action(actions, "tracks", "result files of `kprtrack`: box HOTA, pose HOTA (OKS), MOTA, IDF1")
    tracks.add_argument("truth", metavar="TRUTH.json", help="tracks taken as true, or a folder of them")
    tracks.add_argument(
        "results", metavar="TRACKS.json", help="tracks to judge, or a folder with the same names"
    )
    for each in (posetrack, mot, tracks):
        _add_reports(each)
        each.add_argument(
            "--per-sequence", action="store_true", help="a row for every sequence, even if they are many"
        )
    add_eval_reid(actions)
    return parser


def _bench() -> Parser:
    parser = new_parser("bench", "Track a whole benchmark, write official result files, score them.")
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="WHAT", parser_class=ActionParser, help="the benchmark"
    )
    posetrack = _action(actions, "posetrack21", "PoseTrack21, from its images")
    posetrack.add_argument("--root", metavar="DIR", help="folder with images/ and posetrack_data/")
    posetrack.add_argument("--split", default="val", metavar="NAME", help="val (default) or train")
    synthetic = _action(actions, "synthetic", "drawn people: makes the videos and their truth, then tracks")
    synthetic.set_defaults(split="val")
    for name, what in (
        ("sequences", "videos"),
        ("frames", "frames of each video"),
        ("people", "people in each video"),
        ("width", "pixels of a frame"),
        ("height", "pixels of a frame"),
        ("seed", "another number draws other videos"),
    ):
        synthetic.add_argument(f"--{name}", type=int, metavar="N", help=what)
    for each in (posetrack, synthetic):
        each.add_argument(
            "--out", "-o", metavar="DIR", help="everything goes here; a second run goes on from it"
        )
        each.add_argument(
            "--ablate",
            default="",
            metavar="LIST",
            help=f"more rows, without one thing each: {ABLATIONS}, or all",
        )
        each.add_argument(
            "--min-joint-score",
            type=float,
            metavar="SCORE",
            help="joints below are left out of result files (0.3); keypoint HOTA counts every joint",
        )
        _add_processes(each, "1, each with networks of its own")
        _add_reports(each)
        add_networks(each)
        add_tracker(each)
        add_settings(each)
    return parser


def _tune() -> Parser:
    parser = new_parser("tune", "Search tracker settings on observations; no network runs.")
    parser.add_argument("observations", metavar="OBS_DIR", help="folder with what `kprtrack observe` wrote")
    parser.add_argument(
        "--ground-truth", metavar="PATH", help="folder of PoseTrack21, or of track files of the same names"
    )
    parser.add_argument("--trials", type=int, default=100, metavar="N", help="settings to try (default 100)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the search (default 0)")
    parser.add_argument(
        "--metric", default="box_hota", metavar="NAME", help="box_hota (default), keypoint_hota or idf1"
    )
    _add_processes(parser, "1")
    parser.add_argument("--out", "-o", metavar="FILE", help="where the best settings go: .json, for --config")
    add_tracker(parser)
    add_settings(parser)
    return parser


EVALUATION_SUBCOMMANDS: dict[str, Callable[[], Parser]] = {"eval": _eval, "bench": _bench, "tune": _tune}


def _action(
    actions: "argparse._SubParsersAction[ActionParser]", name: str, description: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=description, description=description, allow_abbrev=False)
    add_common(parser)
    return parser


def _add_reports(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reports, beside the table on standard output")
    group.add_argument(
        "--json", metavar="FILE", help="every number; - for standard output, without the table"
    )
    group.add_argument("--html", metavar="FILE", help="one page with tables, explanations and pictures")
    group.add_argument("--plots", metavar="DIR", help="pictures as .png")


def _add_processes(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--processes", type=int, metavar="N", help=f"how many work side by side ({default})")
