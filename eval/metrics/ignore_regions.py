"""Select the scored poses of a sequence: annotated frames, without joints and people in ignore regions."""

from collections.abc import Sequence as List
from dataclasses import replace

import numpy as np
import shapely

from eval.datatypes import POSETRACK_JOINTS, People, Sequence

EARS = (3, 4)
SCORED_JOINTS = np.delete(np.arange(POSETRACK_JOINTS), EARS)  # PoseTrack21 does not annotate ears


def without_ignored(sequence: Sequence) -> Sequence:
    """Return the labelled frames, renumbered from 0, without joints and people in ignore regions.

    In frames with regions, joints strictly inside one become 0, 0 on both sides, and people without a
    remaining scored joint are removed. Frames without regions keep all people. The result has no regions.
    Source: docs/reference/tracking_and_evaluation.md 2.1.
    """
    kept = np.flatnonzero(sequence.labelled)
    regions = [sequence.ignore_regions[frame] for frame in kept]
    new_number = np.cumsum(sequence.labelled) - 1
    ground_truth, tracks = (
        _cleaned(people.at(sequence.labelled[people.frames]), new_number, regions)
        for people in (sequence.ground_truth, sequence.tracks)
    )
    return Sequence(sequence.name, np.ones(len(kept), bool), ((),) * len(kept), ground_truth, tracks)


def _cleaned(people: People, new_number: np.ndarray, regions: List[tuple[np.ndarray, ...]]) -> People:
    frames = new_number[people.frames]
    ignored = _inside(frames, people.keypoints, regions)  # [N, 17]
    keypoints = np.where(ignored[:, :, None], 0, people.keypoints)
    has_regions = np.array([len(polygons) > 0 for polygons in regions], bool)[frames]
    scored = keypoints[:, SCORED_JOINTS]
    kept = ~has_regions | ((scored > 0).any((1, 2)) & ~ignored[:, SCORED_JOINTS].all(1))
    return replace(people, frames=frames, keypoints=keypoints).at(kept)


def _inside(frames: np.ndarray, points: np.ndarray, regions: List[tuple[np.ndarray, ...]]) -> np.ndarray:
    """Return [N, K] whether a point of row i lies strictly inside a region of its frame."""
    inside = np.zeros(points.shape[:2], bool)
    starts = np.searchsorted(frames, np.arange(len(regions) + 1))
    rows_of: dict[bytes, list[np.ndarray]] = {}  # a region is often the same in many frames
    for frame, polygons in enumerate(regions):
        for polygon in polygons:
            rows_of.setdefault(polygon.tobytes(), []).append(np.arange(starts[frame], starts[frame + 1]))
    for corners, parts in rows_of.items():
        rows = np.concatenate(parts)
        region = shapely.Polygon(np.frombuffer(corners).reshape(-1, 2))
        shapely.prepare(region)
        inside[rows] |= shapely.contains_xy(region, points[rows, :, 0], points[rows, :, 1])
    return inside
