"""Run jobs in several worker processes, each of which loads its own networks."""

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Self, TypeVar

from kprtrack.core.errors import InputError, OutputError, UserError, WeightsError
from kprtrack.core.signals import leave_signals_to_parent

Job = TypeVar("Job")
Result = TypeVar("Result")
OnProgress = Callable[[int], None]  # called with the number of frames finished since the last call
Worker = Callable[[Job, OnProgress], Result]

_JOIN_TIMEOUT_S = 10.0  # a worker finishes its current batch of frames before it stops
_RESULT, _FRAMES, _USER_ERROR, _BUG = range(4)
_ERRORS = (InputError, WeightsError, OutputError, UserError)  # subclasses before their base class


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers(Generic[Job, Result]):
    """A pool of worker processes, used as a context manager; a single worker runs in the calling process.

    The worker processes end with the `with` block, and when the calling process is killed.

    Args:
        make: Makes the worker of process number i, counted from 0. For several processes it must be
            picklable, as a frozen dataclass with `__call__` is.
        processes: Number of workers, at least 1.

    Raises:
        UserError: `processes` is below 1.
    """

    def __init__(self, make: Callable[[int], Worker[Job, Result]], processes: int) -> None:
        if processes < 1:
            raise UserError(f"processes must be at least 1, not {processes}.")
        self._stack = ExitStack()
        self._processes: list[_WorkerProcess] = []
        self._own = make(0) if processes == 1 else None
        if self._own is None:
            self._processes = [self._stack.enter_context(_WorkerProcess(make, i)) for i in range(processes)]

    def run(self, jobs: Sequence[Job], on_progress: OnProgress) -> Iterator[Result]:
        """Run all jobs and yield their results in the order in which they finish.

        The pool cannot be used again after an error, or after the caller has left the loop early.

        Args:
            jobs: One argument of the worker each.
            on_progress: Called with the number of frames finished since the last call.

        Yields:
            The result of each job.

        Raises:
            UserError: A worker process was killed. Errors raised by a worker are raised here as well.
        """
        if self._own is not None:
            yield from (self._own(job, on_progress) for job in jobs)
            return
        waiting = list(reversed(jobs))
        busy: dict[object, _WorkerProcess] = {}
        for process in self._processes[: len(jobs)]:
            process.send(waiting.pop())
            busy[process.connection] = process
        while busy:
            for connection in wait([process.connection for process in busy.values()]):
                kind, value = busy[connection].receive()
                if kind == _FRAMES:
                    on_progress(value)
                    continue
                if waiting:
                    busy[connection].send(waiting.pop())
                else:
                    del busy[connection]
                yield value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class _WorkerProcess:
    """A worker process and the connection to it; the process ends with the `with` block."""

    def __init__(self, make: Callable[[int], Worker[Any, Any]], number: int) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self.connection, child = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(make, number, child), daemon=True)
        self._process.start()
        child.close()  # so that the end of the process closes the connection

    def send(self, job: Any) -> None:
        """Send a job; a process that has ended is noticed by the next `receive`."""
        with suppress(OSError):
            self.connection.send(job)

    def receive(self) -> tuple[int, Any]:
        """Return the next message of the worker; raise its error if it failed."""
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            self._process.join(_JOIN_TIMEOUT_S)
            raise UserError(
                f"A worker process ended with code {self._process.exitcode} (-9: killed, often because memory"
                " ran out). Finished results are kept: run again with fewer --processes."
            ) from None
        if kind == _USER_ERROR:
            raise _ERRORS[value[0]](value[1])
        if kind == _BUG:
            raise RuntimeError(f"in a worker process:\n{value}")
        return kind, value

    def __enter__(self) -> "_WorkerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self._process.join(_JOIN_TIMEOUT_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()


class _ParentGone(Exception):  # noqa: N818 - an event, not an error
    """The parent process has closed the connection."""


def _serve(make: Callable[[int], Worker[Any, Any]], number: int, connection: Connection) -> None:
    """Run jobs until the connection is closed."""
    leave_signals_to_parent()
    threading.Thread(target=_exit_with_parent, daemon=True).start()

    def on_progress(frames: int) -> None:
        if connection.poll():  # nothing is sent to a busy worker, so the connection was closed
            raise _ParentGone
        connection.send((_FRAMES, frames))

    with suppress(_ParentGone, EOFError, BrokenPipeError, ConnectionResetError):
        try:
            worker = make(number)
            while True:
                job = connection.recv()
                connection.send((_RESULT, worker(job, on_progress)))
        except UserError as error:
            kind = next(i for i, known in enumerate(_ERRORS) if isinstance(error, known))
            connection.send((_USER_ERROR, (kind, str(error))))
        except Exception as error:
            if isinstance(error, _ParentGone | EOFError | OSError):
                raise
            connection.send((_BUG, traceback.format_exc()))


def _exit_with_parent() -> None:
    """Exit at once if the parent is killed: another run may already be writing the same files."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
