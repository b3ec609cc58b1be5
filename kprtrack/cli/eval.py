"""The subcommand `eval`: score tracks, or with the action `reid` an encoder."""

import argparse
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.eval_reid import add_eval_reid, run_eval_reid
from kprtrack.cli.options import (
    Parser,
    add_action,
    add_actions,
    new_parser,
    required,
    validate_exists,
    validate_minimum,
)
from kprtrack.cli.output import status_line, validate_reports, write_scores

if TYPE_CHECKING:
    from eval.datatypes import Evaluation

_WIDTH = 100  # characters of a table, if the output is no terminal


def eval_parser() -> Parser:
    """Make the parser of `eval`."""
    parser = new_parser(
        "eval", "Score tracks against ground truth; docs/evaluation.md explains every number."
    )
    actions = add_actions(parser, "WHAT", "benchmark or format of the files")
    posetrack = add_action(
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
        help="folder with a MOT .txt for each sequence (default: the boxes of --results)",
    )
    add_processes(posetrack, "all CPU cores")
    mot = add_action(actions, "mot", "MOTChallenge: box HOTA, MOTA, IDF1")
    mot.add_argument(
        "--ground-truth", metavar="DIR", help="folder of NAME/gt/gt.txt or NAME.txt, or one such file"
    )
    mot.add_argument("--results", metavar="DIR", help="folder with NAME.txt for each sequence, or one file")
    tracks = add_action(actions, "tracks", "result files of `kprtrack`: box and pose HOTA, MOTA, IDF1")
    tracks.add_argument(
        "ground_truth", metavar="GROUND_TRUTH.json", help="ground truth tracks, or a folder of them"
    )
    tracks.add_argument(
        "results", metavar="TRACKS.json", help="tracks to score, or a folder with the same file names"
    )
    for each in (posetrack, mot, tracks):
        add_reports(each)
        each.add_argument("--per-sequence", action="store_true", help="always print a row for every sequence")
    add_eval_reid(actions)
    return parser


def add_reports(parser: Parser) -> None:
    """Add --json, --html and --plots."""
    group = parser.add_argument_group("reports, in addition to the table on standard output")
    group.add_argument("--json", metavar="FILE", help="all scores; - prints them instead of the table")
    group.add_argument("--html", metavar="FILE", help="one page with tables, explanations and plots")
    group.add_argument("--plots", metavar="DIR", help="write the plots as .png")


def add_processes(parser: Parser, default: str) -> None:
    """Add --processes."""
    parser.add_argument("--processes", type=int, metavar="N", help=f"parallel processes (default: {default})")


def run_eval(options: argparse.Namespace) -> int:
    """Score the files and return the exit code."""
    if options.action == "reid":
        return run_eval_reid(options)
    ground_truth = Path(required(options.ground_truth, "ground truth", "--ground-truth PATH")).expanduser()
    results = Path(required(options.results, "tracks to score", "--results PATH")).expanduser()
    validate_exists([ground_truth, results], folders=options.action == "posetrack21")
    validate_reports(options, inputs=[ground_truth, results])
    evaluation = _SCORERS[options.action](ground_truth, results, options)

    from eval.report.html import evaluation_html
    from eval.report.json import evaluation_json
    from eval.report.text import report

    write_scores(
        options,
        lambda: report(evaluation, width=table_width(), per_sequence=options.per_sequence or None),
        lambda: evaluation_json(evaluation),
    )
    write_plots(options, evaluation, lambda plots: evaluation_html(evaluation, plots))
    return 0


def _posetrack21(ground_truth: Path, results: Path, options: argparse.Namespace) -> "Evaluation":
    from eval.benchmarks.score_posetrack21 import score_posetrack21

    boxes = Path(options.box_results) if options.box_results else None
    validate_exists([boxes] if boxes else [], folders=True)
    validate_minimum(options.processes, "--processes")
    return score_posetrack21(
        ground_truth,
        results,
        split=options.split,
        box_results=boxes,
        processes=options.processes,
        on_sequence=status_line(options),
    )


def _mot(ground_truth: Path, results: Path, options: argparse.Namespace) -> "Evaluation":
    from eval.benchmarks.score_mot import score_mot

    return score_mot(ground_truth, results, on_sequence=status_line(options))


def _tracks(ground_truth: Path, results: Path, options: argparse.Namespace) -> "Evaluation":
    from eval.benchmarks.score_tracks import score_tracks

    return score_tracks(ground_truth, results, on_sequence=status_line(options))


_SCORERS: dict[str, Callable[[Path, Path, argparse.Namespace], "Evaluation"]] = {
    "posetrack21": _posetrack21,
    "mot": _mot,
    "tracks": _tracks,
}


def table_width() -> int:
    """Return the width of printed tables in characters."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH


def write_plots(
    options: argparse.Namespace, evaluation: "Evaluation", html: Callable[[Mapping[str, bytes]], bytes]
) -> None:
    """Write what --html and --plots ask for.

    Args:
        options: With `html` and `plots`.
        evaluation: What to plot.
        html: Makes the page from the plots, PNG by name.
    """
    if not (options.html or options.plots):
        return
    from eval.report.output import make_folder
    from eval.report.plots import draw_plots
    from kprtrack.core.atomic_file import write_file

    plots = draw_plots(evaluation)
    if options.html:
        write_file(Path(options.html), html(plots))
    if options.plots:
        make_folder(Path(options.plots))
        for name, png in plots.items():
            write_file(Path(options.plots) / f"{name}.png", png)
