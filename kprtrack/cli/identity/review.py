"""The subcommand `review`: a local page to look at tracks and correct them."""

import argparse
from pathlib import Path

from kprtrack.cli.options import Parser, new_parser
from kprtrack.cli.output import log, print_line
from kprtrack.core.errors import UserError

_LAST_PORT = 65_535


def review_parser() -> Parser:
    """Make the parser of `review`."""
    parser = new_parser(
        "review",
        "Look at tracks in the browser and correct them (extra `review`): the video with boxes, skeletons and"
        " track IDs, all tracks over time, and the riskiest moments first. The page is served to this machine"
        " alone, and every correction is written to the edits file at once. End it with Ctrl-C.",
    )
    parser.add_argument("tracks", metavar="TRACKS", help="a result file of any format")
    parser.add_argument("source", metavar="VIDEO", help="the video the tracks were made from")
    parser.add_argument(
        "--edits", metavar="FILE", help="file of the edits (default: NAME.edits.jsonl beside TRACKS)"
    )
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port of the page (default: a free one)"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    return parser


def run_review(options: argparse.Namespace) -> int:
    """Serve the page until it is interrupted, and return the exit code."""
    from kprtrack.edits import edits_path
    from kprtrack.io import read_tracks
    from kprtrack.review.server import serve_review
    from kprtrack.video.inputs import is_camera, is_stream

    if not 0 <= options.port <= _LAST_PORT:
        raise UserError(f"--port {options.port}: give a number from 1 to {_LAST_PORT}, or 0 for a free one.")
    if is_camera(options.source) or is_stream(options.source):
        raise UserError(
            f"'{options.source}' can be read only once. Review needs a video file or a folder of images."
        )
    edits = Path(options.edits) if options.edits else edits_path(options.tracks)
    if edits.resolve() == Path(options.tracks).resolve():
        raise UserError(f"--edits {edits}: it is the result. Choose another file.")

    def opened(address: str) -> None:
        print_line(address)
        if not options.quiet:
            log("the page is served to this machine alone; Ctrl-C ends it")
        if not options.no_browser:
            import webbrowser

            webbrowser.open(address)

    serve_review(read_tracks(Path(options.tracks)), options.source, edits, port=options.port, opened=opened)
    return 0
