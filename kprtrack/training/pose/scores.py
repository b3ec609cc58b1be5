"""Metrics of keypoints against ground truth or a teacher's: PCKh and object keypoint similarity.

The truth is [N, 17, 3], x y weight in pixels; only keypoints of weight above 0 are asked for. Every keypoint
of the found [N, 17, 3] counts, however unsure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kprtrack.core.skeleton import KEYPOINTS, OKS_SIGMAS, POSETRACK_KEYPOINTS
from kprtrack.io.posetrack import HEAD_BOTTOM, HEAD_TOP, to_posetrack
from kprtrack.poses.topdown import Skeleton

# From neck to the top of the head, relative to mid-shoulders to mid-hips: the median of CUHK01, CUHK03 (with
# the keypoints of PP-TinyPose) and LSP Extended (annotated), which are 0.51, 0.52 and 0.50.
_HEAD_PER_TORSO = 0.51
_LEFT_SHOULDER, _RIGHT_SHOULDER, _LEFT_HIP, _RIGHT_HIP = 5, 6, 11, 12
_SIMILAR = 0.5  # least keypoint similarity of a keypoint that is found


@dataclass(frozen=True)
class PoseScores:
    """Shares in [0, 1]; NaN where no keypoint was asked for."""

    pckh: float  # PCKh@0.5, mean of the joints
    pckh_joints: Mapping[str, float]
    pck_oks: float  # share of keypoints with a similarity of 0.5 or more, mean of the joints
    oks: float  # mean of the people
    people: int
    keypoints: int  # asked for in PCKh


def score_poses(
    found: np.ndarray,
    ground_truth: np.ndarray,
    areas: np.ndarray,
    *,
    skeleton: Skeleton = "coco",
    head_share: float = 0.5,
) -> PoseScores:
    """Scores of N people. areas: [N] pixels², of their boxes. head_share: allowed error, in head sizes.

    Args:
        found: [N, 17, 3] x y confidence in pixels.
        ground_truth: [N, 17, 3]; joints without confidence are not scored.
        areas: [N] of the people in square pixels.
        skeleton: Names and order of the joints of both.
        head_share: Largest error of a correct joint, in head sizes.

    Returns:
        PCKh and similarity, in 0..1; NaN where no joint is scored.

    Source: PCKh, Andriluka et al., CVPR 2014; similarity, COCO's keypoint evaluation.
    """
    ground_truth = np.asarray(ground_truth, np.float64)
    asked = ground_truth[..., 2] > 0
    errors = np.linalg.norm(
        np.asarray(found, np.float64)[..., :2] - ground_truth[..., :2], axis=-1
    )  # [N, 17]
    sizes = head_sizes(ground_truth, skeleton)
    measured = asked & np.isfinite(sizes)[:, None]
    joints = _shares(errors <= head_share * np.nan_to_num(sizes)[:, None], measured)
    spread = np.maximum(areas, 1)[:, None] * (2 * np.array(OKS_SIGMAS)) ** 2
    similarity = np.exp(-(errors**2) / (2 * spread))
    each = _shares(similarity.T, asked.T)
    return PoseScores(
        pckh=_mean(joints),
        pckh_joints=dict(zip(_names(skeleton), joints.tolist(), strict=True)),
        pck_oks=_mean(_shares(similarity >= _SIMILAR, asked)),
        oks=_mean(each),
        people=int(asked.any(axis=1).sum()),
        keypoints=int(measured.sum()),
    )


def head_sizes(keypoints: np.ndarray, skeleton: Skeleton = "coco") -> np.ndarray:
    """[N] pixels from neck to the top of the head, PCKh's unit; NaN where neither head nor torso is known.

    PoseTrack annotates both ends (MPII's 0.6 of the head box's diagonal stands for the same length). COCO
    does not: they are derived from shoulders, ears and nose as in results in PoseTrack's format. People
    without either, as in LSP's 14 joints, are measured by their torso.

    Args:
        keypoints: [N, 17, 3] x y confidence in pixels.
        skeleton: Their names and order.

    Returns:
        [N] in pixels; NaN: unknown.
    """
    keypoints = np.array(keypoints, np.float64)
    keypoints[..., 2] = np.maximum(keypoints[..., 2], 0)
    ends = to_posetrack(keypoints) if skeleton == "coco" else keypoints
    bottom, top = ends[:, HEAD_BOTTOM], ends[:, HEAD_TOP]
    heads = np.linalg.norm(top[:, :2] - bottom[:, :2], axis=1)
    corners = keypoints[:, [_LEFT_SHOULDER, _RIGHT_SHOULDER, _LEFT_HIP, _RIGHT_HIP]]
    across = (corners[:, :2, :2].sum(axis=1) - corners[:, 2:, :2].sum(axis=1)) / 2
    torsos = np.linalg.norm(across, axis=1) * _HEAD_PER_TORSO
    sizes = np.where((corners[..., 2] > 0).all(axis=1), torsos, np.nan)
    sizes = np.where((bottom[:, 2] > 0) & (top[:, 2] > 0), heads, sizes)
    return np.where(sizes > 0, sizes, np.nan)


def _names(skeleton: Skeleton) -> tuple[str, ...]:
    return KEYPOINTS if skeleton == "coco" else POSETRACK_KEYPOINTS


def _shares(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Mean of every column over the rows that count; NaN where none does."""
    count = counted.sum(axis=0)
    return np.divide((values * counted).sum(axis=0), count, out=np.full(len(count), np.nan), where=count > 0)


def _mean(values: np.ndarray) -> float:
    """Mean of those that are numbers."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
