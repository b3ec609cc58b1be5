"""Models with formula weights and the outputs that the official code gave for them."""

import gzip
import json
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from reid.model.config import KprConfig
from reid.model.kpr import Kpr
from reid.model.prompts import normalise
from reid.model.published import own_tensors, shape_of
from support import paths
from support.formula_weights import published_weights

GOLDEN = paths.GOLDEN
SHARED = paths.SHARED / "fixtures" / "kpr"

IN_THE_BOX = ("solider_mini_256_k8", "solider_mini_384_k5")
FROM_SHARED = (
    "swin_tiny_timm_224w7_256_k8",
    "solider_base_256_k8",
    "solider_base_256_k8_nosem_cam8",
    "swinv2_base_256_k8",
    "swinv2_base_256_k5",
)


@dataclass(frozen=True)
class Case:
    """A model, what it is shown and what the official code said."""

    model: Kpr
    images: torch.Tensor  # [3, 3, H, W] normalised
    heatmaps: torch.Tensor  # [3, C, H, W]
    cameras: torch.Tensor | None
    expected: dict[str, np.ndarray]


def published_shapes(variant: str) -> dict[str, list[int]]:
    """Name -> shape of every tensor of a published checkpoint."""
    with gzip.open(GOLDEN / "kpr_state_dict_shapes.json.gz", "rt") as file:
        return json.load(file)[variant]


@cache
def case(variant: str) -> Case:
    """The official fixture of that name, from tests/golden or from ../shared."""
    golden = GOLDEN / f"kpr_{variant}.npz"
    with np.load(golden if golden.exists() else SHARED / f"b_model_{variant}.npz") as file:
        metadata = dict(file)
    weights = published_weights(published_shapes(variant))
    weights |= {
        k.removeprefix("override/"): torch.from_numpy(metadata[k])
        for k in metadata
        if k.startswith("override/")
    }
    tensors = own_tensors(weights)
    mean, std = (tuple(metadata[name].astype(float).round(3).tolist()) for name in ("norm_mean", "norm_std"))
    config = shape_of(tensors, KprConfig(height=metadata["images_uint8_rgb"].shape[1], mean=mean, std=std))
    model = Kpr(config).eval()
    model.load_state_dict(tensors)
    return Case(
        model,
        torch.from_numpy(normalise(metadata["images_uint8_rgb"], config.prompts())),
        torch.from_numpy(metadata["prompt_masks"]),
        torch.from_numpy(metadata["cam_label"]) if "cam_label" in metadata else None,
        metadata,
    )
