"""Poses from a file instead of a network: each box gets the stored pose whose box overlaps it most."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import InputError
from kprtrack.detectors.file import FileConfig, best_first, checked_people, read_file, validate_frame_sizes
from kprtrack.io.columns import PeopleFile
from kprtrack.pipeline import PoseEstimator
from kprtrack.poses.overlap import poses_of_boxes


class FilePose(PoseEstimator):
    """Keypoints from a file by frame number, in the order in which FileDetector has its boxes."""

    weights_from = "path"

    def __init__(self, config: FileConfig, weights: Path, compute: Any = None) -> None:
        """Read a file of any format but MOT; a missing box becomes the extent of the keypoints.

        Args:
            config: How the file is read.
            weights: The file of keypoints.
            compute: Not used.

        Raises:
            InputError: A keypoint or box is not valid, or there are no keypoints.
        """
        file = read_file(weights, config, "pose")
        if len(file.people) and not file.has_keypoints:
            raise InputError(f"{weights} has no keypoints. Use a file with poses, or choose a pose network.")
        file = checked_people(_with_boxes(file))
        order = best_first(file)
        self.skeleton = file.header.skeleton
        self.keypoints = file.people.keypoints[order].astype(np.float32)  # [N, K, 3] x y confidence, pixels
        self.boxes = file.people.boxes[order].astype(np.float32)  # [N, 4]
        self._frames = file.people.frame[order].copy()  # [N] int64, ascending
        self._file = file

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        """Return the poses of each frame, row i for box i; zeros without a stored box of IoU 0.5 or more.

        Raises:
            InputError: The file is of a video of another size.
        """
        validate_frame_sizes(self._file, frames)
        return [
            self._match(frame.number, found.boxes) for frame, found in zip(frames, detections, strict=True)
        ]

    def _match(self, frame_number: int, boxes: np.ndarray) -> Poses:
        start = np.searchsorted(self._frames, frame_number, side="left")
        end = np.searchsorted(self._frames, frame_number, side="right")
        own = self.boxes[start:end]
        # Boxes from the same file are matched by row, because two people may have equal boxes.
        if np.array_equal(own, boxes):
            return Poses(self.keypoints[start:end], self.skeleton)
        return poses_of_boxes(boxes, Poses(self.keypoints[start:end], self.skeleton), own)


def _with_boxes(file: PeopleFile) -> PeopleFile:
    """Replace missing boxes by the extent of the known keypoints."""
    people = file.people
    known = people.keypoints[..., 2:] > 0  # [N, 17, 1]
    missing = np.isnan(people.boxes).all(axis=1) & known.any(axis=(1, 2))
    low = np.where(known, people.keypoints[..., :2], np.inf).min(axis=1)
    high = np.where(known, people.keypoints[..., :2], -np.inf).max(axis=1)
    boxes = np.where(missing[:, None], np.concatenate([low, high], axis=1), people.boxes)
    return replace(file, people=replace(people, boxes=boxes))
