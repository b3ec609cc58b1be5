"""The parts of HOTA that joints, boxes and whole poses have in common."""

from collections.abc import Mapping
from collections.abc import Sequence as List

import numpy as np

from eval.datatypes import Scores

THRESHOLDS = np.arange(0.05, 0.99, 0.05)  # alpha, 19 of them
COUNTS = ("HOTA_TP", "HOTA_FN", "HOTA_FP")
WEIGHTED = ("AssA", "AssRe", "AssPr", "FragA")  # means over hits
_AT_FIRST_THRESHOLD = ("HOTA", "LocA", *COUNTS)


def hota_scores(counted: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute all fields of HOTA.

    Source: docs/reference/tracking_and_evaluation.md 2.2 (Luiten et al., IJCV 2021; Döring et al., CVPR
    2022).

    Args:
        counted: COUNTS, WEIGHTED and LocA; arrays [19] over THRESHOLDS, or [19, C].

    Returns:
        The same and DetA, DetRe, DetPr, HOTA, RHOTA, FA-HOTA, FA-RHOTA; and, under names ending in (0),
        values at the first threshold.
    """
    hits, misses, false_positives = (counted[name] for name in COUNTS)
    recall = hits / np.maximum(1, hits + misses)
    precision = hits / np.maximum(1, hits + false_positives)
    detection = hits / np.maximum(1, hits + misses + false_positives)
    association = counted["AssA"]
    fragmented = np.sqrt(association * counted["FragA"])
    scores = {
        **counted,
        "DetRe": recall,
        "DetPr": precision,
        "DetA": detection,
        "HOTA": np.sqrt(detection * association),
        "RHOTA": np.sqrt(recall * association),
        "FA-HOTA": np.sqrt(detection * fragmented),
        "FA-RHOTA": np.sqrt(recall * fragmented),
    }
    first = {f"{name}(0)": scores[name][0] for name in _AT_FIRST_THRESHOLD}
    return {**scores, **first, "HOTALocA(0)": first["HOTA(0)"] * first["LocA(0)"]}


def combined_hota_scores(sequences: List[Scores]) -> dict[str, np.ndarray]:
    """Combine sequences: counts are summed; association and localisation are weighted by hits."""
    counts = {name: np.sum([np.asarray(scores[name]) for scores in sequences], axis=0) for name in COUNTS}
    hits = counts["HOTA_TP"]
    sums = {
        name: np.sum([np.asarray(scores[name]) * scores["HOTA_TP"] for scores in sequences], axis=0)
        for name in (*WEIGHTED, "LocA")
    }
    means = {name: sums[name] / np.maximum(1, hits) for name in WEIGHTED}
    return hota_scores(counts | means | {"LocA": mean_or_one(sums["LocA"], hits)})


def mean_or_one(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return total / count, and 1 where both are 0."""
    return np.maximum(1e-10, total) / np.maximum(1e-10, count)
