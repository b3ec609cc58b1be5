"""How a person looks, part by part, how far apart two looks are, and their moving average."""

from dataclasses import dataclass

import numpy as np

from kprtrack.core.part_distance import Metric, compare, prepare

_BLEND_AT_ONCE = 16  # people whose features stay in the processor's cache meanwhile


@dataclass(frozen=True)
class Appearance:
    """Part features of N people; a global encoder has P = 1, no encoder at all P = 0."""

    features: np.ndarray  # [N, P, D] float32, unit length per part
    visible: np.ndarray  # [N, P] bool
    prompted: np.ndarray  # [N] bool, whether keypoints told the encoder whom to look at

    def __post_init__(self) -> None:
        if self.features.ndim != 3 or self.visible.shape != self.features.shape[:2]:
            raise ValueError(f"features {self.features.shape} and visible {self.visible.shape} do not align")
        if self.prompted.shape != self.features.shape[:1]:
            raise ValueError(
                f"prompted {self.prompted.shape} does not align with features {self.features.shape}"
            )

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: np.ndarray) -> "Appearance":
        """The people at `rows` (indices or a mask)."""
        return Appearance(self.features[rows], self.visible[rows], self.prompted[rows])


def empty_appearance(count: int = 0, parts: int = 0, dimensions: int = 0) -> Appearance:
    """`count` people about whose looks nothing is known."""
    return Appearance(
        np.zeros((count, parts, dimensions), np.float32),
        np.zeros((count, parts), bool),
        np.zeros(count, bool),
    )


def part_distance(a: Appearance, b: Appearance, metric: Metric = "cosine") -> np.ndarray:
    """Mean distance over the parts visible in both; inf where no part is shared.

    metric: "cosine" is 1 - cosine per part, in [0, 2] (KPR, ECCV 2024, eq. 2); "euclidean" is the length of
    the difference of the unit vectors, in [0, 2], as the official code measures (docs/reference/kpr.md 6).
    Returns: [A, B] float32.
    Raises: ValueError if the two have different part counts or feature lengths.
    """
    if a.features.shape[1:] != b.features.shape[1:]:
        raise ValueError(f"cannot compare looks of shape {a.features.shape[1:]} with {b.features.shape[1:]}")
    return compare(
        prepare(a.features, a.visible, metric), prepare(b.features, b.visible, metric), metric=metric
    )


def blend(old: Appearance, new: Appearance, momentum: float | np.ndarray) -> Appearance:
    """Moving average per part: momentum * old + (1 - momentum) * new, unit length.

    momentum: weight of the past in [0, 1], one for all or [N].
    A part invisible in `new` keeps its old value; a part first seen in `new` takes the new value (KPR
    supplement, "KPRTrack details"). Row i of both is the same person.
    """
    weight = np.broadcast_to(np.asarray(momentum, np.float32), len(old))[:, None, None]
    features = np.empty(old.features.shape, np.float32)
    for start in range(0, len(old), _BLEND_AT_ONCE):
        rows = slice(start, start + _BLEND_AT_ONCE)
        mixed = features[rows]
        np.multiply(weight[rows], old.features[rows], out=mixed)
        mixed += (1 - weight[rows]) * new.features[rows]
        mixed /= np.maximum(np.sqrt(np.einsum("npd,npd->np", mixed, mixed)), 1e-12)[:, :, None]
    # Few parts are seen by one side only: writing those is cheaper than choosing for all.
    kept, fresh = ~new.visible, new.visible & ~old.visible
    features[kept] = old.features[kept]
    features[fresh] = new.features[fresh]
    return Appearance(features, old.visible | new.visible, new.prompted)
