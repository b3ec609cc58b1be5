"""Parquet, the table of csv_table.py in binary form, written in groups of rows."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kprtrack.core.atomic_file import reason
from kprtrack.core.datatypes import NO_LOSSES, FrameLosses, Tracks
from kprtrack.core.errors import InputError, OutputError
from kprtrack.core.extras import missing_extra
from kprtrack.core.skeletons import SKELETONS, skeleton_among
from kprtrack.core.tables.track_table import TEXT_COLUMNS, column_names, columns_of, joined
from kprtrack.io.columns import MOST_PARTS, PeopleFile
from kprtrack.io.csv_table import header_of, people_from_columns
from kprtrack.io.header import (
    RunHeader,
    TracksWriter,
    confidence_to_json,
    header_from_json,
    header_to_json,
)
from kprtrack.io.journal import JournalWriter
from kprtrack.io.output_file import OutputFile
from kprtrack.io.text_writer import Footer

if TYPE_CHECKING:
    import pyarrow

GROUP_FRAMES = 2000
_TEXT = (
    "visible_parts"  # the only column that is read and is no number; the header has names and persons, too
)
_LONGEST_TEXT = 5 * MOST_PARTS  # characters of a cell
# A file may unpack to so many times its size, and any file to so many bytes; tracks unpack to 3 times.
_MOST_RATIO, _SMALL_BYTES = 100, 256 << 20


def open_parquet(path: Path, header: RunHeader) -> TracksWriter:
    """Open a writer of `.parquet`. Raises: OutputError; UserError without pyarrow."""
    _import_pyarrow()
    return JournalWriter(path, header, "parquet", lambda target: parquet_writer(target, header))


def parquet_writer(path: Path, header: RunHeader) -> TracksWriter:
    """Open a writer of the table itself. Raises: OutputError; UserError without pyarrow."""
    return _ParquetWriter(path, header)


class _ParquetWriter(TracksWriter):
    """Writes a whole file; without its end it cannot be read, so it is removed after an error."""

    def __init__(self, path: Path, header: RunHeader) -> None:
        self._pyarrow, parquet = _import_pyarrow()
        self._names = column_names(header.skeleton.names, header.labels)
        self._labels = header.labels
        self._header = header_to_json(header)
        self._confidence = confidence_to_json(header)
        self._group: list[Tracks] = []
        self._file = OutputFile(path)
        self._writer = parquet.ParquetWriter(self._file.handle, self._schema())
        self._closed = False

    @property
    def saved(self) -> Path | None:
        return self._file.saved

    def write(self, tracks: Tracks, /) -> None:
        self._group.append(tracks)
        if len(self._group) == GROUP_FRAMES:
            self._write_group()

    def close(
        self,
        complete: bool = True,
        note: str | None = None,
        losses: FrameLosses = NO_LOSSES,
        *,
        replace: bool | None = None,
    ) -> None:
        """Write the last group and the footer."""
        if self._closed:
            return
        self._closed = True
        self._write_group()
        data = {**self._header, **self._confidence, **Footer(0, complete, note, losses).to_json()}
        self._writer.add_key_value_metadata({"kprtrack": json.dumps(data, allow_nan=False)})
        try:
            self._writer.close()
        except OSError as error:
            self._fail(error)
        self._file.finish(replace=complete if replace is None else replace)

    def _write_group(self) -> None:
        frames, self._group = self._group, []
        if not frames:
            return
        try:
            self._writer.write_table(self._table(frames))
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._closed = True
        self._file.discard()
        raise OutputError(f"Cannot write {self._file.path}: {reason(error)}") from error

    def _schema(self) -> "pyarrow.Schema":
        whole, text = self._pyarrow.int64(), self._pyarrow.string()
        known = {"frame": whole, "track_id": whole, "person": whole, "parts": whole, "prompted": whole}
        known |= dict.fromkeys(TEXT_COLUMNS, text)
        known["time"] = self._pyarrow.float64()
        number = self._pyarrow.float32()
        return self._pyarrow.schema([(name, known.get(name, number)) for name in self._names])

    def _table(self, frames: list[Tracks]) -> "pyarrow.Table":
        parts = zip(*(columns_of(tracks, self._labels) for tracks in frames), strict=True)
        columns = [joined(column) for column in parts]
        schema = self._schema()
        arrays = [
            self._pyarrow.array(c, t, from_pandas=True) for c, t in zip(columns, schema.types, strict=True)
        ]
        return self._pyarrow.Table.from_arrays(arrays, schema=schema)


def people_from_parquet(path: Path) -> PeopleFile:
    """Read the people of a `.parquet` file and the header of the run.

    Raises:
        InputError: It is no Parquet file, lacks columns or unpacks to far more than its size.
        UserError: pyarrow is not installed.
    """
    pyarrow, parquet = _import_pyarrow()
    try:
        with path.open("rb") as opened:  # pyarrow itself cannot open names that are not UTF-8
            text = [_TEXT] if _TEXT in parquet.read_schema(opened).names else None
            file = parquet.ParquetFile(opened, read_dictionary=text)
            columns = _read_columns(file, path)
            stored = (file.metadata.metadata or {}).get(b"kprtrack")
    # KeyError and IndexError: the schemas of a file differ; UnicodeDecodeError: in its names of columns.
    except (OSError, KeyError, IndexError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        raise InputError(f"Cannot read {path}: {' '.join(str(error).split()):.200}") from error
    if stored is None:
        header, complete = header_of(columns), None
    else:
        try:
            data = json.loads(stored)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: its metadata 'kprtrack' is no JSON. Make or copy it again.") from error
        header = header_from_json(data, path)
        complete = bool(data.get("complete", False))
    return people_from_columns(columns, path, header, complete=complete, first_line=0)


def _read_columns(file: Any, path: Path) -> dict[str, Sequence[object]]:
    """Read the columns that we know, once it is certain that they fit into memory."""
    schema, rows = file.schema_arrow, file.metadata.num_rows
    unnamed = skeleton_among([name.removesuffix("_x") for name in schema.names if name.endswith("_x")])
    sets = [*SKELETONS.values(), *([unnamed] if unnamed else [])]
    known = {name for skeleton in sets for name in column_names(skeleton.names)}
    names = [name for name in schema.names if name in known]
    if len(set(names)) < len(names):
        raise InputError(f"{path} has two columns of one name. Make or copy it again.")
    limit = max(_SMALL_BYTES, _MOST_RATIO * path.stat().st_size)
    _validate_size(rows * 8 * len(names), limit, path)
    for name in names:
        _validate_type(name, schema.field(name).type, path)
    columns = {name: file.read(columns=[name]).column(0) for name in names}
    if _TEXT in columns and "dictionary" in str(columns[_TEXT].type):
        texts = [text for chunk in columns[_TEXT].chunks for text in chunk.dictionary.to_pylist()]
        longest = max((len(text) for text in texts if text is not None), default=0)
        if longest > _LONGEST_TEXT:
            raise InputError(f"{path}: a cell of {_TEXT} has {longest} characters. Make or copy it again.")
        _validate_size(rows * longest, limit, path)
    return {name: column.to_numpy() for name, column in columns.items()}


def _validate_size(size: int, limit: int, path: Path) -> None:
    if size > limit:
        raise InputError(f"{path} unpacks to {size:,} bytes, more than {limit:,}. Make or copy it again.")


def _validate_type(name: str, kind: Any, path: Path) -> None:
    text = str(kind)
    numeric = text in ("bool", "null", "float", "double", "halffloat") or text.lstrip("u").startswith("int")
    if not numeric and not (name == _TEXT and "string" in text):
        raise InputError(f"{path}: column {name} holds {text:.60}, not numbers.")


def _import_pyarrow() -> tuple[ModuleType, ModuleType]:
    """Return pyarrow and pyarrow.parquet. Raises: UserError naming the extra to install."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise missing_extra("Parquet", ["pyarrow"]) from error
    return pyarrow, pyarrow.parquet
