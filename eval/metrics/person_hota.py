"""HOTA of whole people, by boxes or by poses, with the fields of PoseTrack21's kit."""

from collections.abc import Mapping

import numpy as np

from eval.datatypes import Scores
from eval.metrics.hota import THRESHOLDS, combined_hota_scores, hota_scores, mean_or_one
from eval.metrics.similarity import EPSILON, Similarities, best_pairs


def person_hota(pairs: Similarities) -> Scores:
    """Return the HOTA of one sequence: arrays over THRESHOLDS, see `hota_scores`.

    The values equal TrackEval's, which needs several times as long for boxes and has no FragA; its OWTA is
    RHOTA. Source: docs/reference/tracking_and_evaluation.md 2.2.
    """
    sizes = np.bincount(pairs.gt_ids), np.bincount(pairs.track_ids)
    matched = best_pairs(pairs, _alignment(pairs, *sizes) * pairs.values)
    similarity = pairs.values[matched]
    gt_ids = pairs.gt_ids[pairs.gt_rows[matched]]
    track_ids = pairs.track_ids[pairs.track_rows[matched]]
    hits = similarity >= THRESHOLDS[:, None] - EPSILON  # [19, M]
    true_positives = hits.sum(axis=1).astype(float)
    counted = {
        "HOTA_TP": true_positives,
        "HOTA_FN": len(pairs.gt_ids) - true_positives,
        "HOTA_FP": len(pairs.track_ids) - true_positives,
        "LocA": mean_or_one((hits * similarity).sum(axis=1), true_positives),
    }
    sums = _association(hits, gt_ids, track_ids, sizes)
    means = {name: total / np.maximum(1, true_positives) for name, total in sums.items()}
    return hota_scores(counted | means)


def combine_person_hota(by_sequence: Mapping[str, Scores]) -> Scores:
    """Combine sequences: counts are summed, association and localisation weighted by hits."""
    return combined_hota_scores(list(by_sequence.values()))


def _alignment(pairs: Similarities, gt_sizes: np.ndarray, track_sizes: np.ndarray) -> np.ndarray:
    """Return [K] the Jaccard alignment of the two identities of a pair over the sequence, before matching."""
    row_sums = np.bincount(pairs.gt_rows, pairs.values, minlength=len(pairs.gt_ids))
    column_sums = np.bincount(pairs.track_rows, pairs.values, minlength=len(pairs.track_ids))
    rivals = column_sums[pairs.track_rows] + row_sums[pairs.gt_rows] - pairs.values
    shares = np.divide(pairs.values, rivals, out=np.zeros(len(rivals)), where=rivals > EPSILON)
    gt_ids, track_ids = pairs.gt_ids[pairs.gt_rows], pairs.track_ids[pairs.track_rows]
    _, couple = np.unique(gt_ids * len(track_sizes) + track_ids, return_inverse=True)
    together = np.bincount(couple, shares)[couple] if len(couple) else shares
    return together / (gt_sizes[gt_ids] + track_sizes[track_ids] - together)


def _association(
    hits: np.ndarray, gt_ids: np.ndarray, track_ids: np.ndarray, sizes: tuple[np.ndarray, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return WEIGHTED as sums [19] over hits [19, M], not yet divided by the number of hits."""
    order = np.argsort(gt_ids, kind="stable")  # the matches of each person in order of time
    gt_ids, track_ids = gt_ids[order], track_ids[order]
    alpha, match = np.nonzero(hits[:, order])
    codes = gt_ids * len(sizes[1]) + track_ids
    couples, couple = np.unique(codes, return_inverse=True)
    cell = alpha * len(couples) + couple[match]  # a couple at a threshold
    times = np.bincount(cell, minlength=len(THRESHOLDS) * len(couples)).reshape(len(THRESHOLDS), -1)
    gt_size, track_size = (size[ids] for size, ids in zip(sizes, _split(couples, sizes), strict=True))
    either = np.maximum(1, gt_size + track_size - times)  # [19, couples]
    # A run lasts until the next hit of the person is on another track; misses in between do not end it.
    firsts = np.flatnonzero(np.diff(cell, prepend=-1))
    lengths = np.diff(np.append(firsts, len(cell)))
    runs = lengths**2 / either.ravel()[cell[firsts]]
    squares = times.astype(float) ** 2
    return {
        "AssA": (squares / either).sum(axis=1),
        "AssRe": (squares / np.maximum(1, gt_size)).sum(axis=1),
        "AssPr": (squares / np.maximum(1, track_size)).sum(axis=1),
        "FragA": np.bincount(alpha[firsts], runs, minlength=len(THRESHOLDS)),
    }


def _split(couples: np.ndarray, sizes: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return couples // max(1, len(sizes[1])), couples % max(1, len(sizes[1]))
