"""One line for all videos of a run: how many are done, frames per second, time left."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from kprtrack.core.progress import LINE_EVERY_S, clock_text

_CLEAR = "\r\x1b[K"  # empties the current line of a terminal


class RunProgress:
    """Shows the progress on a terminal in one line that is replaced, else in a line every few seconds.

    The time left is that for the bytes of the videos that are not done.

    Args:
        videos: Number of videos of this call, without those of earlier calls.
        total_bytes: Size of all of them; 0: unknown.
        quiet: Show nothing.
        stream: Where to write; None: standard error.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        videos: int,
        total_bytes: int,
        quiet: bool = False,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._videos, self._bytes, self._quiet, self._clock = videos, total_bytes, quiet, clock
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._done = self._failed = self._done_bytes = 0
        self.frames = 0
        self._start_s: float | None = None  # of the first worker
        self._shown_s = clock()
        self._workers = 0

    def advance(self, frames: int) -> None:
        """Count frames."""
        self.frames += frames

    def video_done(self, size: int, failed: bool) -> None:
        """Count a video of that many bytes."""
        self._done += 1
        self._failed += failed
        self._done_bytes += size

    def show(self, workers: int) -> None:
        """Show the line if it is time to.

        Args:
            workers: Number of workers that have started.
        """
        now_s = self._clock()
        self._workers = workers
        if workers and self._start_s is None:
            self._start_s = now_s
        if self._quiet or (not self._terminal and now_s - self._shown_s < LINE_EVERY_S):
            return
        self._shown_s = now_s
        with suppress(OSError):  # the terminal has been closed
            self._stream.write(f"{_CLEAR}{self.text(now_s)}\r" if self._terminal else self.text(now_s) + "\n")
            self._stream.flush()

    def clear(self) -> None:
        """Empty the line of a terminal, before something else is shown."""
        if self._terminal and not self._quiet:
            with suppress(OSError):
                self._stream.write(_CLEAR)
                self._stream.flush()

    @property
    def working_s(self) -> float:
        """Seconds since the first worker has started."""
        return 0.0 if self._start_s is None else self._clock() - self._start_s

    def text(self, now_s: float) -> str:
        """Return the line."""
        if self._start_s is None:
            return "the workers start"
        passed_s = max(now_s - self._start_s, 1e-9)
        parts = [
            f"{self._done}/{self._videos} videos",
            f"{self.frames} frames",
            f"{self.frames / passed_s:.1f} frames/s",
        ]
        if self._failed:
            parts.insert(1, f"{self._failed} failed")
        left_bytes = self._bytes - self._done_bytes
        if self._done_bytes and left_bytes > 0:
            parts.append(f"{clock_text(passed_s * left_bytes / self._done_bytes)} left")
        parts.append(f"{self._workers} {'worker' if self._workers == 1 else 'workers'}")
        return ", ".join(parts)
