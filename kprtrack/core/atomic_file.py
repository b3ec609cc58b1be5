"""Write files that are complete or unchanged, even if the process or the machine stops."""

import errno
import os
from pathlib import Path

from kprtrack.core.errors import OutputError

PART_SUFFIX = ".part"  # of a file that is still being written


def write_file(path: Path, data: bytes, *, concurrent: bool = False) -> None:
    """Create or replace a file; its folder is made if it is missing.

    If the path is a symbolic link, the file it points to is replaced and the link stays.

    Args:
        path: The file.
        data: Its whole content.
        concurrent: Several processes may write this file at once; the last one wins.

    Raises:
        OutputError: The file cannot be written; an existing file is unchanged.
    """
    part = part_path(path, concurrent=concurrent)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            commit(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {reason(error)}") from error


def part_path(path: Path, *, concurrent: bool = False) -> Path:
    """Return the name of the file while it is being written, in the folder of the final file."""
    real = path.resolve()
    own = f".{os.getpid()}" if concurrent else ""
    return real.with_name(f"{real.name}{own}{PART_SUFFIX}")


def commit(part: Path, path: Path) -> None:
    """Flush a complete part file to the disk and give it its final name. Raises: OSError."""
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    real = path.resolve()
    part.replace(real)
    if os.name != "nt":  # Windows cannot flush folders
        folder = os.open(real.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def reason(error: OSError) -> str:
    """Describe a system error in one sentence, and what to do about a full or protected disk."""
    text = f"{error.strerror or error}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{text} Free some space, or choose another disk."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{text} Choose a folder you may write to."
    return text
