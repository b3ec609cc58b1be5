"""Trainings as processes of their own: one to be killed, or two that train together."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from support import paths

SETTINGS: dict[str, Any] = {
    "schedule__epochs": 6,
    "scoring__every_epochs": 2,
    "frozen_prompt_epochs": 1,
    "computing__save_every_batches": 1,
}
WORKER = paths.ROOT / "tests" / "support" / "train_worker.py"


def start(drawn: Path, out: Path, **changes: Any) -> subprocess.Popen[bytes]:
    told = json.dumps({"out": str(out), "changes": SETTINGS | changes})
    program = [sys.executable, str(WORKER), str(drawn), told]
    return subprocess.Popen(program, cwd=WORKER.parents[2], start_new_session=True)


def wait_until_it_works(state: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the state is written, anew if it was there."""
    before = state.stat().st_mtime_ns if state.exists() else 0
    while not state.exists() or state.stat().st_mtime_ns == before:
        assert process.poll() is None
        time.sleep(0.001)


def train_in_two(drawn: Path, out: Path, changes: dict[str, Any]) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    told = json.dumps({"out": str(out), "changes": changes})
    shared = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    running = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(drawn), told],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            cwd=WORKER.parents[2],
        )
        for rank in range(2)
    ]
    try:
        assert [each.wait(120) for each in running] == [0, 0]
    finally:
        for each in running:
            each.kill()
