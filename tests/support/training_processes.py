"""Trainings as processes of their own: one to be killed, or two that train together.

On a busy machine a training may be over before the test has looked at its files: one that is to be killed
waits after some batches.
"""

import random
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from support import train_worker
from support.fork_server import CONTEXT

SETTINGS: dict[str, Any] = {
    "schedule__epochs": 6,
    "scoring__every_epochs": 2,
    "frozen_prompt_epochs": 1,
    "computing__save_every_batches": 1,
}


_HANG_S = 600.0
# Below those that systems give to programs that ask for any: such a program cannot take the port meanwhile.
_PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class TrainingProcess:
    """A training in a process and a session of its own."""

    process: BaseProcess
    started_ns: int
    waits: Event  # set once it has trained on `wait_after` batches

    @property
    def pid(self) -> int:
        """ID of the process and of its session."""
        assert self.process.pid is not None
        return self.process.pid

    def wait_for_batches(self) -> None:
        """Wait until it has trained on `wait_after` batches; it waits, too."""
        assert self.waits.wait(_HANG_S), "the training does not get on"

    def wait_for_checkpoint(self, checkpoint: Path) -> None:
        """Wait until it has written the checkpoint, or waits itself."""
        until = time.monotonic() + _HANG_S
        while not self.waits.is_set():
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns > self.started_ns:
                return
            assert self.process.exitcode is None, "the training ended too early"
            assert time.monotonic() < until, "the training does not get on"
            time.sleep(0.001)

    def wait(self, seconds: float = _HANG_S) -> int:
        """Wait for the end of the process and return its exit code."""
        self.process.join(seconds)
        code = self.process.exitcode
        if code is None:
            self.kill()
            raise AssertionError(f"a training has not ended after {seconds} s")
        return code

    def kill(self) -> None:
        """Kill the process, which cannot know."""
        self.process.kill()
        self.process.join()


def start(
    task: str,
    data: Path,
    out: Path,
    *,
    double: bool = False,
    environment: Mapping[str, str] | None = None,
    wait_after: int | None = None,
    **changes: Any,
) -> TrainingProcess:
    """Start a training.

    Args:
        task: As in `train_worker.run`, and so are the others.
        data: Folder or file.
        out: Folder of the run.
        double: Train in float64.
        environment: Variables to set first.
        wait_after: After so many batches it waits until it is killed or asked to stop.
        changes: Of the tiny settings.
    """
    waits = CONTEXT.Event()
    words = {"task": task, "data": data, "out": out, "changes": changes, "double": double}
    words |= {"batches": wait_after, "waits": waits}
    process = CONTEXT.Process(target=train_worker.run, args=(dict(environment or {}),), kwargs=words)
    started_ns = time.time_ns()
    process.start()
    return TrainingProcess(process, started_ns, waits)


def _free_port() -> int:
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def train_in_two(task: str, data: Path, out: Path, *, double: bool = False, **changes: Any) -> None:
    """Train with two processes that find each other as those of `accelerate launch` do."""
    shared = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
    }
    running = [
        start(
            task,
            data,
            out,
            double=double,
            environment=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            **changes,
        )
        for rank in range(2)
    ]
    try:
        assert [each.wait() for each in running] == [0, 0]
    finally:
        for each in running:
            each.kill()
