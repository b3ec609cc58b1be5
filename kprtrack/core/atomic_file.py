"""Write files that are complete or unchanged, even if the process or the machine stops.

While NAME is written it is called NAME.part and locked, so that a second process cannot write it, too.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from kprtrack.core.errors import OutputError, UserError
from kprtrack.core.files.paths import real_path

PART_SUFFIX = ".part"  # of a file that is still being written
OLD_SUFFIX = ".old" + PART_SUFFIX  # of the part file that a killed process left, once another run has started
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # opening a named pipe would wait for its other end
_LOCKED_BYTE = 1 << 40  # Windows locks bytes; this one is never read


def write_file(path: Path, data: bytes, *, concurrent: bool = False) -> None:
    """Create or replace a file; its folder is made if it is missing.

    If the path is a symbolic link, the file it points to is replaced and the link stays.

    Args:
        path: The file.
        data: Its whole content.
        concurrent: Several processes may write this file at once; the last one wins.

    Raises:
        OutputError: The file cannot be written, or another process is writing it; an existing file is
            unchanged.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe or a device cannot be replaced
            with FileIO(path, "w") as stream:
                write_all(stream, data)
            return
        real_path(path).parent.mkdir(parents=True, exist_ok=True)
        with PartFile(path, concurrent=concurrent) as part:
            write_all(part.handle, data)
            part.commit()
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {reason(error)}") from error


def part_path(path: Path, *, concurrent: bool = False) -> Path:
    """Return the name of the file while it is being written, in the folder of the final file."""
    real = real_path(path)
    own = f".{os.getpid()}" if concurrent else ""
    return real.with_name(f"{real.name}{own}{PART_SUFFIX}")


def validate_no_loop(path: Path) -> None:
    """Raise OutputError if a path is a link that leads to itself; it would be replaced by the file."""
    if real_path(path).is_symlink():
        raise OutputError(f"Cannot write {path}: it is a link that leads to itself. Remove it.")


def old_part_path(path: Path) -> Path:
    """Return the name under which the part file of a killed run is kept while a new run writes the file."""
    real = real_path(path)
    return real.with_name(f"{real.name}{OLD_SUFFIX}")


class PartFile:
    """NAME.part, opened for writing and locked; as a context manager it is removed unless committed.

    A symbolic link of that name is never followed. A part file that a killed process left is removed.

    Args:
        path: The final file.
        concurrent: Several processes may write the file at once: each has its own part file.
        keep_old: Keep the part file of a killed process as NAME.old.part, or the larger of several.
        existing: Continue the part file of a killed process, if there is one.

    Raises:
        OutputError: Another process is writing the file, or something else has the name of the part file.
        OSError: The part file cannot be created.
    """

    def __init__(
        self, path: Path, *, concurrent: bool = False, keep_old: bool = False, existing: bool = False
    ) -> None:
        validate_no_loop(path)
        self.path = path
        self.part = part_path(path, concurrent=concurrent)
        self._old = old_part_path(path) if keep_old else None
        handle = open_part(self.part, path) if existing else None
        self.handle = handle or self._create()

    def commit(self, target: Path | None = None) -> None:
        """Flush the file to the disk and give it its final name, or that of `target`. Raises: OSError."""
        os.fsync(self.handle.fileno())
        if os.name == "nt":  # Windows renames closed files only
            self.handle.close()
        rename(self.part, target or self.path)
        self.handle.close()
        if self._old is not None and target is None:
            self._old.unlink(missing_ok=True)

    def keep(self) -> None:
        """Close the part file and leave it where it is."""
        self.handle.close()

    def discard(self) -> None:
        """Close and remove the part file; without effect after `commit` or `keep`."""
        if self.handle.closed:
            return
        if os.name == "nt":
            self.handle.close()
        with suppress(OSError):
            self.part.unlink(missing_ok=True)
        self.handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _create(self) -> FileIO:
        while True:
            try:
                handle = create_locked(self.part, self.path)
            except FileExistsError:
                self._clear()
                continue
            if handle is not None:
                return handle

    def _clear(self) -> None:
        """Move away or remove the part file of a killed process."""
        handle = open_part(self.part, self.path)
        if handle is None:
            return
        size = os.fstat(handle.fileno()).st_size
        if os.name == "nt":
            handle.close()
        if self._old is None or not size or (self._old.exists() and self._old.stat().st_size > size):
            self.part.unlink()
        else:
            self.part.replace(self._old)
        handle.close()


