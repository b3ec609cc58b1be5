"""What demo does: the clip in the package, tracked, drawn and scored."""

import argparse
import gzip
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.commands import config_of, print_config, print_text
from kprtrack.cli.summary import tell_tracks

if TYPE_CHECKING:
    from eval.datatypes import Evaluation
    from kprtrack.run import Summary

# Both are drawn by tools/make_demo_clip.py.
CLIP = Path(__file__).parents[1] / "demo" / "clip.mp4"
TRUTH = CLIP.with_name("ground_truth.json.gz")
FPS = 25.0
PICTURED = 187  # the frame of frame.png: two stand close together, one comes from behind the tree
_SCORES = (
    ("IDF1", "box_identity", "IDF1"),
    ("HOTA", "box_hota", "HOTA"),
    ("HOTA of poses", "oks_hota", "HOTA"),
)
TRACKS, DRAWN, PICTURE, COMPARED = "tracks.json", "tracks.mp4", "frame.png", "ground_truth.json"


def run(verb: str, options: argparse.Namespace) -> int:
    """Run the demo; returns the exit code. Raises: UserError and its kinds."""
    config = config_of(options)
    if options.print_config:
        return print_config(config)
    from eval.benchmarks.score_tracks import score_tracks
    from eval.report.output import make_folder, validate_folder, write_whole
    from kprtrack.build import build_networks, build_tracker
    from kprtrack.run import track_video

    folder = Path(options.out).expanduser()
    validate_folder(folder, "--out")
    build_tracker(config.tracker, FPS)  # a wrong setting is told before the networks are loaded
    networks = build_networks(config)
    make_folder(folder)
    summary = track_video(
        CLIP,
        folder / TRACKS,
        config,
        video_out=folder / DRAWN,
        networks=networks,
        quiet=options.quiet,
    )
    if summary.stopped:
        return tell_tracks(summary, config, quiet=options.quiet)
    write_whole(folder / COMPARED, gzip.decompress(TRUTH.read_bytes()))
    write_whole(folder / PICTURE, _picture(folder / TRACKS))
    if not options.quiet:
        print_text(_report(folder, summary, score_tracks(folder / COMPARED, folder / TRACKS)))
    return 0


def _picture(tracks: Path) -> bytes:
    """The pictured frame with its tracks and the ways that led there, as PNG."""
    import cv2

    from kprtrack.io import read_tracks
    from kprtrack.video.draw import Trails, draw_tracks
    from kprtrack.video.source import open_source

    followed = read_tracks(tracks).frames[: PICTURED + 1]
    trails = Trails()
    for frame in followed:
        trails.add(frame)
    with open_source(CLIP, start_s=PICTURED / FPS) as video:
        image = next(iter(video)).image
    drawn = draw_tracks(image, followed[-1], trails)
    return cv2.imencode(".png", drawn[..., ::-1], (cv2.IMWRITE_PNG_COMPRESSION, 9))[1].tobytes()


def _report(folder: Path, summary: "Summary", evaluation: "Evaluation") -> str:
    import numpy as np

    (timeline,) = evaluation.timelines.values()
    scores = {name: measure.combined for name, measure in evaluation.measures.items()}
    lines = {
        "people": f"{len(summary.ids)} found, {len(timeline.gt_ids)} are in the clip",
        "scores": ", ".join(
            f"{name} {100 * np.mean(scores[measure][field]):.1f}"  # percent; of HOTA over its thresholds
            for name, measure, field in _SCORES
            if measure in scores  # poses are not where nobody was found
        ),
        "speed": f"{summary.frames / summary.seconds:.1f} frames/s",
        "look at": f"{folder / DRAWN}, {folder / PICTURE}; the numbers are in {folder / TRACKS}",
        "try": "kprtrack VIDEO --out tracks.json --video drawn.mp4",
        "": shlex.join(["kprtrack", "eval", "tracks", str(folder / COMPARED), str(folder / TRACKS)]),
    }
    return "\n".join(f"{name:<8}{text}" for name, text in lines.items())
