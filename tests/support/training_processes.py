"""Trainings as processes of their own: one to be killed, or two that train together.

They are forked from a process that has imported everything, where the system can do so: a fresh start takes
longer than the trainings.
"""

import multiprocessing
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from support import train_worker

SETTINGS: dict[str, Any] = {
    "schedule__epochs": 6,
    "scoring__every_epochs": 2,
    "frozen_prompt_epochs": 1,
    "computing__save_every_batches": 1,
}


def _new_context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([train_worker.__name__])
    return context


_CONTEXT = _new_context()


@dataclass(frozen=True)
class TrainingProcess:
    """A training in a process and a session of its own."""

    process: BaseProcess

    @property
    def pid(self) -> int:
        """ID of the process and of its session."""
        assert self.process.pid is not None
        return self.process.pid

    def exit_code(self) -> int | None:
        """The exit code; None while the process runs."""
        return self.process.exitcode

    def wait(self, seconds: float = 300) -> int:
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
    **changes: Any,
) -> TrainingProcess:
    """Start a training: task, data, folder and changes as `train_worker.run` has them."""
    words = {"task": task, "data": data, "out": out, "changes": changes, "double": double}
    process = _CONTEXT.Process(target=train_worker.run, args=(dict(environment or {}),), kwargs=words)
    process.start()
    return TrainingProcess(process)


def wait_for_checkpoint(checkpoint: Path, training: TrainingProcess) -> None:
    """Wait until the checkpoint is written, again if it was there."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
        assert training.exit_code() is None
        time.sleep(0.001)


def train_in_two(task: str, data: Path, out: Path, *, double: bool = False, **changes: Any) -> None:
    """Train with two processes that find each other as those of `accelerate launch` do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
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
