"""The published KPR checkpoints: names of their tensors and the model they belong to.

Source: docs/reference/kpr.md 7.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kprtrack.core.errors import WeightsError
from kprtrack.core.skeleton import PROMPT_GROUPS
from reid.model.config import SWIN_SHAPES, KprConfig
from reid.model.prompts import IMAGENET_MEAN, IMAGENET_STD

_BACKBONE = "backbone_appearance_feature_extractor."
_AT = "^" + re.escape(_BACKBONE)
# Used by every published training (docs/reference/kpr.md 1.3); not recorded in the tensors
SOLIDER_SEMANTIC_WEIGHT = 0.2
_HALF = (0.5, 0.5, 0.5)

# Tensors that no computation reads, or that are stored a second time under another name.
_UNUSED = re.compile(
    _AT + r"(parts_embed$|patch_embed\.|norm\.|model\.norm\.)"
    r"|\.relative_position_index$|\.relative_coords_table$|\.attn_mask$|\.k_bias$"
)
_RENAMES = [
    (re.compile(pattern), new)
    for pattern, new in (
        (_AT + r"model\.patch_embed\.proj(?:ection)?\.", "image_tokens.conv."),
        (_AT + r"model\.patch_embed\.norm\.", "image_tokens.norm."),
        (_AT + r"masks_patch_embed\.proj(?:ection)?\.", "prompt_tokens.conv."),
        (_AT + r"masks_patch_embed\.norm\.", "prompt_tokens.norm."),
        (_AT + r"sie_embed$", "camera_tokens"),
        (_AT + r"model\.semantic_embed_w\.", "stages.semantic.scales."),
        (_AT + r"model\.semantic_embed_b\.", "stages.semantic.shifts."),
        (_AT + r"model\.norm(\d)\.", r"stages.norms.\1."),
        (_AT + r"model\.stages\.(\d)\.downsample\.", r"stages.merges.\1."),
        (_AT + r"model\.stages\.(\d)\.blocks\.", r"stages.stages.\1."),
        (_AT + r"model\.layers\.", "stages.stages."),
        (r"\.attn\.w_msa\.", ".attention."),
        (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
        (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
        (r"^msf\.dim_reduce\.layers\.0\.", "fusion.conv."),
        (r"^msf\.dim_reduce\.layers\.1\.", "fusion.norm."),
        (r"^global_after", "whole_after"),
        (r"^(\w+)_after_pooling_dim_reduce\.layers\.0\.", r"reductions.\1.linear."),
        (r"^(\w+)_after_pooling_dim_reduce\.layers\.1\.", r"reductions.\1.norm."),
        (r"^pixel_classifier\.", "part_classifier."),
        (r"^parts_identity_classifier\.", "part_identity."),
        (r"^global_identity", "whole_identity"),
        (r"^concat_parts_identity", "joined_identity"),
        (r"^(\w+)_identity_classifier\.", r"identity.\1."),
    )
]

# File name of each published checkpoint -> crop height, mean, deviation, which no tensor records
# (docs/reference/kpr.md 4.2).
_KNOWN = {
    "kpr_market_IN": (384, IMAGENET_MEAN, IMAGENET_STD),
    "kpr_occ_duke_IN": (256, IMAGENET_MEAN, IMAGENET_STD),
    "kpr_occ_pt_IN": (256, IMAGENET_MEAN, IMAGENET_STD),
    "kpr_occ_reid_IN": (256, IMAGENET_MEAN, IMAGENET_STD),
    "kpr_partial_reid_IN": (256, IMAGENET_MEAN, IMAGENET_STD),
    "kpr_market_SOLIDER": (384, _HALF, _HALF),
    "kpr_occ_duke_SOLIDER": (384, _HALF, _HALF),
    "kpr_occ_pt_SOLIDER": (384, _HALF, _HALF),
    "kpr_occ_reid_SOLIDER": (384, _HALF, _HALF),
    "kpr_partial_reid_SOLIDER": (384, _HALF, _HALF),
    "kpr_dancetrack_sportsmot_posetrack21_occludedduke_market": (256, IMAGENET_MEAN, IMAGENET_STD),
}


def is_published(names: Mapping[str, Any]) -> bool:
    """Whether tensors are named as in the published checkpoints."""
    return any(name.startswith(_BACKBONE) for name in names)


def own_name(published: str) -> str | None:
    """Name in Kpr of a published tensor; None for an unused one."""
    if _UNUSED.search(published):
        return None
    for pattern, new in _RENAMES:
        published = pattern.sub(new, published)
    return published


def own_tensors(published: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of a published checkpoint with the names and shapes of Kpr."""
    tensors = dict(published)
    for name in published:
        # The image's patch embedding is stored twice; a file that lost one copy is still whole.
        if name.startswith(f"{_BACKBONE}patch_embed."):
            tensors.setdefault(name.replace(_BACKBONE, f"{_BACKBONE}model.", 1), published[name])
    renamed = {own_name(name): tensor for name, tensor in tensors.items()}
    own = {name: tensor for name, tensor in renamed.items() if name is not None}
    if "camera_tokens" in own:
        own["camera_tokens"] = own["camera_tokens"].squeeze(1)
    return own


