"""The parsers of what scores and shows the encoder: eval reid, compare."""

import argparse
from collections.abc import Callable

from kprtrack.cli_options import ActionParser, Parser, add_common, add_dataset, new_parser


def add_eval_reid(actions: "argparse._SubParsersAction[ActionParser]") -> None:
    """`eval reid`, one more action of the verb eval."""
    text = "a ReID encoder on a data set: mAP and CMC, with and without prompts"
    parser = actions.add_parser("reid", help=text, description=text, allow_abbrev=False)
    add_common(parser)
    add_dataset(parser)
    _add_encoder(parser)
    group = parser.add_argument_group("what is scored")
    group.add_argument("--reid", default="kpr", metavar="NAME", help="kpr (default), onnx")
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
    _add_computing(parser).add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes that read crops beside this one (0)"
    )


def _compare() -> Parser:
    parser = new_parser("compare", "How alike the encoder finds a handful of crops, as a picture.")
    parser.add_argument(
        "images", nargs="*", metavar="CROP.jpg", help="two or more pictures of one person each"
    )
    _add_encoder(parser)
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
    _add_computing(parser)
    return parser


REID_VERBS: dict[str, Callable[[], Parser]] = {"compare": _compare}


def _add_encoder(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("encoder")
    group.add_argument("--weights", metavar="FILE", help="a file, or a name of `kprtrack models list`")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one setting of the encoder, e.g. image_height=384; repeatable",
    )
    group.add_argument(
        "--vectors", metavar="NAME", help="what of KPR is compared: foreground+parts (default), parts, whole"
    )


def _add_computing(parser: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    group = parser.add_argument_group("computing")
    group.add_argument(
        "--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda, cuda:1, mps"
    )
    group.add_argument("--precision", default="fp32", metavar="NAME", help="fp32 (default), fp16, bf16")
    group.add_argument(
        "--batch", type=int, default=64, metavar="N", help="most crops the encoder sees at once (64)"
    )
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    return group
