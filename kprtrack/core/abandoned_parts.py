"""Remove what killed processes have left of files that several processes write: NAME.PID.part."""

import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from kprtrack.core.atomic_file import PART_SUFFIX, try_lock

_OF_A_PROCESS = re.compile(r".+\.(\d{1,9})" + re.escape(PART_SUFFIX))


def remove_abandoned_parts(folders: Iterable[Path]) -> None:
    """Remove the part files of processes that have ended, unless a process of another machine locks them.

    Args:
        folders: Where `write_file(..., concurrent=True)` writes; those that do not exist are skipped.
    """
    for folder in set(folders):
        with suppress(OSError):
            names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(PART_SUFFIX)]
            for name in names:
                match = _OF_A_PROCESS.fullmatch(name)
                if match and not _is_running(int(match[1])):
                    _remove_unlocked(folder / name)


def _is_running(pid: int) -> bool:
    """Whether a process of this machine has this number; unknown on Windows, where the lock alone counts."""
    if sys.platform == "win32":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _remove_unlocked(part: Path) -> None:
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(OSError):
        with FileIO(os.open(part, flags), "r+") as handle:
            unlocked = try_lock(handle)
            if unlocked and sys.platform != "win32":
                part.unlink()
        if unlocked and sys.platform == "win32":  # which removes closed files only
            part.unlink()
