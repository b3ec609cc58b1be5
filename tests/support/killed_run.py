"""Runs in a process of their own that are killed at a chosen moment."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def start(run: Callable[[], object]) -> int:
    """Run a function in a child process; returns its id. Exit code 0, or 1 after an exception."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run()
            code = 0
        finally:
            os._exit(code)
    return child


def kill_once(child: int, happened: Callable[[], bool], number: int = signal.SIGKILL) -> None:
    """Send a signal as soon as `happened` returns true; wait for the end of the process."""
    until = time.monotonic() + 60
    while not happened() and time.monotonic() < until:
        ended, _ = os.waitpid(child, os.WNOHANG)
        assert not ended, "the run ended before it was killed"
        time.sleep(0.002)
    os.kill(child, number)
    os.waitpid(child, 0)


def is_larger_than(file: Path, size: int) -> Callable[[], bool]:
    """A condition for `kill_once`: the file has more than so many bytes."""
    return lambda: file.exists() and file.stat().st_size > size
