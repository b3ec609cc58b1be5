"""Average precision of poses for each joint, regardless of identities (PoseTrack21's PosemAP)."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from eval.datatypes import People, Scores, Sequence
from eval.metrics.ignore_regions import SCORED_JOINTS, without_ignored
from eval.metrics.similarity import pairs_of_same_frame

_MAX_DISTANCE = 0.5  # in ground truth head sizes


@dataclass(frozen=True)
class ApParts:
    """The predicted joints of a sequence, in the order of the file."""

    scores: np.ndarray  # [N, 15] float64
    found: np.ndarray  # [N, 15] bool, joint has a position
    right: np.ndarray  # [N, 15] bool, within half a head size of the joint of the assigned person
    gt_joints: np.ndarray  # [15] int64, number of ground truth joints


def pose_ap_parts(sequence: Sequence) -> ApParts:
    """Return the predicted joints of a sequence, assigned to ground truth.

    A predicted pose is assigned to the ground truth pose of which it finds the largest share of joints, the
    first one of equals. Of several predictions for one ground truth pose, the one with the largest share is
    kept; all joints of the others are false positives.
    Source: docs/reference/tracking_and_evaluation.md 2.4; on the frames and joints of keypoint HOTA (2.1).
    """
    sequence = without_ignored(sequence)
    ground_truth, tracks = sequence.ground_truth, sequence.tracks
    (true_points, wanted), (points, found) = _joints(ground_truth), _joints(tracks)
    of_track, of_gt = pairs_of_same_frame(tracks, ground_truth, len(sequence.labelled))
    offset = points[of_track] - true_points[of_gt]  # [pairs, 15, 2]
    near = np.hypot(*offset.transpose(2, 0, 1)) <= _MAX_DISTANCE * ground_truth.head_sizes[of_gt, None]
    hits = near & found[of_track] & wanted[of_gt]  # [pairs, 15]
    share = hits.sum(1) / np.maximum(wanted.sum(1), 1)[of_gt]
    for owner, other in ((of_track, of_gt), (of_gt, of_track)):
        best = _first_best(share, owner, other)
        share[np.delete(np.arange(len(share)), best)] = 0
    kept = share > 0
    right = np.zeros(found.shape, bool)
    right[of_track[kept]] = hits[kept]
    return ApParts(tracks.joint_scores[:, SCORED_JOINTS], found, right, wanted.sum(0))


def pose_ap(parts: Iterable[ApParts]) -> Scores:
    """Return "AP", "precision" and "recall" over all scores, each for 15 joints and, last, their mean.

    The kit's groups are means of these: Head of joints 0-2, then one pair of joints each from the shoulders
    down. A joint without ground truth is NaN and left out of the mean; without predictions all are 0.

    Args:
        parts: Results of `pose_ap_parts`.

    Returns:
        Arrays [16] in percent.
    """
    pool = tuple(parts)
    of_joints = np.array([_of_joint(pool, joint) for joint in range(len(SCORED_JOINTS))])  # [15, 3]
    known = of_joints[~np.isnan(of_joints[:, 0])]
    mean = known.mean(0) if len(known) else np.full(3, np.nan)
    return dict(zip(("AP", "precision", "recall"), 100 * np.vstack((of_joints, mean)).T, strict=True))


def _joints(people: People) -> tuple[np.ndarray, np.ndarray]:
    """Return positions [N, 15, 2] in pixels, and [N, 15] whether a joint exists: x and y are above 0."""
    points = people.keypoints[:, SCORED_JOINTS]
    return points, np.all(points > 0, axis=2)


def _first_best(share: np.ndarray, owner: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the index of the largest share of each owner; the first `other` wins ties."""
    order = np.lexsort((other, -share, owner))
    return order[np.unique(owner[order], return_index=True)[1]]


def _of_joint(pool: tuple[ApParts, ...], joint: int) -> tuple[float, float, float]:
    wanted = sum(int(part.gt_joints[joint]) for part in pool)
    if not wanted:
        return np.nan, np.nan, np.nan
    scores, right = (
        np.concatenate([getattr(part, name)[part.found[:, joint], joint] for part in pool])
        for name in ("scores", "right")
    )
    if not len(scores):
        return 0.0, 0.0, 0.0
    hits = right[_official_order(scores)].cumsum()
    recall, precision = hits / wanted, hits / np.arange(1, len(hits) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0)
    return steps @ best_from_here, precision[-1], recall[-1]


def _official_order(scores: np.ndarray) -> np.ndarray:
    """Return the order from the highest score to the lowest, with ties as in the official program.

    Scores of three digits are often equal, and their order changes the AP by up to half a point. The kit uses
    numpy's unstable sort, whose algorithm later changed for common types, but not for long double.
    """
    return scores.astype(np.longdouble).argsort()[::-1]
