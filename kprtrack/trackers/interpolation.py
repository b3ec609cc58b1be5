"""Short gaps of a track are filled between its detections, and so are poses that were not estimated."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.trackers.retroactive import RetroactiveCorrector, join_tracks

_EPSILON_S = 1e-6  # times are rounded numbers


class GapFiller:
    """Interpolates the boxes and keypoints of tracks between two detections up to `max_gap_s` apart.

    A detection without a pose gets one likewise, from the poses of its track up to `max_gap_s` before and
    after; where there is but one, it moves with the box.

    Args:
        max_gap_s: Longest time between the two detections; 0: nothing is filled.
        memory_s: How long frames are held back; gaps that end later are not filled.
        corrector: Knows the IDs of the frames ahead.
    """

    def __init__(self, max_gap_s: float, memory_s: float, corrector: RetroactiveCorrector) -> None:
        self._max_gap_s = min(max_gap_s, memory_s)
        self._memory_s = memory_s
        self._corrector = corrector
        self._ahead: deque[Tracks] = deque()  # as the tracker gave them, in order of time
        # By ID: its last detection, and its last one with a pose; a frame and a row of it.
        self._last: dict[int, tuple[Tracks, int]] = {}
        self._posed: dict[int, tuple[Tracks, int]] = {}
        self._has_poses = False

    def add(self, tracks: Tracks) -> None:
        """Take the tracks of the next frame, not corrected yet."""
        if not self._max_gap_s:
            return
        # Frames that are never asked for must not fill the memory; a jump in time makes no frame final.
        oldest_s = self._ahead[-1].time_s - 2 * self._memory_s if self._ahead else -np.inf
        while self._ahead and self._ahead[0].time_s < oldest_s:
            self._ahead.popleft()
        self._ahead.append(tracks)
        self._has_poses |= bool(_posed_rows(tracks).any())

    def fill(self, tracks: Tracks) -> Tracks:
        """Return the corrected tracks of a frame with those of short gaps; call once a frame, in order."""
        if not self._max_gap_s:
            return tracks
        while self._ahead and self._ahead[0].time_s <= tracks.time_s:
            self._ahead.popleft()
        oldest_s = tracks.time_s - self._max_gap_s - _EPSILON_S
        if self._has_poses:
            tracks = self._with_poses(tracks, oldest_s)
        present = tracks.ids.tolist()
        _remember(self._last, tracks, range(len(tracks)), oldest_s)
        following = self._following({number: self._last[number] for number in self._last.keys() - present})
        filled = [_between(*self._last[number], *following[number], tracks) for number in sorted(following)]
        return join_tracks([tracks, *filled])

    def _with_poses(self, tracks: Tracks, oldest_s: float) -> Tracks:
        """Give the detections without a pose one."""
        posed = _posed_rows(tracks)
        _remember(self._posed, tracks, np.flatnonzero(posed).tolist(), oldest_s)
        rows = np.flatnonzero(~posed)
        missing = {int(tracks.ids[row]): (tracks, int(row)) for row in rows}
        following = self._following(missing, posed=True)
        keypoints = tracks.keypoints.copy()
        for number, (_, row) in missing.items():
            ends = [each.get(number) for each in (self._posed, following)]
            keypoints[row] = _moved(tracks, row, [end for end in ends if end is not None])
        return replace(tracks, keypoints=keypoints) if len(rows) else tracks

    def _following(
        self, since: dict[int, tuple[Tracks, int]], posed: bool = False
    ) -> dict[int, tuple[Tracks, int]]:
        """The next detections (those with a pose) of tracks up to `max_gap_s` later than `since`, by ID."""
        left, found = dict(since), {}
        for ahead in self._ahead:
            last_s = ahead.time_s - self._max_gap_s - _EPSILON_S
            left = {number: start for number, start in left.items() if start[0].time_s >= last_s}
            if not left:
                break
            known = self._corrector.correct(ahead)
            has_pose = _posed_rows(known)
            for row, number in enumerate(known.ids.tolist()):
                if number in left and (has_pose[row] or not posed):
                    del left[number]
                    found[number] = known, row
        return found


def _remember(
    last: dict[int, tuple[Tracks, int]], tracks: Tracks, rows: Iterable[int], oldest_s: float
) -> None:
    """Note the detections `rows` as the last ones of their tracks; forget those before `oldest_s`."""
    last |= {int(tracks.ids[row]): (tracks, row) for row in rows}
    for number in [number for number, (frame, _) in last.items() if frame.time_s < oldest_s]:
        del last[number]


def _posed_rows(tracks: Tracks) -> np.ndarray:
    """[N] bool: those with a keypoint."""
    posed: np.ndarray = np.any(tracks.keypoints[..., 2] > 0, axis=1)
    return posed


def _moved(tracks: Tracks, row: int, ends: list[tuple[Tracks, int]]) -> np.ndarray:
    """[K, 3] keypoints for the detection `row`: those of `ends`, moved with the box, weighted by nearness."""
    if not ends:
        return np.zeros_like(tracks.keypoints[row])
    center = (tracks.boxes[row, :2] + tracks.boxes[row, 2:]) / 2
    moved: np.ndarray = np.stack([frame.keypoints[at] for frame, at in ends])
    for each, (frame, at) in zip(moved, ends, strict=True):
        each[:, :2] += center - (frame.boxes[at, :2] + frame.boxes[at, 2:]) / 2
    nearness = np.array([1 / max(abs(frame.time_s - tracks.time_s), _EPSILON_S) for frame, _ in ends])
    keypoints: np.ndarray = np.average(moved, axis=0, weights=nearness).astype(np.float32)
    keypoints[:, 2] = moved[:, :, 2].min(0)
    keypoints[keypoints[:, 2] <= 0] = 0  # estimated at one end only
    return keypoints


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
        skeleton=before.skeleton,
    )
