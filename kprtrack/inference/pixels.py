"""How a network of images wants its pixels; the images themselves stay uint8 until it computes."""

from dataclasses import dataclass

import numpy as np

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class PixelFormat:
    """Order and normalisation of the channels that a network was trained with: (pixel - mean) / std."""

    mean: Triple  # of pixels in 0..255, in the order of the network
    std: Triple
    order: tuple[int, int, int] = (0, 1, 2)  # channels of an RGB image; 2, 1, 0: blue first

    def tensors(self) -> dict[str, np.ndarray]:
        """The same as tensors, by the names that PixelNetwork gives them."""
        return {
            "mean": np.array(self.mean, np.float32)[:, None, None],
            "std": np.array(self.std, np.float32)[:, None, None],
            "order": np.array(self.order, np.int64),
        }


IMAGENET_PIXELS = PixelFormat((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
