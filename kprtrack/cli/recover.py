"""The subcommand `recover`: finish the files that killed runs have left."""

import argparse
from pathlib import Path

from kprtrack.cli.options import Parser, new_parser
from kprtrack.cli.output import log
from kprtrack.core.errors import UserError


def recover_parser() -> Parser:
    """Make the parser of `recover`."""
    parser = new_parser(
        "recover",
        "Finish the file that a killed run has left: FILE.part becomes FILE, or FILE.partial beside a FILE.",
    )
    parser.add_argument("parts", nargs="+", metavar="FILE.part", help="a result, observations or a video")
    return parser


def run_recover(options: argparse.Namespace) -> int:
    """Recover each file and return the exit code."""
    from kprtrack.recover import recover

    code = 0
    for name in options.parts:
        try:
            recovered = recover(Path(name))
        except UserError as error:
            log(f"kprtrack: {error}")
            code = code or error.exit_code
            continue
        if not options.quiet:
            frames = f"{recovered.frames} frame{'' if recovered.frames == 1 else 's'}"
            log(f"{recovered.path}: {frames}, incomplete")
    return code
