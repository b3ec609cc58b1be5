"""Queries of a ranking plot and their nearest gallery images."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.part_distance import compare, part_distances, prepare
from reid.evaluation.metrics import PROTOCOLS, Embedded, RankScores

WORST, RANDOM = "worst", "random"


@dataclass(frozen=True)
class Ranking:
    """One query, the R gallery images nearest to it, and its last match if that is not among them."""

    query: int  # row of the query
    gallery: np.ndarray  # [R] rows of the gallery, nearest first
    places: np.ndarray  # [R] place in the whole order, from 0
    match: np.ndarray  # [R] bool, whether it is the same person
    distances: np.ndarray  # [R]
    part_distances: np.ndarray  # [R, P]
    shared: np.ndarray  # [R, P] bool, parts that both show: only these count
    visible: np.ndarray  # [P] bool, parts that the query shows
    average_precision: float  # NaN without a match
    first_match: int  # place of the nearest match, from 0; -1 without any
    candidates: int  # gallery images that were ranked
    matches: int  # of these, how many are the same person


def choose_queries(scores: RankScores, how: str, count: int, *, seed: int = 0) -> np.ndarray:
    """Rows of at most `count` queries with a match.

    Args:
        how: "worst", by average precision, or "random".
    """
    scored = np.flatnonzero(scores.scored)
    if count < 1:
        raise UserError(f"A ranking plot needs at least one query, not {count}.")
    if how == WORST:
        return scored[np.argsort(scores.average_precision[scored], kind="stable")][:count]
    if how == RANDOM:
        return np.random.default_rng(seed).permutation(scored)[:count]
    raise unknown_name("choice of queries", how, (WORST, RANDOM))


def given_queries(names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Rows of the queries of these names, in their order.

    Args:
        known: [Q] name of each query.

    Raises:
        UserError: No query or several have that name.
    """
    rows = []
    for name in names:
        found = [row for row, each in enumerate(known) if each == name]
        if len(found) > 1:
            raise UserError(f"{len(found)} queries are called '{name}'. Choose another.")
        if not found:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)
            raise UserError(f"None of {len(known)} queries is called '{name}'. Did you mean '{nearest[0]}'?")
        rows += found
    return np.array(rows, int)


def rank_gallery(
    query: Embedded,
    gallery: Embedded,
    rows: np.ndarray,
    scores: RankScores,
    *,
    protocol: str,
    columns: int = 10,
) -> list[Ranking]:
    """The order of the gallery for the queries `rows`, by the distance and the rule of the scores."""
    people = prepare(gallery.features, gallery.visible, "euclidean")
    rankings = []
    for row in rows.tolist():
        kept = np.flatnonzero(PROTOCOLS[protocol](query.labels, row, gallery.labels))
        one = prepare(query.features[row : row + 1], query.visible[row : row + 1], "euclidean")
        distances = compare(one, people, metric="euclidean")[0, kept]
        order = np.argsort(distances, kind="stable")
        match = gallery.labels.identities[kept[order]] == query.labels.identities[row]
        places = np.arange(min(columns, len(order)))
        last = np.flatnonzero(match)[-1:]
        if len(last) and last[0] >= columns:
            places = np.append(places, last[0])
        shown = kept[order[places]]
        features, visible = gallery.features[shown], gallery.visible[shown]
        rankings.append(
            Ranking(
                query=row,
                gallery=shown,
                places=places,
                match=match[places],
                distances=distances[order[places]],
                part_distances=part_distances(one, prepare(features, visible, "euclidean"), "euclidean")[
                    :, 0
                ].T,
                shared=(visible > 0) & (query.visible[row] > 0),
                visible=query.visible[row] > 0,
                average_precision=float(scores.average_precision[row]),
                first_match=int(scores.first_match[row]),
                candidates=len(order),
                matches=int(match.sum()),
            )
        )
    return rankings
