"""Keypoint HOTA across videos: a person keeps one identity in all videos (PoseTrack21's reid tracks).

Like keypoint HOTA, with person_id on both sides and all sequences as one; the assignment is solved for each
threshold. The bug of the official mode adds the joints of the frame's own sequence. Where the official
program crashes, at a sequence without predictions, both modes count its joints once as misses.
Source: docs/reference/tracking_and_evaluation.md 2.3.
"""

from collections.abc import Sequence as List
from dataclasses import fields, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval.datatypes import Sequence
from eval.metrics.keypoint_hota import KeypointHota, hota_of
from eval.metrics.pose_matching import JOINTS, MIN_HIT_SIMILARITY, PoseMatches, Runs, joined, pose_matches

_HIT_BONUS = 1000.0  # maximises the number of hits first, then their similarity


def cross_video_parts(poses: Sequence) -> PoseMatches:
    """Return the matching of one sequence after `without_ignored`, for `cross_video_hota`."""
    gt_ids, track_ids = poses.ground_truth.person_ids, poses.tracks.person_ids
    return pose_matches(poses, gt_ids, track_ids, solve=solve_each_threshold)


def cross_video_hota(parts: List[PoseMatches]) -> KeypointHota:
    """Return the scores of all sequences, given in their order."""
    return hota_of(_joined(parts))


def solve_each_threshold(similarity: np.ndarray) -> np.ndarray:
    """Return, for each threshold, the one-to-one pairs with most hits, then the greatest similarity."""
    hits = np.zeros((*similarity.shape, len(MIN_HIT_SIMILARITY)), bool)
    for threshold, least in enumerate(MIN_HIT_SIMILARITY):
        is_hit = similarity >= least
        rows, columns = linear_sum_assignment(_HIT_BONUS * is_hit + similarity, maximize=True)
        hits[rows, columns, threshold] = is_hit[rows, columns]
    return hits


def _joined(parts: List[PoseMatches]) -> PoseMatches:
    """Join the matchings of all sequences: identities are shared, and runs continue across sequences."""
    gt_ids = np.unique(np.concatenate([part.gt_ids for part in parts]))
    track_ids = np.unique(np.concatenate([part.track_ids for part in parts]))
    gt_joints = np.zeros((len(gt_ids), JOINTS), np.int64)
    track_joints = np.zeros((len(track_ids), JOINTS), np.int64)
    runs = []
    for part in parts:
        ground_truth = np.searchsorted(gt_ids, part.gt_ids)
        tracks = np.searchsorted(track_ids, part.track_ids)
        gt_joints[ground_truth] += part.gt_joints
        track_joints[tracks] += part.track_joints
        runs.append(
            replace(
                part.runs, ground_truth=ground_truth[part.runs.ground_truth], track=tracks[part.runs.track]
            )
        )
    all_runs = Runs(*(np.concatenate([getattr(some, field.name) for some in runs]) for field in fields(Runs)))
    return PoseMatches(
        gt_ids,
        track_ids,
        gt_joints,
        track_joints,
        joined(all_runs, len(gt_ids)),
        np.sum([part.similarity for part in parts], 0),
        np.sum([part.overcount for part in parts], 0),
    )
