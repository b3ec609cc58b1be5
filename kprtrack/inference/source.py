"""A network before it is opened with a backend, and after."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kprtrack.inference.graphs import Graph
from kprtrack.inference.pixels import PixelFormat

if TYPE_CHECKING:
    from torch import nn

Outputs = list[np.ndarray]


@dataclass(frozen=True)
class NetworkSource:
    """A network that can be opened: of a file of weights, or a torch module that is handed in."""

    network: Callable[[], "nn.Module"]  # builds the torch module or returns it. Raises: WeightsError
    example: Sequence[np.ndarray]  # inputs with two rows each
    free_axes: Sequence[int] = (0,)  # axes of the inputs whose size may change from call to call
    inputs: Sequence[str] = ("images",)  # names in an ONNX file
    outputs: Sequence[str] = ("output",)
    pixels: PixelFormat | None = None  # of a network whose input is images [N, H, W, 3] uint8 RGB
    path: Path | None = None  # file of weights; None: a module
    architecture: Mapping[str, Any] | None = None  # what its structure depends on; None: a module
    # The tensors of the file, checked against those of a graph. Raises: WeightsError.
    tensors: Callable[[Graph], Mapping[str, np.ndarray]] | None = None

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.example):
            raise ValueError(f"{len(self.inputs)} names for {len(self.example)} inputs")


@dataclass(frozen=True)
class OpenNetwork:
    """A network ready for inference with batches of any size."""

    # Starts to compute the outputs for the inputs, and returns a function that waits for them.
    launch: Callable[..., Callable[[], Outputs]]
    backend: str  # name and version of what executes it, such as "onnxruntime 1.23.0"

    def run(self, *inputs: np.ndarray) -> Outputs:
        """Compute the outputs for the inputs."""
        return self.launch(*inputs)()


def example_pixels(height: int, width: int) -> np.ndarray:
    """Make two images of noise as an example input, the same in every call: [2, height, width, 3] uint8."""
    return np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)


def example_numbers(*shape: int) -> np.ndarray:
    """Make an example input of float32 in [0, 1), the same in every call."""
    return np.random.default_rng(0).random(shape, np.float32)
