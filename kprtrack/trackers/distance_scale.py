"""How far apart looks are in this video with this encoder: every encoder has a scale of its own."""

import numpy as np

# What is assumed before anything is seen, and how many pairs that is worth (OSNet on street video).
_INTRA_IDENTITY, _INTER_IDENTITY, _PAIRS = 0.08, 0.55, 20.0
_INTER_PER_INTRA = 7.0  # the less an encoder changes its mind about one person, the smaller are its distances
_ENOUGH = 2000  # pairs of either kind: more would not change the mean
_CERTAIN_IOU = 0.6  # who overlaps so much with the box foreseen, and nobody else does, is the same person


class DistanceScale:
    """Learns the mean distance between two people seen at once, and of one person to its own past."""

    def __init__(self, inter_identity: float | None = None) -> None:
        """strangers: a distance to use as it is, without learning; None: learn it."""
        self._fixed = inter_identity
        self._inter_sum, self._inter_count = 0.0, 0
        self._intra_sum, self._intra_count = _INTRA_IDENTITY * _PAIRS, _PAIRS

    @property
    def learning(self) -> bool:
        """Whether `learn` still has a use."""
        return not self._fixed and min(self._inter_count, self._intra_count) < _ENOUGH

    @property
    def intra_identity(self) -> float:
        """The mean part distance of a person to what is remembered of it; 0 where the scale is fixed."""
        return 0.0 if self._fixed else self._intra_sum / self._intra_count

    @property
    def inter_identity(self) -> float:
        """The mean part distance between two people, above 0; rather too large where few were seen."""
        return self._inter_identity(max(_INTER_IDENTITY, _INTER_PER_INTRA * self.intra_identity))

    @property
    def inter_identity_lower_bound(self) -> float:
        """The same, rather too small where few were seen at once."""
        return self._inter_identity(min(_INTER_IDENTITY, _INTER_PER_INTRA * self.intra_identity))

    @property
    def discriminability(self) -> float:
        """How well the encoder tells people apart, in [0, 1]; 0: not at all."""
        return max(1 - self.intra_identity / self.inter_identity, 0.0)

    def _inter_identity(self, assumed: float) -> float:
        if self._fixed:
            return self._fixed
        return max((self._inter_sum + _PAIRS * assumed) / (self._inter_count + _PAIRS), 1e-6)

    def update(self, distance: np.ndarray, overlap: np.ndarray) -> None:
        """distance and overlap (IoU): [T, N] of people just seen to the clear detections of this frame.

        Only position says here who is who: with an encoder that errs, looks would confirm themselves.
        """
        if not (self.learning and distance.size):
            return
        store, rows = np.nonzero(unambiguous(overlap) & np.isfinite(distance))
        self._intra_sum += float(distance[store, rows].sum())
        self._intra_count += len(store)
        between = distance[np.ix_(store, rows)]
        other = np.isfinite(between) & ~np.eye(len(store), dtype=bool)
        self._inter_sum += float(between[other].sum())
        self._inter_count += int(other.sum())


def unambiguous(overlap: np.ndarray) -> np.ndarray:
    """[T, N] bool: position leaves no doubt that this is that person. overlap: IoU with boxes foreseen."""
    near = overlap > _CERTAIN_IOU
    return near & (near.sum(0) == 1) & (near.sum(1) == 1)[:, None]
