"""How far apart looks are in this video with this encoder: every encoder has a scale of its own."""

import numpy as np

# What is assumed before anything is seen, and how many pairs that is worth (OSNet on street video).
_SAME, _STRANGERS, _PAIRS = 0.08, 0.55, 20.0
_STRANGERS_PER_SAME = (
    7.0  # the less an encoder changes its mind about one person, the smaller are its distances
)
_ENOUGH = 2000  # pairs of either kind: more would not change the mean
_SURE_IOU = 0.6  # who overlaps so much with the box foreseen, and nobody else does, is the same person


class DistanceScale:
    """Learns the mean distance between two people seen at once, and of one person to its own past."""

    def __init__(self, strangers: float | None = None) -> None:
        """strangers: a distance to use as it is, without learning; None: learn it."""
        self._fixed = strangers
        self._strangers_sum, self._strangers_count = 0.0, 0
        self._same_sum, self._same_count = _SAME * _PAIRS, _PAIRS

    @property
    def learning(self) -> bool:
        """Whether `learn` still has a use."""
        return not self._fixed and min(self._strangers_count, self._same_count) < _ENOUGH

    @property
    def same(self) -> float:
        """The mean part distance of a person to what is remembered of it; 0 where the scale is fixed."""
        return 0.0 if self._fixed else self._same_sum / self._same_count

    @property
    def strangers(self) -> float:
        """The mean part distance between two people, above 0; rather too large where few were seen."""
        return self._strangers(max(_STRANGERS, _STRANGERS_PER_SAME * self.same))

    @property
    def strangers_at_least(self) -> float:
        """The same, rather too small where few were seen at once."""
        return self._strangers(min(_STRANGERS, _STRANGERS_PER_SAME * self.same))

    @property
    def trust(self) -> float:
        """How well the encoder tells people apart, in [0, 1]; 0: not at all."""
        return max(1 - self.same / self.strangers, 0.0)

    def _strangers(self, assumed: float) -> float:
        if self._fixed:
            return self._fixed
        return max((self._strangers_sum + _PAIRS * assumed) / (self._strangers_count + _PAIRS), 1e-6)

    def learn(self, distance: np.ndarray, overlap: np.ndarray) -> None:
        """distance and overlap (IoU): [T, N] of people just seen to the clear detections of this frame.

        Only position says here who is who: with an encoder that errs, looks would confirm themselves.
        """
        if not (self.learning and distance.size):
            return
        people, rows = np.nonzero(alone(overlap) & np.isfinite(distance))
        self._same_sum += float(distance[people, rows].sum())
        self._same_count += len(people)
        between = distance[np.ix_(people, rows)]
        other = np.isfinite(between) & ~np.eye(len(people), dtype=bool)
        self._strangers_sum += float(between[other].sum())
        self._strangers_count += int(other.sum())


def alone(overlap: np.ndarray) -> np.ndarray:
    """[T, N] bool: position leaves no doubt that this is that person. overlap: IoU with boxes foreseen."""
    near = overlap > _SURE_IOU
    return near & (near.sum(0) == 1) & (near.sum(1) == 1)[:, None]
