"""Validates images and detections of all detectors."""

import numpy as np

from kprtrack.core.datatypes import Detections
from kprtrack.core.errors import UserError
from kprtrack.core.files.numbers import LARGEST


def check_image(image: np.ndarray) -> None:
    """Raise UserError unless the image is [H, W, 3] uint8 and not empty."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise UserError(
            f"An image is {image.dtype} of shape {image.shape}; expected uint8 [height, width, 3], not empty."
        )


def possible(boxes: np.ndarray) -> np.ndarray:
    """Say of boxes whether they can be in an image, as damaged weights give any number.

    Args:
        boxes: [N, 4] pixels.

    Returns:
        [N] bool; False where a number is not finite, or 10^9 or more.
    """
    return np.asarray((np.abs(boxes) < LARGEST).all(axis=1))


def valid_detections(boxes: np.ndarray, scores: np.ndarray) -> Detections:
    """Keep the boxes [N, 4] that are possible and have an area, in the same order."""
    usable = possible(boxes)
    boxes, scores = boxes[usable].astype(np.float32), scores[usable].astype(np.float32)
    valid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Detections(boxes[valid], scores[valid])
