"""Reads the HRNet weights that mmpose publishes, strictly.

Source: docs/reference/detector_and_pose.md 2.2, 2.6.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.errors import WeightsError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.core.tensors import Shapes, misfits, validate_finite

_WIDTH_KEY = "backbone.stage2.0.branches.0.0.conv1.weight"
_HEAD_KEY = "head.final_layer.weight"


def read_hrnet_weights(weights: Path, width: int, expected: Shapes) -> dict[str, np.ndarray]:
    """Read the tensors of an HRNet.

    Args:
        weights: Weights of mmpose 1.x (COCO) or 0.x (PoseTrack18), or of this project.
        width: Width of the network, for messages.
        expected: Names and shapes of its tensors.

    Returns:
        Tensors with the names of mmpose 1.x.

    Raises:
        WeightsError: A tensor is missing, unexpected, not finite or of another shape; says what the file
            seems to be.
    """
    tensors = _renamed(read_checkpoint(weights).tensors)
    wrong = misfits(tensors, expected)
    if any(wrong):
        raise WeightsError(
            f"{weights} is not for hrnet-w{width}: {_seems(tensors, width)}. "
            f"Of {len(expected)} tensors {len(wrong.missing)} are missing and {len(wrong.misshaped)} have"
            f" another size; {len(wrong.unexpected)} are unexpected"
            f" (first: {(wrong.missing + wrong.misshaped + wrong.unexpected)[0]})."
        )
    validate_finite(tensors, expected, weights)
    return tensors


def _renamed(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename keypoint_head of mmpose 0.x."""
    return {
        "head." + name.removeprefix("keypoint_head.") if name.startswith("keypoint_head.") else name: tensor
        for name, tensor in tensors.items()
    }


def _seems(tensors: Mapping[str, np.ndarray], width: int) -> str:
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
