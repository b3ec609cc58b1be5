"""Optimal one-to-one assignment of tracks to detections."""

from typing import NamedTuple

import lap
import numpy as np


class Assignment(NamedTuple):
    """rows[i] is matched with columns[i]. All four are sorted, int64, columns by their row."""

    rows: np.ndarray  # [K]
    columns: np.ndarray  # [K]
    unmatched_rows: np.ndarray  # [A - K]
    unmatched_columns: np.ndarray  # [B - K]


def assign(cost: np.ndarray, max_cost: float) -> Assignment:
    """Find the one-to-one assignment with the greatest sum of (max_cost - cost) over pairs below `max_cost`.

    This is not the cheapest assignment without its expensive pairs: a pair at the limit or above, infinite or
    NaN never displaces another pair. The same matrix always gives the same assignment.
    Source: lap.lapjv with extend_cost and cost_limit (docs/reference/tracking_and_evaluation.md 4.3), in less
    time.

    Args:
        cost: [A, B]; A or B may be 0.
        max_cost: Finite limit.

    Returns:
        Matched and unmatched rows and columns.

    Raises:
        ValueError: max_cost is not finite, or a cost is -inf.
    """
    count_a, count_b = cost.shape
    if not np.isfinite(max_cost):
        raise ValueError(f"max_cost must be finite, not {max_cost}")
    if not cost.size:
        none = np.zeros(0, np.int64)
        return Assignment(none, none, np.arange(count_a), np.arange(count_b))
    gain = np.subtract(max_cost, cost, dtype=np.float64)
    np.fmax(gain, 0, out=gain)  # turns NaN to 0 too
    best = gain.argmax(1)
    best_gain = gain[np.arange(count_a), best]
    if np.isinf(best_gain).any():
        raise ValueError("a cost is -inf")
    rows = np.flatnonzero(best_gain)
    columns = best[rows]
    # If every row prefers another column, no assignment can gain more.
    if np.bincount(columns, minlength=1).max() > 1:
        solved, columns = _solve(gain[rows] / best_gain.max())
        rows = rows[solved]
    return Assignment(rows, columns, _others(count_a, rows), _others(count_b, columns))


def _solve(gain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the assignment with the greatest sum; gain in [0, 1], pairs with 0 are left out."""
    live_columns = np.flatnonzero(gain.any(0))
    gain = gain[:, live_columns]
    _, column_of, _ = lap.lapjv(1 - gain, extend_cost=True)
    rows = np.flatnonzero(column_of >= 0)
    columns = column_of[rows]
    gains = gain[rows, columns] > 0
    return rows[gains], live_columns[columns[gains]]


def _others(count: int, taken: np.ndarray) -> np.ndarray:
    free = np.ones(count, bool)
    free[taken] = False
    return np.flatnonzero(free)
