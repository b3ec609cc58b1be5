"""IDF1 of whole people, with TrackEval's field names and values, for any number of identities."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from eval.datatypes import Scores
from eval.metrics.similarity import MIN_SIMILARITY, Similarities
from kprtrack.core.errors import InputError

_MOST_CELLS = 25_000_000  # of one matrix: 200 MB


def identity_scores(pairs: Similarities) -> Scores:
    """Return IDTP, IDFN, IDFP, IDR, IDP and IDF1 of one sequence.

    One-to-one matching of identities over the sequence that maximises the frames in which they are similar.
    TrackEval solves it with one matrix of all identities; here groups that never meet are solved separately,
    which has the same optimum. Source: docs/reference/tracking_and_evaluation.md 2.6.

    Args:
        pairs: The similarities of a sequence.

    Raises:
        InputError: Too many identities meet each other for the matrix of their matching.
    """
    similar = pairs.values >= MIN_SIMILARITY
    gt_ids, track_ids = pairs.gt_ids[pairs.gt_rows[similar]], pairs.track_ids[pairs.track_rows[similar]]
    true_positives = int(_most_frames(gt_ids, track_ids))
    misses = len(pairs.gt_ids) - true_positives
    false_positives = len(pairs.track_ids) - true_positives
    return {
        "IDTP": true_positives,
        "IDFN": misses,
        "IDFP": false_positives,
        "IDR": true_positives / max(1, true_positives + misses),
        "IDP": true_positives / max(1, true_positives + false_positives),
        "IDF1": true_positives / max(1.0, true_positives + 0.5 * false_positives + 0.5 * misses),
    }


def _most_frames(gt_ids: np.ndarray, track_ids: np.ndarray) -> float:
    """The greatest number of frames over all one-to-one matchings; gt_ids, track_ids: [K], one pair each."""
    if not len(gt_ids):
        return 0.0
    gt_names, gt_ids = np.unique(gt_ids, return_inverse=True)
    track_names, track_ids = np.unique(track_ids, return_inverse=True)
    couples, counts = np.unique(gt_ids * len(track_names) + track_ids, return_counts=True)
    rows, columns = couples // len(track_names), couples % len(track_names)
    nodes = len(gt_names) + len(track_names)
    edges = coo_array((counts, (rows, len(gt_names) + columns)), (nodes, nodes))
    _, group_of = connected_components(edges, directed=False)
    group = group_of[rows]
    alone = np.bincount(group)[group] == 1
    order = np.flatnonzero(~alone)[np.argsort(group[~alone], kind="stable")]
    ends = np.flatnonzero(np.diff(group[order], append=-1)) + 1
    several = np.split(order, ends[:-1]) if len(order) else []
    best = sum(_best_sum(rows[some], columns[some], counts[some]) for some in several)
    return best + float(counts[alone].sum())


def _best_sum(rows: np.ndarray, columns: np.ndarray, counts: np.ndarray) -> float:
    """The greatest sum of the counts of a one-to-one matching."""
    (row_names, rows), (column_names, columns) = (
        np.unique(each, return_inverse=True) for each in (rows, columns)
    )
    if len(row_names) * len(column_names) > _MOST_CELLS:
        raise InputError(
            f"{len(row_names)} people of the ground truth and {len(column_names)} tracks overlap each other;"
            " these are too many to match. Remove tracks of low score."
        )
    matrix = np.zeros((len(row_names), len(column_names)))
    matrix[rows, columns] = counts
    return float(matrix[linear_sum_assignment(matrix, maximize=True)].sum())
