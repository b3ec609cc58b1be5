"""The subcommand `train`: train a ReID encoder, a detector or a pose estimator."""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO

from kprtrack.cli.options import Parser, new_parser
from kprtrack.cli.output import print_text
from kprtrack.core.errors import InputError, UserError

_POLL_S = 0.1
_FINISH_S = 60.0  # for processes to save what they have


@dataclass(frozen=True)
class _Training:
    """A training that can be started."""

    out: str | None
    settings: str  # all of them, as a config file
    train: Callable[[], object]


def train_parser() -> Parser:
    """Make the parser of `train`."""
    parser = new_parser(
        "train",
        "Train a ReID encoder, a detector or a pose estimator, as the config says. The same command resumes\n"
        "an interrupted run.\n\n"
        "  kprtrack train reid/cuhk03_small data.root=FOLDER out=runs/reid\n"
        "  kprtrack train detector/small data.train=train.json data.val=val.json out=runs/det\n"
        "  kprtrack train pose/small data.train=train.json data.val=val.json out=runs/pose\n\n"
        "ReID encoders on several machines, with Accelerate:\n"
        "  accelerate launch --num_machines 2 ... -m kprtrack.cli.main train CONFIG key=value ...",
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
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="ReID encoders only: one process for each GPU (default 1)",
    )
    parser.add_argument("--print-config", action="store_true", help="print the resulting config and exit")
    return parser


def run_train(options: argparse.Namespace) -> int:
    """Train and return the exit code."""
    from kprtrack.training.config import task_of

    words = [*options.settings, *([f"out={options.out}"] if options.out else [])]
    task = task_of(options.config)
    training = _TRAININGS[task](options.config, words, options.quiet)
    if options.print_config:
        print_text(training.settings)
        return 0
    if options.resume:
        _validate_resumable(training.out)
    if options.processes < 1:
        raise UserError(f"--processes is {options.processes}. Give 1 or more.")
    if options.processes > 1:
        if task != "reid":
            raise UserError(f"--processes: the training of a {task} runs in one process. Leave it out.")
        return _side_by_side([options.config, *words, *["--quiet"] * options.quiet], options.processes)
    training.train()
    return 0


def _reid(config_file: str, words: list[str], quiet: bool) -> _Training:
    from reid.training.config import as_python, load_train_config

    config = load_train_config(config_file, words)

    def begin() -> None:
        from reid.training.trainer import train

        train(config, quiet=quiet)

    return _Training(config.out, as_python(config), begin)


def _detector(config_file: str, words: list[str], quiet: bool) -> _Training:
    from kprtrack.training.config import load_recipe
    from kprtrack.training.detector.config import DetectorTrainConfig
    from kprtrack.training.detector.trainer import train
    from reid.training.run_folder import as_recipe

    config = load_recipe(DetectorTrainConfig(), config_file, words)
    return _Training(config.out, as_recipe(asdict(config)), partial(train, config, quiet=quiet))


def _pose(config_file: str, words: list[str], quiet: bool) -> _Training:
    from kprtrack.training.config import load_recipe
    from kprtrack.training.pose.config import PoseTrainConfig
    from kprtrack.training.pose.trainer import train
    from reid.training.run_folder import as_recipe

    config = load_recipe(PoseTrainConfig(), config_file, words)
    return _Training(config.out, as_recipe(asdict(config)), partial(train, config, quiet=quiet))


# By the `task` of the config.
_TRAININGS: dict[str, Callable[[str, list[str], bool], _Training]] = {
    "reid": _reid,
    "detector": _detector,
    "pose": _pose,
}


def _validate_resumable(out: str | None) -> None:
    from reid.training.run_folder import STATE

    state = Path(out or "").expanduser() / STATE
    if not state.is_file():
        raise InputError(f"There is no {state} to resume from. Leave out --resume to start a new run.")


def _side_by_side(words: list[str], count: int) -> int:
    """The exit code of so many processes that train as one; the first that fails ends the others."""
    program = [sys.executable, "-P", "-m", "kprtrack.cli.main", "train", *words]
    port = _free_port()
    with tempfile.TemporaryFile() as silent:  # all say the same; only the first is heard
        running = [
            # A session of their own: Ctrl-C comes to us, who pass it on once.
            subprocess.Popen(
                program,
                env=_environment(rank, count, port),
                stderr=silent if rank else None,
                start_new_session=True,
            )
            for rank in range(count)
        ]
        try:
            code = _wait(running)
        except KeyboardInterrupt:
            _end(running)
            raise
        _end(running)
        if code and running[0].returncode in (0, -15, 130):
            _repeat(silent)
        return code


def _wait(running: list["subprocess.Popen[bytes]"]) -> int:
    while True:
        codes = [each.poll() for each in running]
        failed = [code for code in codes if code]
        if failed or None not in codes:
            return max(failed[0], 1) if failed else 0
        time.sleep(_POLL_S)


def _end(running: list["subprocess.Popen[bytes]"]) -> None:
    """Ask all to stop, and wait until they have saved."""
    for each in running:
        if each.poll() is None:
            each.terminate()
    deadline = time.monotonic() + _FINISH_S
    for each in running:
        try:
            each.wait(max(deadline - time.monotonic(), _POLL_S))
        except subprocess.TimeoutExpired:
            each.kill()
            each.wait()


def _repeat(silent: IO[bytes]) -> None:
    silent.seek(0)
    sys.stderr.write(silent.read().decode(errors="replace"))


def _environment(rank: int, count: int, port: int) -> dict[str, str]:
    threads = max((os.cpu_count() or 1) // count, 1)
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {"OMP_NUM_THREADS": str(threads)} | os.environ | {k: str(v) for k, v in (own | where).items()}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
