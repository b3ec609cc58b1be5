"""What train does, once its options are parsed."""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from kprtrack.commands import print_text
from reid.errors import InputError, UserError

if TYPE_CHECKING:
    from reid.train_config import ReidTrainConfig

_POLL_S = 0.1
_FINISH_S = 60.0  # for processes to save what they have


def run(verb: str, options: argparse.Namespace) -> int:
    """Run the verb; returns the exit code. Raises: UserError and its kinds."""
    from reid.train_config import as_python, load_train_config

    out = [f"out={options.out}"] if options.out else []
    config = load_train_config(options.recipe, [*options.settings, *out])
    if options.print_config:
        print_text(as_python(config))
        return 0
    if options.resume:
        _refuse_to_begin(config)
    if options.processes < 1:
        raise UserError(f"--processes is {options.processes}. Give 1 or more.")
    if options.processes > 1:
        words = [options.recipe, *options.settings, *out, *["--quiet"] * options.quiet]
        return _side_by_side(words, options.processes)
    from reid.train import train

    train(config, quiet=options.quiet)
    return 0


def _refuse_to_begin(config: "ReidTrainConfig") -> None:
    from reid.train_folder import STATE

    state = Path(config.out or "").expanduser() / STATE
    if not state.is_file():
        raise InputError(f"There is no {state} to go on from. Leave --resume out to begin.")


def _side_by_side(words: list[str], count: int) -> int:
    """The exit code of so many processes that train as one; the first that fails ends the others."""
    program = [sys.executable, "-P", "-m", "kprtrack.cli", "train", *words]
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
