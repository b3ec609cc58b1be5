"""A person crop with its skeletons and part masks."""

from dataclasses import dataclass

import cv2
import numpy as np

from kprtrack.core.skeleton import KEYPOINTS


@dataclass(frozen=True)
class Crop:
    """A person crop with its annotations."""

    image: np.ndarray  # [h, w, 3] uint8 RGB
    keypoints: np.ndarray  # [1 + M, 17, 3] x y confidence, pixels of the crop: the person, then M others
    masks: np.ndarray | None  # [any size, K] float32 in [0, 1], stretched over the crop; None: unknown

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"a crop is [h, w, 3] uint8, not {self.image.shape} {self.image.dtype}")
        if self.keypoints.shape[1:] != (len(KEYPOINTS), 3) or not len(self.keypoints):
            raise ValueError(f"keypoints are [1 + M, {len(KEYPOINTS)}, 3], not {self.keypoints.shape}")
        if self.masks is not None and self.masks.ndim != 3:
            raise ValueError(f"masks are [h, w, K], not {self.masks.shape}")


def resize_crop(crop: Crop, height: int, width: int) -> Crop:
    """Resize the crop, its keypoints and masks to `height` x `width` pixels, bilinearly.

    Source: docs/reference/kpr.md 3.1, 4.3.
    """
    size = (width, height)
    keypoints = crop.keypoints.astype(np.float64)
    keypoints[..., :2] *= (width / crop.image.shape[1], height / crop.image.shape[0])
    return Crop(
        cv2.resize(crop.image, size, interpolation=cv2.INTER_LINEAR),
        zero_outside(keypoints, height, width),
        None if crop.masks is None else resize_masks(crop.masks, height, width),
    )


def resize_masks(masks: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize masks [h, w, K] bilinearly to [height, width, K] float32."""
    resized = cv2.resize(masks.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return resized.reshape(height, width, masks.shape[2])  # OpenCV drops the axis of a single mask


def zero_outside(keypoints: np.ndarray, height: int, width: int) -> np.ndarray:
    """Set keypoints [..., 3] outside an image of that size to zero."""
    x, y = keypoints[..., 0], keypoints[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return keypoints * inside[..., None]
