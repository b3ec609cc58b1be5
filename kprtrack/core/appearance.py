"""Appearance of people: part embeddings, their distance and their moving average."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.part_distance import Metric, compare, prepare

_BLEND_AT_ONCE = 16  # people whose features fit into the processor's cache


@dataclass(frozen=True)
class Appearance:
    """Part embeddings of N people; a global encoder has P = 1, no encoder P = 0.

    Args:
        features: [N, P, D] float32, unit length per part.
        visible: [N, P] bool, whether the part is visible.
        prompted: [N] bool, whether keypoints prompted the encoder.

    Raises:
        ValueError: The shapes do not fit.

    Examples:
        >>> import numpy as np
        >>> one = Appearance(np.ones((1, 1, 1), np.float32), np.ones((1, 1), bool), np.zeros(1, bool))
        >>> len(one)
        1
    """

    features: np.ndarray
    visible: np.ndarray
    prompted: np.ndarray

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
    """Return embeddings without a visible part.

    Args:
        count: Number of people, N.
        parts: Body parts, P.
        dimensions: Length of an embedding, D.

    Returns:
        Embeddings whose features are all 0 and whose parts are all invisible.

    Examples:
        >>> empty_appearance(2).features.shape
        (2, 0, 0)
    """
    return Appearance(
        np.zeros((count, parts, dimensions), np.float32),
        np.zeros((count, parts), bool),
        np.zeros(count, bool),
    )


def join_appearances(people: Sequence[Appearance]) -> Appearance:
    """Return all embeddings in order; those without anyone need not have the shape of the others.

    Args:
        people: At least one.

    Raises:
        ValueError: The embeddings differ in the number of parts or their length.

    Examples:
        >>> len(join_appearances([empty_appearance(2, 6, 128), empty_appearance(1, 6, 128)]))
        3
    """
    some = [one for one in people if len(one)] or people[:1]
    return Appearance(
        *(
            np.concatenate([getattr(one, name) for one in some])
            for name in ("features", "visible", "prompted")
        )
    )


def part_distance(a: Appearance, b: Appearance, metric: Metric = "cosine") -> np.ndarray:
    """Compare people by the mean distance over the body parts visible in both.

    Args:
        a: A people.
        b: B people.
        metric: "cosine" is 1 - cosine per part (KPR, ECCV 2024, eq. 2); "euclidean" is the length of the
            difference of the unit vectors, as in the official code (docs/reference/kpr.md 6).

    Returns:
        [A, B] float32 in [0, 2]; inf where no part is visible in both.

    Raises:
        ValueError: The two differ in the number of parts or the length of the embeddings.

    Examples:
        >>> import numpy as np
        >>> axes = np.eye(2, dtype=np.float32)[:, None]  # two people, one part each
        >>> people = Appearance(axes, np.ones((2, 1), bool), np.zeros(2, bool))
        >>> part_distance(people, people).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    if a.features.shape[1:] != b.features.shape[1:]:
        raise ValueError(
            f"cannot compare embeddings of shape {a.features.shape[1:]} with {b.features.shape[1:]}"
        )
    return compare(
        prepare(a.features, a.visible, metric), prepare(b.features, b.visible, metric), metric=metric
    )


def blend(old: Appearance, new: Appearance, momentum: float | np.ndarray) -> Appearance:
    """Moving average per part: momentum * old + (1 - momentum) * new, scaled to unit length.

    A part invisible in `new` keeps its old value; a part first visible in `new` takes the new value (KPR
    supplement, "KPRTrack details").

    Args:
        old: N people.
        new: The same people, row by row.
        momentum: Weight of the past in [0, 1], one for all or [N].

    Returns:
        The average of each person.
    """
    weight = np.broadcast_to(np.asarray(momentum, np.float32), len(old))[:, None, None]
    features = np.empty(old.features.shape, np.float32)
    for start in range(0, len(old), _BLEND_AT_ONCE):
        rows = slice(start, start + _BLEND_AT_ONCE)
        mixed = features[rows]
        np.multiply(weight[rows], old.features[rows], out=mixed)
        mixed += (1 - weight[rows]) * new.features[rows]
        mixed /= np.maximum(np.sqrt(np.einsum("npd,npd->np", mixed, mixed)), 1e-12)[:, :, None]
    # Few parts are visible on one side only: writing those is cheaper than choosing for all.
    kept, fresh = ~new.visible, new.visible & ~old.visible
    features[kept] = old.features[kept]
    features[fresh] = new.features[fresh]
    return Appearance(features, old.visible | new.visible, new.prompted)
