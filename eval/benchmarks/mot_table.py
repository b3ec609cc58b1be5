"""One file of MOTChallenge, ground truth or result, as columns that were checked."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.datatypes import POSETRACK_JOINTS, People
from kprtrack.core.errors import InputError

_MIN_COLUMNS = 6  # frame, id, x, y, w, h; then flag or confidence, class, visibility
_FLAG, _CLASS = 6, 7
_LAST_FRAME = 10_000_000  # four days of video; more is no frame number
_ROW = "frame,id,x,y,w,h,confidence,-1,-1,-1"


@dataclass(frozen=True)
class MotTable:
    """The rows of a file, ordered by frame; row i is one box in every array."""

    path: Path
    lines: np.ndarray  # [N] int64, from 1
    frames: np.ndarray  # [N] int64, from 0
    ids: np.ndarray  # [N] int64, not negative
    boxes: np.ndarray  # [N, 4] float64, x y w h
    confidences: np.ndarray  # [N] float64; 1 if the file has none
    rest: (
        np.ndarray
    )  # [N, C] float64, the columns after the confidence: class, visibility or places in the world

    def __len__(self) -> int:
        return len(self.frames)

    def reject(self, bad: np.ndarray, what: str) -> None:
        """Raises: InputError about the first row of `bad` [N], if there is one."""
        for row in np.flatnonzero(bad)[:1]:
            place = f"line {self.lines[row]} (frame {self.frames[row] + 1}, id {self.ids[row]})"
            raise InputError(f"{self.path}, {place}: {what}")

    def people(self, rows: np.ndarray) -> People:
        """The people of these rows, a mask; they have boxes and no joints."""
        count = int(rows.sum())
        # Nobody writes into these, and crowds have half a million boxes: one number stands for all.
        joints = np.broadcast_to(0.0, (count, POSETRACK_JOINTS, 2))
        nothing = np.broadcast_to(np.nan, count)
        return People(
            frames=self.frames[rows],
            ids=self.ids[rows],
            boxes=self.boxes[rows],
            scores=self.confidences[rows],
            keypoints=joints,
            joint_scores=joints[:, :, 0],
            head_sizes=nothing,
            person_ids=np.broadcast_to(-1, count),
        )


def read_mot_table(path: Path) -> MotTable:
    """The boxes of a gt.txt or a result; an empty file has none.

    Raises: InputError naming the line that is wrong.
    """
    cells, lines = _read(path)
    frames, ids, boxes = cells[:, 0], cells[:, 1], cells[:, 2:6]
    wrong = (
        (~np.isfinite(cells).all(axis=1), "a number that is not finite. Remove that row."),
        (frames == 0, "frame 0, but frames count from 1. Add 1 to every frame."),
        (
            (frames % 1 != 0) | (frames < 1) | (frames > _LAST_FRAME),
            "frames must be whole numbers from 1 on.",
        ),
        (ids == -1, "id -1, as detections have. Only tracks, with an identity in every row, can be scored."),
        ((ids % 1 != 0) | (ids < 0) | (ids >= 2**53), "ids must be whole numbers, not negative."),
        ((boxes[:, 2:] < 0).any(axis=1), f"a negative width or height. A row is {_ROW}."),
    )
    for bad, what in wrong:
        for row in np.flatnonzero(bad)[:1]:
            place = f"line {lines[row]} (frame {frames[row]:g}, id {ids[row]:g})"
            raise InputError(f"{path}, {place}: {what}")
    order = np.argsort(frames, kind="stable")
    cells = cells[order]
    table = MotTable(
        path=path,
        lines=lines[order],
        frames=cells[:, 0].astype(np.int64) - 1,
        ids=cells[:, 1].astype(np.int64),
        boxes=cells[:, 2:6].copy(),
        confidences=cells[:, _FLAG].copy() if cells.shape[1] > _FLAG else np.ones(len(cells)),
        rest=cells[:, _CLASS:].copy(),
    )
    _validate_unique_ids(table)
    return table


def _validate_unique_ids(table: MotTable) -> None:
    order = np.lexsort((table.ids, table.frames))
    again = (np.diff(table.frames[order]) == 0) & (np.diff(table.ids[order]) == 0)
    twins = np.zeros(len(table), bool)
    twins[order[1:][again]] = True
    table.reject(twins, "this id already has a box in this frame. Keep one of the two.")


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """[N, C] float64 and the numbers [N] of the lines; blank lines left out."""
    try:
        text = path.read_text(encoding="utf-8-sig").replace(";", ",")  # some tools separate so
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read {path}: {error}.") from error
    kept = [(number, line.rstrip(", \t")) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not kept:
        return np.zeros((0, _MIN_COLUMNS)), np.zeros(0, np.int64)
    delimiter = "," if "," in kept[0][1] else None  # None: any blanks
    try:
        cells = np.loadtxt([line for _, line in kept], delimiter=delimiter, ndmin=2, comments=None)
    except ValueError:
        cells = np.zeros((0, 0))
    if cells.shape[1] < _MIN_COLUMNS:
        raise InputError(_first_fault(path, kept, delimiter))
    return cells, np.array([number for number, _ in kept])


def _first_fault(path: Path, kept: list[tuple[int, str]], delimiter: str | None) -> str:
    columns = len(kept[0][1].split(delimiter))
    for number, line in kept:
        row = line.split(delimiter)
        if len(row) != columns or columns < _MIN_COLUMNS:
            first = "" if number == kept[0][0] else f", line {kept[0][0]} has {columns}"
            return f"{path}, line {number}: {len(row)} columns{first}. A row is {_ROW}."
        for cell in row:
            try:
                float(cell)
            except ValueError:
                return f"{path}, line {number}: {cell.strip()!r:.40} is not a number. A row is {_ROW}."
    return f"{path} is not a table of numbers. A row is {_ROW}."
