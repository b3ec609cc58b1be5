"""Which of some known poses belongs to each box: the one whose own box overlaps it most."""

import numpy as np

from kprtrack.core.assignment import assign
from kprtrack.core.datatypes import Poses, empty_poses
from kprtrack.core.geometry import iou

MIN_IOU = 0.5
_MAX_COST = 1 - MIN_IOU + 1e-6  # assign() needs costs below its limit; an IoU of exactly 0.5 is accepted


def poses_of_boxes(boxes: np.ndarray, known: Poses, known_boxes: np.ndarray) -> Poses:
    """Give each box the pose whose box overlaps it most, each pose to one box.

    Args:
        boxes: [N, 4] x1 y1 x2 y2.
        known: M poses.
        known_boxes: [M, 4], their boxes.

    Returns:
        N poses; unknown keypoints where no box of a pose has an IoU of MIN_IOU or more.
    """
    poses = empty_poses(len(boxes), known.skeleton)
    pairing = assign(1 - iou(boxes, known_boxes), _MAX_COST)
    poses.keypoints[pairing.rows] = known.keypoints[pairing.columns]
    return poses
