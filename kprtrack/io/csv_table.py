"""CSV: one row per person and frame; Parquet has the same columns."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.core.files.json_file import read_limited
from kprtrack.core.files.numbers import LARGEST_ID, LAST_FRAME
from kprtrack.core.skeleton import COCO_SKELETON, KEYPOINTS, POSETRACK_SKELETON, Skeleton
from kprtrack.core.skeletons import skeleton_among
from kprtrack.core.tables.names import PersonLabels, is_name
from kprtrack.core.tables.track_table import BOX_COLUMNS, column_names, columns_of
from kprtrack.io.columns import MOST_PARTS, NO_ID, People, PeopleFile
from kprtrack.io.csv_dialects import rows_of, with_our_names
from kprtrack.io.header import RunHeader, TracksWriter
from kprtrack.io.text_writer import FrameLog, Layout, TextWriter, no_footer

END_OF = {"width": "right", "height": "bottom"}  # columns that may take the place of a size
NEEDED_COLUMNS = ("frame", *BOX_COLUMNS)


def open_csv(path: Path, header: RunHeader) -> TracksWriter:
    """Open a writer of `.csv`; unknown numbers are empty cells."""
    head = ",".join(column_names(header.skeleton.names, header.labels)).encode() + b"\n"

    def lines(tracks: Tracks, log: FrameLog) -> bytes:
        return _csv_lines(tracks, header.labels)

    return TextWriter(path, Layout(head, lines, no_footer, header.skeleton))


def people_from_csv(path: Path) -> PeopleFile:
    """Read the people of a `.csv` file with the columns frame, x, y, width and height in any order.

    Separators, decimal commas and names of columns of other programs are read, too; see csv_dialects.

    Raises:
        InputError: Names the line or the column that is wrong.
    """
    try:
        rows = rows_of(read_limited(path).decode("utf-8-sig"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Cannot read {path}: {error}.") from error
    if not rows:
        raise InputError(f"{path} is empty; it needs a first line with the names of the columns.")
    names = rows.pop(0)
    for row, cells in enumerate(rows):
        if len(cells) != len(names):
            raise InputError(
                f"{path}, line {row + 2}: {len(cells)} cells, but there are {len(names)} columns."
            )
    cells_of = zip(*rows, strict=True) if rows else [()] * len(names)
    columns = with_our_names({name.strip(): cells for name, cells in zip(names, cells_of, strict=True)})
    return people_from_columns(columns, path, header_of(columns), complete=None, first_line=2)


def people_from_columns(
    columns: Mapping[str, Sequence[object]],
    path: Path,
    header: RunHeader,
    *,
    complete: bool | None,
    first_line: int,
) -> PeopleFile:
    """Read the people of named columns; other columns are optional.

    Args:
        columns: Name -> one cell per row.
        path: The file, for messages.
        header: Its header; the skeleton says the names of the keypoints.
        complete: Whether the run was complete, None if unknown.
        first_line: Number of the line of the first row; 0: rows are counted from 0 instead.

    Raises:
        InputError: Names the line or the column that is wrong.
    """
    missing = [name for name in NEEDED_COLUMNS if name not in columns and END_OF.get(name) not in columns]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}. It has: {', '.join(columns)}.")
    word = "line" if first_line else "row"

    def place(row: int) -> str:
        return f"{word} {rows[row] + first_line}"

    def column(name: str, default: float = np.nan) -> np.ndarray:
        if name not in columns:
            return np.full(len(columns["frame"]), default)
        return _numbers(columns[name], lambda row: f"{path}, {word} {row + first_line}, column {name}")

    frame = _whole(column("frame"), 0, lambda row: f"{path}, {word} {row + first_line}: frame")
    ids = np.nan_to_num(column("track_id", NO_ID), nan=NO_ID)
    rows = np.argsort(frame, kind="stable")
    left, top = column("x"), column("y")
    width = column("width") if "width" in columns else column(END_OF["width"]) - left
    height = column("height") if "height" in columns else column(END_OF["height"]) - top
    points = [column(f"{name}_{part}", 0) for name in header.skeleton.names for part in ("x", "y", "score")]
    people = People(
        frame=frame,
        ids=_whole(ids, NO_ID, lambda row: f"{path}, {word} {row + first_line}: track_id"),
        boxes=np.stack([left, top, left + width, top + height], axis=1),
        scores=column("score"),
        keypoints=np.stack(points, axis=1).reshape(-1, len(header.skeleton), 3),
        distances=column("distance"),
        margins=column("margin"),
        visible=_visible(columns, column("parts", 0), path),
        prompted=column("prompted", 0) > 0,
    ).at(rows)
    numbers, first = np.unique(people.frame, return_index=True)
    has_keypoints = f"{KEYPOINTS[-1]}_x" in columns
    times = column("time")[rows][first]
    return PeopleFile(path, header, people, numbers, times, place, has_keypoints, complete)


def _whole(values: np.ndarray, least: int, place: Callable[[int], str]) -> np.ndarray:
    """[N] int64. Raises: InputError at the first value that is not a whole number or below `least`."""
    bad = np.flatnonzero(~((values >= least) & (values < LAST_FRAME) & (values == np.floor(values))))
    if len(bad):
        raise InputError(f"{place(int(bad[0]))} {values[bad[0]]:g} must be a whole number from {least} on.")
    return values.astype(np.int64)


def _visible(columns: Mapping[str, Sequence[object]], parts: np.ndarray, path: Path) -> np.ndarray:
    """[N, P] bool of the columns `parts` and `visible_parts`."""
    lists = columns.get("visible_parts", [""] * len(parts))
    try:
        rows = [[int(part) for part in str(cell or "").split()] for cell in lists]
        highest = max((max(row) + 1 for row in rows if row), default=0)
        count = int(max(highest, np.nan_to_num(parts).max(initial=0)))
        if count > MOST_PARTS:
            raise ValueError(f"{count} parts")
        visible = np.zeros((len(rows), count), bool)
        for row, indices in enumerate(rows):
            visible[row, indices] = True
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{path}: parts and visible_parts must hold part numbers such as '0 2 3' ({error})."
        ) from error
    return visible


def _numbers(cells: Sequence[object], place: Callable[[int], str]) -> np.ndarray:
    """[N] float64; an empty cell is NaN. Raises: InputError at the first cell that is no number."""
    try:
        return np.array(cells, np.float64)
    except (TypeError, ValueError):
        pass  # an empty cell or an error: convert each by itself
    values = np.empty(len(cells))
    for row, cell in enumerate(cells):
        try:
            values[row] = float(str(cell)) if cell not in ("", None) else np.nan
        except ValueError:
            raise InputError(f"{place(row)}: {cell!r:.40} is not a number.") from None
    return values


def skeleton_of(columns: Mapping[str, Sequence[object]]) -> Skeleton:
    """Return the largest set whose keypoints all have columns; COCO's if there is none."""
    found = skeleton_among([name.removesuffix("_x") for name in columns if name.endswith("_x")])
    return found or (POSETRACK_SKELETON if "head_top_x" in columns else COCO_SKELETON)


