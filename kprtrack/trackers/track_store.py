"""What a tracker remembers of everybody it has met, as arrays with one row a person."""

from dataclasses import dataclass, field

import numpy as np

from kprtrack.core.appearance import Appearance, blend, empty_appearance
from kprtrack.core.datatypes import Observation
from kprtrack.trackers.motion import BoxMotion

_ARRAYS = (
    *("ids", "first_seen_s", "last_seen_s", "best_scores", "reid_until_s"),
    *("keypoints", "keypoint_boxes", "updates"),
)


@dataclass
class TrackStore:
    """All people a tracker knows: seen now, just lost, or long gone. Row i is one person everywhere."""

    ids: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int64)
    )  # negative: not yet sure to be a person
    first_seen_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    last_seen_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    best_scores: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.float32)
    )  # of all their detections
    reid_until_s: np.ndarray = field(default_factory=lambda: np.zeros(0))  # may be a lost person until then
    keypoints: np.ndarray = field(default_factory=lambda: np.zeros((0, 17, 3), np.float32))  # when last seen
    keypoint_boxes: np.ndarray = field(
        default_factory=lambda: np.zeros((0, 4), np.float32)
    )  # box of that moment
    updates: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int64)
    )  # clear looks blended into `looks`
    embeddings: Appearance | None = (
        None  # moving average per part; None until the first person shows its size
    )
    motion: BoxMotion = field(default_factory=BoxMotion)

    def __len__(self) -> int:
        return len(self.ids)

    def add(
        self, observation: Observation, rows: np.ndarray, ids: np.ndarray, unoccluded: np.ndarray
    ) -> None:
        """Remember the detections `rows` [K] as new people; `clear` [K]: whose looks can be trusted."""
        if not len(rows):
            return
        if self.embeddings is None:
            self.embeddings = empty_appearance(0, *observation.embeddings.features.shape[1:])
        embeddings, now = observation.embeddings[rows], np.full(len(rows), observation.time_s)
        for name, more in {
            "ids": ids,
            "first_seen_s": now,
            "last_seen_s": now,
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

    def embeddings_of(self, rows: np.ndarray) -> Appearance:
        """What is remembered of the looks of the people `rows`."""
        assert self.embeddings is not None, "nobody was ever added"
        return self.embeddings[rows]

    def update_state(self, track_rows: np.ndarray, observation: Observation, rows: np.ndarray) -> None:
        """Move the people `mine` to the detections `rows`; their looks are left alone."""
        self.last_seen_s[track_rows] = observation.time_s
        self.best_scores[track_rows] = np.maximum(
            self.best_scores[track_rows], observation.detections.scores[rows]
        )
        self.keypoints[track_rows] = observation.poses.keypoints[rows]
        self.keypoint_boxes[track_rows] = observation.detections.boxes[rows]
        self.motion.update(track_rows, observation.detections.boxes[rows])

    def update_embedding(self, track_rows: np.ndarray, new: Appearance, momentum: float) -> None:
        """Blend `new` into the looks of the people `mine`, part by part."""
        if self.embeddings is None or not len(
            track_rows
        ):  # a frame without people may not know the size of looks
            return
        weight = np.minimum(momentum, self.updates[track_rows] / (self.updates[track_rows] + 1))
        past = self.embeddings[track_rows]
        past.visible[self.updates[track_rows] == 0] = False  # so far only somebody in front was to be seen
        mixed = blend(past, new, weight)
        self.embeddings.features[track_rows] = mixed.features
        self.embeddings.visible[track_rows] = mixed.visible
        self.updates[track_rows] += 1

    def keep(self, kept: np.ndarray) -> None:
        """Forget everybody outside the mask `kept`."""
        if kept.all():
            return
        for name in _ARRAYS:
            setattr(self, name, getattr(self, name)[kept])
        if self.embeddings is not None:
            self.embeddings = self.embeddings[kept]
        self.motion.keep(kept)
