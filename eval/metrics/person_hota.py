"""HOTA of whole people, by boxes or poses, with the fields of PoseTrack21's kit."""

from collections.abc import Iterable, Mapping

import numpy as np

from eval.datatypes import Scores
from eval.metrics.similarity import EPSILON, Similarities, best_pairs

THRESHOLDS = np.arange(0.05, 0.99, 0.05)  # 19
_COUNTS = ("HOTA_TP", "HOTA_FN", "HOTA_FP")
_WEIGHTED = ("AssA", "AssRe", "AssPr", "FragA")


def person_hota(pairs: Similarities) -> Scores:
    """One sequence's HOTA: arrays over THRESHOLDS, and at the first threshold under names ending in (0).

    Equal to TrackEval's HOTA, which scores boxes several times slower and has no FragA (its OWTA is RHOTA).
    Source: docs/reference/tracking_and_evaluation.md 2.2 (Luiten et al., IJCV 2021; Döring et al., CVPR
    2022).
    """
    sizes = np.bincount(pairs.gt_ids), np.bincount(pairs.track_ids)
    matched = best_pairs(pairs, _alignment(pairs, *sizes) * pairs.values)
    similarity = pairs.values[matched]
    gt_ids = pairs.gt_ids[pairs.gt_rows[matched]]
    track_ids = pairs.track_ids[pairs.track_rows[matched]]
    hits = similarity >= THRESHOLDS[:, None] - EPSILON  # [19, M]
    right = hits.sum(axis=1).astype(float)
    found = {
        "HOTA_TP": right,
        "HOTA_FN": len(pairs.gt_ids) - right,
        "HOTA_FP": len(pairs.track_ids) - right,
        "LocA": _localisation((hits * similarity).sum(axis=1), right),
    }
    shares = _association(hits, gt_ids, track_ids, sizes)
    return _final(found | {name: total / np.maximum(1, right) for name, total in shares.items()})


def combine_person_hota(by_sequence: Mapping[str, Scores]) -> Scores:
    """HOTA of all sequences together: counts summed, association and localisation weighted by TP."""
    rows = list(by_sequence.values())
    found = {name: _summed(row[name] for row in rows) for name in _COUNTS}
    right = found["HOTA_TP"]
    shares = {name: _summed(row[name] * row["HOTA_TP"] for row in rows) for name in _WEIGHTED}
    found["LocA"] = _localisation(_summed(row["LocA"] * row["HOTA_TP"] for row in rows), right)
    return _final(found | {name: total / np.maximum(1, right) for name, total in shares.items()})


def _alignment(pairs: Similarities, gt_sizes: np.ndarray, track_sizes: np.ndarray) -> np.ndarray:
    """[K] how much of their lives the two identities of a pair spend together, before any matching."""
    row_sums = np.bincount(pairs.gt_rows, pairs.values, minlength=len(pairs.gt_ids))
    column_sums = np.bincount(pairs.track_rows, pairs.values, minlength=len(pairs.track_ids))
    rivals = column_sums[pairs.track_rows] + row_sums[pairs.gt_rows] - pairs.values
    shares = np.divide(pairs.values, rivals, out=np.zeros(len(rivals)), where=rivals > EPSILON)
    gt_ids, track_ids = pairs.gt_ids[pairs.gt_rows], pairs.track_ids[pairs.track_rows]
    couple = gt_ids * len(track_sizes) + track_ids
    together = np.bincount(couple, shares)[couple] if len(couple) else shares
    return together / (gt_sizes[gt_ids] + track_sizes[track_ids] - together)


def _association(
    hits: np.ndarray, gt_ids: np.ndarray, track_ids: np.ndarray, sizes: tuple[np.ndarray, np.ndarray]
) -> dict[str, np.ndarray]:
    """[19] sums over hits [19, M] of what each says of its couple: _WEIGHTED, not yet divided by the hits."""
    order = np.argsort(gt_ids, kind="stable")  # each truth's matches in order of time
    gt_ids, track_ids = gt_ids[order], track_ids[order]
    alpha, match = np.nonzero(hits[:, order])
    codes = gt_ids * len(sizes[1]) + track_ids
    couples, couple = np.unique(codes, return_inverse=True)
    cell = alpha * len(couples) + couple[match]  # a couple at a threshold
    times = np.bincount(cell, minlength=len(THRESHOLDS) * len(couples)).reshape(len(THRESHOLDS), -1)
    gt_size, track_size = (size[ids] for size, ids in zip(sizes, _split(couples, sizes), strict=True))
    either = np.maximum(1, gt_size + track_size - times)  # [19, couples]
    # A run lasts until the truth's next hit is on another track; misses in between do not end it.
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


def _summed(arrays: Iterable[float | np.ndarray]) -> np.ndarray:
    total = np.zeros(len(THRESHOLDS))
    for array in arrays:
        total += array
    return total


def _localisation(total: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.maximum(1e-10, total) / np.maximum(1e-10, right)


def _final(found: dict[str, np.ndarray]) -> Scores:
    """All fields from counts, association and localisation."""
    right, missed, wrong = (found[name] for name in _COUNTS)
    recall = right / np.maximum(1, right + missed)
    precision = right / np.maximum(1, right + wrong)
    accuracy = right / np.maximum(1, right + missed + wrong)
    fragmented = np.sqrt(found["AssA"] * found["FragA"])
    scores = {
        "HOTA": np.sqrt(accuracy * found["AssA"]),
        "DetA": accuracy,
        "DetRe": recall,
        "DetPr": precision,
        "RHOTA": np.sqrt(recall * found["AssA"]),
        "FA-HOTA": np.sqrt(accuracy * fragmented),
        "FA-RHOTA": np.sqrt(recall * fragmented),
        **found,
    }
    first = {f"{name}(0)": scores[name][0] for name in ("HOTA", "LocA", *_COUNTS)}
    return {**scores, **first, "HOTALocA(0)": first["HOTA(0)"] * first["LocA(0)"]}
