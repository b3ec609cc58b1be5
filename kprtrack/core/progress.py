"""Show the progress of a long task: a bar on a terminal, else a line every few seconds."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from kprtrack.core.errors import printable

if TYPE_CHECKING:
    from tqdm import tqdm

LINE_EVERY_S = 5.0


class Progress:
    """Counts frames or another unit and shows the speed and the time left, as a context manager.

    Speed and time left are measured from the end of the first step, so that loading and warming up the
    networks do not distort them.

    Args:
        total: Expected number; None if unknown, as for a camera.
        label: Shown first, such as the name of the video.
        quiet: Show nothing.
        unit: What is counted, in the plural.
        stream: Where to write; None: standard error.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        total: int | None,
        label: str,
        quiet: bool = False,
        *,
        unit: str = "frames",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._label, self._unit, self._clock = total, printable(label), unit, clock
        self._stream = sys.stderr if stream is None else stream
        self._lines = not quiet and not self._stream.isatty()
        self._bar = self._new_bar() if not quiet and not self._lines else None
        self._done = self._written = 0  # `_written`: done in the last line
        self._start_s = clock()
        self._measured_from = (0, self._start_s)  # done and time: end of the first step, then the last line

    def expect(self, total: int) -> None:
        """Correct the expected number, which was not known exactly at first."""
        self._total = total
        if self._bar is not None:
            self._bar.total = total

    def advance(self, n: int = 1) -> None:
        """Count n more as done."""
        first, self._done = not self._done, self._done + n
        with suppress(OSError):  # the terminal has been closed
            self._show(first, n)

    def _show(self, first: bool, n: int) -> None:
        if self._bar is not None:
            if first:
                _skip_warm_up(self._bar, n)
            else:
                self._bar.update(n)
        elif self._lines:
            now_s = self._clock()
            if first:
                self._measured_from = (n, now_s)
            elif now_s - self._measured_from[1] >= LINE_EVERY_S:
                self._write_line(now_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            if self._bar is not None:
                self._bar.close()
            elif self._lines and self._done > self._written:
                self._write_line(self._clock())

    def _new_bar(self) -> "tqdm":
        from tqdm import tqdm

        return tqdm(
            total=self._total,
            desc=self._label,
            unit=f" {self._unit}",
            file=self._stream,
            dynamic_ncols=True,
            smoothing=0.1,
        )

    def _write_line(self, now_s: float) -> None:
        done, since_s = self._measured_from
        if done == self._done:  # there was only one step
            done, since_s = 0, self._start_s
        speed = (self._done - done) / max(now_s - since_s, 1e-9)
        self._measured_from, self._written = (self._done, now_s), self._done
        of = f"/{self._total}" if self._total else ""
        left = max(self._total - self._done, 0) / speed if self._total else 0
        forecast = f", {clock_text(left)} left" if left else ""
        line = f"{self._label}: {self._done}{of} {self._unit}, {speed:.1f} {self._unit}/s{forecast}"
        self._stream.write(line + "\n")
        self._stream.flush()


def _skip_warm_up(bar: "tqdm", n: int) -> None:
    """Show n as done, but measure speed and time left from now on."""
    bar.reset()
    bar.n = bar.last_print_n = bar.initial = n
    bar.refresh()


def clock_text(seconds: float) -> str:
    """Return a duration as text: 43 s, 4:03 min or 2:04:03 h."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"
