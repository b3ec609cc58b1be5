"""Open the file of a gallery, validate that it is one, and run transactions on it."""

import math
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kprtrack.core.atomic_file import reason
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.gallery.schema import APPLICATION_ID, PAGE_BYTES, STATEMENTS, VERSION

WAIT_S = 10.0  # for another program that is writing
_CHECKED_BYTES = 32 << 20  # a larger file is not checked as a whole when it is opened
_MOST_BYTES = 256 << 20  # of one value: a cell, a header or the pairs of a video
_MAGIC = b"SQLite format 3\0"
_REASON = 200


class DamagedError(Exception):
    """A value in the file is none that a gallery has; the message says which."""


def connect(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open the file of a gallery.

    Args:
        path: The file.
        create: Make it if it is missing.

    Raises:
        InputError: It is missing, damaged, no gallery, or one of a later version.
        OutputError: It cannot be made.
    """
    _validate_path(path, create)
    with translated(path):
        connection = _opened(path, create)
    try:
        with translated(path):
            # Asked of SQLite, which undoes what a program that was killed has left.
            if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
                if not create:
                    raise InputError(f"{path} is empty. Remove it, or copy the gallery again.")
                _make(connection)
            _validate(connection, path)
            with suppress(sqlite3.OperationalError):  # another program is making the file at this moment
                connection.execute("PRAGMA journal_mode = WAL")  # readers and a writer do not wait
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk
            connection.execute("PRAGMA secure_delete = ON")  # what is removed is overwritten
    except UnicodeDecodeError as error:  # the message of sqlite3 quotes a damaged name
        connection.close()
        raise _damaged(path, "its tables are unreadable") from error
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite, and DamagedError, into one line about the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise _error(error, path) from error
    except DamagedError as error:
        raise _damaged(path, str(error)) from error


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path, *, write: bool) -> Iterator[None]:
    """Run the block as one transaction: all of it or nothing; readers see one state of the file.

    Within another transaction, the block is part of that one, and is undone alone if it fails.

    Raises:
        InputError: The file is damaged.
        OutputError: It cannot be written, or another program is writing it for long.
    """
    begin, end, undo = "BEGIN IMMEDIATE" if write else "BEGIN", "COMMIT", ["ROLLBACK"]
    if connection.in_transaction:
        begin, end, undo = "SAVEPOINT part", "RELEASE part", ["ROLLBACK TO part", "RELEASE part"]
    with translated(path):
        connection.execute(begin)
        try:
            yield
            connection.execute(end)
        except BaseException:
            for statement in undo if connection.in_transaction else []:  # a full disk has ended it already
                connection.execute(statement)
            raise


def _opened(path: Path, create: bool) -> sqlite3.Connection:
    mode = "rwc" if create else "rw"
    if os.access(path, os.R_OK) and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        mode = "ro&immutable=1"  # no program can write it, and its folder has no room for a lock
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None)
    connection.text_factory = _text  # bytes that are no text must not be another error
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")  # a file that is cut off meanwhile is an error, not a crash
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    return connection


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _make(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("BEGIN EXCLUSIVE")
    if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:  # no other was quicker
        for statement in STATEMENTS:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _validate_path(path: Path, create: bool) -> None:
    """Raise InputError for what is no SQLite file; make the folder of a new one."""
    if not os.path.exists(path):  # noqa: PTH110 - of a name that is too long, Path.exists raises an error
        if not create:
            raise InputError(f"There is no gallery {path}. `kprtrack gallery add {path} RESULTS` makes it.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot make the folder {path.parent}: {reason(error)}") from error
        return
    if not path.is_file():
        raise InputError(f"{path} is no gallery: it is no file.")
    try:
        with path.open("rb") as file:
            beginning = file.read(len(_MAGIC))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    if beginning not in (b"", _MAGIC):
        raise InputError(f"{path} is not a gallery of kprtrack.")


def _validate(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise InputError(f"{path} is not a gallery of kprtrack, but another SQLite file.")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise InputError(
            f"{path} is a gallery of version {version}; this program reads {VERSION}. Update it."
        )
    # Tables, triggers and views of others could run what they like with the statements of this package.
    stored = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    own = connection.execute(
        "SELECT count(*) FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'"
    ).fetchone()[0]
    if version != VERSION or sorted(sql for (sql,) in stored) != sorted(STATEMENTS) or own != len(stored):
        raise DamagedError("its tables are not those of a gallery")
    if path.stat().st_size <= _CHECKED_BYTES:
        (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if result != "ok":
            raise DamagedError(str(result))
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            raise DamagedError("a row belongs to none")


def _damaged(path: Path, why: str) -> InputError:
    why = " ".join(why.split())[:_REASON]
    return InputError(f"{path} is damaged ({why}). Restore a copy, or add the results to a new gallery.")


def _error(error: sqlite3.Error, path: Path) -> UserError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return OutputError(f"Cannot write {path}: another program is writing it. Try again.")
    if primary == sqlite3.SQLITE_FULL:
        return OutputError(f"Cannot write {path}: the disk is full. Free some space.")
    if primary == sqlite3.SQLITE_READONLY:
        return OutputError(f"Cannot write {path}: it or its folder is protected. Choose another file.")
    if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM):
        return OutputError(f"Cannot open {path} ({error}). Is its folder there, and may you write to it?")
    return _damaged(path, str(error))


def number(value: object, name: str, low: float, high: float) -> float:
    """Return a number of the file. Raises: DamagedError if it is none in [low, high]."""
    if not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
        raise DamagedError(f"{name} is {value!r:.40}")
    return float(value)


def whole(value: object, name: str, low: int, high: int) -> int:
    """Return a whole number of the file. Raises: DamagedError if it is none in [low, high]."""
    if not isinstance(value, int) or not low <= value <= high:
        raise DamagedError(f"{name} is {value!r:.40}")
    return value


def text(value: object, name: str, most: int) -> str:
    """Return a text of the file. Raises: DamagedError if it is none, or a longer one."""
    if not isinstance(value, str) or len(value) > most:
        raise DamagedError(f"{name} is {value!r:.40}")
    return value
