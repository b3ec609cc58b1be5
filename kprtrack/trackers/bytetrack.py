"""ByteTrack with the exact results of the official program: association by the overlap of boxes alone.

Source: Zhang et al., ByteTrack, ECCV 2022; rules and their edge cases in
docs/reference/tracking_and_evaluation.md 4.
"""

from dataclasses import dataclass

import numpy as np

from kprtrack.core.assignment import Assignment, assign
from kprtrack.core.datatypes import Observation, Tracks
from kprtrack.core.errors import UserError
from kprtrack.core.geometry import iou_inclusive
from kprtrack.pipeline import BaseTracker
from kprtrack.trackers.motion import BoxMotion

_LOW_SCORE = 0.1  # detections up to here are ignored
_NEW_TRACK_MARGIN = 0.1  # a new track needs this much more than track_thresh
_LOW_MAX_COST = 0.5  # second stage: tracks of the frame before with the low detections
_UNCONFIRMED_MAX_COST = 0.7  # third stage: unconfirmed tracks with the high detections left
_DUPLICATE_COST = 0.15  # a tracked and a lost track closer than this are duplicates
_UNMATCHED = -1

_TRACK = np.dtype(
    [
        ("id", np.int64),
        ("confirmed", bool),  # matched in two consecutive frames, or started in the first frame
        ("lost", bool),
        ("expired", bool),  # lost for too long; the official program removes it one frame late
        ("start", np.int64),  # update in which it started
        ("last", np.int64),  # update of its last detection
        ("detection", np.int64),  # row of its detection in this frame
    ]
)


@dataclass(frozen=True)
class ByteTrackConfig:
    """The official settings, with the time to keep a lost track in seconds instead of frames.

    Raises:
        UserError: A value is outside its range.

    Examples:
        >>> ByteTrackConfig(track_thresh=0.5).match_thresh
        0.8
    """

    track_thresh: float = 0.6  # scores above are high, below (and above 0.1) low, equal to it ignored
    match_thresh: float = 0.8  # first stage: highest cost, 1 - IoU x score
    max_lost_s: float = 1.0  # int(fps × this) frames; 1.0 is the official track_buffer of 30
    fuse_score: bool = True  # cost by IoU x score; the official program sets it to False for MOT20

    def __post_init__(self) -> None:
        for name in ("track_thresh", "match_thresh"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name)}. Give a number from 0 to 1.")
        if not 0 <= self.max_lost_s < np.inf:
            raise UserError(f"max_lost_s is {self.max_lost_s}. Give seconds, 0 or more.")


