"""Top-down heatmap networks from ONNX and OpenVINO files, such as PP-TinyPose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.inference.backends import NetworkFile, open_network_file
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.pixels import IMAGENET_PIXELS
from kprtrack.pipeline import PoseEstimator
from kprtrack.poses.decode import Decode
from kprtrack.poses.topdown import Skeleton, TopDown, estimate_poses


@dataclass(frozen=True)
class HeatmapConfig:
    """Input and output of a heatmap network; its input size is read from the file. Defaults: PP-TinyPose."""

    decode: Decode = "msra"
    skeleton: Skeleton = "coco"
    flip_test: bool = True  # average with the mirrored crop: more stable keypoints for twice the time
    box_padding: float = 1.25  # crop size relative to the box
    # For pixels in 0..255, in the order of `channels`.
    mean: tuple[float, float, float] = IMAGENET_PIXELS.mean
    std: tuple[float, float, float] = IMAGENET_PIXELS.std
    channels: Literal["rgb", "bgr"] = "rgb"

    def __post_init__(self) -> None:
        if self.channels not in ("rgb", "bgr"):
            raise UserError(f"channels is '{self.channels}'; known: rgb, bgr.")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise UserError(f"mean {self.mean} and std {self.std} need three numbers each, std above 0.")
        self.layout(192, 256)

    def layout(self, input_width: int, input_height: int) -> TopDown:
        """Return the settings of top-down estimation. Raises: UserError for an unknown name."""
        return TopDown(
            input_width,
            input_height,
            self.decode,
            self.skeleton,
            flip_test=self.flip_test,
            box_padding=self.box_padding,
        )


class HeatmapPose(PoseEstimator):
    """Estimates 17 keypoints of every detected person with a network from a file."""

    def __init__(self, config: HeatmapConfig, weights: Path, compute: ComputeConfig) -> None:
        """Load the network of an .onnx file, or of an OpenVINO .xml with its .bin.

        Args:
            config: Normalisation of the crops and decoding of the heatmaps.
            weights: The file.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The file is missing, damaged or gives no 17 heatmaps.
            UserError: The library that runs it is not installed.
        """
        network = open_network_file(weights, compute)
        fixed_batch, _, height, width = _input_shape(network, weights)
        self._run: Callable[[np.ndarray], list[np.ndarray]] = network.run
        self._output = _heatmap_output(network, weights)
        self._fixed_batch = fixed_batch
        self._batch = compute.batch if fixed_batch is None else fixed_batch
        self._layout = config.layout(width, height)
        self._mean = np.array(config.mean, np.float32)
        self._std = np.array(config.std, np.float32)
        self._bgr = config.channels == "bgr"

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        """Estimate the pose in each box.

        Returns:
            Poses of each frame, row i for box i, in pixels of that frame.
        """
        return estimate_poses(frames, detections, self.heatmaps, self._layout, self._batch)

    def heatmaps(self, crops: np.ndarray) -> np.ndarray:
        """Run the network on at most one batch of crops, [N, H, W, 3] uint8 RGB.

        Returns:
            [N, 17, h, w] float32.
        """
        pixels = crops[..., ::-1] if self._bgr else crops
        images = ((pixels - self._mean) / self._std).transpose(0, 3, 1, 2)
        if self._fixed_batch is not None and len(images) < self._fixed_batch:
            images = np.concatenate((images, np.zeros((self._fixed_batch - len(images), *images.shape[1:]))))
        found = self._run(np.ascontiguousarray(images, np.float32))[self._output]
        return found[: len(crops)].astype(np.float32, copy=False)


def _input_shape(network: NetworkFile, weights: Path) -> tuple[int | None, int, int, int]:
    shape = network.input_shape
    if len(shape) != 4 or shape[1] != 3 or shape[2] is None or shape[3] is None:
        raise WeightsError(
            f"{weights} takes an input {_text(shape)}; expected [N, 3, height, width], sizes fixed."
        )
    return shape[0], shape[1], shape[2], shape[3]


def _heatmap_output(network: NetworkFile, weights: Path) -> int:
    """Which of the outputs holds the heatmaps."""
    batch, *size = _input_shape(network, weights)
    declared = network.output_shapes
    if not any(shape is None or _is_heatmaps(shape) for shape in declared):  # before anything is computed
        raise _no_heatmaps(weights, [shape for shape in declared if shape is not None])
    shapes = [one.shape for one in network.run(np.zeros((batch or 1, *size), np.float32))]
    fitting = [row for row, shape in enumerate(shapes) if _is_heatmaps(shape)]
    if len(fitting) != 1:
        raise _no_heatmaps(weights, shapes)
    return fitting[0]


def _is_heatmaps(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 4 and shape[1] in (len(KEYPOINTS), None)


def _no_heatmaps(weights: Path, shapes: Sequence[tuple[int | None, ...]]) -> WeightsError:
    found = ", ".join(map(_text, shapes))
    return WeightsError(
        f"{weights} gives {found}; expected one output [N, {len(KEYPOINTS)}, h, w] of heatmaps."
    )


def _text(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('any' if axis is None else str(axis) for axis in shape)}]"
