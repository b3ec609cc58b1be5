"""PoseTrack21's keypoint HOTA: every joint is matched by itself, identities are people's.

Two modes come from one matching. `official` counts as the published program does: a labelled frame without
any prediction adds the joints of the whole sequence to the misses (PoseTrack21 issue 10). `fixed` counts the
joints of that frame. Where the official program crashes both modes agree: in a labelled frame without truth
(none annotated, or all of it ignored) predicted joints are false positives, and so is everything predicted
in a sequence without truth.
Source: docs/reference/tracking_and_evaluation.md 2.1.
"""

from collections.abc import Sequence as List
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval.datatypes import Scores, Sequence
from eval.metrics.pose_matching import (
    JOINTS,
    MIN_HIT_SIMILARITY,
    THRESHOLDS,
    PoseMatches,
    by_cell,
    pose_matches,
)

_WEIGHTED = ("AssA", "AssRe", "AssPr", "FragA")
_COUNTS = ("HOTA_TP", "HOTA_FN", "HOTA_FP")
_AT_LEAST_ALPHA = ("HOTA", "LocA", "HOTALocA", *_COUNTS)


class KeypointHota(NamedTuple):
    """The same scores counted in two ways; they differ only where a frame has truth and no prediction.

    Arrays [19 thresholds, 15 joints + total], those named X(0) [15 joints + total] at alpha 0.05.
    """

    official: Scores
    fixed: Scores


def keypoint_hota(poses: Sequence) -> KeypointHota:
    """Scores of one sequence, `without_ignored` applied; total: mean of joints, sum of counts."""
    return hota_of(pose_matches(poses, poses.ground_truth.ids, poses.tracks.ids, solve=solve_once))


def combine_keypoint_hota(sequences: List[KeypointHota]) -> KeypointHota:
    """Scores of all sequences: counts are summed, the rest is weighted by hits, column by column.

    So the total is sqrt(pooled DetA × weighted AssA), not the mean of the joints' HOTA.
    """
    return KeypointHota(*(_combined(scores) for scores in zip(*sequences, strict=True)))


def solve_once(similarity: np.ndarray) -> np.ndarray:
    """The one-to-one pairs with the greatest sum of similarity, the same for all thresholds."""
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    hits = np.zeros((*similarity.shape, len(THRESHOLDS)), bool)
    hits[rows, columns] = similarity[rows, columns, None] >= MIN_HIT_SIMILARITY
    return hits


def hota_of(matches: PoseMatches) -> KeypointHota:
    """Scores of one matching."""
    sums = _association(matches)
    hits = sums["HOTA_TP"]
    fixed = matches.gt_joints.sum(0) - hits
    sums["HOTA_FP"] = matches.track_joints.sum(0) - hits
    return KeypointHota(
        *(_with_total(_final(sums | {"HOTA_FN": misses})) for misses in (fixed + matches.overcount, fixed))
    )


def _association(matches: PoseMatches) -> dict[str, np.ndarray]:
    """HOTA_TP, LocA, AssA, AssRe, AssPr, FragA, each [19, 15]."""
    runs = matches.runs
    cell = runs.threshold * JOINTS + runs.joint
    hits = by_cell(cell, runs.length)
    together = cell * len(matches.gt_ids) + runs.ground_truth
    together = together * len(matches.track_ids) + runs.track
    _, first, which = np.unique(together, return_index=True, return_inverse=True)
    matched = np.bincount(which, runs.length, minlength=len(first))
    ground_truth = matches.gt_joints[runs.ground_truth[first], runs.joint[first]]
    tracks = matches.track_joints[runs.track[first], runs.joint[first]]
    union = np.maximum(1, ground_truth + tracks - matched)
    sums = {
        "AssA": by_cell(cell[first], matched**2 / union),
        "AssRe": by_cell(cell[first], matched**2 / np.maximum(1, ground_truth)),
        "AssPr": by_cell(cell[first], matched**2 / np.maximum(1, tracks)),
        "FragA": by_cell(cell, runs.length**2 / union[which]),
    }
    scores = {name: total / np.maximum(1, hits) for name, total in sums.items()}
    return scores | {"HOTA_TP": hits, "LocA": _ratio_or_one(matches.similarity, hits)}


def _ratio_or_one(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.maximum(1e-10, total) / np.maximum(1e-10, count)


def _final(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All fields of what was counted, column by column."""
    hits, misses, false = (sums[name] for name in _COUNTS)
    recall, precision = hits / np.maximum(1, hits + misses), hits / np.maximum(1, hits + false)
    detection = hits / np.maximum(1, hits + misses + false)
    association, fragments = sums["AssA"], np.sqrt(sums["AssA"] * sums["FragA"])
    scores = sums | {
        "DetRe": recall,
        "DetPr": precision,
        "DetA": detection,
        "HOTA": np.sqrt(detection * association),
        "RHOTA": np.sqrt(recall * association),
        "FA-HOTA": np.sqrt(detection * fragments),
        "FA-RHOTA": np.sqrt(recall * fragments),
    }
    scores["HOTALocA"] = scores["HOTA"] * scores["LocA"]
    lowest = {f"{name}(0)": scores[name][0] for name in _AT_LEAST_ALPHA}
    del scores["HOTALocA"]
    return scores | lowest


def _with_total(scores: dict[str, np.ndarray]) -> Scores:
    totals = {
        name: values.sum(-1) if name.startswith(_COUNTS) else values.mean(-1)
        for name, values in scores.items()
    }
    return {name: np.concatenate((scores[name], totals[name][..., None]), -1) for name in scores}


def _combined(sequences: List[Scores]) -> Scores:
    stacks = {
        name: np.stack([np.asarray(scores[name]) for scores in sequences])
        for name in (*_COUNTS, *_WEIGHTED, "LocA")
    }
    sums = {name: stacks[name].sum(0) for name in _COUNTS}
    weighted = {name: (stacks[name] * stacks["HOTA_TP"]).sum(0) for name in (*_WEIGHTED, "LocA")}
    averages = {name: weighted[name] / np.maximum(1, sums["HOTA_TP"]) for name in _WEIGHTED}
    return _final(sums | averages | {"LocA": _ratio_or_one(weighted["LocA"], sums["HOTA_TP"])})
