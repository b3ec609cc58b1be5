"""What becomes known of a frame after it has passed: which doubtful detection was a person, and who it was."""

from dataclasses import fields, replace

import numpy as np

from kprtrack.datatypes import Tracks


class Hindsight:
    """Remembers the last `memory_s` seconds so that tracks can be corrected before they are final.

    A person in doubt has a negative id. `rename` gives it a positive one when it proves to be a person, and another
    positive one when it proves to be somebody known.
    """

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._names: dict[int, tuple[int, float]] = {}  # id -> id it turned out to be, when
        self._doubtful: dict[int, Tracks] = {}  # frame number -> people in doubt

    def doubt(self, tracks: Tracks) -> None:
        """Remember people of this frame who may turn out to be none; all ids are negative."""
        if len(tracks):
            self._doubtful[tracks.frame_number] = tracks

    def rename(self, old: int, new: int, time_s: float) -> None:
        """From time_s on it is known that `old` was `new` all along."""
        self._names[old] = (new, time_s)

    def apply(self, tracks: Tracks) -> Tracks:
        """The tracks of a frame as they look now; call once a frame, in order."""
        doubtful = self._doubtful.pop(tracks.frame_number, None)
        if doubtful is not None:
            proven = np.array([self._name(number) > 0 for number in doubtful.ids.tolist()])
            tracks = _join(tracks, doubtful, proven)
        ids = np.array([self._name(number) for number in tracks.ids.tolist()], np.int64)
        if len(np.unique(ids)) < len(ids):  # two rows cannot be one person: the later sighting gives way
            first = np.sort(np.unique(ids, return_index=True)[1])
            tracks, ids = _rows(tracks, first), ids[first]
        self._forget(tracks.time_s)
        return replace(tracks, ids=ids)

    def _name(self, number: int) -> int:
        while number in self._names:
            number = self._names[number][0]
        return number

    def _forget(self, time_s: float) -> None:
        # Names are in order of time; a name is needed until the frames of its old id are final.
        while self._names:
            oldest = next(iter(self._names))
            if self._names[oldest][1] >= time_s - 2 * self._memory_s:
                break
            del self._names[oldest]
        for number in [n for n, held in self._doubtful.items() if held.time_s < time_s]:
            del self._doubtful[number]


_ARRAYS = tuple(field.name for field in fields(Tracks) if field.name not in ("frame_number", "time_s"))


def _rows(tracks: Tracks, rows: np.ndarray) -> Tracks:
    arrays = {name: getattr(tracks, name)[rows] for name in _ARRAYS}
    return Tracks(tracks.frame_number, tracks.time_s, **arrays)


def _join(tracks: Tracks, more: Tracks, rows: np.ndarray) -> Tracks:
    """`tracks` and the people `rows` of `more`, who are of the same frame."""
    arrays = {name: np.concatenate([getattr(tracks, name), getattr(more, name)[rows]]) for name in _ARRAYS}
    return Tracks(tracks.frame_number, tracks.time_s, **arrays)
