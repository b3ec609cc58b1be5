"""A file that grows frame by frame and can be ended as a valid file at any time, also on a full disk."""

import os
import stat
from array import array
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from kprtrack.core.atomic_file import commit, part_path, reason
from kprtrack.core.errors import OutputError

_ZEROS = 1 << 20  # bytes reserved in one write


class FrameFile:
    """Appends frames to a file; after any error it can be ended with whole frames and a footer.

    Args:
        path: The final name; until `finish` the file is NAME.part. Memory: 8 bytes per frame.
        head: The start of the file.
        in_place: Write under the final name instead.

    Raises:
        OutputError: The file cannot be opened.
    """

    def __init__(self, path: Path, head: bytes, *, in_place: bool) -> None:
        self.path = path
        self._in_place = in_place
        self._handle = open_output(path, in_place=in_place)
        self._position = 0
        try:
            self._put(head)
        except OSError as error:
            self.discard()
            raise OutputError(f"Cannot write {path}: {reason(error)}") from error
        self._ends = array("q", [self._position])  # where the head and each frame end

    def append(self, data: bytes) -> None:
        """Append one frame. Raises: OSError; `finish` can be called afterwards."""
        self._put(data)
        self._ends.append(self._position)

    def finish(self, frames: int, footer: Callable[[int], bytes]) -> int:
        """End the file, dropping its last frames if the footer does not fit.

        Args:
            frames: Number of frames to keep.
            footer: Makes the end of a file with that many frames.

        Returns:
            The number of frames kept.

        Raises:
            OutputError: Not even head and footer fit, or the file cannot be renamed.
        """
        kept = frames
        while not self._ends_with(kept, footer):
            kept = self._most_frames(below=kept, footer=footer)
            if kept < 0:
                self.discard()
                raise OutputError(f"Cannot write {self.path}: no room for a single frame. Free some space.")
        close_output(self._handle, self.path, in_place=self._in_place)
        return kept

    def discard(self) -> None:
        """Close the file and, unless written in place, remove it."""
        self._handle.close()
        if not self._in_place:
            part_path(self.path).unlink(missing_ok=True)

    def _most_frames(self, *, below: int, footer: Callable[[int], bytes]) -> int:
        """The number of frames, fewer than `below`, that fit on the disk with their footer; -1 if none do."""
        room = self._position
        low, high = -1, below - 1
        while low < high:  # the footer shrinks with the frames, so bisection finds the largest number
            middle = (low + high + 1) // 2
            if self._ends[middle] + len(footer(middle)) <= room:
                low = middle
            else:
                high = middle - 1
        return low

    def _ends_with(self, kept: int, footer: Callable[[int], bytes]) -> bool:
        """Truncate the file after `kept` frames and write the footer; False if that failed."""
        try:
            # Always truncate: an interrupt may come between a write and its count. Pipes cannot be truncated.
            if stat.S_ISREG(os.fstat(self._handle.fileno()).st_mode) or self._position != self._ends[kept]:
                self._handle.seek(self._ends[kept])
                self._handle.truncate()
                self._position = self._ends[kept]
            self._put(footer(kept))
        except OSError:
            return False
        return True

    def _put(self, data: bytes) -> None:
        """Write all of `data`; after an error `_position` is the number of bytes in the file."""
        rest = memoryview(data)
        while rest:
            count = self._handle.write(rest) or 0
            self._position += count
            rest = rest[count:]


def open_output(path: Path, *, in_place: bool) -> FileIO:
    """Open an unbuffered file, so that every error is raised by the write that caused it.

    Raises:
        OutputError: The folder does not exist, there is no permission, or the path cannot be written.
    """
    validate_target(path, in_place=in_place)
    opened = path if in_place else part_path(path)
    try:
        return FileIO(opened, "w" if in_place else "w+")
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {reason(error)}") from error


def close_output(handle: FileIO, path: Path, *, in_place: bool) -> None:
    """Close the file, flush it to the disk and give it its name.

    Raises:
        OutputError: It failed; the data stays in NAME.part.
    """
    try:
        handle.close()
        if not in_place:
            commit(part_path(path), path)
    except OSError as error:
        left = "" if in_place else f" What was written stays in {part_path(path)}."
        raise OutputError(f"Cannot finish {path}: {reason(error)}{left}") from error


def validate_target(path: Path, *, in_place: bool) -> None:
    """Raises: OutputError if no result can be written to this path."""
    folder = path.parent
    if path.is_dir():
        raise OutputError(
            f"Cannot write {path}: it is a folder. Name a file in it, such as {path / 'tracks.json'}."
        )
    if not folder.exists():
        raise OutputError(
            f"Cannot write {path}: there is no folder {folder}. Create it, or choose another --out."
        )
    if not folder.is_dir():
        raise OutputError(f"Cannot write {path}: {folder} is not a folder. Choose another --out.")
    if not path.exists():
        return
    if not in_place and not path.is_file():
        raise OutputError(
            f"Cannot write {path}: it is a device or pipe, and this format needs a file. Only jsonl streams."
        )
    # Renaming over a write-protected file would succeed and replace what its owner protected.
    if not os.access(path, os.W_OK):
        raise OutputError(f"Cannot write {path}: it is write-protected. Choose another --out.")


def reserve(handle: FileIO, size: int) -> None:
    """Reserve space for `size` more bytes, for libraries that cannot repair a file after a failed write.

    Raises:
        OSError: There is no space; the file keeps its length.
    """
    here, end = handle.tell(), handle.seek(0, os.SEEK_END)
    try:
        missing = here + size - end
        while missing > 0:
            missing -= handle.write(bytes(min(missing, _ZEROS))) or 0
    except OSError:
        handle.truncate(end)
        raise
    finally:
        handle.seek(here)
