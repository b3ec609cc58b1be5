"""The residual pose network of version 1, and files of weights of both pose networks of this project.

The residual network can be trained from random weights on a CPU: plain 3x3 convolutions with few channels,
residual blocks as in ResNet (He et al., CVPR 2016), a feature pyramid (FPN, Lin et al., CVPR 2017), and
heatmaps of a quarter of the input from features of an eighth, each cell split into four (Shi et al., CVPR
2016). The other one is a Lite-HRNet (lite_hrnet.py).
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save as serialise
from torch import nn

from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.poses.lite_hrnet import LiteHrnet
from kprtrack.poses.shapes import (
    LiteHrnetShape,
    PoseShape,
    SmallPoseShape,
    header_of,
    read_small_pose,
    validate_small_pose,
)
from reid.model.backbone_small import ConvNorm, ResidualBlock

_STAGES = 4
_SPLIT = 2  # heatmap cells per feature cell, along each side


class SmallPose(nn.Module):
    """Network with one heatmap per keypoint, of a quarter of the input size."""

    def __init__(self, shape: SmallPoseShape) -> None:
        super().__init__()
        self.shape = shape
        self.stem = _conv_relu(3, shape.stem_width, stride=2)
        inputs = (shape.stem_width, *shape.stage_widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                _conv_relu(before, width, stride=2),
                *(ResidualBlock(width, width, stride=1) for _ in range(blocks)),
            )
            for before, width, blocks in zip(inputs, shape.stage_widths, shape.stage_blocks, strict=True)
        )
        # The first stage would cost too much: its maps feed the second stage only.
        self.laterals = nn.ModuleList(
            ConvNorm(width, shape.neck_width, 1, stride=1) for width in shape.stage_widths[1:]
        )
        self.mixes = nn.ModuleList(
            _conv_relu(shape.neck_width, shape.neck_width, stride=1) for _ in range(_STAGES - 2)
        )
        head: Any = nn.Conv2d(shape.neck_width, len(KEYPOINTS) * _SPLIT**2, kernel_size=1)
        nn.init.normal_(head.weight, std=1e-3)  # as HRNet's head (docs/reference/detector_and_pose.md 2.7)
        nn.init.zeros_(head.bias)
        self.head = head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute heatmaps [N, 17, H/4, W/4], about 0..1, of normalised RGB images [N, 3, H, W]."""
        features, sides = self.stages[0](self.stem(images)), []
        for stage, lateral in zip(list(self.stages)[1:], self.laterals, strict=True):
            features = stage(features)
            sides.append(lateral(features))
        merged = sides.pop()
        for side, mix in zip(reversed(sides), self.mixes, strict=True):
            merged = mix(F.relu(side + F.interpolate(merged, scale_factor=2.0, mode="nearest")))
        return F.pixel_shuffle(self.head(merged), _SPLIT)


SmallPoseNetwork = SmallPose | LiteHrnet


def _conv_relu(before: int, width: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(ConvNorm(before, width, 3, stride=stride), nn.ReLU(inplace=True))


def new_pose_network(shape: PoseShape) -> SmallPoseNetwork:
    """Make the network of an architecture, with random weights."""
    return LiteHrnet(shape) if isinstance(shape, LiteHrnetShape) else SmallPose(shape)


def small_pose_file(network: SmallPoseNetwork, *, dtype: torch.dtype = torch.float32) -> bytes:
    """Serialise the weights as safetensors with the architecture in the header.

    Args:
        network: The network.
        dtype: Type of the stored tensors.

    Returns:
        Content of the file, the same for the same weights.
    """
    tensors = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    return serialise(tensors, header_of(network.shape))


def load_small_pose(weights: Path) -> SmallPoseNetwork:
    """Load a file of `small_pose_file`.

    Returns:
        The network in evaluation mode, float32, on the CPU.

    Raises:
        WeightsError: The file is missing, damaged or for another network.
    """
    stored = read_small_pose(weights)
    network = new_pose_network(stored.shape)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    validate_small_pose(stored.tensors, expected, weights)
    network.load_state_dict(
        {name: torch.from_numpy(one) for name, one in stored.tensors.items()}, strict=False
    )
    return network.eval()
