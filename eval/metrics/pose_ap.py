"""Average precision of poses, joint by joint, whoever the person is taken for (PoseTrack21's PosemAP)."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from eval.datatypes import People, Scores, Sequence
from eval.metrics.ignore_regions import SCORED_JOINTS, without_ignored
from eval.metrics.similarity import pairs_of_same_frame

_MAX_DISTANCE = 0.5  # of the true head's size


@dataclass(frozen=True)
class ApParts:
    """All joints that tracks have in a sequence, in the order of their files."""

    scores: np.ndarray  # [N, 15] float64
    found: np.ndarray  # [N, 15] bool, a joint with a position
    right: np.ndarray  # [N, 15] bool, within half a head of the true joint of the person it belongs to
    gt_joints: np.ndarray  # [15] int64, how many there were to be found


def pose_ap_parts(sequence: Sequence) -> ApParts:
    """What a sequence, as read from its files, adds to the average precision of all.

    A predicted pose belongs to the true one of which it finds the largest share of joints, the first of
    equals; of several for the same true pose the one with the largest share stays, and all joints of the
    others are wrong.
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
    """Percentages for 15 joints and, last, their mean: "AP", and "precision" and "recall" over all scores.

    The kit's groups are means of these: Head of joints 0-2, then a pair each from the shoulders down.
    A joint that no true person has is NaN and left out of the mean; without predictions all are 0.
    """
    pool = tuple(parts)
    of_joints = np.array([_of_joint(pool, joint) for joint in range(len(SCORED_JOINTS))])  # [15, 3]
    known = of_joints[~np.isnan(of_joints[:, 0])]
    mean = known.mean(0) if len(known) else np.full(3, np.nan)
    return dict(zip(("AP", "precision", "recall"), 100 * np.vstack((of_joints, mean)).T, strict=True))


def _joints(people: People) -> tuple[np.ndarray, np.ndarray]:
    """[N, 15, 2] pixels; [N, 15] whether there is a joint: one with x and y above 0."""
    points = people.keypoints[:, SCORED_JOINTS]
    return points, np.all(points > 0, axis=2)


def _first_best(share: np.ndarray, owner: np.ndarray, other: np.ndarray) -> np.ndarray:
    """For each owner the index of its largest share, of equals the one with the first `other`."""
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
    """From the highest score to the lowest, equals in the order the official numbers were made with.

    Scores of three digits are often equal, and their order moves the AP by up to half a point. The kit leaves
    it to numpy's unstable sort, which newer versions replaced by another for common numbers, not for these.
    """
    return scores.astype(np.longdouble).argsort()[::-1]
