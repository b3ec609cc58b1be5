"""The boxes of a result as columns, whose track IDs edits change."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np

from kprtrack.core.errors import UserError
from kprtrack.edits.grammar import Moment
from kprtrack.io.header import TrackFile
from kprtrack.selection.clicks import frame_times
from kprtrack.selection.people import rows_of

Side = Literal["left", "right"]
DELETED = 0  # instead of a track ID
_SAME_TIME_S = 1e-4  # results store times to a microsecond


@dataclass(frozen=True)
class Clock:
    """The frames of a result.

    Args:
        numbers: [F] int64, increasing.
        times: [F] float64, seconds; None: unknown.
    """

    numbers: np.ndarray
    times: np.ndarray | None

    def moment(self, index: int) -> Moment:
        """Return number and time of a frame."""
        time_s = None if self.times is None else float(self.times[index])
        return Moment(time_s, int(self.numbers[index]))

    def range(self, start: Moment | None, end: Moment | None) -> tuple[int, int]:
        """Return the first frame from `start` on and the one after the last up to `end`, as indices.

        Raises:
            UserError: A moment is outside the result, or has no frame number and times are unknown.
        """
        first = 0 if start is None else self._index(start, "left")
        last = len(self.numbers) if end is None else self._index(end, "right")
        if (start is not None and first >= len(self.numbers)) or (end is not None and last == 0):
            outside = start if start is not None and first >= len(self.numbers) else end
            if not len(self.numbers):
                raise UserError(f"{outside}: the result has no frames.")
            span = f"{self.moment(0)} to {self.moment(len(self.numbers) - 1)}"
            raise UserError(f"{outside} is outside the result, which has frames from {span}.")
        if first >= last:
            raise UserError(f"no frame is between {start} and {end}. Write the earlier time first.")
        return first, last

    def nearest(self, frame: int, time_s: float | None) -> int | None:
        """Return the index of the frame nearest to a time, or of that number where times are unknown.

        None: the result has no frame there, more than one and a half intervals between frames away.
        """
        if not len(self.numbers):
            return None
        if self.times is None or time_s is None:
            away, interval = np.abs(self.numbers - frame), self._number_interval
        else:
            away, interval = np.abs(self.times - time_s), self._time_interval
        index = int(away.argmin())
        return index if away[index] <= 1.5 * interval + _SAME_TIME_S else None

    def frames_in(self, seconds: float) -> int:
        """Return how many frames are in some seconds; at 25 frames a second where times are unknown."""
        return max(round(seconds / (self._time_interval or 0.04)), 1)

    def _index(self, moment: Moment, side: Side) -> int:
        slack = _SAME_TIME_S if side == "right" else -_SAME_TIME_S
        if self.times is not None and moment.time_s is not None:
            return int(np.searchsorted(self.times, moment.time_s + slack, side=side))
        if moment.frame is not None:
            return int(np.searchsorted(self.numbers, moment.frame, side=side))
        raise UserError(
            f"{moment}: the result has no times and no frame rate. Write the number of the frame: frame 120."
        )

    @cached_property
    def _time_interval(self) -> float:
        return float(np.median(np.diff(self.times))) if self.times is not None and len(self.times) > 1 else 0

    @cached_property
    def _number_interval(self) -> float:
        return float(np.median(np.diff(self.numbers))) if len(self.numbers) > 1 else 0


@dataclass(frozen=True)
class EditState:
    """The boxes of all frames, one row each, and their track IDs after some edits.

    Args:
        clock: The frames.
        frame: [N] int64, index of the frame of each box, rising.
        boxes: [N, 4] float64, x1 y1 x2 y2, pixels.
        ids: [N] int64, track IDs; DELETED.
        next_id: The first ID that no track ever had.
        names: Names by track ID.
        persons: Person IDs by track ID.
    """

    clock: Clock
    frame: np.ndarray
    boxes: np.ndarray
    ids: np.ndarray
    next_id: int
    names: Mapping[int, str]
    persons: Mapping[int, int]

    @classmethod
    def of(cls, file: TrackFile) -> Self:
        """Return the state of a result before any edit."""
        frames = file.frames
        counts = [len(tracks) for tracks in frames]
        ids = np.concatenate([tracks.ids for tracks in frames] or [np.zeros(0)]).astype(np.int64)
        boxes = np.concatenate([tracks.boxes for tracks in frames] or [np.zeros((0, 4))])
        return cls(
            clock=Clock(
                np.array([tracks.frame_number for tracks in frames], np.int64),
                frame_times(frames, file.header.fps),
            ),
            frame=np.repeat(np.arange(len(frames)), counts),
            boxes=boxes.astype(np.float64),
            ids=ids,
            next_id=int(ids.max(initial=0)) + 1,
            names=dict(file.header.names),
            persons=dict(file.header.persons),
        )

    def rows(self, track_id: int, first: int = 0, last: int | None = None) -> np.ndarray:
        """Return the rows of a track in the frames from index `first` up to, not including, `last`."""
        low, high = np.searchsorted(self.frame, (first, len(self.clock.numbers) if last is None else last))
        return int(low) + np.flatnonzero(self.ids[low:high] == track_id)

    def in_frame(self, index: int) -> np.ndarray:
        """Return the rows of the boxes in a frame that are not deleted."""
        low, high = np.searchsorted(self.frame, (index, index + 1))
        return int(low) + np.flatnonzero(self.ids[low:high] != DELETED)

    def with_ids(self, *changes: tuple[np.ndarray, int]) -> Self:
        """Return a state in which rows have other IDs; tracks without any box lose name and person."""
        ids = self.ids.copy()
        for rows, track_id in changes:
            ids[rows] = track_id
        present = set(np.unique(ids).tolist())
        names = {track_id: name for track_id, name in self.names.items() if track_id in present}
        persons = {track_id: person for track_id, person in self.persons.items() if track_id in present}
        next_id = max(self.next_id, *(track_id + 1 for _, track_id in changes))
        return replace(self, ids=ids, names=names, persons=persons, next_id=next_id)

    def result(self, file: TrackFile) -> TrackFile:
        """Return the tracks of the file with these IDs and names; frames without a change are the same."""
        frames = []
        ends = np.searchsorted(self.frame, np.arange(len(file.frames) + 1)).tolist()
        for tracks, low, high in zip(file.frames, ends[:-1], ends[1:], strict=True):
            ids = self.ids[low:high]
            if np.array_equal(ids, tracks.ids):
                frames.append(tracks)
            else:
                frames.append(rows_of(replace(tracks, ids=ids), ids != DELETED))
        before = np.concatenate([tracks.ids for tracks in file.frames] or [self.ids])
        changed = {*before[before != self.ids].tolist(), *self.ids[before != self.ids].tolist()}
        confidence = {
            number: value
            for number, value in file.header.identity_confidence.items()
            if number not in changed
        }
        header = replace(
            file.header, names=dict(self.names), persons=dict(self.persons), identity_confidence=confidence
        )
        return replace(file, frames=frames, header=header)
