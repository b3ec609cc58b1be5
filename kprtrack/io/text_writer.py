"""The writer of all text formats: a format defines head, frames and footer, the writer keeps files valid."""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.atomic_file import reason
from kprtrack.core.datatypes import NO_LOSSES, FrameLosses, Tracks
from kprtrack.core.errors import OutputError
from kprtrack.core.skeleton import Skeleton
from kprtrack.io.frame_file import FrameFile
from kprtrack.io.header import TracksWriter
from kprtrack.io.output_file import saved_in


class FrameLog:
    """Frame numbers, times and track IDs written so far, for the summary and the list of images.

    Memory: 16 bytes a frame, and 24 for each time that a track appears and leaves again, not for every box.
    """

    def __init__(self) -> None:
        self.numbers = array("q")
        self.times = array("d")
        self.people = 0  # number of people in all frames
        self._frames = 0
        self._present: dict[int, int] = {}  # ID -> index of the frame since which it is in every frame
        self._past = array("q")  # ID, first index, index after the last; of every time before

    def __len__(self) -> int:
        # `add` counts last, so that an interrupt inside it does not count half a frame.
        return self._frames

    def add(self, tracks: Tracks) -> None:
        """Add one frame."""
        self._add(tracks.frame_number, tracks.time_s, tracks.ids.tolist())

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Add one frame as `.json` and `.jsonl` store it."""
        time = record.get("time")
        ids = [person["track_id"] for person in record["people"]]
        self._add(record["frame"], np.nan if time is None else time, ids)

    def add_number(self, number: int) -> None:
        """Add one frame of which only the number is known."""
        self._add(number, np.nan, [])

    def _add(self, number: int, time_s: float, ids: list[int]) -> None:
        self.numbers.append(number)
        self.times.append(time_s)
        here = set(ids)
        for gone in [track_id for track_id in self._present if track_id not in here]:
            self._past.extend((gone, self._present.pop(gone), self._frames))
        for track_id in ids:
            self._present.setdefault(track_id, self._frames)
        self.people += len(ids)
        self._frames += 1

    def summary(self, kept: int) -> list[dict[str, object]]:
        """Return one record per track ID over the first `kept` frames."""
        present = [(number, first, self._frames) for number, first in self._present.items()]
        times = np.concatenate([np.array(self._past, np.int64), np.array(present, np.int64).ravel()])
        names, starts, ends = times.reshape(-1, 3).T
        ends = np.minimum(ends, kept)
        names, starts, ends = (column[starts < ends] for column in (names, starts, ends))
        unique, row = np.unique(names, return_inverse=True)
        count, last = np.zeros((2, len(unique)), np.int64)
        first = np.full(len(unique), kept)
        np.add.at(count, row, ends - starts)
        np.minimum.at(first, row, starts)
        np.maximum.at(last, row, ends - 1)
        return [
            {
                "id": int(name),
                "first_frame": self.numbers[a],
                "last_frame": self.numbers[b],
                "first_time": rounded_time(self.times[a]),
                "last_time": rounded_time(self.times[b]),
                "frames": int(n),
            }
            for name, a, b, n in zip(unique, first, last, count, strict=True)
        ]


@dataclass(frozen=True)
class Footer:
    """How a file ends."""

    kept: int  # frames, from the first on
    complete: bool
    note: str | None
    losses: FrameLosses = NO_LOSSES

    def to_json(self) -> dict[str, object]:
        """Return whether the run was complete, why not, and which frames are damaged."""
        return {"complete": self.complete, "note": self.note, **self.losses.to_json()}


@dataclass(frozen=True)
class Layout:
    """A text format as its three parts."""

    head: bytes
    frame: Callable[[Tracks, FrameLog], bytes]  # the log holds the frames before this one
    footer: Callable[[FrameLog, Footer], bytes]
    skeleton: Skeleton | None = None  # of the keypoints; None: the format has none


class TextWriter(TracksWriter):
    """Writes one text format.

    Args:
        path: The file.
        layout: The format.
        streams: Other programs can read the format while it grows.
        existing: Continue the file of a killed run: its frames, and where its head and each frame end.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        *,
        streams: bool = False,
        existing: "tuple[FrameLog, array[int]] | None" = None,
    ) -> None:
        self._layout = layout
        log, ends = existing or (FrameLog(), None)
        self._file = FrameFile(path, layout.head, streams=streams, ends=ends)
        self._log = log
        self._closed = False

    @property
    def saved(self) -> Path | None:
        return self._file.saved

    def write(self, tracks: Tracks, /) -> None:
        last_frame = self._log.numbers[-1] if len(self._log) else -1
        check_tracks(tracks, last_frame, self._layout.skeleton)
        if self._closed:
            raise ValueError(f"{self._file.path} is closed")
        try:
            self._file.append(self._layout.frame(tracks, self._log))
        except BrokenPipeError:  # the reader of a pipe has seen enough
            self._closed = True
            self._file.discard()
            raise
        except OSError as error:
            self._closed = True
            kept = self._finish(complete=False, note=f"writing failed: {error.strerror}", replace=False)
            raise OutputError(saved_message(self._file.path, kept, error, self.saved)) from error
        self._log.add(tracks)

    def close(
        self,
        complete: bool = True,
        note: str | None = None,
        losses: FrameLosses = NO_LOSSES,
        *,
        replace: bool | None = None,
    ) -> None:
        """Write the footer, if there are frames or the run is complete."""
        if self._closed:
            return
        self._closed = True
        if not complete and not len(self._log):
            self._file.discard()
            return
        replace = complete if replace is None else replace
        kept = self._finish(complete=complete, note=note, losses=losses, replace=replace)
        if kept < len(self._log):
            lost = OSError(0, f"no room for the last {len(self._log) - kept} frames")
            raise OutputError(saved_message(self._file.path, kept, lost, self.saved))

    def _finish(
        self, *, complete: bool, note: str | None, replace: bool, losses: FrameLosses = NO_LOSSES
    ) -> int:
        whole = len(self._log)

        def footer(kept: int) -> bytes:
            ended = kept == whole
            note_of_kept = note if ended else "the disk was full"
            ending = Footer(kept, complete and ended, note_of_kept, losses)
            return self._layout.footer(self._log, ending)

        return self._file.finish(whole, footer, replace=replace)


