"""Networks of images from ONNX and OpenVINO files: pixels in, the network's own outputs out."""

import math
from pathlib import Path

import numpy as np

from kprtrack.core.errors import WeightsError
from kprtrack.inference.backends import Shape, open_network_file, shape_text
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.pixels import PixelFormat

MOST_NUMBERS = 1 << 28  # in an input: 32 images of 1,670 x 1,670 pixels, 1 GiB


def takes_images(shape: Shape) -> bool:
    """Say whether an input is [N, 3, height, width] of a possible size.

    Args:
        shape: As a file declares it; None: any size.

    Returns:
        False for other numbers of axes or channels, sizes below 1, and more than MOST_NUMBERS numbers.
    """
    known = [size for size in shape if size is not None]
    channels = shape[1:2] in ((3,), (None,))
    return len(shape) == 4 and channels and min(known, default=1) >= 1 and math.prod(known) <= MOST_NUMBERS


class ImageNetwork:
    """A network from a file that takes RGB images as they are."""

    def __init__(self, weights: Path, compute: ComputeConfig, pixels: PixelFormat) -> None:
        """Load the network of an .onnx file, or of an OpenVINO .xml with its .bin.

        Args:
            weights: The file.
            compute: Device, precision and batch size.
            pixels: What the network expects.

        Raises:
            WeightsError: The file is missing or damaged, or the network takes no images.
            UserError: The library that runs it is not installed.
        """
        network = open_network_file(weights, compute)
        if not takes_images(network.input_shape) or network.input_shape[1] is None:
            raise WeightsError(
                f"{weights} takes an input {shape_text(network.input_shape)}; expected images [N, 3, height,"
                f" width] of at most {MOST_NUMBERS:,} numbers."
            )
        self._fixed_batch, _, self.height, self.width = network.input_shape  # None: any
        self.output_shapes = network.output_shapes  # as the file declares them; None: it does not
        self.batch = self._fixed_batch or compute.batch  # largest number of images in a call
        self._weights, self._run, self._pixels = weights, network.run, pixels

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height in pixels. Raises: WeightsError if the network takes images of any size."""
        if self.width is None or self.height is None:
            raise WeightsError(
                f"{self._weights} takes images of any size; export it with a fixed height and width."
            )
        return self.width, self.height

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """Compute all outputs for at most one batch of images.

        Args:
            images: [N, H, W, 3] uint8 RGB.

        Returns:
            Arrays of N rows, those of numbers with a fraction as float32.
        """
        count = len(images)
        inputs = self._pixels.inputs(images)
        if self._fixed_batch is not None:
            inputs = np.pad(inputs, ((0, self._fixed_batch - count), (0, 0), (0, 0), (0, 0)))
        return [
            one[:count].astype(np.float32, copy=False) if one.dtype.kind == "f" else one[:count]
            for one in self._run(inputs)
        ]

    def shapes(self) -> list[tuple[int, ...]]:
        """Find the shapes of the outputs for one image of the network's size, by computing them."""
        width, height = self.input_size
        return [one.shape for one in self.run(np.zeros((1, height, width, 3), np.uint8))]
