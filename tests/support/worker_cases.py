"""Workers for other processes; imports nothing heavy, so that they start quickly."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from kprtrack.core.errors import WeightsError

OnProgress = Callable[[int], None]


def squares(number: int) -> Callable[[int, OnProgress], tuple[int, int]]:
    """Return the square of the job, and the number of the process."""

    def worker(job: int, on_progress: OnProgress) -> tuple[int, int]:
        on_progress(1)
        return job * job, number

    return worker


def endless(number: int) -> Callable[[str, OnProgress], None]:
    """Append to a file until the process ends."""

    def worker(job: str, on_progress: OnProgress) -> None:
        while True:
            with Path(job).open("a") as file:
                file.write("alive\n")
            time.sleep(0.05)

    return worker


def failing(number: int) -> Callable[[str, OnProgress], None]:
    """Fail in the way of the job."""

    def worker(job: str, on_progress: OnProgress) -> None:
        if job == "weights":
            raise WeightsError("no weights")
        if job == "bug":
            raise ZeroDivisionError("a bug")
        os.kill(os.getpid(), signal.SIGKILL)

    return worker