def no_footer(log: FrameLog, ending: Footer) -> bytes:
    """The end of a table: nothing."""
    return b""


def check_tracks(tracks: Tracks, last_frame: int, skeleton: Skeleton | None) -> int:
    """Return the frame number. Raises: ValueError for tracks that no file may hold, a bug of the caller."""
    if tracks.frame_number <= last_frame:
        raise ValueError(f"frame {tracks.frame_number} comes after frame {last_frame}")
    if skeleton is not None and len(skeleton) != tracks.keypoints.shape[1]:
        raise ValueError(
            f"frame {tracks.frame_number} has the keypoints of {tracks.skeleton.name}, and the header names"
            f" those of {skeleton.name}: give RunHeader the skeleton of the tracks"
        )
    for name in ("boxes", "scores", "keypoints"):
        if not np.isfinite(getattr(tracks, name)).all():
            raise ValueError(f"Tracks.{name} of frame {tracks.frame_number} are not finite")
    if not ((tracks.scores >= 0) & (tracks.scores <= 1)).all():
        raise ValueError(f"a score of frame {tracks.frame_number} is outside 0 to 1")
    if (tracks.boxes[:, 2:] < tracks.boxes[:, :2]).any():
        raise ValueError(f"a box of frame {tracks.frame_number} has a negative size")
    if (tracks.ids < 1).any() or len(set(tracks.ids.tolist())) != len(tracks):
        raise ValueError(
            f"ids of frame {tracks.frame_number} must be positive and unique, not {tracks.ids.tolist()}"
        )
    return tracks.frame_number


def saved_message(path: Path, kept: int, error: OSError, saved: Path | None) -> str:
    """Return the message after a write failed.

    Args:
        path: The output.
        kept: Number of frames that are saved.
        error: Why it failed.
        saved: The file that holds them.
    """
    if not kept:
        return f"Cannot write to {path}: {reason(error)} No frame is saved."
    place = saved_in(path, saved)
    return f"Cannot write to {path}: {reason(error)} The first {kept} frames are saved in {place}."


def rounded_time(time_s: float, *, exact: bool = False) -> float | None:
    """Round to microseconds unless `exact`; None for an unknown time."""
    if not np.isfinite(time_s):
        return None
    return time_s if exact else round(time_s, 6)
