"""ByteTrack, exactly: follows people by the overlap of boxes alone, with every habit of the official program.

Source: Zhang et al., ByteTrack, ECCV 2022; rules and their edge cases in
docs/reference/tracking_and_evaluation.md 4.
"""

from dataclasses import dataclass

import numpy as np

from kprtrack.core.assignment import Assignment, pair
from kprtrack.core.datatypes import Observation, Tracks
from kprtrack.core.errors import UserError
from kprtrack.core.geometry import iou_inclusive
from kprtrack.trackers.motion import BoxMotion

_LOW_SCORE = 0.1  # detections up to here are ignored
_BIRTH_MARGIN = 0.1  # a new track needs this much more than track_thresh
_LOW_MAX_COST = 0.5  # second stage: tracked people with low detections
_UNCONFIRMED_MAX_COST = 0.7  # third stage: yesterday's newcomers with the high detections left
_DUPLICATE_COST = 0.15  # a tracked and a lost person closer than this are the same
_NO_DETECTION = -1

_TRACK = np.dtype(
    [
        ("id", np.int64),
        ("confirmed", bool),  # seen in two frames running, or born in the first frame
        ("lost", bool),
        ("expired", bool),  # lost for too long; the official program takes note of that one frame late
        ("born", np.int64),  # update in which it started
        ("seen", np.int64),  # update of its last detection
        ("detection", np.int64),  # row of its detection in this frame
    ]
)


@dataclass(frozen=True)
class ByteTrackConfig:
    """The official settings; a lost person is remembered for seconds instead of frames."""

    track_thresh: float = 0.6  # scores above are high, below (and above 0.1) low, equal to it ignored
    match_thresh: float = 0.8  # first stage: greatest cost, 1 - IoU × score
    max_lost_s: float = 1.0  # int(fps × this) frames; 1.0 is the official track_buffer of 30
    fuse_score: bool = True  # the official program switches the score off for MOT20

    def __post_init__(self) -> None:
        for name in ("track_thresh", "match_thresh"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name)}. Give a number from 0 to 1.")
        if not 0 <= self.max_lost_s < np.inf:
            raise UserError(f"max_lost_s is {self.max_lost_s}. Give seconds, 0 or more.")


