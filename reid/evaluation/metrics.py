"""mAP and CMC of queries ranked against a gallery.

Source: docs/reference/kpr.md 5.4 and 6.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.part_distance import (
    CHUNK,
    Combine,
    Metric,
    distance_matrix,
    distance_rows,
    each_chunk,
    prepare,
    squared_lengths,
)
from reid.evaluation.rerank import Reranking, rerank

RANKS = 20  # length of the CMC curve
_UNIT = 1e-2  # how far from 1 the length of a feature may be where the metric takes it for 1


@dataclass(frozen=True)
class Labels:
    """Identities, cameras and videos of N images."""

    identities: np.ndarray  # [N]
    cameras: np.ndarray  # [N], of one numbering for query and gallery
    videos: np.ndarray  # [N], likewise; the action in SoccerNet

    def __post_init__(self) -> None:
        lengths = {len(self.identities), len(self.cameras), len(self.videos)}
        if len(lengths) > 1:
            raise ValueError(f"identities, cameras and videos do not align: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.identities)


@dataclass(frozen=True)
class Embedded:
    """Embeddings of N images."""

    features: np.ndarray  # [N, P, D] float32
    visible: np.ndarray  # [N, P] bool, or float in [0, 1]
    labels: Labels

    def __post_init__(self) -> None:
        if self.features.ndim != 3 or self.visible.shape != self.features.shape[:2]:
            raise ValueError(f"features {self.features.shape} and visible {self.visible.shape} do not align")
        if len(self.labels) != len(self.features):
            raise ValueError(f"{len(self.labels)} labels do not align with {len(self.features)} features")


@dataclass(frozen=True)
class RankScores:
    """Scores of Q queries; queries without a match in the gallery do not count."""

    map: float  # mean average precision, in [0, 1]
    cmc: np.ndarray  # [R] share of the queries with a match among the first 1, 2 ... R
    average_precision: np.ndarray  # [Q]; NaN without a match
    first_match: np.ndarray  # [Q] place of the first match, 0 is best; -1 without a match

    @property
    def scored(self) -> np.ndarray:
        """[Q] bool, the queries that count."""
        return self.first_match >= 0


def evaluate(
    query: Embedded,
    gallery: Embedded,
    *,
    protocol: str = "default",
    metric: Metric = "euclidean",
    combine: Combine = "mean",
    reranking: Reranking | None = None,
    chunk: int = CHUNK,
) -> RankScores:
    """Scores of all queries. Holds `chunk` rows of distances per thread, all of them only for re-ranking.

    Args:
        protocol: One of PROTOCOLS; Occluded-PoseTrack-ReID is scored with "mot_inter_intra_video".
        metric: As for core.part_distance.compare; the defaults are those of the published scores.
        combine: As for core.part_distance.compare; the defaults are those of the published scores.

    Raises:
        UserError: Features cannot be compared, or no query has a match.
    """
    keep = _protocol(protocol)
    _validate_incomparable(query, gallery, metric)
    a, b = (prepare(side.features, side.visible, metric) for side in (query, gallery))
    if reranking:
        pairs = ((a, b), (a, a), (b, b))
        distances = (distance_matrix(*pair, metric=metric, combine=combine, chunk=chunk) for pair in pairs)
        return rank(rerank(*distances, config=reranking), query.labels, gallery.labels, protocol=protocol)

    def places(rows: slice) -> list[np.ndarray]:
        block = distance_rows(a, b, rows, metric=metric, combine=combine)
        return _places_of_matches(block, query.labels, rows.start, gallery.labels, keep=keep)

    found = each_chunk(places, len(a), chunk)
    return _scores([one for block in found for one in block], query.labels, gallery.labels, protocol)


def rank(
    distance: np.ndarray | Iterable[np.ndarray], query: Labels, gallery: Labels, *, protocol: str = "default"
) -> RankScores:
    """Scores of queries whose distances to the gallery are known.

    Args:
        distance: [Q, G], or its rows in chunks [R, G] one after the other. Of equal ones the earlier in the
            gallery comes first.

    Raises:
        UserError: A distance is not a number, or no query has a match.
    """
    keep = _protocol(protocol)
    places: list[np.ndarray] = []
    for rows in [distance] if isinstance(distance, np.ndarray) else distance:
        if rows.ndim != 2 or rows.shape[1] != len(gallery) or len(places) + len(rows) > len(query):
            raise ValueError(
                f"{rows.shape} distances after {len(places)} rows do not fit {len(query)} queries "
                f"and {len(gallery)} gallery images"
            )
        places += _places_of_matches(rows, query, len(places), gallery, keep=keep)
    if len(places) != len(query):
        raise ValueError(f"{len(places)} rows of distances for {len(query)} queries")
    return _scores(places, query, gallery, protocol)


Keep = Callable[
    [Labels, int, Labels], np.ndarray
]  # query, its row, gallery -> [G] bool, which images are ranked


def _not_same_view(query: Labels, row: int, gallery: Labels) -> np.ndarray:
    """All images except those of the same person by the same camera."""
    return (gallery.identities != query.identities[row]) | (gallery.cameras != query.cameras[row])


def _same_video(query: Labels, row: int, gallery: Labels) -> np.ndarray:
    return gallery.videos == query.videos[row]


def _other_video(query: Labels, row: int, gallery: Labels) -> np.ndarray:
    return gallery.videos != query.videos[row]


def _everybody(query: Labels, row: int, gallery: Labels) -> np.ndarray:
    return np.ones(len(gallery), bool)


# Keys are the official names.
PROTOCOLS: dict[str, Keep] = {
    "default": _not_same_view,
    "motchallenge": _not_same_view,
    "mot_intra_video": _same_video,
    "mot_inter_video": _other_video,
    "mot_inter_intra_video": _everybody,
    "soccernetv3": _same_video,
}


def _protocol(name: str) -> Keep:
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def _places_of_matches(
    rows: np.ndarray, query: Labels, first: int, gallery: Labels, *, keep: Keep
) -> list[np.ndarray]:
    """Places of the matches, ascending, for each row of distances [R, G]; row 0 is query `first`."""
    unknown = np.isnan(rows)
    if unknown.any():
        row, column = np.argwhere(unknown)[0]
        raise UserError(
            f"{unknown.sum()} distances are not numbers, first that of query {first + row} "
            f"and gallery image {column}."
        )
    places = []
    for row, distances in enumerate(rows, start=first):
        kept = keep(query, row, gallery)
        matches = gallery.identities[kept] == query.identities[row]
        places.append(_places(distances[kept], matches))
    return places


def _places(distances: np.ndarray, matches: np.ndarray) -> np.ndarray:
    """Where the matches stand in the stable order by distance, ascending from 0."""
    nearest_first, own = np.sort(distances), np.sort(distances[matches])
    places = np.searchsorted(nearest_first, own)
    # Sorting values is many times faster than sorting rows, but only rows decide the order of ties.
    if (np.searchsorted(nearest_first, own, side="right") > places + 1).any():
        return np.flatnonzero(matches[np.argsort(distances, kind="stable")])
    return places


def _scores(places: list[np.ndarray], query: Labels, gallery: Labels, protocol: str) -> RankScores:
    first = np.array([one[0] if len(one) else -1 for one in places], int)
    precision = np.array(
        [(np.arange(1, len(one) + 1) / (one + 1)).mean() if len(one) else np.nan for one in places]
    )
    scored = first >= 0
    if not scored.any():
        both = len(np.intersect1d(query.identities, gallery.identities))
        raise UserError(
            f"None of {len(query)} queries has a match among {len(gallery)} gallery images under the "
            f"protocol '{protocol}': {both} of {len(np.unique(query.identities))} identities of the queries "
            "are in the gallery. Check the split, or choose another protocol."
        )
    reached = np.bincount(first[scored].clip(max=RANKS), minlength=RANKS + 1)[:RANKS]
    return RankScores(float(precision[scored].mean()), np.cumsum(reached) / scored.sum(), precision, first)


def _validate_incomparable(query: Embedded, gallery: Embedded, metric: Metric) -> None:
    if query.features.shape[1:] != gallery.features.shape[1:]:
        sizes = ["{} parts of {} numbers".format(*side.features.shape[1:]) for side in (query, gallery)]
        raise UserError(
            f"Queries have {sizes[0]}, gallery images {sizes[1]}: embed both with the same encoder."
        )
    for name, side in (("query", query), ("gallery", gallery)):
        squares = squared_lengths(side.features)
        wrong = ~np.isfinite(squares)
        if wrong.any():
            image, part = np.argwhere(wrong)[0]
            raise UserError(
                f"{wrong.sum()} {name} features of {wrong.any(axis=1).sum()} images hold NaN or infinity, "
                f"first part {part} of image {image}: the encoder's weights or its input are damaged."
            )
        if not ((side.visible >= 0) & (side.visible <= 1)).all():
            raise UserError(f"Visibility of the {name} images must lie in [0, 1].")
        wrong = (np.abs(squares - 1) > _UNIT) & (side.visible > 0)
        if metric == "cosine" and wrong.any():
            image, part = np.argwhere(wrong)[0]
            raise UserError(
                f"The metric 'cosine' takes features of length 1, but {wrong.sum()} of the {name} have "
                f"another, first part {part} of image {image} with {squares[image, part] ** 0.5:.3g}: "
                "normalise them first."
            )
