"""Backbones of others: their tensors land where the same maps come out."""

from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from kprtrack.core.errors import WeightsError
from reid.model.config import KprConfig
from reid.model.initial_weights import begin_with
from reid.model.kpr import Kpr

TINY = {"fused_width": 8, "dimensions": 4, "identities": 3}


def timm_swin() -> torch.nn.Module:
    """timm's Swin of the shape of swin_mini, with the names of Microsoft's file but for the merging."""
    torch.manual_seed(0)
    network = timm.models.swin_transformer.SwinTransformer(
        img_size=(448, 448), embed_dim=32, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16), num_classes=0
    ).eval()
    for each in network.parameters():
        torch.nn.init.normal_(each, std=0.1)
    return network


def microsoft_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Merging ends a stage there; timm begins one with it."""
    return {
        name.replace(f"layers.{stage}.downsample", f"layers.{stage - 1}.downsample"): tensor.contiguous()
        for name, tensor in tensors.items()
        for stage in [int(name.split(".")[1]) if name.startswith("layers.") else 0]
    }


@pytest.mark.slow
@pytest.mark.parametrize("names", [microsoft_names, dict], ids=["Microsoft", "timm"])
def test_a_swin_of_others_gives_the_same_maps(tmp_path: Path, names: object) -> None:
    theirs = timm_swin()
    save_file(names(theirs.state_dict()), tmp_path / "swin.safetensors")  # type: ignore[operator]
    mine = Kpr(KprConfig(backbone="swin_mini", height=448, width=448, **TINY)).eval()
    begin_with(mine, str(tmp_path / "swin.safetensors"))
    image = torch.randn(1, 3, 448, 448)  # of at least two windows in every stage
    with torch.no_grad():
        tokens, found = theirs.patch_embed(image), mine.stages(mine.image_tokens(image))
        for stage, own in zip(theirs.layers, found, strict=True):
            tokens = stage(tokens)
            torch.testing.assert_close(own, F.layer_norm(tokens, tokens.shape[-1:]), atol=1e-4, rtol=1e-4)


def test_convnext_of_timm_gives_the_same_maps(tmp_path: Path) -> None:
    theirs = timm.create_model("convnext_atto", pretrained=False, num_classes=0).eval()
    save_file(theirs.state_dict(), tmp_path / "convnext.safetensors")
    mine = Kpr(KprConfig(backbone="convnext_atto", height=64, width=32, **TINY)).eval()
    begin_with(mine, str(tmp_path / "convnext.safetensors"))
    image = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        last = mine.stages(mine.image_tokens(image))[-1].permute(0, 3, 1, 2)
        torch.testing.assert_close(last, theirs.stages(theirs.stem(image)), atol=1e-4, rtol=1e-4)


def test_solider_names_are_understood(tmp_path: Path) -> None:
    model = Kpr(KprConfig(backbone="swin_mini", height=64, width=32, **TINY))
    renamed = {}
    for name, tensor in model.state_dict().items():
        if name.startswith("image_tokens."):
            name = name.replace("image_tokens.conv", "patch_embed.projection")
            renamed["backbone." + name.replace("image_tokens.norm", "patch_embed.norm")] = tensor + 1
        elif name.startswith("stages.stages."):
            _, _, stage, block, rest = name.split(".", 4)
            rest = rest.replace("attention.", "attn.w_msa.").replace("mlp.fc1", "ffn.layers.0.0")
            rest = rest.replace("mlp.fc2", "ffn.layers.1")
            renamed[f"backbone.stages.{stage}.blocks.{block}.{rest}"] = tensor + 1
        elif name.startswith("stages.merges."):
            _, _, stage, rest = name.split(".", 3)
            renamed[f"backbone.stages.{stage}.downsample.{rest}"] = tensor + 1
        elif name.startswith("stages.norms."):
            renamed[name.replace("stages.norms.", "backbone.norm")] = tensor + 1
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.save({"teacher": renamed}, tmp_path / "solider.pth")
    begin_with(model, str(tmp_path / "solider.pth"))
    for name, tensor in model.state_dict().items():
        shift = 1 if name.startswith(("image_tokens.", "stages.")) else 0
        torch.testing.assert_close(tensor, before[name] + shift, msg=name)


def test_a_backbone_of_another_kind_is_refused(tmp_path: Path) -> None:
    save_file({"layer1.0.conv1.weight": torch.zeros(1)}, tmp_path / "resnet.safetensors")
    model = Kpr(KprConfig(backbone="swin_mini", height=64, width=32, **TINY))
    with pytest.raises(WeightsError, match=r"is no swin_mini backbone: .* first stages"):
        begin_with(model, str(tmp_path / "resnet.safetensors"))
