"""Scales images of any size to the canvas that a YOLOX network reads.

Source: `docs/reference/detector_and_pose.md 1.5 and 1.8`, equal to the published code byte for byte.
"""

from typing import Literal

import cv2
import numpy as np

from kprtrack.inference.pixels import PixelFormat

Preprocess = Literal["megvii", "legacy"]

PADDING_GREY = 114
# Pixels of the network. "megvii": BGR in 0..255, for weights of YOLOX 0.1.1rc0 and later and of mmdet.
# "legacy": RGB normalised by ImageNet's mean and deviation, including the padding, for older weights and
# ByteTrack's.
PIXELS: dict[Preprocess, PixelFormat] = {
    "megvii": PixelFormat((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (2, 1, 0)),
    # Scaled to 0..255: one rounding less than dividing each pixel by 255.
    "legacy": PixelFormat((255 * 0.485, 255 * 0.456, 255 * 0.406), (255 * 0.229, 255 * 0.224, 255 * 0.225)),
}


def letterbox_ratio(image_hw: tuple[int, int], height: int, width: int) -> float:
    """Canvas pixels per image pixel so that the image just fits; above 1 for small images."""
    return min(height / image_hw[0], width / image_hw[1])


def resized_hw(image_hw: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """Height and width of the image on the canvas, at least one pixel each."""
    ratio = letterbox_ratio(image_hw, height, width)
    # Truncated, not rounded, as in the published code; another size would move every box.
    return max(int(image_hw[0] * ratio), 1), max(int(image_hw[1] * ratio), 1)


def trimmed_hw(image_hw: tuple[int, int], height: int, width: int, multiple_px: int) -> tuple[int, int]:
    """Height and width, multiples of `multiple_px`, of the smallest canvas for the scaled image."""
    inner = resized_hw(image_hw, height, width)
    rows, columns = (-(-side // multiple_px) * multiple_px for side in inner)
    return rows, columns


def letterbox(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale an image to fit into the top-left corner of a grey canvas.

    A point of the canvas divided by `letterbox_ratio` is the point of the image.

    Returns:
        [height, width, 3] uint8.
    """
    rows, columns = resized_hw(image.shape[:2], height, width)
    canvas = np.full((height, width, 3), PADDING_GREY, np.uint8)
    canvas[:rows, :columns] = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return canvas