class ByteTrack:
    """Follows people through one video by boxes and scores; looks and poses are passed through."""

    output_delay_s = 0.0  # identities are final at once

    def __init__(self, config: ByteTrackConfig, fps: float) -> None:
        """fps: updates per second of video (the frame rate divided by the stride)."""
        if not 0 < fps < np.inf:
            raise UserError(f"The frame rate is {fps}. Give frames per second, more than 0.")
        self._config = config
        self._max_lost_frames = int(fps * config.max_lost_s + 1e-9)  # 1e-9: 100 × 0.29 is 28.99...96
        self._motion = BoxMotion()  # row i belongs to self._tracks[i]
        self._tracks = np.zeros(0, _TRACK)  # in the official order: first the tracked, then the lost
        self._updates = 0
        self._next_id = 1

    @property
    def kalman_boxes(self) -> np.ndarray:
        """[M, 4] float64 x1 y1 x2 y2, filtered boxes of the last Tracks: the official program's output."""
        return self._motion.boxes[self._shown()]

    def update(self, seen: Observation) -> Tracks:
        """The people of this frame with the official identities and the detector's own boxes.

        Boxes without width or height are ignored. The official program never looks at the clock: one call is
        one frame.
        """
        self._updates += 1
        self._tracks["detection"] = _NO_DETECTION
        was_expired = self._tracks["expired"].copy()
        was_lost = self._tracks["lost"].copy()
        boxes, scores = seen.detections.boxes.astype(np.float64), seen.detections.scores
        solid = (boxes[:, 2:] > boxes[:, :2]).all(1)
        threshold = self._config.track_thresh
        high = np.flatnonzero(solid & (scores > threshold))
        low = np.flatnonzero(solid & (scores > _LOW_SCORE) & (scores < threshold))

        self._predict()
        rest = self._continue_confirmed(boxes, scores, high, low)
        rest = self._continue_unconfirmed(boxes, scores, rest)
        self._start(boxes, rest[scores[rest] >= threshold + _BIRTH_MARGIN])
        self._expire(was_lost)
        self._sort_out(was_lost, was_expired)
        return self._report(seen)

    def finalize(self, tracks: Tracks) -> Tracks:
        """`tracks` as they are."""
        return tracks

    def _predict(self) -> None:
        # Unconfirmed tracks wait where they are: the official program moves only the others.
        self._motion.hold_height(self._tracks["lost"])
        self._motion.predict(rows=self._tracks["confirmed"])

    def _continue_confirmed(
        self, boxes: np.ndarray, scores: np.ndarray, high: np.ndarray, low: np.ndarray
    ) -> np.ndarray:
        """Stages 1 and 2; the high detections nobody took."""
        pool = np.flatnonzero(self._tracks["confirmed"])
        found = self._match(pool, boxes, high, scores, max_cost=self._config.match_thresh)
        left = pool[found.unmatched_rows]
        left = left[~self._tracks["lost"][left]]
        found_low = self._match(left, boxes, low, None, max_cost=_LOW_MAX_COST)
        self._tracks["lost"][left[found_low.unmatched_rows]] = True
        return high[found.unmatched_columns]

    def _continue_unconfirmed(self, boxes: np.ndarray, scores: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Stage 3; the high detections still left."""
        newcomers = np.flatnonzero(~self._tracks["confirmed"])
        found = self._match(newcomers, boxes, rest, scores, max_cost=_UNCONFIRMED_MAX_COST)
        return rest[found.unmatched_columns]

    def _match(
        self,
        tracks: np.ndarray,
        boxes: np.ndarray,
        detections: np.ndarray,
        scores: np.ndarray | None,
        *,
        max_cost: float,
    ) -> Assignment:
        """Pair these rows of tracks with these rows of detections, and carry the pairs into the tracks."""
        likeness = iou_inclusive(self._motion.boxes[tracks], boxes[detections])
        if scores is not None and self._config.fuse_score:
            likeness *= scores[detections]
        found = pair(1 - likeness, max_cost)
        rows, partners = tracks[found.rows], detections[found.columns]
        if len(rows):
            self._motion.update(rows, boxes[partners])
            self._tracks["detection"][rows] = partners
            self._tracks["seen"][rows] = self._updates
            self._tracks["confirmed"][rows] = True
            self._tracks["lost"][rows] = False
        return found

    def _start(self, boxes: np.ndarray, detections: np.ndarray) -> None:
        born = np.zeros(len(detections), _TRACK)
        born["id"] = self._next_id + np.arange(len(detections))
        born["confirmed"] = self._updates == 1
        born["born"] = born["seen"] = self._updates
        born["detection"] = detections
        self._next_id += len(detections)
        self._tracks = np.concatenate((self._tracks, born))
        self._motion.add(boxes[detections])

    def _expire(self, was_lost: np.ndarray) -> None:
        """Note who was lost before this frame and has now been away for too long."""
        away = self._updates - self._tracks["seen"]
        self._tracks["expired"][: len(was_lost)] |= was_lost & (away > self._max_lost_frames)[: len(was_lost)]

    def _sort_out(self, was_lost: np.ndarray, was_expired: np.ndarray) -> None:
        """Drop who is gone or double, and bring the rest into the official order."""
        tracks = self._tracks
        newborn = len(tracks) - len(was_lost)
        was_lost, was_expired = np.pad(was_lost, (0, newborn)), np.pad(was_expired, (0, newborn))
        tracked = tracks["detection"] != _NO_DETECTION  # an unconfirmed track without a detection ends here
        # Someone found again after having expired keeps the mark, and is gone the next time.
        lost = tracks["lost"] & ~was_expired
        order = np.concatenate(
            (
                np.flatnonzero(tracked & ~was_lost),
                np.flatnonzero(tracked & was_lost),
                np.flatnonzero(lost & was_lost),
                np.flatnonzero(lost & ~was_lost),
            )
        )
        self._keep(order)
        self._drop_doubles()

    def _drop_doubles(self) -> None:
        """Of a tracked and a lost person in one place the longer-lived stays; of equals, the lost one."""
        lost = self._tracks["lost"]
        if not lost.any():
            return
        first_lost = int(lost.argmax())
        boxes = self._motion.boxes
        cost = 1 - iou_inclusive(boxes[:first_lost], boxes[first_lost:])
        tracked, others = np.nonzero(cost < _DUPLICATE_COST)
        if not len(tracked):
            return
        others += first_lost
        age = self._tracks["seen"] - self._tracks["born"]
        older = age[tracked] > age[others]
        double = np.zeros(len(lost), bool)
        double[others[older]] = True
        double[tracked[~older]] = True
        self._keep(np.flatnonzero(~double))

    def _keep(self, rows: np.ndarray) -> None:
        self._tracks = self._tracks[rows]
        self._motion.keep(rows)

    def _shown(self) -> np.ndarray:
        """Rows to put out: the confirmed with a detection."""
        return np.flatnonzero(self._tracks["confirmed"] & ~self._tracks["lost"])

    def _report(self, seen: Observation) -> Tracks:
        shown = self._tracks[self._shown()]
        rows = shown["detection"]
        unknown = np.full(len(rows), np.nan, np.float32)  # boxes were compared, not looks
        return Tracks(
            frame_number=seen.frame_number,
            time_s=seen.time_s,
            ids=shown["id"].copy(),
            boxes=seen.detections.boxes[rows],
            scores=seen.detections.scores[rows],
            keypoints=seen.poses.keypoints[rows],
            distances=unknown,
            margins=unknown.copy(),
            visible=seen.embeddings.visible[rows],
            prompted=seen.embeddings.prompted[rows],
        )
