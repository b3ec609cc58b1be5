"""The writer of all text formats: a format gives head, frames and footer, this keeps the file valid."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from kprtrack.core.atomic_file import reason
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import OutputError
from kprtrack.io.frame_file import FrameFile


class FrameLog:
    """What was written so far, in a few bytes a person: enough for the summary and the list of images."""

    def __init__(self) -> None:
        self.numbers = array("q")
        self.times = array("d")
        self._ids = array("q")
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return (
            len(self._ends) - 1
        )  # the last to grow in `add`, so that Ctrl-C inside it leaves no half a frame

    @property
    def people(self) -> int:
        """People written in all frames together."""
        return len(self._ids)

    def add(self, tracks: Tracks) -> None:
        """Note one frame."""
        self.numbers.append(tracks.frame_number)
        self.times.append(tracks.time_s)
        self._ids.extend(tracks.ids.tolist())
        self._ends.append(len(self._ids))

    def summary(self, kept: int) -> list[dict[str, object]]:
        """One record per identity over the first `kept` frames."""
        ends = np.array(self._ends[: kept + 1], np.int64)
        ids = np.array(self._ids[: int(ends[-1])], np.int64)
        frames = np.repeat(np.arange(kept), np.diff(ends))
        names, first, count = np.unique(ids, return_index=True, return_counts=True)
        last = len(ids) - 1 - np.unique(ids[::-1], return_index=True)[1]
        return [
            {
                "id": int(name),
                "first_frame": self.numbers[frames[a]],
                "last_frame": self.numbers[frames[b]],
                "first_time": rounded_time(self.times[frames[a]]),
                "last_time": rounded_time(self.times[frames[b]]),
                "frames": int(n),
            }
            for name, a, b, n in zip(names, first, last, count, strict=True)
        ]


@dataclass(frozen=True)
class Footer:
    """How a file ends."""

    kept: int  # frames, from the first on
    complete: bool
    note: str | None


@dataclass(frozen=True)
class Layout:
    """A text format."""

    head: bytes
    frame: Callable[[Tracks, FrameLog], bytes]  # the log holds the frames before this one
    footer: Callable[[FrameLog, Footer], bytes]


class TextWriter:
    """Writes one text format; a TracksWriter."""

    def __init__(self, path: Path, layout: Layout, *, in_place: bool = False) -> None:
        self._layout = layout
        self._file = FrameFile(path, layout.head, in_place=in_place)
        self._log = FrameLog()
        self._closed = False

    def write(self, tracks: Tracks) -> None:
        """Add one frame.

        Raises: OutputError if the disk is full; the frames that fit are then saved and the file is closed.
        Raises: ValueError for tracks that no file may hold.
        """
        check_tracks(tracks, self._log.numbers[-1] if len(self._log) else -1)
        if self._closed:
            raise ValueError(f"{self._file.path} is closed")
        try:
            self._file.append(self._layout.frame(tracks, self._log))
        except OSError as error:
            self._closed = True
            kept = self._finish(complete=False, note=f"writing failed: {error.strerror}")
            raise OutputError(saved_message(self._file.path, kept, error)) from error
        self._log.add(tracks)

    def close(self, complete: bool = True, note: str | None = None) -> None:
        """End the file; without a single frame an incomplete run leaves what was there before."""
        if self._closed:
            return
        self._closed = True
        if not complete and not len(self._log):
            self._file.discard()
            return
        kept = self._finish(complete=complete, note=note)
        if kept < len(self._log):
            lost = OSError(0, f"No room for the last {len(self._log) - kept} frames")
            raise OutputError(saved_message(self._file.path, kept, lost))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=error is None, note=None if kind is None else f"ended by {kind.__name__}")

    def _finish(self, *, complete: bool, note: str | None) -> int:
        whole = len(self._log)

        def footer(kept: int) -> bytes:
            ending = Footer(kept, complete and kept == whole, note if kept == whole else "the disk was full")
            return self._layout.footer(self._log, ending)

        return self._file.finish(whole, footer)


def check_tracks(tracks: Tracks, last_frame: int) -> None:
    """Raises: ValueError for tracks that no file may hold: a mistake of the program, not of the user."""
    if tracks.frame_number <= last_frame:
        raise ValueError(f"frame {tracks.frame_number} comes after frame {last_frame}")
    for name in ("boxes", "scores", "keypoints"):
        if not np.isfinite(getattr(tracks, name)).all():
            raise ValueError(f"Tracks.{name} of frame {tracks.frame_number} are not finite")
    if (tracks.boxes[:, 2:] < tracks.boxes[:, :2]).any():
        raise ValueError(f"a box of frame {tracks.frame_number} has a negative size")
    if (tracks.ids < 1).any() or len(set(tracks.ids.tolist())) != len(tracks):
        raise ValueError(
            f"ids of frame {tracks.frame_number} must be positive and unique, not {tracks.ids.tolist()}"
        )


def saved_message(path: Path, kept: int, error: OSError) -> str:
    """What to tell somebody whose disk is full."""
    return f"Cannot write on to {path}: {reason(error)} The first {kept} frames are saved in it."


def rounded_time(time_s: float) -> float | None:
    """Microseconds are exact enough for any time base; None for an unknown time."""
    return round(time_s, 6) if np.isfinite(time_s) else None


def left_top_size(boxes: np.ndarray) -> np.ndarray:
    """[N, 4] float64 left, top, width, height to a hundredth of a pixel, of x1 y1 x2 y2."""
    corners = boxes.astype(np.float64)
    return np.round(np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1), 2)
