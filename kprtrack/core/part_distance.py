"""Distance of part embeddings, the only one of the project.

Source of the arithmetic: KPR (Somers et al., ECCV 2024), eq. 2; docs/reference/kpr.md 6.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

Metric = Literal["cosine", "euclidean"]
Combine = Literal["mean", "max"]
NO_SHARED_PART = np.float32(np.inf)  # such a pair is never matched
CHUNK = 256  # people compared with all others at once
_TILE = 1024  # of those others at a time: the intermediate results stay in the processor's cache
_MOST_THREADS = 8  # each holds a chunk
_T = TypeVar("_T")


@dataclass(frozen=True)
class Parts:
    """Part features of N people, ready to be compared."""

    features: np.ndarray  # [N, P, D] float32, of unit length for the metric "cosine"
    weights: np.ndarray  # [N, P] float32, square root of the visibility of a part
    squares: np.ndarray  # [N, P] float32, squared length of each feature; only "euclidean" reads it
    zeroed: bool = False  # all weights are 0 or 1, and features with weight 0 are 0 in rows that are used

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice) -> "Parts":
        return Parts(self.features[rows], self.weights[rows], self.squares[rows], self.zeroed)


def prepare(features: np.ndarray, visible: np.ndarray, metric: Metric) -> Parts:
    """Prepare embeddings for `compare`; nothing is copied.

    Args:
        features: [N, P, D] float32.
        visible: [N, P], bool or in [0, 1].
        metric: As in `compare`.
    """
    weights = np.sqrt(visible, dtype=np.float32)
    squares = squared_lengths(features) if metric == "euclidean" else np.zeros_like(weights)
    return Parts(features, weights, squares)


def squared_lengths(features: np.ndarray) -> np.ndarray:
    """[N, P] of features [N, P, D]; not finite where a feature is not."""
    squares: np.ndarray = np.einsum("npd,npd->np", features, features)
    return squares


def compare(a: Parts, b: Parts, *, metric: Metric, combine: Combine = "mean") -> np.ndarray:
    """Distance of every pair over the parts visible in both.

    Args:
        a: A people.
        b: B people.
        metric: "cosine" is 1 - cosine per part, in [0, 2]; "euclidean" the length of the difference, as for
            the published scores.
        combine: "mean" is weighted by the square root of the product of both visibilities, so it is the plain
            mean where these are 0 or 1; "max" is the largest distance of a shared part.

    Returns:
        [A, B] float32; inf where no part is visible in both.
    """
    if combine == "max":
        return _worst_part(a, b, metric)
    shared = _products(a.weights, b.weights)  # [A, B]; of bool visibility: the number of shared parts
    total = _cosine_sum(a, b, shared) if metric == "cosine" else _euclidean_sum(a, b)
    mean = np.full(shared.shape, NO_SHARED_PART)
    np.divide(total, shared, out=mean, where=shared > 0)
    return mean


def part_distances(a: Parts, b: Parts, metric: Metric) -> np.ndarray:
    """Distance of each part, visible or not, [P, A, B] float32: for few people."""
    parts = a.features.shape[1]
    out = np.empty((parts, len(a), len(b)), np.float32)
    for part in range(parts):
        _distance_of_part(a, b, part, metric=metric, out=out[part])
    return out


def distance_rows(
    query: Parts, gallery: Parts, rows: slice, *, metric: Metric, combine: Combine = "mean"
) -> np.ndarray:
    """`compare` of the queries at `rows` with the whole gallery, [R, G], in small tiles."""
    chosen = query[rows]
    out = np.empty((len(chosen), len(gallery)), np.float32)
    for tile in _slices(len(gallery), _TILE):
        out[:, tile] = compare(chosen, gallery[tile], metric=metric, combine=combine)
    return out


def distance_matrix(
    query: Parts, gallery: Parts, *, metric: Metric, combine: Combine = "mean", chunk: int = CHUNK
) -> np.ndarray:
    """All distances [Q, G] float32, finite: where no part is shared, 1 more than the greatest of any part.

    Source: docs/reference/kpr.md 6, "No shared visible vector".
    """
    out = np.empty((len(query), len(gallery)), np.float32)

    def fill(rows: slice) -> None:
        out[rows] = distance_rows(query, gallery, rows, metric=metric, combine=combine)

    each_chunk(fill, len(query), chunk)
    unshared = np.isinf(out)
    if unshared.any():
        out[unshared] = _farthest_part(query, gallery, metric, chunk) + 1
    return out


def each_chunk(work: Callable[[slice], _T], count: int, chunk: int) -> list[_T]:
    """Results of `work` for slices of at most `chunk` out of `count`, in order; a thread per processor."""
    # numpy releases the GIL while it multiplies and sorts, so threads are enough.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as pool:
        return list(pool.map(work, _slices(count, chunk)))


def _slices(count: int, size: int) -> Iterable[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _cosine_sum(a: Parts, b: Parts, shared: np.ndarray) -> np.ndarray:
    """Weighted sum of 1 - cosine over the parts; one matrix product, which is quickest for few people."""
    length = a.features.shape[1] * a.features.shape[2]  # -1 would be undefined for N = 0
    flat_a = _weighted_features(a).reshape(len(a), length)
    flat_b = _weighted_features(b).reshape(len(b), length)
    # float32 rounding makes the product of two equal unit vectors a little more than 1.
    total: np.ndarray = np.clip(shared - _products(flat_a, flat_b), 0, 2 * shared)
    return total


def _weighted_features(parts: Parts) -> np.ndarray:
    """The features [N, P, D] times their weights; a copy only where these are not all 1."""
    weights = parts.weights
    if parts.zeroed or (weights == 1).all():
        return parts.features
    features = parts.features.copy()
    # Most weights are 0 or 1: writing zeros is cheaper than multiplying everything.
    features[weights == 0] = 0
    partial = (weights > 0) & (weights < 1)
    if partial.any():
        features[partial] *= weights[partial][:, None]
    return features


def _euclidean_sum(a: Parts, b: Parts) -> np.ndarray:
    """Weighted sum of |a - b| over the parts, [A, B]."""
    total, distance = np.zeros((2, len(a), len(b)), np.float32)
    for part in range(a.features.shape[1]):
        _distance_of_part(a, b, part, metric="euclidean", out=distance)
        distance *= a.weights[:, part, None]
        distance *= b.weights[:, part]
        total += distance
    return total


def _worst_part(a: Parts, b: Parts, metric: Metric) -> np.ndarray:
    """[A, B] greatest distance over the shared parts; inf where there are none."""
    worst = np.full((len(a), len(b)), -np.inf, np.float32)
    distance = np.empty_like(worst)
    for part in range(a.features.shape[1]):
        _distance_of_part(a, b, part, metric=metric, out=distance)
        np.maximum(worst, distance, out=worst, where=_both_visible(a, b, part))
    worst[np.isneginf(worst)] = NO_SHARED_PART
    return worst


def _farthest_part(query: Parts, gallery: Parts, metric: Metric, chunk: int) -> np.float32:
    """The greatest distance of a shared part, over all pairs; 0 if no pair shares any."""

    def farthest(rows: slice) -> np.float32:
        tiles = (gallery[tile] for tile in _slices(len(gallery), _TILE))
        worst = [_worst_part(query[rows], tile, metric) for tile in tiles]
        return max(np.max(one, where=np.isfinite(one), initial=0) for one in worst)

    return max(each_chunk(farthest, len(query), chunk))


def _both_visible(a: Parts, b: Parts, part: int) -> np.ndarray:
    return (a.weights[:, part, None] > 0) & (b.weights[:, part] > 0)


def _distance_of_part(a: Parts, b: Parts, part: int, *, metric: Metric, out: np.ndarray) -> None:
    """Fill `out` [A, B] with the distances of one part."""
    _products(a.features[:, part], b.features[:, part], out=out)
    if metric == "cosine":
        np.subtract(1, out, out=out)
        return
    out *= -2
    out += a.squares[:, part, None]
    out += b.squares[:, part]
    np.sqrt(np.maximum(out, 0, out=out), out=out)


def _products(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Scalar products [A, B] of all rows of `a` [A, D] with all rows of `b` [B, D]."""
    # BLAS libraries report an invalid value, an overflow or a division by zero also for matrices and products
    # that are all finite (numpy's issues 24067 and 28687), of which numpy then warns. Features that are not
    # finite are rejected before. Here, not around the callers: a thread does not inherit the setting.
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        products: np.ndarray = np.matmul(a, b.T, out=out)
    return products
