"""The pose networks of this project: their file of weights, their use, and the residual one of version 1.

The default is a Lite-HRNet (lite_hrnet.py). The residual network can be trained from random weights on a
CPU: plain 3x3 convolutions with few channels, residual blocks as in ResNet (He et al., CVPR 2016), a feature
pyramid (FPN, Lin et al., CVPR 2017), and heatmaps of a quarter of the input from features of an eighth, each
cell split into four (Shi et al., CVPR 2016).
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save as serialise
from torch import nn

from kprtrack.core.checkpoints import header_json, read_checkpoint
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import PoseEstimator
from kprtrack.poses.decode import Decode
from kprtrack.poses.lite_hrnet import LiteHrnet, LiteHrnetShape
from kprtrack.poses.topdown import TopDown, estimate_poses
from kprtrack.poses.torch_heatmaps import TorchHeatmaps
from reid.model.backbone_small import ConvNorm, ResidualBlock
from reid.model.tensors import tensors_of, validate_finite

DECODE: Decode = "dark"  # how its heatmaps are encoded in training and decoded in inference
_COARSEST = 32  # input pixels per cell of the last stage
_STAGES = 4
_SPLIT = 2  # heatmap cells per feature cell, along each side


@dataclass(frozen=True)
class SmallPoseShape:
    """Architecture of the network, stored in its file of weights."""

    input_height: int = 256  # pixels
    input_width: int = 192
    stem_width: int = 16  # channels
    stage_widths: tuple[int, int, int, int] = (24, 48, 96, 160)  # at 4, 8, 16, 32 pixels per cell
    stage_blocks: tuple[int, int, int, int] = (1, 2, 4, 4)
    neck_width: int = 64

    def __post_init__(self) -> None:
        for name, pixels in (("input_height", self.input_height), ("input_width", self.input_width)):
            if pixels <= 0 or pixels % _COARSEST:
                raise UserError(
                    f"{name} is {pixels}; it must be a multiple of {_COARSEST}, such as 192 or 256."
                )
        if min(self.stem_width, *self.stage_widths, self.neck_width) < 1 or min(self.stage_blocks) < 0:
            raise UserError(
                f"stem_width={self.stem_width}, stage_widths={self.stage_widths} and "
                f"neck_width={self.neck_width} must be 1 or more, stage_blocks={self.stage_blocks} 0 or more."
            )


@dataclass(frozen=True)
class SmallPoseConfig:
    """How the network is applied; its input size is stored in the weights."""

    flip_test: bool = False  # average with the mirrored crop: a little more accurate for twice the time
    box_padding: float = 1.15  # crop size relative to the box

    def layout(self, shape: "SmallPoseShape | LiteHrnetShape") -> TopDown:
        """Return the settings of top-down estimation."""
        return TopDown(
            shape.input_width,
            shape.input_height,
            DECODE,
            "coco",
            flip_test=self.flip_test,
            box_padding=self.box_padding,
        )


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
# Key in the header of a file -> network and shape.
_NETWORKS: dict[str, tuple[Any, Any]] = {
    "lite_hrnet": (LiteHrnet, LiteHrnetShape),
    "small_pose": (SmallPose, SmallPoseShape),
}


def _conv_relu(before: int, width: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(ConvNorm(before, width, 3, stride=stride), nn.ReLU(inplace=True))


class SmallPoseEstimator(PoseEstimator):
    """Estimates 17 keypoints of every detected person with a pose network of this project."""

    def __init__(
        self, config: SmallPoseConfig, weights: Path | SmallPoseNetwork, compute: ComputeConfig
    ) -> None:
        """Load weights of `small_pose_file`, or use a network, which stays as it is.

        Args:
            config: Use of the network.
            weights: A checkpoint, or a network.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The file is missing, damaged or for another network.
        """
        network = load_small_pose(weights) if isinstance(weights, Path) else weights
        shape = network.shape
        self._batch, self._layout = compute.batch, config.layout(shape)
        self.heatmaps = TorchHeatmaps(network, shape.input_height, shape.input_width, compute)
        self.backend = self.heatmaps.backend

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        """Estimate the pose in each box.

        Returns:
            Poses of each frame, row i for box i, in pixels of that frame.
        """
        return estimate_poses(frames, detections, self.heatmaps, self._layout, self._batch)


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
    # One entry only: safetensors writes several in random order, and the file would not be reproducible.
    header = next(key for key, (kind, _) in _NETWORKS.items() if isinstance(network, kind))
    return serialise(tensors, {header: json.dumps(asdict(network.shape))})


def load_small_pose(weights: Path) -> SmallPoseNetwork:
    """Load a file of `small_pose_file`.

    Returns:
        The network in evaluation mode, float32, on the CPU.

    Raises:
        WeightsError: The file is missing, damaged or for another network.
    """
    checkpoint = read_checkpoint(weights)
    for header, (kind, shape) in _NETWORKS.items():
        if (stored := header_json(checkpoint, header)) is not None:
            network: SmallPoseNetwork = kind(_shape(shape, stored, weights))
            break
    else:
        raise WeightsError(
            f"{weights} is not for --pose small: its header does not describe a pose network of this project "
            f"(it starts with {next(iter(checkpoint.tensors), 'nothing')})."
        )
    try:
        tensors = tensors_of(checkpoint)
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(
            f"{weights} does not contain the network that its header describes: {str(error)[:300]}"
        ) from error
    validate_finite(tensors, tensors, weights)
    return network.eval()


def _shape(kind: Any, stored: dict[str, Any], weights: Path) -> Any:
    if unknown := sorted(set(stored) - {field.name for field in fields(kind)}):
        raise WeightsError(f"{weights} was written by a newer version: unknown {unknown}.")
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in stored.items()}
    try:
        return kind(**values)
    except (TypeError, UserError) as error:
        raise WeightsError(f"{weights} describes a network that is not possible: {error}") from error
