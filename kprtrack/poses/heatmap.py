"""Top-down heatmap networks from ONNX and OpenVINO files, such as PP-TinyPose."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import WeightsError
from kprtrack.core.skeletons import MOST_KEYPOINTS, is_count, skeleton_of_count
from kprtrack.inference.backends import Shape, shape_text
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.image_network import ImageNetwork
from kprtrack.inference.pixels import IMAGENET_PIXELS, Channels, Triple, pixel_format
from kprtrack.pipeline import PoseEstimator
from kprtrack.poses.decode import Decode
from kprtrack.poses.topdown import Skeleton, TopDown, estimate_poses

_COARSEST = 8  # pixels of the input for each row of heatmaps, at most


@dataclass(frozen=True)
class HeatmapConfig:
    """Input and output of a heatmap network; its input size is read from the file. Defaults: PP-TinyPose."""

    decode: Decode = "msra"
    skeleton: Skeleton = "coco"  # of a network with 17 heatmaps; other numbers are those of one set
    flip_test: bool = True  # average with the mirrored crop: more stable keypoints for twice the time
    box_padding: float = 1.25  # crop size relative to the box
    # For pixels in 0..255, in the order of `channels`.
    mean: Triple = IMAGENET_PIXELS.mean
    std: Triple = IMAGENET_PIXELS.std
    channels: Channels = "rgb"

    def __post_init__(self) -> None:
        pixel_format(self.mean, self.std, self.channels)
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
    """Estimates the keypoints of every detected person with a network from a file."""

    def __init__(self, config: HeatmapConfig, weights: Path, compute: ComputeConfig) -> None:
        """Load the network of an .onnx file, or of an OpenVINO .xml with its .bin.

        Args:
            config: Normalisation of the crops and decoding of the heatmaps.
            weights: The file.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The file is missing, damaged or gives no heatmaps.
            UserError: The library that runs it is not installed.
        """
        self._network = ImageNetwork(weights, compute, pixel_format(config.mean, config.std, config.channels))
        self._output, count = _heatmap_output(self._network, weights)
        self._layout = config.layout(*self._network.input_size)
        own = self._layout.keypoints
        self.skeleton = own if count == len(own) else skeleton_of_count(count)

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        """Estimate the pose in each box.

        Returns:
            Poses of each frame, row i for box i, in pixels of that frame.
        """
        batch = self._network.batch
        return estimate_poses(frames, detections, self.heatmaps, self._layout, batch, self.skeleton)

    def heatmaps(self, crops: np.ndarray) -> np.ndarray:
        """Run the network on at most one batch of crops, [N, H, W, 3] uint8 RGB.

        Returns:
            [N, K, h, w] float32.
        """
        return self._network.run(crops)[self._output]


def _heatmap_output(network: ImageNetwork, weights: Path) -> tuple[int, int]:
    """Which of the outputs holds the heatmaps, and their number."""
    declared = network.output_shapes
    height = network.height  # declared shapes are checked before anything is computed
    if not any(
        shape is None or _is_heatmaps(shape, height) for shape in declared
    ):  # before anything is computed
        raise _no_heatmaps(weights, [shape for shape in declared if shape is not None])
    shapes = network.shapes()
    fitting = [row for row, shape in enumerate(shapes) if _is_heatmaps(shape, height)]
    if len(fitting) != 1:
        raise _no_heatmaps(weights, shapes)
    return fitting[0], int(shapes[fitting[0]][1] or 0)


def _is_heatmaps(shape: Shape, input_height: int | None) -> bool:
    """Whether they may be heatmaps [N, K, h, w]; features of other networks are coarser."""
    if len(shape) != 4 or not is_count(shape[1]):
        return False
    return shape[2] is None or input_height is None or _COARSEST * shape[2] >= input_height


def _no_heatmaps(weights: Path, shapes: Sequence[Shape]) -> WeightsError:
    found = ", ".join(map(shape_text, shapes))
    return WeightsError(
        f"{weights} gives {found}; expected one output [N, K, h, w] of heatmaps, at most {MOST_KEYPOINTS}."
    )
