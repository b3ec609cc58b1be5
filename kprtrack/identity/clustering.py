"""Constrained agglomerative clustering by probabilities: which tracks are one person."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Merge:
    """Two groups of tracks that were found to be one person.

    Args:
        first: Rows of one group.
        second: Rows of the other one.
        probability: That they are one person, when they were merged.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    probability: float


def match_probability(odds: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Return the probability that two are one person, knowing all the others.

    Each is at most one of those that are different people: a candidate that is near, but surely not the same
    person as the other, makes both less probable. This is what a limit of distance alone cannot see.

    Args:
        odds: [N, N] odds of each pair for itself: likelihood ratio by number of candidates. 0: two people.
        outside: [N] sum of the odds with those that are not among the N.

    Returns:
        [N, N] in [0, 1], symmetric.
    """
    alone = odds / (1 + odds)
    differ = 1 - np.minimum(alone, alone.T)
    np.fill_diagonal(differ, 0)
    rivals = odds @ differ + outside[:, None]
    probability = odds / (1 + odds + rivals)
    smaller: np.ndarray = np.minimum(probability, probability.T)
    return smaller


def agglomerate(odds: np.ndarray, outside: np.ndarray, min_probability: float) -> list[Merge]:
    """Merge groups that are each other's most probable match, until no probability is high enough.

    Linkage is complete: two groups are as near as their two most distant tracks, so tracks that surely differ
    are never joined through a third one.

    Args:
        odds: As in `match_probability`.
        outside: As in `match_probability`.
        min_probability: In (0, 1].

    Returns:
        The merges in order; of equally probable ones the lowest rows first.
    """
    odds, outside = odds.copy(), outside.copy()
    np.fill_diagonal(odds, 0)
    groups: list[tuple[int, ...]] = [(row,) for row in range(len(odds))]
    merges: list[Merge] = []
    while len(groups) > 1:
        probability = match_probability(odds, outside)
        best = probability.argmax(1)
        rows = np.arange(len(groups))
        mutual = (best[best] == rows) & (rows < best) & (probability[rows, best] >= min_probability)
        pairs = [(row, int(best[row])) for row in np.flatnonzero(mutual).tolist()]
        if not pairs:
            break
        for a, b in pairs:
            merges.append(Merge(groups[a], groups[b], float(probability[a, b])))
            groups[a] += groups[b]
            odds[a] = np.minimum(odds[a], odds[b])
            odds[:, a] = np.minimum(odds[:, a], odds[:, b])
            outside[a] = min(outside[a], outside[b])
        kept = np.setdiff1d(rows, [b for _, b in pairs])
        odds, outside = odds[np.ix_(kept, kept)], outside[kept]
        groups = [groups[row] for row in kept.tolist()]
    return merges


def components(count: int, pairs: Iterable[tuple[int, int]]) -> list[np.ndarray]:
    """Return groups of `count` rows that pairs connect, each sorted, those of one row left out."""
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    members: dict[int, list[int]] = {}
    for row in range(count):
        members.setdefault(root(row), []).append(row)
    return [np.array(rows) for rows in members.values() if len(rows) > 1]
