"""Validates what detectors, pose estimators and encoders give for a frame, those of the user included."""

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Poses
from kprtrack.core.errors import UserError
from kprtrack.core.files.numbers import LARGEST


def validate_outputs(number: int, found: Detections, poses: Poses, embeddings: Appearance) -> None:
    """Check that the numbers are possible, so that results made of them can be read.

    Args:
        number: Of the frame, for messages.
        found: Of the detector.
        poses: Of the pose estimator.
        embeddings: Of the ReID encoder.

    Raises:
        UserError: A box has no area, a score is outside 0 to 1, or a number is not finite.
    """
    sizes = found.boxes[:, 2:] - found.boxes[:, :2]
    if not ((np.abs(found.boxes) < LARGEST).all() and (sizes > 0).all()):
        raise UserError(
            f"The detector gave boxes without an area, or far outside of any image, for frame {number}."
            " Leave them out."
        )
    if not ((found.scores >= 0) & (found.scores <= 1)).all():
        raise UserError(
            f"The detector gave scores outside 0 to 1 for frame {number}. Scale them, or use other weights."
        )
    if not (np.isfinite(poses.keypoints).all() and (poses.keypoints[..., 2] >= 0).all()):
        raise UserError(
            f"The pose network gave numbers that are not finite, or negative confidences, for frame"
            f" {number}. Try precision fp32, or other weights."
        )
    if not np.isfinite(embeddings.features).all():
        raise UserError(
            f"The ReID encoder gave numbers that are not finite for frame {number}. "
            "Try precision fp32, or other weights."
        )