def create_locked(file: Path, path: Path) -> FileIO | None:
    """Create a file that does not exist yet and lock it.

    Args:
        file: The file to create.
        path: The file that is meant, for messages.

    Returns:
        The file, open for reading and writing; None if another process has moved it away at once.

    Raises:
        FileExistsError: There is something of that name.
        OSError: It cannot be created.
        OutputError: Another process has locked it at once.
    """
    handle = FileIO(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666), "r+")
    return _locked(handle, file, path)


def open_part(part: Path, path: Path) -> FileIO | None:
    """Open and lock the part file that a killed process left; None if there is none.

    Raises:
        OutputError: Another process is writing it, or it is no file.
    """
    try:
        handle = FileIO(os.open(part, os.O_RDWR | _NO_LINK | _NONBLOCK), "r+")
    except FileNotFoundError:
        return None
    except OSError as error:  # a link, a folder or a pipe
        raise _in_the_way(part, path) from error
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise _in_the_way(part, path)
    return _locked(handle, part, path)


def _locked(handle: FileIO, file: Path, path: Path) -> FileIO | None:
    if not try_lock(handle):
        handle.close()
        raise in_use(path)
    with suppress(OSError):
        if os.path.samestat(os.fstat(handle.fileno()), file.lstat()):
            return handle
    handle.close()  # it was renamed or removed before it was locked
    return None


def try_lock(handle: FileIO) -> bool:
    """Lock a file until it is closed; False if another process has locked it."""
    if sys.platform == "win32":
        import msvcrt

        here = handle.seek(0, os.SEEK_CUR)
        handle.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            handle.seek(here)
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


@contextmanager
def exclusive(lock_file: Path, busy: UserError, *, advice: str = "") -> Iterator[None]:
    """Hold a lock within the `with` block; the lock of a killed process is released.

    Args:
        lock_file: An empty file, which is kept: if it were removed, two processes could each lock one of
            that name.
        busy: What to raise if another process holds the lock.
        advice: What to do if the lock file cannot be made.

    Raises:
        UserError: `busy`.
        OutputError: The lock file cannot be made.
    """
    try:
        handle = FileIO(os.open(lock_file, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666), "r+")
    except OSError as error:
        raise OutputError(f"Cannot write {lock_file}: {reason(error)}{advice}") from error
    with handle:
        if not try_lock(handle):
            raise busy
        yield


def in_use(path: Path) -> OutputError:
    """Return the error that another process is writing a file."""
    return OutputError(
        f"Cannot write {path}: another run is writing it. Wait until that has ended, or choose another name."
    )


def _in_the_way(part: Path, path: Path) -> OutputError:
    return OutputError(
        f"Cannot write {path}: {part} is needed for it, but is a link, a folder or a pipe, or protected."
        " Remove it, or choose another name."
    )


def commit(part: Path, path: Path) -> None:
    """Flush a complete part file to the disk and give it its final name. Raises: OSError."""
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    rename(part, path)


def rename(part: Path, path: Path) -> None:
    """Give a flushed file its final name, lastingly. Raises: OSError."""
    real = real_path(path)
    part.replace(real)
    if os.name != "nt":  # Windows cannot flush folders
        folder = os.open(real.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_all(handle: FileIO, data: bytes | bytearray) -> None:
    """Write all of `data` to an unbuffered file. Raises: OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[handle.write(rest) or 0 :]


def reason(error: OSError) -> str:
    """Describe a system error in one sentence, and what to do about a full or protected disk."""
    text = f"{error.strerror or error}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{text} Free some space, or choose another disk."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{text} Choose a folder you may write to."
    return text