def header_of(columns: Mapping[str, Sequence[object]]) -> RunHeader:
    """Return the header of a table that has none: its skeleton, and the names and persons of its tracks.

    A column "name" or "person" that gives a track ID several values, or one that is no name or no number, is
    another program's, and so are the persons of a table of several videos.
    """
    names = _by_track(columns, "name")
    if not all(map(is_name, names.values())):
        names = {}
    persons = {track_id: _id_of(person) for track_id, person in _by_track(columns, "person").items()}
    videos = {str(video or "") for video in columns.get("video", ())}
    linked = len(videos) == 1 and bool(persons) and all(persons.values())
    return RunHeader(
        video={"path": "".join(videos)} if linked and "" not in videos else {},
        skeleton=skeleton_of(columns),
        names={track_id: str(name) for track_id, name in names.items()},
        persons=persons if linked else {},
    )


def _by_track(columns: Mapping[str, Sequence[object]], name: str) -> dict[int, object]:
    """The values of a column by track ID, empty cells left out; nothing if a track has several values."""
    values: dict[int, object] = {}
    for track_id, value in set(zip(columns.get("track_id", ()), columns.get(name, ()), strict=False)):
        number = _id_of(track_id)
        if value in ("", None) or value != value:  # NaN alone differs from itself
            continue
        if not number or number in values:
            return {}
        values[number] = value
    return dict(sorted(values.items()))


def _id_of(cell: object) -> int:
    """A track or person ID; 0 if it is none."""
    text = str(cell).removesuffix(".0")
    if not (text.isascii() and text.isdecimal() and len(text) <= 16):
        return 0
    return int(text) if int(text) <= LARGEST_ID else 0


def _csv_lines(tracks: Tracks, labels: PersonLabels) -> bytes:
    columns = [c if isinstance(c, list) else c.tolist() for c in columns_of(tracks, labels)]
    text = io.StringIO()
    rows = ([_cell(value) for value in row] for row in zip(*columns, strict=True))
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    return "" if value != value else value  # NaN alone differs from itself
