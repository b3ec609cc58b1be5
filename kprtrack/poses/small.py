"""The pose networks of this project: Lite-HRNet, and the residual one of version 1 (small_network.py)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.graphs import Graph
from kprtrack.inference.network import open_network
from kprtrack.inference.pixels import IMAGENET_PIXELS
from kprtrack.inference.source import NetworkSource, example_pixels
from kprtrack.poses.decode import Decode
from kprtrack.poses.shapes import PoseShape, header_of, read_small_pose, validate_small_pose
from kprtrack.poses.topdown import TopDown, TopDownPose

if TYPE_CHECKING:
    from torch import nn

    from kprtrack.poses.small_network import SmallPoseNetwork

DECODE: Decode = "dark"  # how its heatmaps are encoded in training and decoded in inference


@dataclass(frozen=True)
class SmallPoseConfig:
    """How the network is applied; its input size is stored in the weights."""

    flip_test: bool = False  # average with the mirrored crop: a little more accurate for twice the time
    box_padding: float = 1.15  # crop size relative to the box

    def layout(self, shape: PoseShape) -> TopDown:
        """Return the settings of top-down estimation."""
        return TopDown(
            shape.input_width,
            shape.input_height,
            DECODE,
            "coco",
            flip_test=self.flip_test,
            box_padding=self.box_padding,
        )


class SmallPoseEstimator(TopDownPose):
    """Estimates 17 keypoints of every detected person with a pose network of this project."""

    def __init__(
        self, config: SmallPoseConfig, weights: "Path | SmallPoseNetwork", compute: ComputeConfig
    ) -> None:
        """Load weights of `small_pose_file`, or use a network, which stays as it is.

        Args:
            config: Use of the network.
            weights: A checkpoint, or a network.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The file is missing, damaged or for another network.
        """
        shape, source = small_pose_source(weights)
        self._batch, self._layout = compute.batch, config.layout(shape)
        self._network = open_network(source, compute)
        self.backend = self._network.backend


def small_pose_source(weights: "Path | SmallPoseNetwork") -> tuple[PoseShape, NetworkSource]:
    """Describe a pose network for `open_network`.

    Args:
        weights: A checkpoint, or a network, which is left unchanged.

    Returns:
        Its architecture; and the network from crops [N, H, W, 3] uint8 RGB to heatmaps [N, 17, H/4, W/4].

    Raises:
        WeightsError: The file is missing, damaged or for another network.
    """
    if not isinstance(weights, Path):
        return weights.shape, _source(weights.shape, lambda: weights)
    path, stored = weights, read_small_pose(weights)

    def network() -> "nn.Module":
        from kprtrack.poses.small_network import load_small_pose

        return load_small_pose(path)

    def tensors(graph: Graph) -> Mapping[str, np.ndarray]:
        validate_small_pose(stored.tensors, graph.shapes, path)
        return stored.tensors

    source = _source(stored.shape, network)
    architecture = small_pose_architecture(stored.shape)
    return stored.shape, replace(source, path=path, architecture=architecture, tensors=tensors)


def small_pose_architecture(shape: PoseShape) -> dict[str, Any]:
    """All that the computation of heatmaps depends on beside the weights."""
    (kind,) = header_of(shape)
    return {"network": kind, **asdict(shape)}


def _source(shape: PoseShape, network: Callable[[], "nn.Module"]) -> NetworkSource:
    example = [example_pixels(shape.input_height, shape.input_width)]
    return NetworkSource(network, example, outputs=("heatmaps",), pixels=IMAGENET_PIXELS)
