"""The subcommand `report`: a page about one or more results."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from kprtrack.cli.options import Parser, new_parser
from kprtrack.cli.output import log
from kprtrack.core.errors import UserError

_DESCRIPTION = """\
Write a page about tracks: who was there when, images of each person, the moments at which an identity is
most likely wrong, corrections, and how the result was made. It is one HTML file that loads nothing else,
for screens, phones and paper.

Corrections of `kprtrack edit` and `review` are applied; persons of `kprtrack link` are shown as one in all
videos. With NAME.tracks.safetensors beside a result its images are the best sightings of each person, else
evenly spread ones. Without a video the page has no images."""


def report_parser() -> Parser:
    """Make the parser of `report`."""
    parser = new_parser("report", _DESCRIPTION)
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="TRACKS [VIDEO]",
        help="a result file, and after it the video or the folder of images it was made from; several of them"
        " make one page",
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the page, such as report.html")
    return parser


def run_report(options: argparse.Namespace) -> int:
    """Write the page and return the exit code."""
    from kprtrack.core.files.paths import validate_replacing
    from kprtrack.report import write_report

    inputs, out = _pairs(options.inputs), Path(options.out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: the report is a page. Give a name that ends in .html.")
    validate_replacing([out], [name for pair in inputs for name in pair])
    notes = write_report(inputs, out, quiet=options.quiet)
    if not options.quiet:
        for note in notes:
            log(f"note: {note}")
        log(f"written: {out}")
    return 0


def _pairs(names: Sequence[str]) -> list[tuple[str, str | None]]:
    """Each result with the video that follows it. Raises: UserError."""
    from kprtrack.video.inputs import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_camera, is_stream

    pairs: list[tuple[str, str | None]] = []
    for name in names:
        if is_camera(name) or is_stream(name):
            raise UserError(
                f"'{name}' can be read only once. A report needs a video file or a folder of images."
            )
        if not (Path(name).is_dir() or Path(name).suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES):
            pairs.append((name, None))
        elif not pairs or pairs[-1][1] is not None:
            raise UserError(f"'{name}' is a video. Write it after the result that was made from it.")
        else:
            pairs[-1] = pairs[-1][0], name
    return pairs
