"""Training log: progress bar, metrics.csv and metrics.json, TensorBoard where installed."""

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
    """Logs the progress of a run, in a `with` block.

    Args:
        folder: Of the metrics; None writes no file, as in all processes but the main one.
        epochs: Of the whole run.
        first: Epochs that are done already, fractions included.
        quiet: Write nothing to the stream.
        stream: Of progress bar and lines; None: standard error.
        clock: Seconds.
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
        self._first, self._started_s = first, clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close_bar()
        if self._board is not None:
            self._board.close()

    def print_line(self, text: str) -> None:
        """Print a line, unless quiet.

        Args:
            text: The line, without its end.
        """
        self._close_bar()
        if not self._quiet:
            self._stream.write(text + "\n")
            self._stream.flush()

    def begin_epoch(self, epoch: int, batches: int, done: int) -> None:
        """Show a progress bar over the batches of the epoch, on a terminal.

        Args:
            epoch: Its number, counted from 0.
            batches: Batches of the epoch.
            done: Those trained before.
        """
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
        """Log one batch.

        Args:
            loss: The loss of the batch.
            images_per_s: Speed in this epoch, over all processes.
            done: Epochs so far, fractions included.
        """
        if self._bar is not None:
            text = f"loss {loss:.3f}, {images_per_s:.0f} images/s, {self._left(done)}"
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()

    def end_epoch(self, rows: Sequence[Row]) -> None:
        """Write the metrics of all epochs, and print a line about the last.

        Args:
            rows: The metrics of each epoch, with `epoch`, `loss`, `images_per_s` and `seconds`.

        Raises:
            OutputError: A file cannot be written.
        """
        last, done = rows[-1], len(rows)
        if self._folder is not None:
            write_file(self._folder / "metrics.csv", csv_of(rows).encode())
            write_file(self._folder / "metrics.json", (json.dumps(rows, indent=1) + "\n").encode())
        if self._board is not None:
            for name, value in last.items():
                self._board.add_scalar(name, value, done)
            self._board.flush()
        speed = f"{last['images_per_s']:.0f} images/s"
        left = f", {self._left(done)}" if done < self._epochs else ""
        self.print_line(f"epoch {done}/{self._epochs}: loss {last['loss']:.3f}, {speed}{left}")

    def _left(self, done: float) -> str:
        here = done - self._first
        seconds = (self._clock() - self._started_s) / here * (self._epochs - done) if here > 0 else 0
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{rest:02} left"

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def csv_of(rows: Sequence[Row]) -> str:
    """The rows as a table; a cell is empty where an epoch has no such value, such as mAP.

    Args:
        rows: For each epoch its values by name.

    Returns:
        CSV text with a header; columns in the order in which names first occur.
    """
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
