"""All tracks of a video as arrays with one row per track."""

from dataclasses import dataclass, field

import numpy as np

from kprtrack.core.appearance import Appearance, blend, empty_appearance
from kprtrack.core.datatypes import Observation
from kprtrack.core.errors import UserError
from kprtrack.trackers.motion import BoxMotion

_ARRAYS = (
    *("ids", "first_seen_s", "last_seen_s", "embedded_s", "best_scores", "reid_until_s"),
    *("keypoints", "keypoint_boxes", "updates"),
)


@dataclass
class TrackStore:
    """Tentative, confirmed and lost tracks; row i is the same track in every array."""

    ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # [T] negative: tentative
    first_seen_s: np.ndarray = field(default_factory=lambda: np.zeros(0))  # [T]
    last_seen_s: np.ndarray = field(default_factory=lambda: np.zeros(0))  # [T]
    embedded_s: np.ndarray = field(default_factory=lambda: np.zeros(0))  # [T] last update of the embedding
    # [T] highest score of all detections of the track
    best_scores: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    # [T] until then the track may be re-identified as a lost one
    reid_until_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    # [T, K, 3] and [T, 4] of the last detection
    keypoints: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 3), np.float32))
    keypoint_boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    # [T] unoccluded embeddings in the moving average
    updates: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    embeddings: Appearance | None = None  # [T, P, D] moving average per part; None before the first track
    motion: BoxMotion = field(default_factory=BoxMotion)

    def __len__(self) -> int:
        return len(self.ids)

    def add(
        self, observation: Observation, rows: np.ndarray, ids: np.ndarray, unoccluded: np.ndarray
    ) -> None:
        """Start tracks.

        Args:
            observation: The frame.
            rows: [K] detections that start a track.
            ids: [K] IDs of the tracks.
            unoccluded: [K] bool, whether the embedding shows this person only.
        """
        if not len(rows):
            return
        if self.embeddings is None:
            self.embeddings = empty_appearance(0, *observation.embeddings.features.shape[1:])
        if not len(self):  # the first tracks decide on the set of keypoints
            self.keypoints = observation.poses.keypoints[:0]
        embeddings, now = observation.embeddings[rows], np.full(len(rows), observation.time_s)
        for name, more in {
            "ids": ids,
            "first_seen_s": now,
            "last_seen_s": now,
            "embedded_s": now,
            "best_scores": observation.detections.scores[rows],
            "reid_until_s": np.full(len(rows), -np.inf),
            "keypoints": observation.poses.keypoints[rows],
            "keypoint_boxes": observation.detections.boxes[rows],
            "updates": unoccluded.astype(np.int64),
        }.items():
            setattr(self, name, np.concatenate([getattr(self, name), more]))
        self.embeddings = Appearance(
            np.concatenate([self.embeddings.features, embeddings.features]),
            np.concatenate([self.embeddings.visible, embeddings.visible]),
            np.concatenate([self.embeddings.prompted, embeddings.prompted]),
        )
        self.motion.add(observation.detections.boxes[rows])

    def validate_skeleton(self, observation: Observation) -> None:
        """Raise UserError if the keypoints of a frame are of another set than those of the tracks."""
        found, known = observation.poses.keypoints.shape[1], self.keypoints.shape[1]
        if len(self) and len(observation) and found != known:
            raise UserError(
                f"Frame {observation.frame_number} has {found} keypoints for each person, the frames before"
                f" {known}. Give one set of keypoints in all frames of a video."
            )

    def embeddings_of(self, rows: np.ndarray) -> Appearance:
        """The moving averages of the tracks `rows`."""
        assert self.embeddings is not None, "no track was ever added"
        return self.embeddings[rows]

    def update_state(self, track_rows: np.ndarray, observation: Observation, rows: np.ndarray) -> None:
        """Move the tracks `track_rows` [K] to the detections `rows` [K]; embeddings are left alone."""
        if not len(rows):
            return
        scores, boxes = observation.detections.scores[rows], observation.detections.boxes[rows]
        self.last_seen_s[track_rows] = observation.time_s
        self.best_scores[track_rows] = np.maximum(self.best_scores[track_rows], scores)
        self.keypoints[track_rows] = observation.poses.keypoints[rows]
        self.keypoint_boxes[track_rows] = boxes
        self.motion.update(track_rows, boxes)

    def update_embedding(
        self, track_rows: np.ndarray, new: Appearance, momentum: float, time_s: float
    ) -> None:
        """Blend `new`, seen at `time_s`, into the embeddings of the tracks `track_rows`, part by part."""
        # A frame without people need not have the shape of the embeddings.
        if self.embeddings is None or not len(track_rows):
            return
        updates = self.updates[track_rows]
        weight = np.minimum(momentum, updates / (updates + 1))
        past = self.embeddings[track_rows]
        past.visible[updates == 0] = False  # so far the person was occluded
        mixed = blend(past, new, weight)
        self.embeddings.features[track_rows] = mixed.features
        self.embeddings.visible[track_rows] = mixed.visible
        self.updates[track_rows] += 1
        self.embedded_s[track_rows] = time_s

    def keep(self, kept: np.ndarray) -> None:
        """Remove all tracks outside the mask `kept`."""
        if kept.all():
            return
        for name in _ARRAYS:
            setattr(self, name, getattr(self, name)[kept])
        if self.embeddings is not None:
            self.embeddings = self.embeddings[kept]
        self.motion.keep(kept)
