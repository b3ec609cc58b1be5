"""How a network of images wants its pixels; the images themselves stay uint8 until it computes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kprtrack.core.errors import UserError

Triple = tuple[float, float, float]
Channels = Literal["rgb", "bgr"]


@dataclass(frozen=True)
class PixelFormat:
    """Order and normalisation of the channels that a network was trained with: (pixel - mean) / std."""

    mean: Triple  # of pixels in 0..255, in the order of the network
    std: Triple
    order: tuple[int, int, int] = (0, 1, 2)  # channels of an RGB image; 2, 1, 0: blue first

    def inputs(self, images: np.ndarray) -> np.ndarray:
        """Convert images [N, H, W, 3] uint8 RGB to the input of the network, [N, 3, H, W] float32."""
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        normalised = (images[..., list(self.order)] - mean) / std
        return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))

    def tensors(self) -> dict[str, np.ndarray]:
        """The same as tensors, by the names that PixelNetwork gives them."""
        return {
            "mean": np.array(self.mean, np.float32)[:, None, None],
            "std": np.array(self.std, np.float32)[:, None, None],
            "order": np.array(self.order, np.int64),
        }


IMAGENET_PIXELS = PixelFormat((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


def pixel_format(mean: Triple, std: Triple, channels: Channels) -> PixelFormat:
    """Make the format of settings: mean and deviation of pixels in 0..255, in the order of `channels`.

    Raises:
        UserError: A value is out of range.
    """
    if channels not in ("rgb", "bgr"):
        raise UserError(f"channels is '{channels}'; known: rgb, bgr.")
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise UserError(f"mean {mean} and std {std} need three numbers each, std above 0.")
    return PixelFormat(mean, std, (0, 1, 2) if channels == "rgb" else (2, 1, 0))
