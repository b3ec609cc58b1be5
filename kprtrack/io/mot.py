"""MOTChallenge text: one box a line, frames from 1 on. Keeps boxes, identities and scores, nothing else."""

from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.io.columns import PeopleFile, ids_from_one, people_columns
from kprtrack.io.header import RunHeader, TracksWriter
from kprtrack.io.text_writer import Footer, FrameLog, Layout, TextWriter, left_top_size

LEAST_COLUMNS = 6  # frame, id, left, top, width, height; then score and what nobody reads


def open_mot(path: Path, header: RunHeader) -> TracksWriter:
    """A writer of `frame,id,left,top,width,height,score,-1,-1,-1`."""
    return TextWriter(path, Layout(b"", _frame, _footer))


def people_from_mot(path: Path) -> PeopleFile:
    """People of a result, gt.txt or det.txt file; an empty file holds nobody.

    Raises: InputError naming the line that is wrong.
    """
    rows, lines = _read_rows(path)
    order = np.argsort(rows[:, 0], kind="stable")
    rows, lines = rows[order], lines[order]
    whole = np.isfinite(rows[:, :2]).all(axis=1) & (rows[:, :2] == np.floor(rows[:, :2])).all(axis=1)
    bad = np.flatnonzero(~whole | (rows[:, 0] < 1) | (np.abs(rows[:, :2]) >= 2**53).any(axis=1))
    if len(bad):
        frame, track_id = rows[bad[0], :2]
        raise InputError(
            f"{path}, line {lines[bad[0]]}: frame {frame:g} and id {track_id:g} must be whole, frames from 1."
        )
    frame = rows[:, 0].astype(np.int64) - 1
    people = people_columns(
        frame,
        np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1),
        ids=ids_from_one(rows[:, 1].astype(np.int64)),
        scores=rows[:, 6] if rows.shape[1] > LEAST_COLUMNS else None,
    )
    numbers = np.unique(frame)
    times = np.full(len(numbers), np.nan)
    return PeopleFile(
        path, RunHeader(), people, numbers, times, lambda row: f"line {lines[row]}", False, None
    )


def _read_rows(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """[N, C] float64 and the line numbers [N], blank lines left out."""
    try:
        text = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read {path}: {error}.") from error
    lines = np.array([number for number, line in enumerate(text, 1) if line.strip()], np.int64)
    if not len(lines):
        return np.zeros((0, LEAST_COLUMNS)), lines
    kept = [text[number - 1] for number in lines]
    comma = "," if "," in kept[0] else None  # some tools separate by blanks
    try:
        rows = np.loadtxt(kept, delimiter=comma, ndmin=2, comments=None)
    except ValueError as error:
        raise _first_bad_line(path, kept, lines, comma) from error
    if rows.shape[1] < LEAST_COLUMNS:
        raise _first_bad_line(path, kept, lines, comma)
    return rows, lines


def _first_bad_line(path: Path, kept: list[str], lines: np.ndarray, comma: str | None) -> InputError:
    columns = len(kept[0].split(comma))
    for number, line in zip(lines, kept, strict=True):
        cells = line.split(comma)
        if len(cells) != columns or columns < LEAST_COLUMNS:
            what = f"has {len(cells)} columns, line {lines[0]} has {columns}; {LEAST_COLUMNS} are needed"
            return InputError(f"{path}, line {number} {what}: frame,id,left,top,width,height,score,-1,-1,-1.")
        for cell in cells:
            try:
                float(cell)
            except ValueError:
                return InputError(f"{path}, line {number}: {cell.strip()!r:.40} is not a number.")
    return InputError(f"{path} is not a table of numbers.")


def _frame(tracks: Tracks, log: FrameLog) -> bytes:
    number = tracks.frame_number + 1
    boxes = left_top_size(tracks.boxes).tolist()
    rows = zip(tracks.ids.tolist(), boxes, tracks.scores.tolist(), strict=True)
    lines = (
        f"{number},{track_id},{left:.2f},{top:.2f},{width:.2f},{height:.2f},{score:.4f},-1,-1,-1\n"
        for track_id, (left, top, width, height), score in rows
    )
    return "".join(lines).encode()


def _footer(log: FrameLog, ending: Footer) -> bytes:
    return b""
