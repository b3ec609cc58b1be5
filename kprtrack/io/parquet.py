"""Parquet, the table of csv_table.py in binary form, written in groups of rows."""

import json
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from kprtrack.core.atomic_file import part_path
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.io.columns import PeopleFile
from kprtrack.io.csv_table import column_names, columns_of, people_from_columns, skeleton_of
from kprtrack.io.frame_file import close_output, open_output, reserve
from kprtrack.io.group_writer import GroupFormat, GroupWriter
from kprtrack.io.header import RunHeader, TracksWriter, header_from_json, header_to_json
from kprtrack.io.text_writer import Footer, check_tracks, saved_message

if TYPE_CHECKING:
    import pyarrow

GROUP_FRAMES = 2000
# Room for the metadata at the end, measured at 9 kB a group and 12 kB for the names of the columns.
_FOOTER_BYTES = 64_000
_FOOTER_BYTES_PER_GROUP = 24_000


def open_parquet(path: Path, header: RunHeader) -> TracksWriter:
    """Open a writer of `.parquet`. Raises: OutputError; UserError without pyarrow."""
    file = _ParquetFile(path, header)
    format = GroupFormat(check_tracks, lambda tracks: 0, file.write, file.end, file.discard)
    return GroupWriter(path, format, frames=GROUP_FRAMES)


class _ParquetFile:
    """An open file. It cannot be read without its end, so room for the end is reserved before every group."""

    def __init__(self, path: Path, header: RunHeader) -> None:
        self._pyarrow, parquet = _import_pyarrow()
        self._path = path
        self._names = column_names(header.skeleton)
        self._header = header_to_json(header)
        self._handle = open_output(path, in_place=False)
        self._groups = 0
        try:
            reserve(self._handle, self._footer_bytes())
        except OSError as error:
            self.discard()
            raise OutputError(saved_message(path, 0, error)) from error
        self._writer = parquet.ParquetWriter(self._handle, self._schema())

    def write(self, frames: list[Tracks]) -> None:
        """Write one group of rows. Raises: OSError if there is no room for it."""
        table = self._table(frames)
        reserve(self._handle, int(table.nbytes * 1.1) + self._footer_bytes())
        self._writer.write_table(table)
        self._groups += 1

    def end(self, ending: Footer) -> None:
        """Write the header and the metadata and close."""
        data = {**self._header, **ending.to_json()}
        self._writer.add_key_value_metadata({"kprtrack": json.dumps(data, allow_nan=False)})
        self._writer.close()
        self._handle.truncate()  # frees what was reserved and not needed
        close_output(self._handle, self._path, in_place=False)

    def discard(self) -> None:
        """Close and remove the unfinished file."""
        self._handle.close()
        part_path(self._path).unlink(missing_ok=True)

    def _footer_bytes(self) -> int:
        header = 2 * len(json.dumps(self._header))
        return header + _FOOTER_BYTES + _FOOTER_BYTES_PER_GROUP * (self._groups + 1)

    def _schema(self) -> "pyarrow.Schema":
        whole, text = self._pyarrow.int64(), self._pyarrow.string()
        known = {"frame": whole, "track_id": whole, "parts": whole, "visible_parts": text, "prompted": whole}
        known["time"] = self._pyarrow.float64()
        number = self._pyarrow.float32()
        return self._pyarrow.schema([(name, known.get(name, number)) for name in self._names])

    def _table(self, frames: list[Tracks]) -> "pyarrow.Table":
        parts = list(zip(*(columns_of(tracks) for tracks in frames), strict=True))
        columns = [
            list(chain.from_iterable(column)) if isinstance(column[0], list) else np.concatenate(column)
            for column in parts
        ]
        schema = self._schema()
        arrays = [
            self._pyarrow.array(c, t, from_pandas=True) for c, t in zip(columns, schema.types, strict=True)
        ]
        return self._pyarrow.Table.from_arrays(arrays, schema=schema)


def people_from_parquet(path: Path) -> PeopleFile:
    """Read the people of a `.parquet` file and the header of the run.

    Raises:
        InputError: It is no Parquet file or lacks columns.
        UserError: pyarrow is not installed.
    """
    pyarrow, parquet = _import_pyarrow()
    try:
        table = parquet.read_table(path, partitioning=None)
        stored = (parquet.read_metadata(path).metadata or {}).get(b"kprtrack")
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"Cannot read {path}: {error}") from error
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    if stored is None:
        header, complete = RunHeader(skeleton=skeleton_of(columns)), None
    else:
        data = json.loads(stored)
        header, complete = header_from_json(data, path), bool(data.get("complete", False))
    return people_from_columns(columns, path, header, complete=complete, first_line=0)


def _import_pyarrow() -> tuple[ModuleType, ModuleType]:
    """Return pyarrow and pyarrow.parquet. Raises: UserError naming the extra to install."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError('Parquet needs pyarrow. Install it with: pip install "kprtrack[parquet]"') from error
    return pyarrow, pyarrow.parquet
