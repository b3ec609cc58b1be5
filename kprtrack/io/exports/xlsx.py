"""Excel workbooks (.xlsx) by openpyxl: the table of the CSV format, and a sheet with one row a person."""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.errors import InputError, OutputError
from kprtrack.core.extras import missing_extra
from kprtrack.core.tables.track_table import column_names, columns_of
from kprtrack.io.columns import PeopleFile
from kprtrack.io.csv_table import header_of, people_from_columns
from kprtrack.io.exports.tables import ConvertOptions, new_file
from kprtrack.io.header import TrackFile
from kprtrack.io.text_writer import FrameLog

TRACKS, PEOPLE = "tracks", "people"  # names of the sheets
MOST_ROWS = 1_048_576  # of a sheet, with the row of names


def write_xlsx(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write the workbook; unknown numbers are empty cells.

    Raises:
        UserError: openpyxl is not installed.
        OutputError: The file cannot be written, or there are more rows than a sheet holds.
    """
    openpyxl = _import_openpyxl()
    log = FrameLog()
    for tracks in file.frames:
        log.add(tracks)
    if log.people >= MOST_ROWS:
        raise OutputError(
            f"Cannot write {path}: {log.people:,} rows, and a sheet holds {MOST_ROWS - 1:,}."
            " Export CSV or Parquet."
        )
    with new_file(path) as part, ExitStack() as stack:
        book = openpyxl.Workbook(write_only=True)
        stack.callback(_close, book)
        sheet = book.create_sheet(TRACKS)
        sheet.freeze_panes = "A2"
        sheet.append(column_names(file.header.skeleton.names, file.header.labels))
        for row in _rows(file):
            sheet.append(row)
        people = book.create_sheet(PEOPLE)
        summary = log.summary(len(log))
        people.append(["id", "first_frame", "last_frame", "first_time", "last_time", "frames"])
        for person in summary:
            people.append(list(person.values()))
        book.save(part)
    return [path]


def _close(book: Any) -> None:
    """Finish the sheets; those of an unfinished book would print an error when they are collected."""
    for sheet in book.worksheets:
        with suppress(Exception):  # it is finished
            sheet.close()


def _rows(file: TrackFile) -> Iterator[list[object]]:
    for tracks in file.frames:
        values = columns_of(tracks, file.header.labels)
        columns = [each.tolist() if isinstance(each, np.ndarray) else each for each in values]
        for row in zip(*columns, strict=True):
            yield [None if value != value else value for value in row]  # NaN alone differs from itself


def people_from_xlsx(path: Path) -> PeopleFile:
    """Read the sheet `tracks`, or the first one, with the columns of the CSV format in any order.

    Raises:
        InputError: It is no workbook; or names the row or the column that is wrong.
        UserError: openpyxl is not installed.
    """
    openpyxl = _import_openpyxl()
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheet = book[TRACKS] if TRACKS in book.sheetnames else book.worksheets[0]
        rows = [list(row) for row in sheet.iter_rows(values_only=True)]
        book.close()
    except Exception as error:  # openpyxl, zipfile and XML parsers raise many kinds for damaged files
        raise InputError(f"Cannot read {path}: {' '.join(str(error).split()):.200}") from error
    if not rows:
        raise InputError(f"{path} is empty. It needs a first row with the names of the columns.")
    names = rows.pop(0)
    rows = [row + [None] * (len(names) - len(row)) for row in rows if any(cell is not None for cell in row)]
    columns = {
        str(name).strip(): [row[place] for row in rows]
        for place, name in enumerate(names)
        if name is not None
    }
    return people_from_columns(columns, path, header_of(columns), complete=None, first_line=2)


def _import_openpyxl() -> Any:
    try:
        import openpyxl
    except ImportError as error:
        raise missing_extra("Excel", ["openpyxl"]) from error
    return openpyxl
