"""The parser of the verb `data`: what ReID data sets lack, and how they get it."""

import argparse
from collections.abc import Callable

from kprtrack.cli.options import (
    ActionParser,
    Parser,
    add_common,
    add_computing,
    add_dataset,
    add_encoder,
    add_networks,
    add_settings,
    new_parser,
)


def _data() -> Parser:
    parser = new_parser("data", "Data sets of people to train and score on.")
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=ActionParser, help="what to do"
    )
    check = _action(actions, "check", "Say what a data set holds, lacks, and which files are damaged.")
    check.add_argument("--quick", action="store_true", help="only see whether the files are there")
    _action(actions, "build", "Cut the crops of a data set out of its videos (occluded_posetrack).")
    keypoints = _action(actions, "keypoints", "Find keypoints on crops that have none.")
    keypoints.add_argument(
        "--others",
        action="store_true",
        help="also look for other people in each crop, with the --detector: they become negative prompts",
    )
    add_networks(keypoints)
    add_settings(keypoints)
    labels = _action(
        actions, "part-labels", "Draw body part labels from keypoints, for crops that have none."
    )
    labels.add_argument(
        "--masks",
        metavar="DIR",
        help="person masks, DIR/PATH.png for the picture PATH: labels are cut to them",
    )
    features = _action(
        actions,
        "features",
        "Write what an encoder says of every crop, one feature each, to be learnt from with "
        "distil.teacher=FILE. Of KPR that is the foreground's, or with --vectors whole the whole crop's.",
    )
    add_encoder(features, any_kind=True)
    features.add_argument("--out", "-o", metavar="FILE", help="the features, .safetensors")
    add_computing(features, reads_crops=True)
    paste = _action(
        actions,
        "paste",
        "Make a test set, a folder of crops, in which another person stands in front on every query: only "
        "the keypoints say who is meant.",
    )
    paste.add_argument(
        "--into", default="query", metavar="NAME", help="where to paste: query (default), gallery, both, none"
    )
    paste.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is random (default 0)")
    paste.add_argument("--out", "-o", metavar="DIR", help="folder of the new data set")
    return parser


DATA_SUBCOMMANDS: dict[str, Callable[[], Parser]] = {"data": _data}


def _action(
    actions: "argparse._SubParsersAction[ActionParser]", name: str, description: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=description, description=description, allow_abbrev=False)
    add_common(parser)
    add_dataset(parser)
    return parser
