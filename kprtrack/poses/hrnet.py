"""HRNet pose networks (W32, W48) with timm's backbone, for the weights that mmpose publishes.

Source: Sun et al., CVPR 2019; docs/reference/detector_and_pose.md 2.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import PoseEstimator
from kprtrack.poses.decode import Decode
from kprtrack.poses.topdown import Skeleton, TopDown, estimate_poses
from kprtrack.poses.torch_heatmaps import TorchHeatmaps
from reid.model.tensors import read_tensors, validate_finite

_WIDTH_KEY = "backbone.stage2.0.branches.0.0.conv1.weight"
_HEAD_KEY = "head.final_layer.weight"


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
        for name, pixels in (("input_height", self.input_height), ("input_width", self.input_width)):
            if pixels <= 0 or pixels % 32:
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


class Hrnet(nn.Module):
    """HRNet with one heatmap per keypoint, of a quarter of the input size; state-dict names of mmpose."""

    def __init__(self, width: int) -> None:
        super().__init__()
        import timm  # takes a second

        # out_indices 1 of the plain location is the stride-4 branch of the last stage
        # (docs/reference/detector_and_pose.md 2.2).
        trunk: Any = timm.create_model(
            f"hrnet_w{width}", pretrained=False, features_only=True, feature_location="", out_indices=(1,)
        )
        # Only that branch is used; the last fusion need not compute the others.
        last = trunk.stage4[-1]
        last.fuse_layers = nn.ModuleList([last.fuse_layers[0]])
        self.backbone = trunk
        final: Any = nn.Conv2d(width, len(KEYPOINTS), kernel_size=1)
        nn.init.normal_(final.weight, std=1e-3)  # docs/reference/detector_and_pose.md 2.7
        nn.init.zeros_(final.bias)
        self.head = nn.ModuleDict({"final_layer": final})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute heatmaps [N, 17, H/4, W/4], about 0..1, of normalised RGB images [N, 3, H, W]."""
        (features,) = self.backbone(images)
        return self.head["final_layer"](features)


class HrnetPose(PoseEstimator):
    """Estimates 17 keypoints of every detected person with HRNet."""

    def __init__(self, config: HrnetConfig, weights: Path | Hrnet, compute: ComputeConfig) -> None:
        """Load weights of mmpose 1.x (COCO) or 0.x (PoseTrack18) or of this project, or copy a network.

        Args:
            config: Width, input size and decoding.
            weights: A checkpoint, or a network.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The file is missing, damaged or for another network.
        """
        if isinstance(weights, Path):
            network = Hrnet(config.width)
            load_hrnet_weights(network, config.width, weights)
        else:
            network = weights
        self._batch, self._layout = compute.batch, config.layout()
        self.heatmaps = TorchHeatmaps(network, config.input_height, config.input_width, compute)
        self.backend = self.heatmaps.backend

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        """Estimate the pose in each box.

        Returns:
            Poses of each frame, row i for box i, in pixels of that frame.
        """
        return estimate_poses(frames, detections, self.heatmaps, self._layout, self._batch)


def load_hrnet_weights(network: Hrnet, width: int, weights: Path) -> None:
    """Load a file of weights into the network, strictly.

    Args:
        network: Changed in place.
        width: Its width, for messages.
        weights: Weights of mmpose 1.x (COCO) or 0.x (PoseTrack18), or of this project.

    Raises:
        WeightsError: A tensor is missing, unexpected, not finite or of another shape; says what the file
            seems to be.
    """
    tensors = _renamed(read_tensors(weights))
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    # Counters are needed to resume a training only, and some exporters leave them out.
    missing = [name for name in expected if name not in tensors and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in tensors if name not in expected]
    misfits = [
        name for name, shape in expected.items() if name in tensors and tuple(tensors[name].shape) != shape
    ]
    if missing or unexpected or misfits:
        raise WeightsError(
            f"{weights} is not for hrnet-w{width}: {_seems(tensors, width)}. "
            f"Of {len(expected)} tensors {len(missing)} are missing and {len(misfits)} have another size; "
            f"{len(unexpected)} are unexpected (first: {(missing + misfits + unexpected)[0]})."
        )
    validate_finite(tensors, expected, weights)
    network.load_state_dict(tensors, strict=False)


def _renamed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename keypoint_head of mmpose 0.x."""
    return {
        "head." + name.removeprefix("keypoint_head.") if name.startswith("keypoint_head.") else name: tensor
        for name, tensor in tensors.items()
    }


def _seems(tensors: dict[str, torch.Tensor], width: int) -> str:
    """Describe what a file that does not fit seems to be."""
    if any(".stems." in name or "neck.out_convs" in name for name in tensors):
        return "it seems to be a YOLOX detector"
    if "stage2.0.branches.0.0.conv1.weight" in tensors:
        return "it seems to be an HRNet without pose head or with other names, such as ImageNet weights"
    if _WIDTH_KEY not in tensors:
        return f"it does not seem to be an HRNet (it starts with {next(iter(tensors), 'nothing')})"
    found = tensors[_WIDTH_KEY].shape[0]
    if found != width:
        return f"it seems to be hrnet-w{found}; choose --pose hrnet-w{found}"
    head = tensors.get(_HEAD_KEY)
    if head is None:
        return f"it seems to be hrnet-w{found} without the 1x1 heatmap head"
    if head.shape[0] != len(KEYPOINTS):
        return f"it seems to be hrnet-w{found} for {head.shape[0]} keypoints instead of {len(KEYPOINTS)}"
    return f"it seems to be hrnet-w{found}, incomplete or changed"
