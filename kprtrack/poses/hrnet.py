"""HRNet pose networks (W32, W48), for the weights that mmpose publishes.

Source: Sun et al., CVPR 2019; docs/reference/detector_and_pose.md 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kprtrack.core.config_files.ranges import validate_ranges
from kprtrack.core.errors import UserError
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.graphs import Graph
from kprtrack.inference.network import open_network
from kprtrack.inference.pixels import IMAGENET_PIXELS
from kprtrack.inference.source import NetworkSource, example_pixels
from kprtrack.poses.decode import Decode
from kprtrack.poses.hrnet_weights import read_hrnet_weights
from kprtrack.poses.topdown import Skeleton, TopDown, TopDownPose

if TYPE_CHECKING:
    from torch import nn

    from kprtrack.poses.hrnet_network import Hrnet


@dataclass(frozen=True)
class HrnetConfig:
    """Width, input size and decoding of an HRNet.

    A file of weights stores its width only; the rest is in its published name (…_dark-…_384x288).
    """

    width: int = 32  # 32 or 48, channels of the finest branch
    input_height: int = 256  # pixels; published: 256x192 and 384x288
    input_width: int = 192
    decode: Decode = "msra"
    skeleton: Skeleton = "coco"
    flip_test: bool = True  # average with the mirrored crop: about 1 AP for twice the time
    box_padding: float = 1.25  # crop size relative to the box

    def __post_init__(self) -> None:
        if self.width not in (32, 48):
            raise UserError(f"HRNet's width is {self.width}; known: 32, 48.")
        validate_ranges(self)
        for name, pixels in (("input_height", self.input_height), ("input_width", self.input_width)):
            if pixels % 32:
                raise UserError(
                    f"HRNet's {name} is {pixels}; it must be a multiple of 32, such as 256 or 384."
                )
        self.layout()

    def layout(self) -> TopDown:
        """Return the settings of top-down estimation. Raises: UserError for an unknown name."""
        return TopDown(
            self.input_width,
            self.input_height,
            self.decode,
            self.skeleton,
            flip_test=self.flip_test,
            box_padding=self.box_padding,
        )


class HrnetPose(TopDownPose):
    """Estimates 17 keypoints of every detected person with HRNet."""

    def __init__(self, config: HrnetConfig, weights: "Path | Hrnet", compute: ComputeConfig) -> None:
        """Load weights of mmpose 1.x (COCO) or 0.x (PoseTrack18) or of this project, or copy a network.

        Args:
            config: Width, input size and decoding.
            weights: A checkpoint, or a network.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The file is missing, damaged or for another network.
        """
        self._batch, self._layout = compute.batch, config.layout()
        self._network = open_network(hrnet_source(weights, config), compute)
        self.backend = self._network.backend


def hrnet_source(weights: "Path | Hrnet", config: HrnetConfig) -> NetworkSource:
    """Describe an HRNet for `open_network`.

    Args:
        weights: A checkpoint, or a network, which is left unchanged.
        config: Its width and input size.

    Returns:
        From crops [N, H, W, 3] uint8 RGB to heatmaps [N, 17, H/4, W/4].
    """
    example = [example_pixels(config.input_height, config.input_width)]

    def network() -> "nn.Module":
        if not isinstance(weights, Path):
            return weights
        from kprtrack.poses.hrnet_network import Hrnet, load_hrnet_weights

        module = Hrnet(config.width)
        load_hrnet_weights(module, config.width, weights)
        return module

    def tensors(graph: Graph) -> Mapping[str, np.ndarray]:
        assert isinstance(weights, Path)
        return read_hrnet_weights(weights, config.width, graph.shapes)

    source = NetworkSource(network, example, outputs=("heatmaps",), pixels=IMAGENET_PIXELS)
    if not isinstance(weights, Path):
        return source
    return replace(source, path=weights, architecture=hrnet_architecture(config), tensors=tensors)


def hrnet_architecture(config: HrnetConfig) -> dict[str, Any]:
    """All that the computation of heatmaps depends on beside the weights."""
    size = {"input_height": config.input_height, "input_width": config.input_width}
    return {"network": "hrnet", "width": config.width, **size}
