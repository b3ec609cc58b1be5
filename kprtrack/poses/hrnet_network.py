"""The HRNet pose network: timm's backbone and one heatmap per keypoint.

Source: Sun et al., CVPR 2019; docs/reference/detector_and_pose.md 2.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.poses.hrnet_weights import read_hrnet_weights


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
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    tensors = read_hrnet_weights(weights, width, expected)
    network.load_state_dict({name: torch.from_numpy(one) for name, one in tensors.items()}, strict=False)
