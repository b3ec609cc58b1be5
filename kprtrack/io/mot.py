"""MOTChallenge text: one box per line, frames from 1. Keeps boxes, track IDs and scores, nothing else."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.core.files.json_file import read_limited
from kprtrack.core.files.numbers import LAST_FRAME
from kprtrack.core.geometry import left_top_size
from kprtrack.io.columns import PeopleFile, ids_from_one, people_columns
from kprtrack.io.header import RunHeader, TracksWriter
from kprtrack.io.text_writer import FrameLog, Layout, TextWriter, no_footer

MIN_COLUMNS = 6  # frame, id, left, top, width, height; then score (or flag), class, visibility
UNKNOWN = -1.0  # what MOTChallenge writes for a value that a file does not have
ROW = "A row is frame,id,left,top,width,height,score,-1,-1,-1."


@dataclass(frozen=True)
class MotRows:
    """The rows of a file, ordered by frame; row i is one box in every array."""

    path: Path
    lines: np.ndarray  # [N] int64, line numbers from 1
    frames: np.ndarray  # [N] int64, from 0
    ids: np.ndarray  # [N] int64
    boxes: np.ndarray  # [N, 4] float64, left top width height
    scores: np.ndarray  # [N] float64; NaN if the file has no such column
    rest: np.ndarray  # [N, C] float64, the columns after the score
    has_scores: bool

    def __len__(self) -> int:
        return len(self.frames)

    def reject(self, bad: np.ndarray, what: str) -> None:
        """Raises: InputError about the first row where `bad` [N] is True."""
        for row in np.flatnonzero(bad)[:1]:
            place = f"line {self.lines[row]} (frame {self.frames[row] + 1}, id {self.ids[row]})"
            raise InputError(f"{self.path}, {place}: {what}")


def open_mot(path: Path, header: RunHeader) -> TracksWriter:
    """Open a writer of `frame,id,left,top,width,height,score,-1,-1,-1`."""
    return TextWriter(path, Layout(b"", _frame, no_footer))


def people_from_mot(path: Path) -> PeopleFile:
    """Read the people of a result, gt.txt or det.txt file; an empty file has none, a score of -1 is unknown.

    Raises:
        InputError: Names the line that is wrong.
    """
    rows = read_mot_rows(path)
    people = people_columns(
        rows.frames,
        np.concatenate([rows.boxes[:, :2], rows.boxes[:, :2] + rows.boxes[:, 2:]], axis=1),
        ids=ids_from_one(rows.ids),
        scores=np.where(rows.scores == UNKNOWN, np.nan, rows.scores),
    )
    numbers = np.unique(rows.frames)
    times = np.full(len(numbers), np.nan)
    return PeopleFile(
        path, RunHeader(), people, numbers, times, lambda row: f"line {rows.lines[row]}", False, None
    )


def read_mot_rows(path: Path) -> MotRows:
    """Read the rows of a file; columns are separated by commas, semicolons or blanks.

    Args:
        path: A result, gt.txt or det.txt file; it may be empty.

    Returns:
        The rows in the order of their frames.

    Raises:
        InputError: Names the line that is wrong; frame numbers and IDs must be whole, frames from 1.
    """
    cells, lines = _read_cells(path)
    order = np.argsort(cells[:, 0], kind="stable")
    cells, lines = cells[order], lines[order]
    numbers = cells[:, :2]
    whole = (np.abs(numbers) <= LAST_FRAME).all(axis=1) & (numbers == np.floor(numbers)).all(axis=1)
    for row in np.flatnonzero(~whole | (numbers[:, 0] < 1))[:1]:
        frame, track_id = numbers[row]
        if frame == 0:
            raise InputError(
                f"{path}, line {lines[row]}: frame 0, but frames count from 1. Add 1 to every frame."
            )
        raise InputError(
            f"{path}, line {lines[row]}: frame {frame:g} and id {track_id:g} must be whole numbers, frames"
            " from 1."
        )
    frames, ids = numbers.astype(np.int64).T
    has_scores = cells.shape[1] > MIN_COLUMNS
    scores = cells[:, MIN_COLUMNS] if has_scores else np.full(len(cells), np.nan)
    rest = cells[:, MIN_COLUMNS + 1 :]
    return MotRows(path, lines, frames - 1, ids, cells[:, 2:6], scores, rest, has_scores)


def _read_cells(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """[N, C] float64 and the line numbers [N]; blank lines are skipped."""
    try:
        text = read_limited(path).decode("utf-8-sig").replace(";", ",")
    except UnicodeDecodeError as error:
        raise InputError(f"Cannot read {path}: {error}.") from error
    rows = [(number, line.rstrip(", \t")) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = np.array([number for number, _ in rows], np.int64)
    if not rows:
        return np.zeros((0, MIN_COLUMNS)), lines
    delimiter = "," if "," in rows[0][1] else None  # None: any blanks
    if not all(line for _, line in rows):  # of separators alone
        raise _first_bad_line(path, rows, delimiter)
    try:
        cells = np.loadtxt([line for _, line in rows], delimiter=delimiter, ndmin=2, comments=None)
    except ValueError as error:
        raise _first_bad_line(path, rows, delimiter) from error
    if cells.shape[1] < MIN_COLUMNS:
        raise _first_bad_line(path, rows, delimiter)
    return cells, lines


def _first_bad_line(path: Path, rows: list[tuple[int, str]], delimiter: str | None) -> InputError:
    first, columns = rows[0][0], len(rows[0][1].split(delimiter))
    for number, line in rows:
        cells = line.split(delimiter)
        if len(cells) != columns or columns < MIN_COLUMNS:
            other = "" if number == first else f", line {first} has {columns}"
            return InputError(f"{path}, line {number} has {len(cells)} columns{other}. {ROW}")
        for cell in cells:
            try:
                float(cell)
            except ValueError:
                return InputError(f"{path}, line {number}: {cell.strip()!r:.40} is not a number. {ROW}")
    return InputError(f"{path} is not a table of numbers. {ROW}")


def _frame(tracks: Tracks, log: FrameLog) -> bytes:
    number = tracks.frame_number + 1
    boxes = left_top_size(tracks.boxes).tolist()
    rows = zip(tracks.ids.tolist(), boxes, tracks.scores.tolist(), strict=True)
    lines = (
        f"{number},{track_id},{left:.2f},{top:.2f},{width:.2f},{height:.2f},{score:.4f},-1,-1,-1\n"
        for track_id, (left, top, width, height), score in rows
    )
    return "".join(lines).encode()