def shape_of(tensors: Mapping[str, np.ndarray], base: KprConfig) -> KprConfig:
    """`base` with everything that the tensors (names of Kpr) determine about the model.

    Raises:
        WeightsError: The tensors fit no known backbone or prompt.
    """
    try:
        parts = tensors["part_classifier.classifier.weight"].shape[0] - 1
        dimensions, fused_width = tensors["reductions.parts.linear.weight"].shape
        prompt_channels = tensors["prompt_tokens.conv.weight"].shape[1]
        identities = tensors["identity.whole.classifier.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(f"Incomplete KPR weights: tensor {error} is missing.") from error
    backbone = _backbone(tensors)
    semantic = "stages.semantic.scales.0.weight" in tensors
    weight = SOLIDER_SEMANTIC_WEIGHT if base.semantic_weight is None else base.semantic_weight
    cameras = tensors["camera_tokens"].shape[0] if "camera_tokens" in tensors else 0
    return replace(
        base,
        backbone=backbone,
        parts=parts,
        prompt_groups=_prompt_groups(prompt_channels),
        fused_width=fused_width,
        dimensions=dimensions,
        identities=identities,
        cameras=cameras,
        semantic_weight=weight if semantic else None,
    )


def _backbone(tensors: Mapping[str, np.ndarray]) -> str:
    width = tensors["prompt_tokens.conv.weight"].shape[0]
    third_stage = re.compile(r"stages\.stages\.2\.(blocks\.)?\d+\.norm1\.weight")
    depth = sum(third_stage.fullmatch(name) is not None for name in tensors)
    for name, shape in SWIN_SHAPES.items():
        if "stages.norms.0.weight" in tensors and (shape.width, shape.depths[2]) == (width, depth):
            return name
    if "stages.stages.0.blocks.0.attn.logit_scale" in tensors and width == 128:
        return "swinv2_base"
    if "stages.stages.0.blocks.0.attn.relative_position_bias_table" in tensors and width == 96:
        return "swin_tiny"
    raise WeightsError(f"Unknown KPR backbone: {width} channels, {depth} blocks in its third stage.")


def _prompt_groups(channels: int) -> str:
    for name, groups in PROMPT_GROUPS.items():
        if len(groups) + 2 == channels:
            return name
    raise WeightsError(f"A prompt of {channels} channels belongs to no known grouping of keypoints.")


def known_input_spec(
    file_name: str,
) -> tuple[int, tuple[float, float, float], tuple[float, float, float]] | None:
    """Crop height, mean and deviation of a published file, by its name; None for any other name."""
    return next((spec for prefix, spec in _KNOWN.items() if file_name.startswith(prefix)), None)
