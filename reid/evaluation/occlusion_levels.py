"""How scores fall with the share of other people in the query images: the data of the paper's Fig. 7.

Source: KPR (Somers et al., ECCV 2024), eq. 3; for the official report docs/reference/kpr.md 6, "Occlusion
report".
"""

from dataclasses import dataclass

import numpy as np

from kprtrack.core.errors import UserError
from reid.evaluation.metrics import RankScores

TENTHS = tuple(step / 10 for step in range(11))
_CHUNKS = 10  # of the official report


@dataclass(frozen=True)
class LevelScores:
    """Scores of the queries of one range of occlusion."""

    low: float
    high: float
    count: int  # queries with a match
    map: float  # mean average precision of these; NaN without any
    rank1: float  # share of these whose nearest gallery image is a match


def multi_person_occlusion(negatives: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """MPOL of eq. 3, [Q] in [0, 1]: 0 for the query least hidden by other people, 1 for the most.

    Args:
        negatives: [Q], number of keypoints of other people in each query.
        positives: [Q], number of keypoints of the target. The level is 0 for all queries if the difference of
            the two is the same for all.
    """
    if len(negatives) != len(positives) or not len(negatives):
        raise UserError(f"{len(negatives)} counts of negative and {len(positives)} of positive keypoints.")
    excess = np.asarray(negatives, float) - positives
    excess -= excess.min()
    return excess / max(excess.max(), np.finfo(float).tiny)


def scores_per_level(
    scores: RankScores, level: np.ndarray, *, bounds: tuple[float, ...] = TENTHS
) -> list[LevelScores]:
    """One line for each range between two `bounds`: from the lower one on, below the upper one.

    Args:
        level: [Q], occlusion of each query; the last range includes its upper bound.
    """
    _validate_misaligned(scores, level)
    place = np.digitize(level, bounds[1:-1])
    inside = (level >= bounds[0]) & (level <= bounds[-1])
    return [
        _level(scores, inside & (place == row), bounds[row], bounds[row + 1])
        for row in range(len(bounds) - 1)
    ]


def decile_report(scores: RankScores, level: np.ndarray) -> list[LevelScores]:
    """The queries by descending occlusion in ten lines of equally many, each query in one."""
    _validate_misaligned(scores, level)
    queries = np.arange(len(level))
    return [
        _level(scores, np.isin(queries, rows), level[rows].min(), level[rows].max())
        for rows in _descending_tenths(level)
    ]


def official_decile_report(scores: RankScores, level: np.ndarray) -> list[LevelScores]:
    """The report as the official code makes it, to compare with its output.

    A line holds the queries above the least occlusion of its chunk and up to the greatest. So those at a
    lower bound fall into the next line if that one reaches up to it, else into none.
    """
    _validate_misaligned(scores, level)
    lines = []
    for rows in _descending_tenths(level):
        low, high = level[rows].min(), level[rows].max()
        lines.append(_level(scores, (level > low) & (level <= high), low, high))
    return lines


def _descending_tenths(level: np.ndarray) -> list[np.ndarray]:
    chunks = np.array_split(np.argsort(-level, kind="stable"), _CHUNKS)
    return [rows for rows in chunks if len(rows)]


def _level(scores: RankScores, members: np.ndarray, low: float, high: float) -> LevelScores:
    members = members & scores.scored
    if not members.any():
        return LevelScores(float(low), float(high), 0, np.nan, np.nan)
    return LevelScores(
        float(low),
        float(high),
        int(members.sum()),
        float(scores.average_precision[members].mean()),
        float((scores.first_match[members] == 0).mean()),
    )


def _validate_misaligned(scores: RankScores, level: np.ndarray) -> None:
    if level.shape != scores.first_match.shape:
        raise UserError(f"{len(level)} occlusion levels for {len(scores.first_match)} queries.")
    if not np.isfinite(level).all():
        query = np.flatnonzero(~np.isfinite(level))[0]
        raise UserError(f"The occlusion level of query {query} is {level[query]}, not a number.")
