"""Workers on Ray, each of which holds its own networks: every one is an actor that does one task at a time.

A worker or machine that is lost costs the task it was doing: that one is given to another worker, and a new
worker is started in place of the lost one.
"""

import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from kprtrack.core.errors import InputError, OutputError, UserError, WeightsError

Job = TypeVar("Job")
Result = TypeVar("Result")
OnFrames = Callable[[int], None]  # called with the number of frames finished since the last call
Worker = Callable[[Job, OnFrames], Result]

TRIES = 3
_WAIT_S = 0.5  # between two questions how far the workers are
_ERRORS = (InputError, WeightsError, OutputError, UserError)  # subclasses before their base class


@dataclass(frozen=True)
class Answer(Generic[Job, Result]):
    """The end of a job.

    Args:
        job: The job.
        result: What the worker returned; None: the job has ended its worker every time.
        tries: How often the job was started.
    """

    job: Job
    result: Result | None
    tries: int


@dataclass(frozen=True)
class _Failure:
    """An error of a worker: an index into _ERRORS and the message, or None and a traceback."""

    kind: int | None
    text: str

    def error(self) -> Exception:
        if self.kind is None:
            return RuntimeError(f"in a worker process:\n{self.text}")
        return _ERRORS[self.kind](self.text)


class _Actor:
    """Runs in a process of Ray; `frames` answers while `run` computes."""

    def __init__(self, make: Callable[[int], Worker[Any, Any]], number: int) -> None:
        self._make, self._number, self._frames = make, number, 0

    def start(self) -> _Failure | None:
        """Load the networks."""
        try:
            self._worker = self._make(self._number)
        except Exception as error:
            return _failure(error)
        return None

    def run(self, job: Any) -> Any:
        try:
            return self._worker(job, self._count)
        except Exception as error:
            return _failure(error)

    def frames(self) -> int:
        """Return the number of frames since the start."""
        return self._frames

    def _count(self, frames: int) -> None:
        self._frames += frames


@dataclass
class _Slot:
    """One of the workers, as the calling process sees it."""

    number: int
    actor: Any
    pending: Any  # reference to the start or the result of the job
    job: Any = None
    tries: int = 0
    started: bool = False
    asked: Any = None  # reference to the number of frames
    counted: int = 0
    deaths: int = 0  # before it was ready for a job

    @property
    def idle(self) -> bool:
        return self.started and self.pending is None


@dataclass
class Pool(Generic[Job, Result]):
    """Gives jobs to workers.

    Args:
        ray: The module, connected (`ray_session`).
        make: Makes the worker of number i, counted from 0; picklable. A machine of the cluster that lacks a
            file raises its error here.
        workers: Number of workers.
        cpus: Cores that each of them occupies.
        gpus: Share of a GPU that each of them occupies.
    """

    ray: Any
    make: Callable[[int], Worker[Job, Result]]
    workers: int
    cpus: float = 1
    gpus: float = 0
    _slots: list[_Slot] = field(default_factory=list)

    def run(
        self, jobs: deque[Job], on_frames: OnFrames, on_wait: Callable[[int], None] = lambda started: None
    ) -> Iterator[Answer[Job, Result]]:
        """Run all jobs and yield their answers in the order in which they finish.

        Args:
            jobs: Each is taken away when it is given to a worker; the caller may add others meanwhile.
            on_frames: Called with the number of frames finished since the last call.
            on_wait: Called again and again with the number of workers that have started.

        Yields:
            The answer of each job.

        Raises:
            UserError: A worker cannot start. Errors that a worker raises are raised here as well.
        """
        again: deque[tuple[Job, int]] = deque()
        if not self._slots:
            self._slots = [self._new(number) for number in range(self.workers)]
        while jobs or again or any(slot.job is not None for slot in self._slots):
            for slot in self._slots:
                if slot.idle and (jobs or again):
                    job, tries = again.popleft() if again else (jobs.popleft(), 0)
                    slot.job, slot.tries, slot.pending = job, tries + 1, slot.actor.run.remote(job)
            pending = [slot.pending for slot in self._slots if slot.pending is not None]
            ready, _ = self.ray.wait(pending, num_returns=1, timeout=_WAIT_S)
            for slot in self._slots:
                if slot.pending in ready:
                    yield from self._taken(slot, again)
            self._count(on_frames)
            on_wait(sum(slot.started for slot in self._slots))

    def close(self) -> None:
        """End all workers at once."""
        for slot in self._slots:
            self.ray.kill(slot.actor)
        self._slots = []

    def _new(self, number: int) -> _Slot:
        # Two threads: one computes, the other answers how far it is. Ray itself tries nothing again.
        options = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_concurrency": 2, "max_restarts": 0}
        actor = self.ray.remote(_Actor).options(**options).remote(self.make, number)
        return _Slot(number, actor, actor.start.remote())

    def _taken(self, slot: _Slot, again: deque[tuple[Job, int]]) -> Iterator[Answer[Job, Result]]:
        """Take the answer of a worker, or replace one that is lost."""
        try:
            result = self.ray.get(slot.pending)
        except self.ray.exceptions.RayError as error:
            yield from self._lost(slot, again, error)
            return
        slot.pending = None
        if isinstance(result, _Failure):
            raise result.error()
        if not slot.started:
            slot.started, slot.deaths = True, 0
            return
        job, slot.job = slot.job, None
        yield Answer(job, result, slot.tries)

    def _lost(
        self, slot: _Slot, again: deque[tuple[Job, int]], error: Exception
    ) -> Iterator[Answer[Job, Result]]:
        fresh = self._new(slot.number)
        fresh.deaths = 0 if slot.started else slot.deaths + 1
        if fresh.deaths >= TRIES:
            text = str(error).strip().split("\n")[0]
            raise UserError(f"A worker ended {TRIES} times before it was ready: {text} Use fewer --workers.")
        self._slots[self._slots.index(slot)] = fresh
        if slot.job is None:
            return
        if slot.tries < TRIES:
            again.append((slot.job, slot.tries))
        else:
            yield Answer(slot.job, None, slot.tries)

    def _count(self, on_frames: OnFrames) -> None:
        """Ask the busy workers how many frames they have finished, without waiting for the answer."""
        for slot in self._slots:
            if slot.asked is not None:
                ready, _ = self.ray.wait([slot.asked], timeout=0)
                if not ready:
                    continue
                try:
                    frames = self.ray.get(slot.asked)
                except self.ray.exceptions.RayError:  # its job has the error, too
                    frames = slot.counted
                on_frames(frames - slot.counted)
                slot.asked, slot.counted = None, frames
            if slot.job is not None:
                slot.asked = slot.actor.frames.remote()


def _failure(error: Exception) -> _Failure:
    if isinstance(error, UserError):
        kind = next(index for index, known in enumerate(_ERRORS) if isinstance(error, known))
        return _Failure(kind, str(error))
    return _Failure(None, traceback.format_exc())
