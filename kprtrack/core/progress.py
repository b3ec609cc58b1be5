"""Says how far the work is: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

LINE_EVERY_S = 5.0


class Progress:
    """Counts frames, or another unit, and shows speed and time left, in a `with` block; silent when quiet.

    total: how many are expected; None where nobody knows, as with a camera. stream: standard error if None.
    clock: seconds.
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
        self._total, self._label, self._unit, self._clock = total, label, unit, clock
        self._stream = sys.stderr if stream is None else stream
        self._lines = not quiet and not self._stream.isatty()
        self._bar = self._new_bar() if not quiet and not self._lines else None
        self._done = self._said = 0
        self._said_s = clock()

    def advance(self, n: int = 1) -> None:
        """n more are done."""
        self._done += n
        if self._bar is not None:
            self._bar.update(n)
        elif self._lines and self._clock() - self._said_s >= LINE_EVERY_S:
            self._say()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._lines and self._done > self._said:
            self._say()

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

    def _say(self) -> None:
        now_s = self._clock()
        # The speed since the last line: loading the networks must not spoil the forecast for the whole video.
        speed = (self._done - self._said) / max(now_s - self._said_s, 1e-9)
        self._said, self._said_s = self._done, now_s
        of = f"/{self._total}" if self._total else ""
        left = max(self._total - self._done, 0) / speed if self._total else 0
        forecast = f", {_clock_text(left)} left" if left else ""
        line = f"{self._label}: {self._done}{of} {self._unit}, {speed:.1f} {self._unit}/s{forecast}"
        self._stream.write(line + "\n")
        self._stream.flush()


def _clock_text(seconds: float) -> str:
    """43 s, 4:03 min or 2:04:03 h."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"
