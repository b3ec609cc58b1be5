"""The subcommands that process result files: `draw` and `convert`."""

import argparse
from pathlib import Path

from kprtrack.cli.options import Parser, add_out, add_selection, new_parser, required, selection
from kprtrack.cli.output import completed, log_summary


def draw_parser() -> Parser:
    """Make the parser of `draw`."""
    parser = new_parser("draw", "Write an annotated video from a result file and its video.")
    parser.add_argument("tracks", metavar="TRACKS", help="a result file of any format")
    parser.add_argument("source", metavar="VIDEO", help="the video the tracks were made from")
    add_out(parser, "output file: .mp4 .mov .mkv .webm .avi")
    return parser


def run_draw(options: argparse.Namespace) -> int:
    """Write the annotated video and return the exit code."""
    from kprtrack.io import read_tracks
    from kprtrack.run import draw_video

    out = Path(required(options.out, "output file", "--out annotated.mp4"))
    tracks = read_tracks(Path(options.tracks))
    summary, _ = completed(lambda: draw_video(tracks, options.source, out, quiet=options.quiet))
    return log_summary(summary, "", *(f"note: {note}" for note in summary.notes), quiet=options.quiet)


def convert_parser() -> Parser:
    """Make the parser of `convert`."""
    parser = new_parser(
        "convert", "Convert a result file to another format; docs/formats.md lists what each format keeps."
    )
    parser.add_argument("source", metavar="IN", help="a result file")
    parser.add_argument("target", metavar="OUT", help="output file; its suffix selects the format")
    parser.add_argument(
        "--from", dest="source_format", metavar="NAME", help="format of IN, if not by its suffix"
    )
    parser.add_argument(
        "--to",
        dest="target_format",
        metavar="NAME",
        help="format of OUT, if not by its suffix: kprtrack, coco, posetrack21 ...",
    )
    add_selection(parser)
    return parser


def run_convert(options: argparse.Namespace) -> int:
    """Convert the file and return the exit code."""
    from kprtrack.io import convert

    convert(
        Path(options.source),
        Path(options.target),
        options.source_format,
        options.target_format,
        select=selection(options),
    )
    return 0
