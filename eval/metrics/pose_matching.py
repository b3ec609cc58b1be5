"""Match the joints of ground truth and tracks, separately for each frame and joint."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eval.datatypes import People, Sequence
from eval.metrics.hota import THRESHOLDS
from eval.metrics.ignore_regions import SCORED_JOINTS
from eval.metrics.similarity import pairs_of_same_frame

MIN_HIT_SIMILARITY = THRESHOLDS - np.finfo(float).eps
REACH = 0.5001  # distance in head sizes at which the similarity of joints is 0
JOINTS = len(SCORED_JOINTS)
_MIN_LEAD = 1e-9  # lead of a best partner; with a smaller one the solver decides, as in the official program

# Similarities of one joint in one frame [G, P] -> which pairs are hits at which threshold [G, P, 19].
Solver = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Runs:
    """Consecutive hits of a ground truth identity and a track at one joint and threshold, in time order."""

    threshold: np.ndarray  # [R] int64, row of THRESHOLDS
    ground_truth: np.ndarray  # [R] int64, row of gt_ids
    track: np.ndarray  # [R] int64, row of track_ids
    joint: np.ndarray  # [R] int64
    length: np.ndarray  # [R] int64, hits


@dataclass(frozen=True)
class PoseMatches:
    """The matching of a sequence as HOTA needs it; those of several sequences can be joined."""

    gt_ids: np.ndarray  # [G] int64, ascending
    track_ids: np.ndarray  # [P] int64, ascending
    gt_joints: np.ndarray  # [G, 15] joints present in all frames
    track_joints: np.ndarray  # [P, 15]
    runs: Runs
    similarity: np.ndarray  # [19, 15] sum over hits
    overcount: np.ndarray  # [15] misses that the official program adds to the real ones


def pose_matches(poses: Sequence, gt_ids: np.ndarray, track_ids: np.ndarray, *, solve: Solver) -> PoseMatches:
    """Match every joint of every frame.

    Args:
        poses: Ground truth and tracks after `without_ignored`.
        gt_ids: Identity of each row of the ground truth.
        track_ids: Identity of each row of the tracks.
        solve: Solves the assignment of one joint in one frame.
    """
    ground_truth, tracks = poses.ground_truth, poses.tracks
    gt_names, gt_of = np.unique(gt_ids, return_inverse=True)
    track_names, track_of = np.unique(track_ids, return_inverse=True)
    gt_points, track_points = _points(ground_truth), _points(tracks)
    per_frame = np.bincount(tracks.frames, minlength=len(poses.labelled))
    present = np.isfinite(gt_points[:, :, 0])

    gt_row, track_row = pairs_of_same_frame(ground_truth, tracks, len(poses.labelled))
    similarity = _similarity(gt_points, track_points, ground_truth.head_sizes, gt_row, track_row)
    pair, joint, hits = _solve_all(similarity, gt_row, track_row, ground_truth.frames, solve)
    # Sorted by ground truth identity, then time, the hits of a run are adjacent.
    order = np.lexsort((gt_row[pair], joint, gt_of[gt_row[pair]]))
    pair, joint, hits = pair[order], joint[order], hits[order]
    threshold, hit = np.nonzero(hits.T)
    runs = Runs(
        threshold,
        gt_of[gt_row[pair]][hit],
        track_of[track_row[pair]][hit],
        joint[hit],
        np.ones(len(hit), np.int64),
    )
    cell = threshold * JOINTS + joint[hit]
    return PoseMatches(
        gt_names,
        track_names,
        _joints_by_id(gt_of, len(gt_names), present),
        _joints_by_id(track_of, len(track_names), np.isfinite(track_points[:, :, 0])),
        joined(runs, len(gt_names)),
        by_cell(cell, similarity[pair, joint][hit]),
        _overcount(ground_truth.frames, present, per_frame),
    )


def joined(runs: Runs, gt_count: int) -> Runs:
    """Merge runs of the same hits: a gap does not end a run, another track does."""
    if not len(runs.length):
        return runs
    cell = (runs.threshold * gt_count + runs.ground_truth) * JOINTS + runs.joint
    order = np.argsort(cell, kind="stable")
    cell, track = cell[order], runs.track[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(cell) != 0) | (np.diff(track) != 0)])
    first = order[starts]
    length = np.add.reduceat(runs.length[order], starts)
    return Runs(runs.threshold[first], runs.ground_truth[first], runs.track[first], runs.joint[first], length)


def by_cell(cell: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return [19, 15] sums of values by threshold and joint."""
    shape = (len(THRESHOLDS), JOINTS)
    return np.bincount(cell, values, minlength=shape[0] * shape[1]).reshape(shape)


