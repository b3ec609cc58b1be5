"""The subcommand `demo`: track, annotate and score the clip that is part of the package."""

import argparse
import gzip
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.options import Parser, add_networks, add_settings, add_tracker, config_from, new_parser
from kprtrack.cli.output import log_tracks, print_config, print_text
from kprtrack.core.extras import missing_extra, missing_modules
from kprtrack.core.files.paths import expanded

if TYPE_CHECKING:
    from eval.datatypes import Evaluation
    from kprtrack.outputs import Summary

# Both are made by tools/make_demo_clip.py.
CLIP = Path(__file__).parents[1] / "demo" / "clip.mp4"
GROUND_TRUTH = CLIP.with_name("ground_truth.json.gz")
FPS = 25.0
IMAGE_FRAME = 238  # the frame of frame.png: five people, of whom two in the same kit are about to cross
TRACKS_FILE, VIDEO_FILE, IMAGE_FILE = "tracks.json", "tracks.mp4", "frame.png"
GROUND_TRUTH_FILE = "ground_truth.json"
_SCORES = (
    ("IDF1", "box_identity", "IDF1"),
    ("HOTA", "box_hota", "HOTA"),
    ("HOTA of poses", "oks_hota", "HOTA"),
)
_SCORING = ("scipy", "shapely", "trackeval")
_DESCRIPTION = f"""\
Track a clip that is part of the package, annotate it, and, with the extra eval, score the tracks against its
ground truth.

The clip is an animation of twelve seconds: six people hug, cross, hide and return, two of them in the same
clothes. The ground truth holds a person in the frames in which at least a quarter of the person is visible.
Writes {TRACKS_FILE}, {VIDEO_FILE} (annotated), {IMAGE_FILE} (one frame of it) and {GROUND_TRUTH_FILE} into
the folder --out and replaces files of these names."""


def demo_parser() -> Parser:
    """Make the parser of `demo`."""
    parser = new_parser("demo", _DESCRIPTION)
    parser.add_argument("--out", "-o", metavar="DIR", default="demo", help="output folder (default: demo)")
    add_networks(parser)
    add_tracker(parser)
    add_settings(parser)
    return parser


def run_demo(options: argparse.Namespace) -> int:
    """Run the demo and return the exit code."""
    config = config_from(options)
    if options.print_config:
        return print_config(config)
    from eval.report.output import make_folder, validate_folder
    from kprtrack.build import build_networks, build_tracker
    from kprtrack.core.atomic_file import write_file
    from kprtrack.run import track_video

    folder = expanded(options.out)
    validate_folder(folder, "--out")
    build_tracker(config.tracker, FPS)  # reports a wrong setting before the networks are loaded
    networks = build_networks(config)
    make_folder(folder)
    summary = track_video(
        CLIP,
        folder / TRACKS_FILE,
        config,
        video_out=folder / VIDEO_FILE,
        networks=networks,
        quiet=options.quiet,
    )
    if summary.stopped:
        return log_tracks(summary, config, quiet=options.quiet)
    write_file(folder / GROUND_TRUTH_FILE, gzip.decompress(GROUND_TRUTH.read_bytes()))
    write_file(folder / IMAGE_FILE, _annotated_frame(folder / TRACKS_FILE))
    if not options.quiet:
        print_text(_report(folder, summary))
    return 0


def _annotated_frame(tracks: Path) -> bytes:
    """One frame with its tracks and trails, as PNG."""
    import cv2

    from kprtrack.io import read_tracks
    from kprtrack.rendering.draw import Trails, draw_tracks
    from kprtrack.video.source import open_source

    frames = read_tracks(tracks).frames[: IMAGE_FRAME + 1]
    trails = Trails()
    for frame in frames:
        trails.add(frame)
    with open_source(CLIP, start_s=IMAGE_FRAME / FPS) as video:
        image = next(iter(video)).image
    annotated = draw_tracks(image, frames[-1], trails)
    return cv2.imencode(".png", annotated[..., ::-1], (cv2.IMWRITE_PNG_COMPRESSION, 9))[1].tobytes()


def _report(folder: Path, summary: "Summary") -> str:
    lines = {
        "people": f"{len(summary.ids)} found",
        "scores": "",
        "speed": f"{summary.frames / summary.seconds:.1f} frames/s",
        "results": f"{folder / VIDEO_FILE}, {folder / IMAGE_FILE}, {folder / TRACKS_FILE}",
        "next": "kprtrack VIDEO --out tracks.json --video annotated.mp4",
        "": shlex.join(
            ["kprtrack", "eval", "tracks", str(folder / GROUND_TRUTH_FILE), str(folder / TRACKS_FILE)]
        ),
    }
    if missing := missing_modules(_SCORING):
        lines["scores"] = str(missing_extra("scoring", missing))
        return _aligned(lines)
    from eval.benchmarks.score_tracks import score_tracks

    evaluation = score_tracks(folder / GROUND_TRUTH_FILE, folder / TRACKS_FILE)
    (timeline,) = evaluation.timelines.values()
    lines["people"] += f", {len(timeline.gt_ids)} in the clip"
    lines["scores"] = _scores(evaluation)
    return _aligned(lines)


def _scores(evaluation: "Evaluation") -> str:
    import numpy as np

    scores = {name: measure.combined for name, measure in evaluation.measures.items()}
    return ", ".join(
        f"{name} {100 * np.mean(scores[measure][field]):.1f}"  # percent; of HOTA over its thresholds
        for name, measure, field in _SCORES
        if measure in scores  # without any track there is no score of poses
    )


def _aligned(lines: dict[str, str]) -> str:
    return "\n".join(f"{name:<9}{text}" for name, text in lines.items())
