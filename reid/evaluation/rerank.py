"""k-reciprocal re-ranking: images are near if they share neighbours.

Source: Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding,
CVPR 2017; docs/reference/kpr.md 6. Off by default; KPR's authors advise against it on their
Occluded-PoseTrack-ReID.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from kprtrack.core.errors import UserError


@dataclass(frozen=True)
class Reranking:
    """The settings of Zhong et al."""

    neighbours: int = 20  # k1: how many are asked whether they are near in return
    expansion: int = 6  # k2: how many neighbours' neighbourhoods are averaged
    distance_weight: float = 0.3  # lambda: of the original distance in the result

    def __post_init__(self) -> None:
        if self.neighbours < 1 or self.expansion < 1:
            raise UserError(
                f"neighbours and expansion must be 1 or more, not {self.neighbours}, {self.expansion}."
            )
        if not 0 <= self.distance_weight <= 1:
            raise UserError(f"distance_weight must lie in [0, 1], not {self.distance_weight}.")


def rerank(
    query_gallery: np.ndarray,
    query_query: np.ndarray,
    gallery_gallery: np.ndarray,
    *,
    config: Reranking = Reranking(),
) -> np.ndarray:
    """New distances [Q, G] float32 in [0, 1] from finite ones of all pairs.

    Holds a square of all distances, [Q + G, Q + G] float32.
    """
    queries = len(query_gallery)
    distance = _scaled_squares(query_gallery, query_query, gallery_gallery)
    near = _nearest(distance, max(config.neighbours + 1, config.expansion))
    hoods = _neighbourhoods(distance, near, config.neighbours)
    if config.expansion > 1:
        nearest = _members(near[:, : config.expansion])
        hoods = (nearest @ hoods).multiply(1 / nearest.sum(axis=1)).tocsr()
    mixed = _jaccard(hoods[:queries], hoods[queries:])
    mixed *= 1 - config.distance_weight
    mixed += np.float32(config.distance_weight) * distance[:queries, queries:]
    return mixed


def _scaled_squares(
    query_gallery: np.ndarray, query_query: np.ndarray, gallery_gallery: np.ndarray
) -> np.ndarray:
    """Squared distances [N, N] of queries and gallery, N = Q + G; the greatest of each row is 1."""
    blocks = [[query_query.T, query_gallery], [query_gallery.T, gallery_gallery.T]]
    distance = np.block(blocks).astype(np.float32, copy=False)
    np.square(distance, out=distance)
    distance /= np.maximum(distance.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return distance


def _nearest(distance: np.ndarray, count: int) -> np.ndarray:
    """The `count` nearest of each row, nearest first, [N, count]."""
    count = min(count, len(distance))
    near = np.empty((len(distance), count), np.int64)
    for row, values in enumerate(distance):
        few = np.sort(np.argpartition(values, count - 1)[:count])
        near[row] = few[np.argsort(values[few], kind="stable")]
    return near


def _neighbourhoods(distance: np.ndarray, near: np.ndarray, neighbours: int) -> sparse.csr_array:
    """Row i: exp(-distance) for the expanded k-reciprocal neighbours of i, summing to 1; [N, N] sparse."""
    mutual = _mutual(near[:, : neighbours + 1])
    half = _mutual(near[:, : round(neighbours / 2) + 1])
    # A neighbour brings in its own neighbours if more than two thirds of them are neighbours already.
    common = (mutual @ half.T).multiply(mutual).tocoo()
    agreeing = 3 * common.data > 2 * half.sum(axis=1)[common.col]
    helpers = sparse.csr_array(
        (np.ones(agreeing.sum(), np.int64), (common.row[agreeing], common.col[agreeing])), shape=mutual.shape
    )
    members = (mutual + helpers @ half).tocoo()
    weights = np.exp(-distance[members.row, members.col])
    weights /= np.bincount(members.row, weights)[members.row]
    return sparse.csr_array((weights.astype(np.float32), (members.row, members.col)), shape=members.shape)


def _members(near: np.ndarray) -> sparse.csr_array:
    """[N, N] with a 1 wherever column j stands in row i of `near`."""
    count, each = near.shape
    return sparse.csr_array(
        (np.ones(near.size, np.int64), near.ravel(), np.arange(0, near.size + 1, each)), shape=(count, count)
    )


def _mutual(near: np.ndarray) -> sparse.csr_array:
    """[N, N] with a 1 wherever i is near j and j near i."""
    members = _members(near)
    return members.multiply(members.T).tocsr()


def _jaccard(queries: sparse.csr_array, gallery: sparse.csr_array) -> np.ndarray:
    """Jaccard distance of every pair of neighbourhoods whose weights sum to 1, [Q, G] float32."""
    columns = gallery.tocsc()
    out = np.empty((queries.shape[0], gallery.shape[0]), np.float32)
    for row in range(queries.shape[0]):
        own = slice(queries.indptr[row], queries.indptr[row + 1])
        shared = columns[:, queries.indices[own]]
        weights = np.repeat(queries.data[own], np.diff(shared.indptr))
        both = np.bincount(shared.indices, np.minimum(shared.data, weights), gallery.shape[0])
        out[row] = 1 - both / (2 - both)
    return out
