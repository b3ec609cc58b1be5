"""The Parquet table, written in groups of rows so that memory stays small however long the video is."""

import json
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from kprtrack.core.atomic_file import part_path
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import OutputError
from kprtrack.io.frame_file import close_output, open_output, reserve
from kprtrack.io.header import RunHeader, header_to_json
from kprtrack.io.table import column_names, columns_of, import_pyarrow
from kprtrack.io.text_writer import check_tracks, saved_message

if TYPE_CHECKING:
    import pyarrow

GROUP_FRAMES = 2000
# Room for the table of contents at the end, measured at 9 kB a group and 12 kB for the names of the columns.
_FOOTER_BYTES = 64_000
_FOOTER_BYTES_PER_GROUP = 24_000


class ParquetWriter:
    """Writes `.parquet`; a TracksWriter. The newest frames wait in memory until a group of rows is full.

    The room for a group and for the end of the file is claimed before it is written, because a Parquet file
    without its end cannot be read at all.
    """

    def __init__(self, path: Path, header: RunHeader) -> None:
        self._pyarrow, parquet = import_pyarrow()
        self._path = path
        self._names = column_names(header.skeleton)
        self._header = header_to_json(header)
        self._handle = open_output(path, in_place=False)
        self._waiting: list[Tracks] = []
        self._groups = 0
        self._saved = 0
        self._last_frame = -1
        self._closed = False
        try:
            reserve(self._handle, self._footer_bytes())
        except OSError as error:
            self._discard()
            raise OutputError(saved_message(path, 0, error)) from error
        self._writer = parquet.ParquetWriter(self._handle, self._schema())

    def write(self, tracks: Tracks) -> None:
        """Add one frame. Raises: OutputError if the disk is full; what fitted is saved, the file closed."""
        check_tracks(tracks, self._last_frame)
        if self._closed:
            raise ValueError(f"{self._path} is closed")
        self._last_frame = tracks.frame_number
        self._waiting.append(tracks)
        if len(self._waiting) == GROUP_FRAMES:
            self._write_waiting()

    def close(self, complete: bool = True, note: str | None = None) -> None:
        """End the file; without a single frame an incomplete run leaves what was there before."""
        if self._closed:
            return
        if not complete and not self._saved and not self._waiting:
            self._discard()
            return
        if self._waiting:
            self._write_waiting()
        self._end(complete=complete, note=note)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=error is None, note=None if kind is None else f"ended by {kind.__name__}")

    def _write_waiting(self) -> None:
        """Write the waiting frames as one group; on a full disk as many as fit, then end the file."""
        frames, self._waiting = self._waiting, []
        failure: OSError | None = None
        while frames:
            table = self._table(frames)
            try:
                reserve(self._handle, int(table.nbytes * 1.1) + self._footer_bytes())
            except OSError as error:
                failure, frames = error, frames[: len(frames) // 2]
                continue
            self._writer.write_table(table)
            self._groups += 1
            self._saved += len(frames)
            break
        if failure is not None:
            self._end(complete=False, note="the disk was full")
            raise OutputError(saved_message(self._path, self._saved, failure)) from failure

    def _end(self, *, complete: bool, note: str | None) -> None:
        self._closed = True
        data = {**self._header, "complete": complete, "note": note}
        self._writer.add_key_value_metadata({"kprtrack": json.dumps(data, allow_nan=False)})
        self._writer.close()
        self._handle.truncate()  # gives back what was claimed and not needed
        close_output(self._handle, self._path, in_place=False)

    def _discard(self) -> None:
        self._closed = True
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
