"""Reference implementation of ByteTrack, which updates one track at a time.

Source: docs/reference/tracking_and_evaluation.md 4. It implements the published algorithm without its code.
The covariance of each track is 8 x 8 and updated by a Cholesky decomposition; prediction and overlap are
vectorised, as in the published program.
"""

import lap
import numpy as np
import scipy.linalg

TRACK_THRESH, MATCH_THRESH, MAX_LOST_FRAMES = 0.6, 0.8, 30
_STEP = np.eye(8) + np.eye(8, k=4)
_READ = np.eye(4, 8)


class _Track:
    """One track: a Kalman filter over centre x, centre y, aspect and height, and a state."""

    def __init__(self, box: np.ndarray, number: int, frame: int) -> None:
        self.mean = np.r_[_measured(box), np.zeros(4)]
        height = self.mean[3]
        still = [height / 10, height / 10, 1e-2, height / 10]
        self.covariance = np.diag(np.square([*still, height / 16, height / 16, 1e-5, height / 16]))
        self.number, self.first_frame, self.last_frame = number, frame, frame
        self.confirmed, self.lost, self.removed = frame == 1, False, False
        self.row = -1

    def box(self) -> np.ndarray:
        x, y, aspect, height = self.mean[:4]
        return np.array([x - aspect * height / 2, y - height / 2, x + aspect * height / 2, y + height / 2])

    def correct(self, box: np.ndarray, row: int, frame: int) -> None:
        height = self.mean[3]
        noise = np.diag(np.square([height / 20, height / 20, 1e-1, height / 20]))
        expected = _READ @ self.mean
        spread = np.linalg.multi_dot((_READ, self.covariance, _READ.T)) + noise
        factor = scipy.linalg.cho_factor(spread, lower=True, check_finite=False)
        gain = scipy.linalg.cho_solve(factor, (self.covariance @ _READ.T).T, check_finite=False).T
        self.mean = self.mean + (_measured(box) - expected) @ gain.T
        self.covariance = self.covariance - np.linalg.multi_dot((gain, spread, gain.T))
        self.row, self.last_frame, self.confirmed, self.lost = row, frame, True, False


class ReferenceByteTrack:
    """Tracks the boxes of one video at 30 frames per second."""

    def __init__(self) -> None:
        self.tracked: list[_Track] = []
        self.lost: list[_Track] = []
        self.frame = 0
        self.next_number = 1

    def update(self, boxes: np.ndarray, scores: np.ndarray) -> dict[int, int]:
        """Return identity -> row of the detections of this frame."""
        self.frame += 1
        boxes = boxes.astype(np.float64)
        high = [row for row in range(len(boxes)) if scores[row] > TRACK_THRESH]
        low = [row for row in range(len(boxes)) if 0.1 < scores[row] < TRACK_THRESH]
        tentative = [track for track in self.tracked if not track.confirmed]
        pool = [track for track in self.tracked if track.confirmed] + self.lost
        was_lost = set(map(id, self.lost))
        _predict(pool)
        left, high = self._stage(pool, boxes, high, scores, MATCH_THRESH)
        missed, _ = self._stage([track for track in left if not track.lost], boxes, low, None, 0.5)
        for track in missed:
            track.lost = True
        removed_now, high = self._stage(tentative, boxes, high, scores, 0.7)
        started_now = []
        for row in high:
            if scores[row] >= TRACK_THRESH + 0.1:
                started_now.append(_Track(boxes[row], self.next_number, self.frame))
                started_now[-1].row = row
                self.next_number += 1
        self._sort(pool, tentative, removed_now, started_now, was_lost)
        return {track.number: track.row for track in self.tracked if track.confirmed}

    def _stage(
        self,
        tracks: list[_Track],
        boxes: np.ndarray,
        rows: list[int],
        scores: np.ndarray | None,
        limit: float,
    ) -> tuple[list[_Track], list[int]]:
        """Match and update; return the unmatched tracks and detections."""
        if not tracks or not rows:
            return tracks, rows
        similarity = _overlap(np.array([track.box() for track in tracks]), boxes[rows])
        if scores is not None:
            similarity = similarity * scores[rows]
        _, partner, owner = lap.lapjv(1 - similarity, extend_cost=True, cost_limit=limit)
        for track, column in zip(tracks, partner, strict=True):
            if column >= 0:
                track.correct(boxes[rows[column]], rows[column], self.frame)
        return (
            [track for track, column in zip(tracks, partner, strict=True) if column < 0],
            [row for row, place in zip(rows, owner, strict=True) if place < 0],
        )

    def _sort(
        self,
        pool: list[_Track],
        tentative: list[_Track],
        removed_now: list[_Track],
        started_now: list[_Track],
        was_lost: set[int],
    ) -> None:
        """Update the lists of tracked and lost tracks; removal comes one frame late, as published."""
        dead = {id(track) for track in removed_now} | {id(track) for track in pool if track.removed}
        for track in pool:
            if id(track) in was_lost and track.lost and self.frame - track.last_frame > MAX_LOST_FRAMES:
                track.removed = True
        # In the published order: continued, new and re-found tracks.
        stayed = [track for track in [*pool, *tentative] if id(track) not in was_lost and not track.lost]
        stayed = [track for track in stayed if id(track) not in {id(one) for one in removed_now}]
        found = [track for track in pool if id(track) in was_lost and not track.lost]
        self.tracked = [*stayed, *started_now, *found]
        lost = [track for track in pool if track.lost and id(track) not in dead]
        self.lost = sorted(lost, key=lambda track: id(track) not in was_lost)
        if not self.tracked or not self.lost:
            return
        overlap = _overlap(
            np.array([track.box() for track in self.tracked]), np.array([track.box() for track in self.lost])
        )
        duplicates: set[int] = set()
        for i, j in zip(*np.nonzero(1 - overlap < 0.15), strict=True):
            one, other = self.tracked[i], self.lost[j]
            duplicates.add(
                id(other)
                if one.last_frame - one.first_frame > other.last_frame - other.first_frame
                else id(one)
            )
        self.tracked = [track for track in self.tracked if id(track) not in duplicates]
        self.lost = [track for track in self.lost if id(track) not in duplicates]


def _measured(box: np.ndarray) -> np.ndarray:
    width, height = box[2] - box[0], box[3] - box[1]
    return np.array([box[0] + width / 2, box[1] + height / 2, width / height, height])


def _predict(tracks: list[_Track]) -> None:
    if not tracks:
        return
    means = np.stack([track.mean for track in tracks])
    covariances = np.stack([track.covariance for track in tracks])
    for row, track in enumerate(tracks):
        if track.lost:
            means[row, 7] = 0
    height, one = means[:, 3], np.ones(len(means))
    place, speed = height / 20, height / 160
    stds = np.stack([place, place, 1e-2 * one, place, speed, speed, 1e-5 * one, speed], axis=1)
    noise = np.stack([np.diag(row) for row in np.square(stds)])
    means = means @ _STEP.T
    covariances = _STEP @ covariances @ _STEP.T + noise
    for track, mean, covariance in zip(tracks, means, covariances, strict=True):
        track.mean, track.covariance = mean, covariance


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over union [A, B], with the last pixel included."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low + 1, 0, None).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2] + 1).prod(1), (b[:, 2:] - b[:, :2] + 1).prod(1)
    return shared / (area_a[:, None] + area_b - shared)