class ByteTrack(BaseTracker):
    """Tracks the people of one video by boxes and scores; poses and visibilities are passed through.

    Args:
        config: Thresholds.
        fps: Updates per second of video (the frame rate divided by the stride).

    Raises:
        UserError: The frame rate is not above 0.

    Examples:
        >>> import numpy as np
        >>> from kprtrack import ByteTrack, ByteTrackConfig, Detections, Observation, Poses
        >>> from kprtrack import empty_appearance
        >>> tracker = ByteTrack(ByteTrackConfig(), fps=25)
        >>> detections = Detections(np.float32([[10, 20, 60, 180]]), np.float32([0.9]))
        >>> poses = Poses(np.zeros((1, 17, 3), np.float32))
        >>> tracker.update(Observation(0, 0.0, detections, poses, empty_appearance(1))).ids
        array([1])
    """

    output_delay_s = 0.0  # IDs are final at once

    def __init__(self, config: ByteTrackConfig, fps: float) -> None:
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
        """[M, 4] float64 x1 y1 x2 y2, filtered boxes of the last tracks: the official program's output."""
        boxes: np.ndarray = self._motion.boxes[self._output_rows()]
        return boxes

    def update(self, observation: Observation) -> Tracks:
        """Associate the next observation; one call is one frame, whatever its time.

        Args:
            observation: Detections of a frame; boxes without width or height are ignored.

        Returns:
            The tracks of this frame with the official IDs and the detector's own boxes.
        """
        self._updates += 1
        self._tracks["detection"] = _UNMATCHED
        was_expired = self._tracks["expired"].copy()
        was_lost = self._tracks["lost"].copy()
        boxes, scores = observation.detections.boxes.astype(np.float64), observation.detections.scores
        solid = (boxes[:, 2:] > boxes[:, :2]).all(1)
        threshold = self._config.track_thresh
        high = np.flatnonzero(solid & (scores > threshold))
        low = np.flatnonzero(solid & (scores > _LOW_SCORE) & (scores < threshold))

        self._predict()
        left = self._match_confirmed(boxes, scores, high, low)
        left = self._match_unconfirmed(boxes, scores, left)
        self._initiate(boxes, left[scores[left] >= threshold + _NEW_TRACK_MARGIN])
        self._expire(was_lost)
        self._remove(was_lost, was_expired)
        return self._output(observation)

    def finalize(self, tracks: Tracks) -> Tracks:
        """Return `tracks` unchanged."""
        return tracks

    def _predict(self) -> None:
        # The official program does not predict unconfirmed tracks.
        self._motion.hold_height(self._tracks["lost"])
        self._motion.predict(rows=self._tracks["confirmed"])

    def _match_confirmed(
        self, boxes: np.ndarray, scores: np.ndarray, high: np.ndarray, low: np.ndarray
    ) -> np.ndarray:
        """Stages 1 and 2; the unmatched high detections."""
        pool = np.flatnonzero(self._tracks["confirmed"])
        found = self._match(pool, boxes, high, scores, max_cost=self._config.match_thresh)
        left = pool[found.unmatched_rows]
        left = left[~self._tracks["lost"][left]]
        found_low = self._match(left, boxes, low, None, max_cost=_LOW_MAX_COST)
        self._tracks["lost"][left[found_low.unmatched_rows]] = True
        unmatched: np.ndarray = high[found.unmatched_columns]
        return unmatched

    def _match_unconfirmed(self, boxes: np.ndarray, scores: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Stage 3; the high detections still unmatched."""
        unconfirmed = np.flatnonzero(~self._tracks["confirmed"])
        found = self._match(unconfirmed, boxes, left, scores, max_cost=_UNCONFIRMED_MAX_COST)
        unmatched: np.ndarray = left[found.unmatched_columns]
        return unmatched

    def _match(
        self,
        tracks: np.ndarray,
        boxes: np.ndarray,
        detections: np.ndarray,
        scores: np.ndarray | None,
        *,
        max_cost: float,
    ) -> Assignment:
        """Assign these detections to these tracks and update the matched tracks."""
        similarity = iou_inclusive(self._motion.boxes[tracks], boxes[detections])
        if scores is not None and self._config.fuse_score:
            similarity *= scores[detections]
        found = assign(1 - similarity, max_cost)
        rows, partners = tracks[found.rows], detections[found.columns]
        if len(rows):
            self._motion.update(rows, boxes[partners])
            self._tracks["detection"][rows] = partners
            self._tracks["last"][rows] = self._updates
            self._tracks["confirmed"][rows] = True
            self._tracks["lost"][rows] = False
        return found

    def _initiate(self, boxes: np.ndarray, detections: np.ndarray) -> None:
        new = np.zeros(len(detections), _TRACK)
        new["id"] = self._next_id + np.arange(len(detections))
        new["confirmed"] = self._updates == 1
        new["start"] = new["last"] = self._updates
        new["detection"] = detections
        self._next_id += len(detections)
        self._tracks = np.concatenate((self._tracks, new))
        self._motion.add(boxes[detections])

    def _expire(self, was_lost: np.ndarray) -> None:
        """Mark tracks that were lost before this frame and now are for too long."""
        lost_for = self._updates - self._tracks["last"]
        self._tracks["expired"][: len(was_lost)] |= (
            was_lost & (lost_for > self._max_lost_frames)[: len(was_lost)]
        )

    def _remove(self, was_lost: np.ndarray, was_expired: np.ndarray) -> None:
        """Remove expired, unmatched unconfirmed and duplicate tracks; restore the official order."""
        tracks = self._tracks
        started = len(tracks) - len(was_lost)
        was_lost, was_expired = np.pad(was_lost, (0, started)), np.pad(was_expired, (0, started))
        tracked = tracks["detection"] != _UNMATCHED  # unmatched unconfirmed tracks end here
        # A track matched again after it expired keeps the mark, and is removed the next time.
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
        self._remove_duplicates()

    def _remove_duplicates(self) -> None:
        """Of a tracked and a lost track in one place the older stays; of equals, the lost one."""
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
        age = self._tracks["last"] - self._tracks["start"]
        older = age[tracked] > age[others]
        duplicate = np.zeros(len(lost), bool)
        duplicate[others[older]] = True
        duplicate[tracked[~older]] = True
        self._keep(np.flatnonzero(~duplicate))

    def _keep(self, rows: np.ndarray) -> None:
        self._tracks = self._tracks[rows]
        self._motion.keep(rows)

    def _output_rows(self) -> np.ndarray:
        """Rows of confirmed tracks with a detection."""
        return np.flatnonzero(self._tracks["confirmed"] & ~self._tracks["lost"])

    def _output(self, observation: Observation) -> Tracks:
        tracks = self._tracks[self._output_rows()]
        rows = tracks["detection"]
        unknown = np.full(len(rows), np.nan, np.float32)  # boxes were compared, not embeddings
        return Tracks(
            frame_number=observation.frame_number,
            time_s=observation.time_s,
            ids=tracks["id"].copy(),
            boxes=observation.detections.boxes[rows],
            scores=observation.detections.scores[rows],
            keypoints=observation.poses.keypoints[rows],
            distances=unknown,
            margins=unknown.copy(),
            visible=observation.embeddings.visible[rows],
            prompted=observation.embeddings.prompted[rows],
            skeleton=observation.poses.skeleton,
        )
