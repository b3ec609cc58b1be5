"""Retroactive correction: tracks of earlier frames get the IDs that are known by now."""

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import takewhile

import numpy as np

from kprtrack.core.datatypes import Tracks


class RetroactiveCorrector:
    """Remembers tentative tracks and renamed IDs for `memory_s` seconds.

    A tentative track has a negative ID. `rename` gives it a positive one when it is confirmed, and another
    positive one when it is re-identified.
    """

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._names: dict[int, tuple[int, float]] = {}  # ID -> its new ID, when it was given
        self._tentative: dict[int, Tracks] = {}  # frame number -> tentative tracks
        self._before_s = self._now_s = -np.inf  # the last two times at which something was added

    def add_tentative(self, tracks: Tracks) -> None:
        """Remember the tentative tracks of a frame; all IDs are negative."""
        self._tentative[tracks.frame_number] = tracks
        self._forget(tracks.time_s)

    def rename(self, old: int, new: int, time_s: float) -> None:
        """Note at `time_s` that the track `old` is `new` in all frames."""
        self._names[old] = (new, time_s)
        self._forget(time_s)

    def apply(self, tracks: Tracks) -> Tracks:
        """Return the tracks of a frame as known by now; call once a frame, in order."""
        corrected = self.correct(tracks)
        self._tentative.pop(tracks.frame_number, None)
        return corrected

    def correct(self, tracks: Tracks) -> Tracks:
        """The same for any frame that is not final yet, as often as needed."""
        tentative = self._tentative.get(tracks.frame_number)
        if tentative is not None:
            confirmed = np.array([self._name(number) > 0 for number in tentative.ids.tolist()], bool)
            tracks = join_tracks([tracks, _rows(tentative, confirmed)])
        ids = np.array([self._name(number) for number in tracks.ids.tolist()], np.int64)
        # Two rows cannot be one person: the tentative one is dropped.
        first = np.sort(np.unique(ids, return_index=True)[1])
        return replace(_rows(tracks, first), ids=ids[first])

    def _name(self, number: int) -> int:
        while number in self._names:
            number = self._names[number][0]
        return number

    def _forget(self, time_s: float) -> None:
        """Drop what no frame of the last `memory_s` needs; both memories are in order of time."""
        if time_s > self._now_s:
            self._before_s, self._now_s = self._now_s, time_s
        # After a jump in time, frames from before it are not final yet.
        oldest_s = self._before_s - 2 * self._memory_s
        for number in list(takewhile(lambda number: self._names[number][1] < oldest_s, self._names)):
            del self._names[number]
        for frame in list(takewhile(lambda frame: self._tentative[frame].time_s < oldest_s, self._tentative)):
            del self._tentative[frame]


_SINGLE = ("frame_number", "time_s", "skeleton")
_ARRAYS = tuple(field.name for field in fields(Tracks) if field.name not in _SINGLE)


def _rows(tracks: Tracks, rows: np.ndarray) -> Tracks:
    arrays = {name: getattr(tracks, name)[rows] for name in _ARRAYS}
    return Tracks(tracks.frame_number, tracks.time_s, **arrays, skeleton=tracks.skeleton)


def join_tracks(groups: Sequence[Tracks]) -> Tracks:
    """All tracks of groups of the same frame, in order."""
    # A group without people need not have the number of parts of the others.
    some = [group for group in groups if len(group)] or groups[:1]
    if len(some) == 1:
        return some[0]
    arrays = {name: np.concatenate([getattr(group, name) for group in some]) for name in _ARRAYS}
    return Tracks(some[0].frame_number, some[0].time_s, **arrays, skeleton=some[0].skeleton)
