"""The edits file: lines are only ever added to it, locked and flushed to the disk."""

import os
import time
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path

from kprtrack.core.atomic_file import reason, try_lock, write_all
from kprtrack.core.errors import InputError, OutputError
from kprtrack.core.files.json_file import read_limited
from kprtrack.edits.records import Record, read_records, record_to_line

SUFFIX = ".edits.jsonl"
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_WAIT_S = 10.0  # for another process that is writing


def edits_path(result: str | Path) -> Path:
    """Return the edits file of a result, which is beside it.

    Examples:
        >>> edits_path("run/tracks.json").as_posix()
        'run/tracks.edits.jsonl'
    """
    result = Path(result)
    return result.with_name(f"{result.stem}{SUFFIX}")


def load_records(path: Path) -> tuple[list[Record], bool]:
    """Read a file.

    Returns:
        Its lines, and whether it ends in the beginning of a line that a killed process did not finish.

    Raises:
        InputError: It cannot be read, or a line is wrong.
    """
    if not path.is_file():
        raise InputError(f"There is no edits file {path}.")
    data = read_limited(path)
    records, end = read_records(data, path)
    return records, end < len(data)


def add_records(path: Path, make: Callable[[Sequence[Record]], Sequence[Record]]) -> Sequence[Record]:
    """Add lines to a file, which is made if it is missing; they are on the disk when this returns.

    The unfinished line of a killed process is replaced.

    Args:
        path: The file.
        make: Returns the lines to add, given those in the file, which no other process can change meanwhile.

    Returns:
        The added lines.

    Raises:
        InputError: A line of the file is wrong.
        OutputError: The file cannot be written; it is as before.
    """
    is_new = not path.exists()
    if is_new:
        make(())  # raises before the file is made; removing it later could take the lines of another process
    try:
        handle = FileIO(os.open(path, _FLAGS, 0o666), "r+")
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {reason(error)}") from error
    with handle:
        _lock(handle, path)
        records, end = read_records(handle.readall(), path)
        try:
            added = make(records)
            _append(handle, end, b"".join(map(record_to_line, added)))
            if is_new and os.name != "nt":  # Windows cannot flush folders
                _flush_folder(path.resolve().parent)
        except OSError as error:
            raise OutputError(f"Cannot write {path}: {reason(error)}") from error
        return added


def _append(handle: FileIO, end: int, lines: bytes) -> None:
    """Write lines after the first `end` bytes, all or none. Raises: OSError."""
    if not lines:
        return
    handle.seek(max(end - 1, 0))
    if end and handle.read(1) != b"\n":  # its last line is whole, but was saved by an editor
        lines = b"\n" + lines
    handle.truncate(end)
    handle.seek(end)
    try:
        write_all(handle, lines)
        os.fsync(handle.fileno())
    except OSError:
        handle.truncate(end)
        raise


def _lock(handle: FileIO, path: Path) -> None:
    until = time.monotonic() + _WAIT_S
    while not try_lock(handle):
        if time.monotonic() > until:
            raise OutputError(f"Cannot write {path}: another program is writing it. Try again.")
        time.sleep(0.02)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
