"""What every detector refuses to take in and to give out."""

import numpy as np

from kprtrack.core.datatypes import Detections
from kprtrack.core.errors import UserError


def check_image(image: np.ndarray) -> None:
    """Raises: UserError unless the image is [H, W, 3] uint8 with at least one pixel."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise UserError(
            f"An image is {image.dtype} of shape {image.shape}; expected uint8 [height, width, 3], not empty."
        )


def sound_detections(boxes: np.ndarray, scores: np.ndarray) -> Detections:
    """Detections of the boxes [N, 4] that have an area and only finite numbers, in the same order."""
    sound = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Detections(boxes[sound].astype(np.float32), scores[sound].astype(np.float32))
