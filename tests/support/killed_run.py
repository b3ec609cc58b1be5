"""Runs in a process of their own that are killed at a chosen moment.

On a busy machine a run may be at its end before the test has looked at its file. So it waits before its last
frames until it is killed or `end` is called.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.signals import interrupt_on_stop_signals
from support import fake_run, no_flush  # noqa: F401
from support.fork_server import CONTEXT

FRAMES = 150  # of the video of every run
_LAST_FRAMES = 10
_WAIT_S = 300.0


@dataclass(frozen=True)
class Run:
    """A run and the events it shares with the test."""

    process: BaseProcess
    at_last_frames: Event  # set by the run
    may_end: Event  # set by the test


def start(function: Callable[..., object], *arguments: object, **options: object) -> Run:
    """Call a function of kprtrack.run, for a video of `FRAMES` frames, in a process of its own."""
    at_last_frames, may_end = CONTEXT.Event(), CONTEXT.Event()
    process: BaseProcess = CONTEXT.Process(
        target=_run, args=(function, arguments, options, at_last_frames, may_end), daemon=True
    )
    process.start()
    return Run(process, at_last_frames, may_end)


def _run(
    function: Callable[..., object],
    arguments: tuple[object, ...],
    options: dict[str, object],
    at_last_frames: Event,
    may_end: Event,
) -> None:
    def slow_detect(batch: list[Frame]) -> list[Detections]:
        time.sleep(0.004)
        if batch[-1].number >= FRAMES - _LAST_FRAMES:
            at_last_frames.set()
            assert may_end.wait(_WAIT_S), "the run was neither killed nor ended"
        return fake_run.detect(batch)

    interrupt_on_stop_signals()
    function(*arguments, networks=replace(fake_run.NETWORKS, detect=slow_detect), **options)


def kill_once(run: Run, happened: Callable[[], bool], number: int = signal.SIGKILL) -> None:
    """Send a signal as soon as `happened` returns true; wait for the end of the process."""
    until = time.monotonic() + _WAIT_S
    while not happened():
        assert run.process.exitcode is None, "the run ended too early"
        assert time.monotonic() < until, "the run does not get on"
        time.sleep(0.002)
    assert run.process.pid is not None
    os.kill(run.process.pid, number)
    run.process.join()


def wait_for_last_frames(run: Run) -> None:
    """Wait until the run has written all but its last frames."""
    assert run.at_last_frames.wait(_WAIT_S), "the run does not get on"


def end(run: Run) -> None:
    """Let the run write its last frames; it must succeed."""
    run.may_end.set()
    run.process.join()
    assert run.process.exitcode == 0


def is_larger_than(file: Path, size: int) -> Callable[[], bool]:
    """A condition for `kill_once`: the file has more than so many bytes."""
    return lambda: file.exists() and file.stat().st_size > size
