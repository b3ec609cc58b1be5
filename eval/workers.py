"""Work on many sequences in several processes, each with networks of its own."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Self, TypeVar

from kprtrack.core.errors import InputError, OutputError, UserError, WeightsError

Job = TypeVar("Job")
Result = TypeVar("Result")
Tell = Callable[[int], None]  # how many more frames are done
Worker = Callable[[Job, Tell], Result]

_END_S = 10.0  # a worker asked to end has a batch of frames to finish first
_RESULT, _FRAMES, _USER_ERROR, _BUG = range(4)
_ERRORS = (InputError, WeightsError, OutputError, UserError)  # the most special first


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers(Generic[Job, Result]):
    """Workers in processes of their own, in a `with` block, whose end ends them; one works in this process.

    make: makes the worker of process number i from 0; for several processes it must be picklable, as a frozen
    dataclass with `__call__` is. tell: hears of progress. The death of this process ends the others, too.
    Raises: UserError if processes < 1.
    """

    def __init__(self, make: Callable[[int], Worker[Job, Result]], processes: int) -> None:
        if processes < 1:
            raise UserError(f"processes must be at least 1, not {processes}.")
        self._stack = ExitStack()
        self._lines: list[_Line] = []
        self._own = make(0) if processes == 1 else None
        if self._own is None:
            self._lines = [self._stack.enter_context(_Line(make, i)) for i in range(processes)]

    def run(self, jobs: Sequence[Job], tell: Tell) -> Iterator[Result]:
        """The results of all jobs, as they are ready.

        Raises: what a worker raises; UserError if one is killed. After that, or if the loop is left early,
        there is no more to run.
        """
        if self._own is not None:
            yield from (self._own(job, tell) for job in jobs)
            return
        waiting = list(reversed(jobs))
        busy: dict[object, _Line] = {}
        for line in self._lines[: len(jobs)]:
            line.give(waiting.pop())
            busy[line.connection] = line
        while busy:
            for connection in wait([line.connection for line in busy.values()]):
                kind, value = busy[connection].receive()
                if kind == _FRAMES:
                    tell(value)
                    continue
                if waiting:
                    busy[connection].give(waiting.pop())
                else:
                    del busy[connection]
                yield value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class _Line:
    """A worker process and the line to it; the end of the `with` block ends it."""

    def __init__(self, make: Callable[[int], Worker[Any, Any]], number: int) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self.connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(make, number, theirs), daemon=True)
        self._process.start()
        theirs.close()  # so that the death of the process is heard as the end of the line

    def give(self, job: Any) -> None:
        """Hand over a job; a dead worker is noticed at the next `receive`."""
        with suppress(OSError):
            self.connection.send(job)

    def receive(self) -> tuple[int, Any]:
        """What the worker says next. Raises: what the worker raised."""
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            self._process.join(_END_S)
            raise UserError(
                f"A worker process ended with code {self._process.exitcode} (-9: killed, often for want of"
                " memory). What is finished is kept: run again, with fewer --processes."
            ) from None
        if kind == _USER_ERROR:
            raise _ERRORS[value[0]](value[1])
        if kind == _BUG:
            raise RuntimeError(f"in a worker process:\n{value}")
        return kind, value

    def __enter__(self) -> "_Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()


class _LineEnded(Exception):  # noqa: N818 - it names what happened
    """The first process does not listen any more."""


def _serve(make: Callable[[int], Worker[Any, Any]], number: int, line: Connection) -> None:
    """Do jobs until the line ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(frames: int) -> None:
        if line.poll():  # nothing is sent to a busy worker, so this is the end of the line
            raise _LineEnded
        line.send((_FRAMES, frames))

    with suppress(_LineEnded, EOFError, BrokenPipeError, ConnectionResetError):
        try:
            worker = make(number)
            while True:
                job = line.recv()
                line.send((_RESULT, worker(job, tell)))
        except UserError as error:
            kind = next(i for i, known in enumerate(_ERRORS) if isinstance(error, known))
            line.send((_USER_ERROR, (kind, str(error))))
        except Exception as error:
            if isinstance(error, _LineEnded | EOFError | OSError):
                raise
            line.send((_BUG, traceback.format_exc()))


def _end_with_parent() -> None:
    """End at once if the first process is killed: a new one may be writing the same files already."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
