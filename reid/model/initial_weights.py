"""Initial weights for training: an encoder's, or a backbone's from ImageNet or SOLIDER.

Source: docs/reference/kpr.md 1.2.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F

from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.files.paths import expanded
from kprtrack.core.tensors import validate_finite
from reid.model import weights
from reid.model.config import SWIN_SHAPES
from reid.model.kpr import Kpr
from reid.model.published import is_published, own_name
from reid.model.stored import InputSpec
from reid.model.tensors import torch_tensors

IMAGENET = "imagenet"
_WITH_SWIN_NAMES = "backbone_appearance_feature_extractor.model."
# Tensors whose shape depends on the training set.
_OF_THE_DATA = re.compile(r"^(identity\.\w+\.classifier\.|part_identity\.\d+\.classifier\.|camera_tokens$)")
# Not in an image classifier's weights: SOLIDER's layers, and the norms of the stage maps.
_OPTIONAL = re.compile(r"^stages\.(semantic|norms)\.")
_SWIN_NAMES = [
    (re.compile(pattern), new)
    for pattern, new in (
        (r"^patch_embed\.proj\.", "image_tokens.conv."),
        (r"^patch_embed\.norm\.", "image_tokens.norm."),
        (r"^layers\.(\d+)\.blocks\.(\d+)\.attn\.", r"stages.stages.\1.\2.attention."),
        (r"^layers\.(\d+)\.blocks\.(\d+)\.", r"stages.stages.\1.\2."),
    )
]


def begin_with(model: Kpr, init: str) -> None:
    """Fill the model with `init`, a file or "imagenet": all of it, or its backbone.

    The identity classifiers and cameras of another training set are left out.

    Raises:
        WeightsError: The file is missing, damaged or for another network, or nothing can be downloaded.
        UserError: The backbone has no ImageNet weights.
    """
    if init == IMAGENET:
        _fill_backbone(model, _from_timm(model), f"timm's weights of {model.config.backbone}")
        return
    path = expanded(init)
    checkpoint = read_checkpoint(path)
    shape = model.config
    if is_published(checkpoint.tensors):
        # Crop size and normalisation come from this training; the file may not record its own.
        spec = InputSpec(shape.height, shape.width, shape.mean, shape.std, shape.semantic_weight)
        _fill_all(model, weights.load(path, spec=spec), path)
    elif any(name.startswith("prompt_tokens.") for name in checkpoint.tensors):
        _fill_all(model, weights.load(path), path)
    else:
        _fill_backbone(model, backbone_tensors(model, torch_tensors(checkpoint.tensors)), str(path))


def backbone_tensors(model: Kpr, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of SOLIDER's, Microsoft's or timm's backbone as `model` calls and arranges them."""
    bare = {name.removeprefix("backbone."): each for name, each in tensors.items()}
    if any(".w_msa." in name for name in bare):
        named = {own_name(_WITH_SWIN_NAMES + name): each for name, each in bare.items()}
    elif any(name.startswith("stem.") for name in bare):
        stem = {"stem.0.": "image_tokens.conv.", "stem.1.": "image_tokens.norm.", "stages.": "stages.stages."}
        named = {_replaced(name, stem): each for name, each in bare.items()}
    elif model.config.backbone in SWIN_SHAPES:
        named = dict(_swin_tensor(*pair) for pair in _merging_first(bare).items())
    else:
        named = {own_name(_WITH_SWIN_NAMES + name): each for name, each in _merging_first(bare).items()}
    wanted = model.state_dict()
    return {
        name: _resized(each, wanted[name]) if name.endswith("bias_table") else each
        for name, each in named.items()
        if name in wanted and _of_backbone(name)
    }


