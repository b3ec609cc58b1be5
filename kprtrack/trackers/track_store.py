"""What a tracker remembers of everybody it has met, as arrays with one row a person."""

from dataclasses import dataclass, field

import numpy as np

from kprtrack.core.appearance import Appearance, blend, empty_appearance
from kprtrack.core.datatypes import Observation
from kprtrack.trackers.motion import BoxMotion

_ARRAYS = (
    *("ids", "first_seen_s", "last_seen_s", "best_scores", "newcomer_until_s"),
    *("keypoints", "keypoint_boxes", "sights"),
)


@dataclass
class People:
    """All people a tracker knows: seen now, just lost, or long gone. Row i is one person everywhere."""

    ids: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int64)
    )  # negative: not yet sure to be a person
    first_seen_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    last_seen_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    best_scores: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.float32)
    )  # of all their detections
    newcomer_until_s: np.ndarray = field(
        default_factory=lambda: np.zeros(0)
    )  # may be a lost person until then
    keypoints: np.ndarray = field(default_factory=lambda: np.zeros((0, 17, 3), np.float32))  # when last seen
    keypoint_boxes: np.ndarray = field(
        default_factory=lambda: np.zeros((0, 4), np.float32)
    )  # box of that moment
    sights: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int64)
    )  # clear looks blended into `looks`
    looks: Appearance | None = None  # moving average per part; None until the first person shows its size
    motion: BoxMotion = field(default_factory=BoxMotion)

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, seen: Observation, rows: np.ndarray, ids: np.ndarray, clear: np.ndarray) -> None:
        """Remember the detections `rows` [K] as new people; `clear` [K]: whose looks can be trusted."""
        if not len(rows):
            return
        if self.looks is None:
            self.looks = empty_appearance(0, *seen.looks.features.shape[1:])
        looks, now = seen.looks[rows], np.full(len(rows), seen.time_s)
        for name, more in {
            "ids": ids,
            "first_seen_s": now,
            "last_seen_s": now,
            "best_scores": seen.detections.scores[rows],
            "newcomer_until_s": np.full(len(rows), -np.inf),
            "keypoints": seen.poses.keypoints[rows],
            "keypoint_boxes": seen.detections.boxes[rows],
            "sights": clear.astype(np.int64),
        }.items():
            setattr(self, name, np.concatenate([getattr(self, name), more]))
        self.looks = Appearance(
            np.concatenate([self.looks.features, looks.features]),
            np.concatenate([self.looks.visible, looks.visible]),
            np.concatenate([self.looks.prompted, looks.prompted]),
        )
        self.motion.add(seen.detections.boxes[rows])

    def looks_of(self, rows: np.ndarray) -> Appearance:
        """What is remembered of the looks of the people `rows`."""
        assert self.looks is not None, "nobody was ever added"
        return self.looks[rows]

    def see(self, mine: np.ndarray, seen: Observation, rows: np.ndarray) -> None:
        """Move the people `mine` to the detections `rows`; their looks are left alone."""
        self.last_seen_s[mine] = seen.time_s
        self.best_scores[mine] = np.maximum(self.best_scores[mine], seen.detections.scores[rows])
        self.keypoints[mine] = seen.poses.keypoints[rows]
        self.keypoint_boxes[mine] = seen.detections.boxes[rows]
        self.motion.update(mine, seen.detections.boxes[rows])

    def learn(self, mine: np.ndarray, new: Appearance, momentum: float) -> None:
        """Blend `new` into the looks of the people `mine`, part by part."""
        if self.looks is None or not len(mine):  # a frame without people may not know the size of looks
            return
        weight = np.minimum(momentum, self.sights[mine] / (self.sights[mine] + 1))
        past = self.looks[mine]
        past.visible[self.sights[mine] == 0] = False  # so far only somebody in front was to be seen
        mixed = blend(past, new, weight)
        self.looks.features[mine] = mixed.features
        self.looks.visible[mine] = mixed.visible
        self.sights[mine] += 1

    def keep(self, kept: np.ndarray) -> None:
        """Forget everybody outside the mask `kept`."""
        if kept.all():
            return
        for name in _ARRAYS:
            setattr(self, name, getattr(self, name)[kept])
        if self.looks is not None:
            self.looks = self.looks[kept]
        self.motion.keep(kept)
