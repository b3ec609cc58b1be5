"""The subcommand `adapt`: train the ReID encoder in the package on own footage."""

import argparse
from functools import partial

from kprtrack.cli.options import Parser, add_crops, clean_track_config, new_parser, required
from kprtrack.cli.output import log, print_text
from kprtrack.core.extras import require
from kprtrack.core.files.paths import expanded


def adapt_parser() -> Parser:
    """Make the parser of `adapt`."""
    parser = new_parser(
        "adapt",
        "Train the ReID encoder in the package on own footage, and score it before and after on people held\n"
        "out. New weights are recommended only if they are better. The same command resumes an interrupted\n"
        "run.\n\n"
        "  kprtrack adapt a.mp4 b.mp4 --out adapted                      track, then use the clean tracks\n"
        "  kprtrack adapt a.mp4 --tracks corrected.json --out adapted    use these tracks\n"
        "  kprtrack adapt people/ --out adapted                          a folder for each person",
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="videos, folders or globs of videos, or one folder with a folder of images for each person",
    )
    parser.add_argument("--out", "-o", metavar="DIR", help="folder of the adaptation")
    parser.add_argument(
        "--tracks",
        nargs="+",
        default=[],
        metavar="FILE",
        help="result files, one for each video in the same order",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print people, images and the expected time; write nothing"
    )
    group = parser.add_argument_group("training")
    group.add_argument(
        "--epochs", type=int, default=4, metavar="N", help="length of the training (default 4)"
    )
    group.add_argument(
        "--held-out",
        type=float,
        default=0.3,
        metavar="SHARE",
        help="share of the people who are scored and not trained on (default 0.3); of several videos, all"
        " people of some of them",
    )
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="who is held out, and the training (default 0)"
    )
    add_crops(parser)
    group = parser.add_argument_group("computing")
    group.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu")
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    return parser


def run_adapt(options: argparse.Namespace) -> int:
    """Adapt the encoder and return the exit code."""
    out = (
        expanded(required(options.out, "folder of the adaptation", "--out DIR"))
        if not options.dry_run
        else None
    )
    require("kprtrack adapt", "torch", "accelerate")
    from kprtrack.adaptation.plan import plan
    from kprtrack.adaptation.run import adapt
    from kprtrack.adaptation.settings import AdaptConfig
    from kprtrack.adaptation.sources import find_sources
    from kprtrack.config import TrackConfig

    config = AdaptConfig(
        options.epochs,
        options.held_out,
        options.seed,
        clean_track_config(options),
        TrackConfig(device=options.device, threads=options.threads),
    )
    sources = find_sources(options.sources, options.tracks)
    if out is None:
        print_text(plan(sources, config))
        return 0
    result = adapt(sources, out, config, quiet=options.quiet, log=partial(_log, quiet=options.quiet))
    print_text(f"{result.table()}\n\n{result.advice()}")
    return 0


def _log(line: str, *, quiet: bool) -> None:
    if not quiet:
        log(line)