def _from_timm(model: Kpr) -> dict[str, torch.Tensor]:
    from reid.model.backbone_timm import WITH_IMAGENET, create_network  # timm takes a second to import

    name, size = model.config.backbone, (model.config.height, model.config.width)
    if name not in WITH_IMAGENET:
        raise UserError(
            f"There are no ImageNet weights of the backbone {name}, only of {', '.join(WITH_IMAGENET)}. "
            "Leave init out, or name a file."
        )
    try:
        network = create_network(name, size, 0.0, pretrained=True)
    except Exception as error:  # the download can fail in many ways
        raise WeightsError(
            f"Cannot download the ImageNet weights of {name} ({type(error).__name__}: {error}). Connect to "
            "the internet, or name a file that you have: init=FILE."
        ) from error
    return backbone_tensors(model, network.state_dict())


def _fill_backbone(model: Kpr, found: Mapping[str, torch.Tensor], where: str) -> None:
    wanted = {name: each for name, each in model.state_dict().items() if _of_backbone(name)}
    missing = [name for name in wanted if name not in found and not _OPTIONAL.match(name)]
    wrong = [name for name, each in found.items() if each.shape != wanted[name].shape]
    if missing or wrong:
        first = (missing + wrong)[0]
        raise WeightsError(
            f"{where} is no {model.config.backbone} backbone: {len(missing)} of {len(wanted)} tensors are "
            f"missing, {len(wrong)} of another shape, first {first}."
        )
    validate_finite({name: each.numpy() for name, each in found.items()}, found, where)
    model.load_state_dict(dict(found), strict=False)


def _fill_all(model: Kpr, other: Kpr, path: Path) -> None:
    wanted, found = model.state_dict(), other.state_dict()
    kept = {name: each for name, each in found.items() if not _OF_THE_DATA.match(name)}
    wrong = [
        name
        for name in dict.fromkeys((*wanted, *kept))
        if not _OF_THE_DATA.match(name)
        and (name not in wanted or name not in kept or wanted[name].shape != kept[name].shape)
    ]
    if wrong:
        raise WeightsError(
            f"{path} is for another encoder ({other.config.backbone}, {other.config.parts} parts, "
            f"{other.config.dimensions} dimensions), {len(wrong)} tensors do not fit, first {wrong[0]}. "
            "Change model.* and part_groups to match, or use other initial weights."
        )
    model.load_state_dict(kept, strict=False)


def _of_backbone(name: str) -> bool:
    return name.startswith(("image_tokens.", "stages."))


def _replaced(name: str, prefixes: Mapping[str, str]) -> str:
    old = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
    return prefixes.get(old, "") + name.removeprefix(old)


def _merging_first(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As timm has it, with the merging of patches at the start of a stage; Microsoft's ends one with it."""
    if not any(name.startswith("layers.0.downsample.") for name in tensors):
        return dict(tensors)
    moved = re.compile(r"^layers\.(\d+)\.downsample\.")
    return {
        moved.sub(lambda match: f"layers.{int(match[1]) + 1}.downsample.", name): each
        for name, each in tensors.items()
    }


def _swin_tensor(name: str, values: torch.Tensor) -> tuple[str, torch.Tensor]:
    """One of timm's tensors as SwinStages has it."""
    merging = re.match(r"^layers\.(\d+)\.downsample\.(.*)$", name)
    if merging:
        # timm concatenates the four neighbours, column first; SwinStages interleaves them.
        blocks = values.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :]
        return f"stages.merges.{int(merging[1]) - 1}.{merging[2]}", blocks.transpose(-1, -2).flatten(-2)
    for pattern, new in _SWIN_NAMES:
        name = pattern.sub(new, name)
    return name, values


def _resized(table: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Resize a table of relative positions [side * side, heads] to another window."""
    if table.shape == wanted.shape or table.shape[1] != wanted.shape[1]:
        return table
    old, new = round(len(table) ** 0.5), round(len(wanted) ** 0.5)
    square = table.T.unflatten(1, (old, old))[None]
    return F.interpolate(square, (new, new), mode="bicubic", align_corners=False)[0].flatten(1).T
