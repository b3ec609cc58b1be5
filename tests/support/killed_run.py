"""Runs in a process of their own that are killed at a chosen moment.

The processes are forked from a server without threads: a fork of the test's own process may hang in a lock
that a thread of a library held.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.signals import interrupt_on_stop_signals
from support import fake_run

_WAIT_S = 60.0


def _slow_detect(batch: list[Frame]) -> list[Detections]:
    time.sleep(0.004)
    return fake_run.detect(batch)


SLOW = replace(fake_run.NETWORKS, detect=_slow_detect)


def _new_context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


_CONTEXT = _new_context()


def start(run: Callable[..., object], *arguments: object, **options: object) -> BaseProcess:
    """Call a function of kprtrack.run with slow networks in a process of its own."""
    process: BaseProcess = _CONTEXT.Process(target=_run, args=(run, arguments, options))
    process.start()
    return process


def _run(run: Callable[..., object], arguments: tuple[object, ...], options: dict[str, object]) -> None:
    interrupt_on_stop_signals()
    run(*arguments, networks=SLOW, **options)


def kill_once(child: BaseProcess, happened: Callable[[], bool], number: int = signal.SIGKILL) -> None:
    """Send a signal as soon as `happened` returns true; wait for the end of the process."""
    wait_until(happened, child)
    assert child.pid is not None
    os.kill(child.pid, number)
    child.join()


def wait_until(happened: Callable[[], bool], child: BaseProcess) -> None:
    """Wait until `happened` returns true, which must be before the process ends."""
    until = time.monotonic() + _WAIT_S
    while not happened():
        assert child.exitcode is None, "the run ended too early"
        assert time.monotonic() < until, "the run does not get on"
        time.sleep(0.002)


def is_larger_than(file: Path, size: int) -> Callable[[], bool]:
    """A condition for `kill_once`: the file has more than so many bytes."""
    return lambda: file.exists() and file.stat().st_size > size
