"""Signals that end a run (Ctrl-C, SIGTERM, SIGHUP, SIGQUIT): delivered only between two units of work."""

import _thread
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, Self, TypeVar

T = TypeVar("T")
# Windows has only the first two.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)
_IMPORT_WAIT_S = 0.05


def interrupt_on_stop_signals() -> None:
    """Make every signal that ends a process raise KeyboardInterrupt, unless it is ignored (as by nohup).

    It waits while a module is imported: extensions turn an interrupt of their start into an ImportError.
    """
    for number in STOP_SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _interrupt)


def leave_signals_to_parent() -> None:
    """In a worker process: ignore what a terminal sends to all processes; SIGTERM, by which the parent ends
    its workers, keeps its default.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        _thread.start_new_thread(_raise_again, (number,))
        return
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported below this frame."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _raise_again(number: int) -> None:
    """Deliver a signal once more a little later; its handler runs in the main thread."""
    time.sleep(_IMPORT_WAIT_S)
    signal.raise_signal(number)


class DeferredInterrupts:
    """Holds back the signals that end a run within the `with` block, so that nothing is written in part.

    A signal that arrives while `allow` produces an item, importing no module, raises KeyboardInterrupt there
    and then. Any other
    signal raises it before the next item, or else is delivered at the end of the block. A signal that the
    process ignores stays ignored; outside the main thread nothing is changed.

    Examples:
        >>> with DeferredInterrupts() as interrupts:
        ...     for number in interrupts.allow(range(3)):
        ...         print(number, end=" ")
        0 1 2
    """

    def __init__(self) -> None:
        self._pending: int | None = None
        self._raised: int | None = None  # by the handler, and not seen by `allow` yet
        self._allowed = False
        self._former: dict[int, Any] = {}  # handlers outside the block, by signal

    def __enter__(self) -> Self:
        # Python allows handlers in the main thread alone.
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                # Not callable: ignored (as SIGINT of a shell's background job), or not Python's own.
                if callable(signal.getsignal(number)):
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        if self._pending is not None and kind is None:
            signal.raise_signal(self._pending)

    def allow(self, items: Iterable[T]) -> Iterator[T]:
        """Yield `items`; interrupts are allowed while one is produced, not while it is used.

        Raises:
            KeyboardInterrupt: A signal arrived.
        """
        iterator = iter(items)
        while True:
            self._allowed = True
            try:
                if self._pending is not None:
                    self._pending = None
                    raise KeyboardInterrupt
                item = next(iterator)
            except StopIteration:
                return
            except KeyboardInterrupt:
                self._raised = None
                raise
            finally:
                self._allowed = False
                # Python drops an exception that is raised while it cleans up an object.
                if self._raised is not None:
                    self._pending, self._raised = self._raised, None
            yield item

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._allowed and not _is_importing(frame):
            self._allowed = False  # the cleanup is not interrupted by a second signal
            self._raised = number
            raise KeyboardInterrupt
        self._pending = number


class StopRequest:
    """Within the `with` block the first signal only sets `asked`; a second one interrupts at once."""

    def __init__(self) -> None:
        self.asked = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python allows handlers in the main thread alone.
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
