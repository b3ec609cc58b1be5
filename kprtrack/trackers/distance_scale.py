"""The scale of an encoder's part distances in one video, estimated online."""

import numpy as np

# The prior, and the number of pairs it is worth (OSNet on street video).
_INTRA_IDENTITY, _INTER_IDENTITY, _PAIRS = 0.08, 0.55, 20.0
_INTER_PER_INTRA = 7.0  # prior of their ratio: an encoder with less noise has smaller distances
_KNOWN = 200  # pairs of either kind beside which the prior hardly matters
_ENOUGH = 2000  # pairs of either kind: more would not change the mean
_CERTAIN_IOU = 0.6  # a detection above it, and no other, is the track's


class DistanceScale:
    """Estimates the mean inter-identity and intra-identity distance from position alone."""

    def __init__(self, inter_identity: float | None = None) -> None:
        """Start from the prior.

        Args:
            inter_identity: A distance to use as it is; None: estimate it.
        """
        self._fixed = inter_identity
        self._inter_sum, self._inter_count = 0.0, 0
        self._intra_sum, self._intra_count = _INTRA_IDENTITY * _PAIRS, _PAIRS

    @property
    def learning(self) -> bool:
        """Whether `update` still changes the estimate."""
        return not self._fixed and min(self._inter_count, self._intra_count) < _ENOUGH

    def teachable(self, people: int) -> bool:
        """Whether the prior still matters, and a frame with so many people would change that."""
        if self._fixed:
            return False
        return self._intra_count < _PAIRS + _KNOWN or (people > 1 and self._inter_count < _KNOWN)

    @property
    def intra_identity(self) -> float:
        """Mean part distance of a person to the track's embedding; 0 where the scale is fixed."""
        return 0.0 if self._fixed else self._intra_sum / self._intra_count

    @property
    def inter_identity(self) -> float:
        """Mean part distance between two people, above 0; rather too large with few samples."""
        return self._inter_identity(max(_INTER_IDENTITY, _INTER_PER_INTRA * self.intra_identity))

    @property
    def inter_identity_lower_bound(self) -> float:
        """The same, rather too small with few samples."""
        return self._inter_identity(min(_INTER_IDENTITY, _INTER_PER_INTRA * self.intra_identity))

    @property
    def discriminability(self) -> float:
        """How well the encoder separates people, in [0, 1]; 0: not at all."""
        return max(1 - self.intra_identity / self.inter_identity, 0.0)

    def _inter_identity(self, assumed: float) -> float:
        if self._fixed:
            return self._fixed
        return max((self._inter_sum + _PAIRS * assumed) / (self._inter_count + _PAIRS), 1e-6)

    def update(self, distance: np.ndarray, overlap: np.ndarray) -> None:
        """Add the pairs of one frame to the estimate.

        Identity is decided by position only: an encoder that errs would otherwise confirm itself.

        Args:
            distance: [T, N] part distance of tracks updated in the frame before to unoccluded detections.
            overlap: [T, N] IoU of the predicted boxes with the detections.
        """
        if not (self.learning and distance.size):
            return
        tracks, detections = np.nonzero(unambiguous(overlap) & np.isfinite(distance))
        self._intra_sum += float(distance[tracks, detections].sum())
        self._intra_count += len(tracks)
        between = distance[np.ix_(tracks, detections)]
        other = np.isfinite(between) & ~np.eye(len(tracks), dtype=bool)
        self._inter_sum += float(between[other].sum())
        self._inter_count += int(other.sum())


def unambiguous(overlap: np.ndarray) -> np.ndarray:
    """[T, N] bool: by position alone the detection is the track's. overlap: IoU with predicted boxes."""
    near = overlap > _CERTAIN_IOU
    certain: np.ndarray = near & (near.sum(0) == 1) & (near.sum(1) == 1)[:, None]
    return certain
