"""What a training tells: a bar on a terminal, metrics.csv and metrics.json, TensorBoard where installed."""

import csv
import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TextIO

from kprtrack.core.atomic_file import write_file

Row = Mapping[str, float]


class TrainLog:
    """Tells how a run gets on, in a `with` block.

    folder: None writes no file, as in all processes but the first. epochs: of the whole run, of which `first`
    are done. stream: standard error if None. clock: seconds.
    """

    def __init__(
        self,
        folder: Path | None,
        epochs: int,
        *,
        first: float,
        quiet: bool,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._epochs, self._quiet, self._clock = folder, epochs, quiet, clock
        self._stream = sys.stderr if stream is None else stream
        self._board = None if folder is None else _open_board(folder, int(first))
        self._bar: Any = None
        self._first, self._begun_s = first, clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close_bar()
        if self._board is not None:
            self._board.close()

    def say(self, text: str) -> None:
        """A line for people, unless quiet."""
        self._close_bar()
        if not self._quiet:
            self._stream.write(text + "\n")
            self._stream.flush()

    def begin_epoch(self, epoch: int, batches: int, done: int) -> None:
        """A bar over the batches of the epoch, on a terminal. done: how many were trained before."""
        self._close_bar()
        if self._quiet or not self._stream.isatty():
            return
        from tqdm import tqdm

        self._bar = tqdm(
            total=batches,
            initial=done,
            desc=f"epoch {epoch + 1}/{self._epochs}",
            unit="batch",
            file=self._stream,
            dynamic_ncols=True,
            leave=False,
        )

    def batch(self, loss: float, images_per_s: float, *, done: float) -> None:
        """One batch more. done: epochs so far, the part of this one included."""
        if self._bar is not None:
            text = f"loss {loss:.3f}, {images_per_s:.0f} images/s, {self._left(done)}"
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()

    def end_epoch(self, rows: Sequence[Row]) -> None:
        """Writes what is known of all epochs, and tells the last in a line."""
        last, done = rows[-1], len(rows)
        if self._folder is not None:
            write_file(self._folder / "metrics.csv", csv_of(rows).encode())
            write_file(self._folder / "metrics.json", (json.dumps(rows, indent=1) + "\n").encode())
        if self._board is not None:
            for name, value in last.items():
                self._board.add_scalar(name, value, done)
            self._board.flush()
        scores = "".join(f", {name} {last[name]:.1%}" for name in ("map", "rank1") if name in last)
        speed = f"{last['images_per_s']:.0f} images/s"
        left = f", {self._left(done)}" if done < self._epochs else ""
        self.say(f"epoch {done}/{self._epochs}: loss {last['loss']:.3f}{scores}, {speed}{left}")

    def _left(self, done: float) -> str:
        here = done - self._first
        seconds = (self._clock() - self._begun_s) / here * (self._epochs - done) if here > 0 else 0
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{rest:02} left"

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def csv_of(rows: Sequence[Row]) -> str:
    """The rows as a table; a cell is empty where an epoch has no such value, as mAP without a scoring."""
    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _open_board(folder: Path, first: int) -> Any:
    """TensorBoard's writer; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first + 1)
