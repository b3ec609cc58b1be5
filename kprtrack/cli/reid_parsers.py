"""The parsers of what scores and shows the encoder: eval reid, compare."""

import argparse
from collections.abc import Callable

from kprtrack.cli.options import (
    ActionParser,
    Parser,
    add_common,
    add_computing,
    add_dataset,
    add_encoder,
    new_parser,
)


def add_eval_reid(actions: "argparse._SubParsersAction[ActionParser]") -> None:
    """`eval reid`, one more action of the verb eval."""
    text = "a ReID encoder on a data set: mAP and CMC, with and without prompts"
    parser = actions.add_parser("reid", help=text, description=text, allow_abbrev=False)
    add_common(parser)
    add_dataset(parser)
    add_encoder(parser, any_kind=True)
    group = parser.add_argument_group("what is scored")
    group.add_argument(
        "--protocol",
        metavar="NAME",
        help="who is ranked: default, mot_inter_intra_video ... (data set's own)",
    )
    group.add_argument("--prompts", metavar="HOW", help="both (default), on, off")
    group.add_argument(
        "--negatives", default="on", metavar="HOW", help="keypoints of others: on (default), off"
    )
    group.add_argument(
        "--rerank", action="store_true", help="also after k-reciprocal re-ranking, which holds all distances"
    )
    group.add_argument(
        "--occlusion", action="store_true", help="also by multi-person occlusion of the queries"
    )
    group.add_argument(
        "--robustness", action="store_true", help="also with 20 to 100 %% of the keypoints removed at random"
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is random (default 0)")
    group = parser.add_argument_group("pictures and reports, beside the table on standard output")
    group.add_argument(
        "--ranking",
        type=int,
        metavar="N",
        help="draw the rankings of N queries into --plots (--prompts off: bare)",
    )
    group.add_argument(
        "--queries",
        nargs="+",
        default=["worst"],
        metavar="WHICH",
        help="of --ranking: worst (default), random, or file names of queries",
    )
    group.add_argument(
        "--columns", type=int, default=10, metavar="N", help="gallery images in a ranking (default 10)"
    )
    group.add_argument(
        "--json", metavar="FILE", help="every number; - for standard output, without the table"
    )
    group.add_argument("--plots", metavar="DIR", help="pictures as .png")
    add_computing(parser, reads_crops=True)


def _compare() -> Parser:
    parser = new_parser("compare", "How alike the encoder finds a handful of crops, as a picture.")
    parser.add_argument(
        "images", nargs="*", metavar="CROP.jpg", help="two or more pictures of one person each"
    )
    add_encoder(parser, any_kind=False)
    group = parser.add_argument_group("keypoints that prompt the encoder (none: it runs without)")
    group.add_argument(
        "--keypoints",
        nargs="+",
        metavar="FILE",
        help="json files, one for each crop in the same order; or folders with CROP.json",
    )
    group.add_argument("--pose", metavar="NAME", help="find them: hrnet-w32, hrnet-w48, heatmap, mmpose")
    group.add_argument("--pose-weights", metavar="FILE")
    parser.add_argument("--out", "-o", metavar="FILE", help="the picture, .png")
    parser.add_argument("--json", metavar="FILE", help="every number; - for standard output")
    add_computing(parser, reads_crops=False)
    return parser


REID_SUBCOMMANDS: dict[str, Callable[[], Parser]] = {"compare": _compare}
