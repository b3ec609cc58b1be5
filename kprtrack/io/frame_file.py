"""A file that grows frame by frame and can be ended as a valid file at any time, also on a full disk."""

import os
from array import array
from collections.abc import Callable
from pathlib import Path

from kprtrack.core.atomic_file import reason
from kprtrack.core.errors import OutputError
from kprtrack.io.output_file import OutputFile


class FrameFile:
    """Appends frames to a file; after any error it can be ended with whole frames and a footer.

    Args:
        path: The final name; see OutputFile. Memory: 8 bytes per frame.
        head: The start of the file.
        streams: Other programs can read the format while it grows.
        ends: Continue the file of a killed run, in which the head and each frame end at these bytes.

    Raises:
        OutputError: The file cannot be opened.
    """

    def __init__(
        self, path: Path, head: bytes, *, streams: bool = False, ends: "array[int] | None" = None
    ) -> None:
        self.path = path
        self._file = OutputFile(path, streams=streams, existing=ends is not None)
        self._handle = self._file.handle
        if ends is not None:
            self._ends, self._position = ends, ends[-1]
            return
        # Standard output may be a file that has a content already.
        self._position = self._handle.seek(0, os.SEEK_END) if self._file.is_file else 0
        try:
            self._put(head)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._file.discard()
            raise OutputError(f"Cannot write {path}: {reason(error)}") from error
        self._ends = array("q", [self._position])  # where the head and each frame end

    @property
    def part(self) -> Path:
        """Its name while it is written."""
        return self._file.present

    @property
    def saved(self) -> Path | None:
        """The file that holds the frames, once it is finished or kept."""
        return self._file.saved

    def append(self, data: bytes) -> None:
        """Append one frame. Raises: OSError; `finish` can be called afterwards."""
        self._put(data)
        self._ends.append(self._position)

    def finish(self, frames: int, footer: Callable[[int], bytes], *, replace: bool) -> int:
        """End the file, dropping its last frames if the footer does not fit.

        Args:
            frames: Number of frames to keep.
            footer: Makes the end of a file with that many frames.
            replace: An older file of that name may be replaced, if all frames are kept.

        Returns:
            The number of frames kept.

        Raises:
            OutputError: Not even head and footer fit, or the file cannot be renamed.
            BrokenPipeError: The reader of a pipe has exited.
        """
        kept = frames
        while not self._ends_with(kept, footer):
            kept = self._most_frames(below=kept, footer=footer)
            if kept < 0:
                self.discard()
                raise OutputError(f"Cannot write {self.path}: no room for a single frame. Free some space.")
        self._file.finish(replace=replace and kept == frames)
        return kept

    def trim(self, frames: int) -> None:
        """Cut off what follows the first frames: a frame that was written in part."""
        self._handle.truncate(self._ends[frames])

    def keep(self) -> Path:
        """Close the file without an end and return its present name."""
        return self._file.keep()

    def discard(self) -> None:
        """Close the file and remove it."""
        self._file.discard()

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
            if self._file.is_file or self._position != self._ends[kept]:
                self._handle.seek(self._ends[kept])
                self._handle.truncate()
                self._position = self._ends[kept]
            self._put(footer(kept))
        except BrokenPipeError:
            raise
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
