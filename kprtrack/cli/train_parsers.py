"""The parser of the verb that trains networks."""

from collections.abc import Callable

from kprtrack.cli.options import Parser, new_parser


def _train() -> Parser:
    parser = new_parser(
        "train",
        "Train the encoder, a detector or a pose estimator: the recipe says which. The same command goes on\n"
        "with a run that was stopped.\n\n"
        "  kprtrack train configs/reid/cuhk03_small.py data.root=FOLDER out=runs/first\n"
        "  kprtrack train configs/detector/small.py data.train=train.json data.val=val.json out=runs/found\n"
        "  kprtrack train configs/pose/small.py data.train=train.json data.val=val.json out=runs/pose\n\n"
        "The encoder on several machines, with Accelerate:\n"
        "  accelerate launch --num_machines 2 ... -m kprtrack.cli.main train CONFIG key=value ...",
    )
    parser.add_argument("recipe", metavar="CONFIG", help="a file such as configs/reid/imagenet_market1501.py")
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="KEY=VALUE",
        help="single settings, e.g. schedule.epochs=60 loss.part_prediction=0 precision=bf16",
    )
    parser.add_argument("--out", "-o", metavar="DIR", help="folder of the run; as out=DIR")
    parser.add_argument("--resume", action="store_true", help="refuse to begin anew: a run must be there")
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="of the encoder alone: one for each GPU (default 1)",
    )
    parser.add_argument("--print-config", action="store_true", help="print the settings in force and stop")
    return parser


TRAINING_SUBCOMMANDS: dict[str, Callable[[], Parser]] = {"train": _train}
