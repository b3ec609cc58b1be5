"""PoseTrack21's keypoint HOTA: each joint is matched separately, identities belong to people.

Two modes come from one matching. `official` counts as the published program does: a labelled frame without
predictions adds the joints of the whole sequence to the misses (PoseTrack21 issue 10). `fixed` counts the
joints of that frame. Where the official program crashes, both modes agree: in a labelled frame without ground
truth (none annotated, or all of it ignored) predicted joints are false positives, and so is everything
predicted in a sequence without ground truth.
Source: docs/reference/tracking_and_evaluation.md 2.1.
"""

from collections.abc import Sequence as List
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval.datatypes import Scores, Sequence
from eval.metrics.hota import COUNTS, THRESHOLDS, combined_hota_scores, hota_scores, mean_or_one
from eval.metrics.pose_matching import (
    JOINTS,
    MIN_HIT_SIMILARITY,
    PoseMatches,
    by_cell,
    pose_matches,
)


class KeypointHota(NamedTuple):
    """Scores of both modes; they differ only where a frame has ground truth and no prediction.

    Arrays [19 thresholds, 15 joints + total], those named X(0) [15 joints + total] at alpha 0.05.
    """

    official: Scores
    fixed: Scores


def keypoint_hota(poses: Sequence) -> KeypointHota:
    """Return the scores of one sequence after `without_ignored`; totals are means or summed counts."""
    return hota_of(pose_matches(poses, poses.ground_truth.ids, poses.tracks.ids, solve=solve_once))


def combine_keypoint_hota(sequences: List[KeypointHota]) -> KeypointHota:
    """Combine sequences: counts are summed, the other fields are weighted by hits, column by column.

    The total is sqrt(pooled DetA × weighted AssA), not the mean HOTA of the joints.
    """
    return KeypointHota(*(combined_hota_scores(scores) for scores in zip(*sequences, strict=True)))


def solve_once(similarity: np.ndarray) -> np.ndarray:
    """Return the one-to-one pairs with the greatest sum of similarity, the same for all thresholds."""
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    hits = np.zeros((*similarity.shape, len(THRESHOLDS)), bool)
    hits[rows, columns] = similarity[rows, columns, None] >= MIN_HIT_SIMILARITY
    return hits


def hota_of(matches: PoseMatches) -> KeypointHota:
    """Return the scores of one matching."""
    sums = _association(matches)
    hits = sums["HOTA_TP"]
    fixed = matches.gt_joints.sum(0) - hits
    sums["HOTA_FP"] = matches.track_joints.sum(0) - hits
    return KeypointHota(
        *(
            _with_total(hota_scores(sums | {"HOTA_FN": misses}))
            for misses in (fixed + matches.overcount, fixed)
        )
    )


def _association(matches: PoseMatches) -> dict[str, np.ndarray]:
    """Return HOTA_TP, LocA, AssA, AssRe, AssPr and FragA, each [19, 15]."""
    runs = matches.runs
    cell = runs.threshold * JOINTS + runs.joint
    hits = by_cell(cell, runs.length)
    couple = cell * len(matches.gt_ids) + runs.ground_truth
    couple = couple * len(matches.track_ids) + runs.track
    _, first, which = np.unique(couple, return_index=True, return_inverse=True)
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
    return scores | {"HOTA_TP": hits, "LocA": mean_or_one(matches.similarity, hits)}


def _with_total(scores: dict[str, np.ndarray]) -> Scores:
    totals = {
        name: values.sum(-1) if name.startswith(COUNTS) else values.mean(-1)
        for name, values in scores.items()
    }
    return {name: np.concatenate((scores[name], totals[name][..., None]), -1) for name in scores}