def _points(people: People) -> np.ndarray:
    """Return [N, 15, 2], NaN where a joint is missing."""
    points = people.keypoints[:, SCORED_JOINTS]
    return np.where((points > 0).all(2, keepdims=True), points, np.nan)


def _similarity(
    ground_truth: np.ndarray,
    tracks: np.ndarray,
    head_sizes: np.ndarray,
    gt_row: np.ndarray,
    track_row: np.ndarray,
) -> np.ndarray:
    """Return [K, 15]: 1 at the same position, 0 from half a head size on or where a joint is missing."""
    offset = ground_truth[gt_row] - tracks[track_row]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # huge coordinates, empty head boxes
        distance = np.sqrt(np.square(offset).sum(2)) / head_sizes[gt_row, None]
    return np.fmax(1 - distance / REACH, 0)


def _solve_all(
    similarity: np.ndarray,
    gt_row: np.ndarray,
    track_row: np.ndarray,
    frames: np.ndarray,
    solve: Solver,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs [M], joints [M] and hits [M, 19] of all joints of all frames."""
    pair, joint = np.nonzero(similarity)
    strength = similarity[pair, joint]
    gt_joint = gt_row[pair] * JOINTS + joint
    order = np.lexsort((-strength, gt_joint))
    pair, joint, strength, gt_joint = pair[order], joint[order], strength[order], gt_joint[order]
    best = np.r_[True, np.diff(gt_joint) != 0][: len(gt_joint)]
    # If the clearly best partners of all are different, they are the only optimum of any objective that
    # increases with similarity. Only the other joints of a frame need the solver.
    rivals = np.r_[~best[1:] & best[:-1] & (strength[:-1] - strength[1:] < _MIN_LEAD), False][: len(gt_joint)]
    track_joint = track_row[pair] * JOINTS + joint
    wanted = np.bincount(track_joint[best], minlength=track_joint.max(initial=0) + 1)
    contested = rivals | (best & (wanted[track_joint] > 1))
    cell = frames[gt_row[pair]] * JOINTS + joint
    hard = np.zeros(cell.max(initial=0) + 1, bool)
    hard[cell[contested]] = True
    easy = best & ~hard[cell]
    found = [(pair[easy], joint[easy], strength[easy, None] >= MIN_HIT_SIMILARITY)]
    gt_starts = np.searchsorted(frames, np.arange(cell.max(initial=0) // JOINTS + 2))
    pair_starts = np.searchsorted(gt_row, gt_starts)
    for frame, j in zip(*np.divmod(np.flatnonzero(hard), JOINTS), strict=True):
        start, stop = pair_starts[frame : frame + 2]
        people = gt_starts[frame + 1] - gt_starts[frame]
        hits = solve(similarity[start:stop, j].reshape(people, -1)).reshape(stop - start, -1)
        hit = np.flatnonzero(hits.any(1))
        found.append((start + hit, np.full(len(hit), j), hits[hit]))
    pairs, joints, hits_of = zip(*found, strict=True)
    return np.concatenate(pairs), np.concatenate(joints), np.concatenate(hits_of)


def _overcount(frames: np.ndarray, present: np.ndarray, per_frame: np.ndarray) -> np.ndarray:
    """Return [15] how far the official misses exceed the real ones.

    In a frame without predictions the official program adds the joints of the whole sequence instead of those
    of the frame, except in a sequence without any predictions.
    """
    if not per_frame.any():
        return np.zeros(JOINTS, np.int64)
    empty = per_frame[frames] == 0
    return len(np.unique(frames[empty])) * present.sum(0) - present[empty].sum(0)


def _joints_by_id(identity: np.ndarray, count: int, present: np.ndarray) -> np.ndarray:
    joints = np.zeros((count, JOINTS), np.int64)
    np.add.at(joints, identity, present)
    return joints
