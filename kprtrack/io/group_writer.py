"""Writes frames in groups, for formats of other libraries that cannot repair a file after a failed write."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from kprtrack.core.datatypes import NO_LOSSES, FrameLosses
from kprtrack.core.errors import OutputError
from kprtrack.io.header import FrameWriter
from kprtrack.io.text_writer import Footer, saved_message

Frame = TypeVar("Frame")


@dataclass(frozen=True)
class GroupFormat(Generic[Frame]):
    """What a format does with groups of frames."""

    check: Callable[[Frame, int], int]  # frame, number of the last one -> its number; ValueError if invalid
    size: Callable[[Frame], int]  # bytes in memory
    write: Callable[[list[Frame]], None]  # OSError, before anything is written, if there is no room
    end: Callable[[Footer], None]
    discard: Callable[[], None]  # closes and removes the unfinished file


class GroupWriter(FrameWriter[Frame], Generic[Frame]):
    """Keeps the newest frames in memory until a group is full.

    Args:
        path: The file, for messages.
        format: What writes and ends it.
        frames: Number of frames of a group.
        limit_bytes: A group ends earlier from this size on.
    """

    def __init__(
        self, path: Path, format: GroupFormat[Frame], *, frames: int, limit_bytes: int | None = None
    ) -> None:
        self._path, self._format = path, format
        self._frames, self._limit_bytes = frames, limit_bytes
        self._group: list[Frame] = []
        self._group_bytes = 0
        self._written = 0
        self._last_number = -1
        self._closed = False

    def write(self, frame: Frame, /) -> None:
        self._last_number = self._format.check(frame, self._last_number)
        if self._closed:
            raise ValueError(f"{self._path} is closed")
        self._group.append(frame)
        self._group_bytes += self._format.size(frame)
        full = self._limit_bytes is not None and self._group_bytes >= self._limit_bytes
        if full or len(self._group) == self._frames:
            self._write_group()

    def close(self, complete: bool = True, note: str | None = None, losses: FrameLosses = NO_LOSSES) -> None:
        if self._closed:
            return
        if not complete and not self._written and not self._group:
            self._closed = True
            self._format.discard()
            return
        if self._group:
            self._write_group()
        self._end(complete, note, losses)

    def _write_group(self) -> None:
        """Write the group; on a full disk as many of its frames as fit, then end the file."""
        frames, self._group, self._group_bytes = self._group, [], 0
        failure: OSError | None = None
        while frames:
            try:
                self._format.write(frames)
            except OSError as error:
                failure, frames = error, frames[: len(frames) // 2]
                continue
            self._written += len(frames)
            break
        if failure is not None:
            self._end(False, "the disk was full")
            raise OutputError(saved_message(self._path, self._written, failure)) from failure

    def _end(self, complete: bool, note: str | None, losses: FrameLosses = NO_LOSSES) -> None:
        self._closed = True
        self._format.end(Footer(self._written, complete, note, losses))
