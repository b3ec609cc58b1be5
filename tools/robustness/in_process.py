"""Run a command in this process: its messages, what it raised, and the end of a long training."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

_LONG_TRAINING_S = 10.0  # of processor time, after which a training is asked to stop


def signature(error: BaseException) -> str:
    """The error and the innermost line of the product that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "site-packages" not in f.filename and "/lib/python" not in f.filename]
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}" if ours else "?"
    return f"{type(error).__name__} at {place}: {str(error)[:100]!a}"


@contextmanager
def stopped_if_long(words: Sequence[str]):  # type: ignore[no-untyped-def]
    """Send SIGTERM to a training after some seconds of processor time; the list is then not empty."""
    stopped: list[int] = []
    end_s = time.process_time() + _LONG_TRAINING_S

    def look(number: int, frame: object) -> None:
        if time.process_time() > end_s and not stopped:
            stopped.append(number)
            signal.raise_signal(signal.SIGTERM)

    if words[:1] != ["train"]:
        yield stopped
        return
    former = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)
    try:
        yield stopped
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


@contextmanager
def captured(file: Path):  # type: ignore[no-untyped-def]
    """Standard output is dropped, standard error, of C libraries too, goes to a file; gives its reader."""
    sys.stdout.flush(), sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    errors = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(nowhere, 1), os.dup2(errors, 2)
    try:
        yield lambda: file.read_text("utf-8", "backslashreplace")
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os.dup2(saved[0], 1), os.dup2(saved[1], 2)
        for handle in (*saved, nowhere, errors):
            os.close(handle)
