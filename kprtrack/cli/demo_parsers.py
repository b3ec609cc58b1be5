"""The parser of the verb `demo`: what is installed, shown on a clip that comes with it."""

from collections.abc import Callable

from kprtrack.cli.options import Parser, add_networks, add_settings, add_tracker, new_parser

_DESCRIPTION = """\
Track a clip that comes with the package, draw the result, and score it against the clip's own truth.

The clip is drawn, twelve seconds: seven people hug, cross, hide and return, some in the same clothes.
Into the folder --out go tracks.json, tracks.mp4 (drawn), frame.png (one frame of it) and truth.json;
files of these names are replaced."""


def _demo() -> Parser:
    parser = new_parser("demo", _DESCRIPTION)
    parser.add_argument(
        "--out", "-o", metavar="DIR", default="demo", help="folder of the results (default: demo)"
    )
    add_networks(parser)
    add_tracker(parser)
    add_settings(parser)
    return parser


DEMO_SUBCOMMANDS: dict[str, Callable[[], Parser]] = {"demo": _demo}
