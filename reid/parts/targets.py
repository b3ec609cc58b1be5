"""Part prediction targets from human-parsing masks.

Source: docs/reference/kpr.md 3.1.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F

from kprtrack.core.errors import InputError, unknown_name

FIELDS = 36  # of PifPaf: 17 keypoints in COCO's order, then 19 limbs
_FOREGROUND = 0.5  # a position where no part reaches it is background
_SHARPNESS = 15.0  # of the softmax over parts
_STRIDE = 4  # of the encoder's map

_HEAD = (0, 1, 2, 3, 4, 29, 30, 31, 32, 33, 34, 35)
_TORSO = (11, 12, 21, 22, 23, 24)
_LEGS = (11, 12, 13, 14, 17, 18, 19, 20)

# Fields of each part by the official names, in the part classifier's order. Two entries are lopsided, as
# published: of the legs of "eight" only the left has the hip limb 21, and the lower torso of "five_v" has the
# right shoulder-hip limb 23 alone.
PART_GROUPS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "eight": {
        "head": _HEAD,
        "left_arm": (5, 7, 9, 25, 27),
        "right_arm": (6, 8, 10, 26, 28),
        "torso": _TORSO,
        "left_leg": (13, 17, 18, 21),
        "right_leg": (14, 19, 20),
        "left_feet": (15,),
        "right_feet": (16,),
    },
    "five_v": {
        "head": _HEAD,
        "upper_arms_torso": (5, 6, 7, 8, 24, 25, 26),
        "lower_arms_torso": (9, 10, 11, 12, 23, 27, 28),
        "legs": _LEGS,
        "feet": (15, 16),
    },
    "five": {
        "head": _HEAD,
        "arms": (5, 6, 7, 8, 9, 10, 25, 26, 27, 28),
        "torso": _TORSO,
        "legs": (*_LEGS, 21),
        "feet": (15, 16),
    },
}


def group_fields(fields: np.ndarray, groups: str) -> np.ndarray:
    """The masks of K parts, each the highest of its fields: [36, h, w] -> [h, w, K] float32 in [0, 1].

    Args:
        groups: A name in PART_GROUPS.

    Raises:
        UserError: The name is unknown.
        InputError: There are not 36 fields.
    """
    if groups not in PART_GROUPS:
        raise unknown_name("part groups", groups, PART_GROUPS)
    if fields.ndim != 3 or len(fields) != FIELDS:
        raise InputError(f"Human-parsing masks must be [{FIELDS}, h, w], not {list(fields.shape)}.")
    members = PART_GROUPS[groups].values()
    masks = np.stack([fields[list(each)].max(axis=0) for each in members], axis=-1)
    return masks.astype(np.float32).clip(0, 1)


def target_maps(masks: np.ndarray) -> torch.Tensor:
    """How much each position shows each class, background first: [H, W, K] -> [K + 1, H/4, W/4] float32."""
    parts = torch.from_numpy(masks.astype(np.float32)).permute(2, 0, 1)
    background = (parts.amax(dim=0, keepdim=True) < _FOREGROUND).to(parts)
    classes = (_SHARPNESS * torch.cat((background, parts))).softmax(dim=0)
    size = (masks.shape[0] // _STRIDE, masks.shape[1] // _STRIDE)
    return F.interpolate(classes[None], size, mode="bilinear", align_corners=False)[0]


def part_labels(masks: np.ndarray) -> torch.Tensor:
    """The class that each position shows most, 0 is background: [H, W, K] -> [H/4, W/4] int64."""
    return target_maps(masks).argmax(dim=0)
