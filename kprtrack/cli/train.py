"""The subcommand `train`: train a ReID encoder, a detector or a pose estimator."""

import argparse

from kprtrack.cli.options import Parser, new_parser
from kprtrack.cli.output import print_text
from kprtrack.core.errors import InputError


def train_parser() -> Parser:
    """Make the parser of `train`."""
    parser = new_parser(
        "train",
        "Train a ReID encoder, a detector or a pose estimator, as the config says. The same command resumes\n"
        "an interrupted run.\n\n"
        "  kprtrack train reid/cuhk03_small data.root=FOLDER out=runs/reid\n"
        "  kprtrack train detector/small data.train=train.json data.val=val.json out=runs/det\n"
        "  kprtrack train pose/small data.train=train.json data.val=val.json out=runs/pose\n\n"
        "On several GPUs, of one machine or more, with Accelerate:\n"
        "  accelerate launch --num_processes 4 -m kprtrack train CONFIG key=value ...",
    )
    parser.add_argument(
        "config", metavar="CONFIG", help="a config of the package such as reid/imagenet_market1501, or a file"
    )
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="KEY=VALUE",
        help="single settings, e.g. schedule.epochs=60 loss.part_prediction=0 precision=bf16",
    )
    parser.add_argument("--out", "-o", metavar="DIR", help="folder of the run; as out=DIR")
    parser.add_argument("--resume", action="store_true", help="fail if there is no run to resume")
    parser.add_argument("--print-config", action="store_true", help="print the resulting config and exit")
    return parser


def run_train(options: argparse.Namespace) -> int:
    """Train and return the exit code."""
    from kprtrack.training.run_folder import has_checkpoint
    from kprtrack.training.tasks import load_config, settings_text, train

    words = [*options.settings, *([f"out={options.out}"] if options.out else [])]
    config = load_config(options.config, words)
    if options.print_config:
        print_text(settings_text(config))
        return 0
    if options.resume and not has_checkpoint(config.out):
        raise InputError(f"There is no run to resume in {config.out}. Leave out --resume to start a new run.")
    train(config, quiet=options.quiet)
    return 0
