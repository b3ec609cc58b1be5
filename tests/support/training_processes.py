"""Trainings as processes of their own: one to be killed, or two that train together."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support import paths

SETTINGS: dict[str, Any] = {
    "schedule__epochs": 6,
    "scoring__every_epochs": 2,
    "frozen_prompt_epochs": 1,
    "computing__save_every_batches": 1,
}
_WORKER = paths.ROOT / "tests" / "support" / "train_worker.py"


def command(
    task: str, data: Path, out: Path, changes: Mapping[str, Any], *, double: bool = False
) -> list[str]:
    """The words that train a task of train_worker."""
    words = {"task": task, "data": str(data), "out": str(out), "changes": changes, "double": double}
    return [sys.executable, str(_WORKER), json.dumps(words)]


def start(
    task: str, data: Path, out: Path, *, double: bool = False, **changes: Any
) -> subprocess.Popen[bytes]:
    """Start a training in a session of its own."""
    return subprocess.Popen(
        command(task, data, out, changes, double=double), cwd=paths.ROOT, start_new_session=True
    )


def wait_for_checkpoint(checkpoint: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the checkpoint is written, again if it was there."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
        assert process.poll() is None
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
        "OMP_NUM_THREADS": "1",
    }
    running = [
        subprocess.Popen(
            command(task, data, out, changes, double=double),
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=paths.ROOT,
        )
        for rank in range(2)
    ]
    try:
        assert [each.wait(300) for each in running] == [0, 0]
    finally:
        for each in running:
            each.kill()
