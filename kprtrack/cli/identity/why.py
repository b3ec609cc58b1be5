"""The subcommand `why`: why a track has its ID."""

import argparse
from pathlib import Path

from kprtrack.cli.options import Parser, new_parser
from kprtrack.cli.output import log, print_line
from kprtrack.core.errors import UserError

_DESCRIPTION = """\
Explain the ID of a track: when it was seen, how probable it is that all of its boxes are one person and what
makes that uncertain, and each time that it was lost and found again: which body parts matched and how far
(cosine distance), the limit, and whom else it could have been. Corrections of `kprtrack edit` are applied
first. The result needs the file NAME.tracks.safetensors that `kprtrack VIDEO` writes beside it.

  kprtrack why tracks.json --track 7
  kprtrack why tracks.json --track 7 --out why.png --video video.mp4"""
_SUFFIXES = (".png", ".jpg", ".jpeg")
_MOST_MOMENTS = 5


def why_parser() -> Parser:
    """Make the parser of `why`."""
    parser = new_parser("why", _DESCRIPTION)
    parser.add_argument("result", metavar="RESULT", help="a result file")
    parser.add_argument("--track", type=int, required=True, metavar="ID", help="the track")
    parser.add_argument(
        "--out", metavar="FILE", help="draw distances over time: why.png or .jpg (extra `kinematics`)"
    )
    parser.add_argument(
        "--video", metavar="VIDEO", help="with --out: show the person before and after each return"
    )
    return parser


def run_why(options: argparse.Namespace) -> int:
    """Print the explanation, draw it, and return the exit code."""
    from kprtrack.identity.explanation import clock, explain
    from kprtrack.identity.results import read_result
    from kprtrack.review import risky_moments

    out = None if options.out is None else Path(options.out)
    if out is not None and out.suffix.lower() not in _SUFFIXES:
        raise UserError(f"--out {out}: give a name that ends in {', '.join(_SUFFIXES)}.")
    if options.video and out is None:
        raise UserError("--video is for the image. Add --out why.png, or leave it out.")
    result = read_result(options.result)
    for missed in result.missed:
        log(f"edit {missed}")
    explanation = explain(result, options.track)
    for line in explanation.lines():
        print_line(line)
    moments = [one for one in risky_moments(result.tracks) if options.track in one.track_ids]
    if moments:
        print_line("riskiest moments:")
    for one in moments[:_MOST_MOMENTS]:
        when = f"frame {one.frame}" if one.time_s is None else clock(one.time_s)
        print_line(f"  {when}  {one.details}")
    if out is not None:
        from kprtrack.core.atomic_file import write_file
        from kprtrack.core.files.images import encode_rgb
        from kprtrack.identity.explanation_plot import explanation_plot

        image = explanation_plot(explanation, result.prototypes, options.video)
        write_file(out, encode_rgb(image, out.suffix))
        if not options.quiet:
            log(f"written: {out}")
    return 0
