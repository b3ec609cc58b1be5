"""Poses from a file instead of a network: each detected person gets the given pose whose box fits best."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kprtrack.core.assignment import pair
from kprtrack.core.datatypes import Detections, Poses, empty_poses
from kprtrack.core.errors import InputError
from kprtrack.core.geometry import iou
from kprtrack.detectors.file import best_first, checked_people
from kprtrack.io import read_people
from kprtrack.io.columns import PeopleFile, coco_keypoints, reject

MIN_IOU = 0.5
_MAX_COST = 1 - MIN_IOU + 1e-6  # pair() wants costs below its limit; an IoU of exactly 0.5 still fits


@dataclass(frozen=True)
class FilePoses:
    """Keypoints by frame number, in the order that GivenDetections of the same file has."""

    keypoints: np.ndarray  # [N, 17, 3] float32, x y confidence, pixels
    boxes: np.ndarray  # [N, 4] float32
    frames: np.ndarray  # [N] int64

    def for_frames(self, frame_numbers: Sequence[int], people: list[Detections]) -> list[Poses]:
        """Skeletons of each frame, row i for box i; all zero where no given box has an IoU of 0.5 or more."""
        return [self._fit(number, found.boxes) for number, found in zip(frame_numbers, people, strict=True)]

    def _fit(self, frame_number: int, boxes: np.ndarray) -> Poses:
        start = np.searchsorted(self.frames, frame_number, side="left")
        end = np.searchsorted(self.frames, frame_number, side="right")
        given = self.boxes[start:end]
        # The same file gave both: row by row, because two people may share one box.
        if np.array_equal(given, boxes):
            return Poses(self.keypoints[start:end])
        poses = empty_poses(len(boxes))
        pairing = pair(1 - iou(boxes, given), _MAX_COST)
        poses.keypoints[pairing.rows] = self.keypoints[start:end][pairing.columns]
        return poses


def load_file_poses(path: Path, format: str | None = None) -> FilePoses:
    """The poses in a file of any format in READERS but MOT; a missing box is put around the keypoints.

    Raises: InputError naming file and place of a wrong keypoint or box, or if there are no keypoints.
    """
    file = read_people(path, format)
    if len(file.people) and not file.has_keypoints:
        raise InputError(f"{path} has no keypoints. Give a file with poses, or choose a network for them.")
    file = checked_people(_with_boxes(file))
    order = best_first(file)
    keypoints = coco_keypoints(file)
    negative = np.any(keypoints[..., 2] < 0, axis=1)
    reject(
        file, np.asarray(negative), "a keypoint with a negative score", "Write unknown keypoints as 0, 0, 0."
    )
    people = file.people
    return FilePoses(
        keypoints[order].astype(np.float32),
        people.boxes[order].astype(np.float32),
        people.frame[order].copy(),
    )


def _with_boxes(file: PeopleFile) -> PeopleFile:
    """`file` with the extent of the known keypoints for every missing box."""
    people = file.people
    known = people.keypoints[..., 2:] > 0  # [N, 17, 1]
    missing = np.isnan(people.boxes).all(axis=1) & known.any(axis=(1, 2))
    low = np.where(known, people.keypoints[..., :2], np.inf).min(axis=1)
    high = np.where(known, people.keypoints[..., :2], -np.inf).max(axis=1)
    boxes = np.where(missing[:, None], np.concatenate([low, high], axis=1), people.boxes)
    return replace(file, people=replace(people, boxes=boxes))
