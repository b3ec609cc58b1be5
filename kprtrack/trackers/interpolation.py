"""Short gaps of a track are filled between its detections."""

from collections import deque
from collections.abc import Iterator

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.trackers.retroactive import RetroactiveCorrector, join_tracks

_EPSILON_S = 1e-6  # times are rounded numbers


class GapFiller:
    """Interpolates the boxes and keypoints of tracks between two detections up to `max_gap_s` apart.

    Args:
        max_gap_s: Longest time between the two detections; 0: no gap is filled.
        memory_s: How long frames are held back; gaps that end later are not filled.
        corrector: Knows the IDs of the frames ahead.
    """

    def __init__(self, max_gap_s: float, memory_s: float, corrector: RetroactiveCorrector) -> None:
        self._max_gap_s = min(max_gap_s, memory_s)
        self._memory_s = memory_s
        self._corrector = corrector
        self._ahead: deque[Tracks] = deque()  # as the tracker gave them, in order of time
        self._last: dict[int, tuple[Tracks, int]] = {}  # by ID: its last detection, a frame and a row of it

    def add(self, tracks: Tracks) -> None:
        """Take the tracks of the next frame, not corrected yet."""
        if not self._max_gap_s:
            return
        # Frames that are never asked for must not fill the memory; a jump in time makes no frame final.
        oldest_s = self._ahead[-1].time_s - 2 * self._memory_s if self._ahead else -np.inf
        while self._ahead and self._ahead[0].time_s < oldest_s:
            self._ahead.popleft()
        self._ahead.append(tracks)

    def fill(self, tracks: Tracks) -> Tracks:
        """Return the corrected tracks of a frame with those of short gaps; call once a frame, in order."""
        if not self._max_gap_s:
            return tracks
        while self._ahead and self._ahead[0].time_s <= tracks.time_s:
            self._ahead.popleft()
        oldest_s = tracks.time_s - self._max_gap_s - _EPSILON_S
        present = tracks.ids.tolist()
        self._last |= {number: (tracks, row) for row, number in enumerate(present)}
        self._last = {number: last for number, last in self._last.items() if last[0].time_s >= oldest_s}
        following = dict(self._following(self._last.keys() - present))
        filled = [_between(*self._last[number], *following[number], tracks) for number in sorted(following)]
        return join_tracks([tracks, *filled])

    def _following(self, missing: set[int]) -> Iterator[tuple[int, tuple[Tracks, int]]]:
        """The next detection of each of the tracks `missing`, if the gap that it ends is short enough."""
        left = set(missing)
        for ahead in self._ahead:
            left = {
                number
                for number in left
                if ahead.time_s - self._last[number][0].time_s <= self._max_gap_s + _EPSILON_S
            }
            if not left:
                return
            known = self._corrector.correct(ahead)
            for row, number in enumerate(known.ids.tolist()):
                if number in left:
                    left.remove(number)
                    yield number, (known, row)


def _between(before: Tracks, row: int, after: Tracks, next_row: int, tracks: Tracks) -> Tracks:
    """One track in the frame of `tracks`, on the way from its detection before to the one after."""
    share = np.float32((tracks.time_s - before.time_s) / (after.time_s - before.time_s))
    rows, next_rows = np.array([row]), np.array([next_row])
    first, last = before.keypoints[rows], after.keypoints[next_rows]
    keypoints = first + share * (last - first)
    keypoints[..., 2] = np.minimum(first[..., 2], last[..., 2])
    keypoints[keypoints[..., 2] <= 0] = 0  # estimated at one end only
    nothing = np.full(1, np.nan, np.float32)
    return Tracks(
        frame_number=tracks.frame_number,
        time_s=tracks.time_s,
        ids=before.ids[rows],
        boxes=before.boxes[rows] + share * (after.boxes[next_rows] - before.boxes[rows]),
        scores=np.minimum(before.scores[rows], after.scores[next_rows]),
        keypoints=keypoints,
        distances=nothing,
        margins=nothing,
        visible=np.zeros_like(before.visible[rows]),
        prompted=np.zeros(1, bool),
    )
