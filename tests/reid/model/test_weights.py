"""Weights come back as they were saved, published checkpoints fit completely, others are rejected by name."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.formula_weights import published_weights
from support.kpr_cases import FROM_SHARED, IN_THE_BOX, case, published_shapes

from kprtrack.core.errors import OutputError, UserError, WeightsError
from reid.model.config import KprConfig
from reid.model.kpr import Kpr
from reid.model.prompts import IMAGENET_MEAN, IMAGENET_STD
from reid.model.published import own_name, own_tensors, shape_of
from reid.model.stored import InputSpec
from reid.model.weights import convert, load, save

HALF = (0.5, 0.5, 0.5)
MINI = KprConfig(backbone="swin_mini", fused_width=32, dimensions=8, identities=3, mean=HALF, cameras=2)
SOLIDER_256 = InputSpec(256, 128, HALF, HALF)
PUBLISHED = {
    "solider_mini_256_k8": KprConfig("swin_mini", 256, 128, 8, "cck8", 256, 64, 10, 0, 0.2),
    "solider_mini_384_k5": KprConfig("swin_mini", 256, 128, 5, "cck6", 256, 64, 10, 0, 0.2),
    "swin_tiny_timm_224w7_256_k8": KprConfig("swin_tiny", 256, 128, 8, "cck8", 768, 64, 10, 0, None),
    "solider_base_256_k8": KprConfig("swin_base", 256, 128, 8, "cck8", 1024, 512, 1000, 0, 0.2),
    "solider_base_256_k8_nosem_cam8": KprConfig("swin_base", 256, 128, 8, "cck8", 1024, 512, 702, 8, None),
    "swinv2_base_256_k8": KprConfig("swinv2_base", 256, 128, 8, "cck8", 1024, 512, 1000, 0, None),
    "swinv2_base_256_k5": KprConfig("swinv2_base", 256, 128, 5, "cck6", 1024, 512, 751, 6, None),
}


def empty(variant: str) -> dict[str, torch.Tensor]:
    """A published checkpoint's tensors without their values, which costs no memory."""
    return {name: torch.empty(shape, device="meta") for name, shape in published_shapes(variant).items()}


def published_file(folder: Path, name: str = "kpr.pth.tar", **extra: object) -> Path:
    """A published checkpoint of the small model, as DataParallel saved it."""
    weights = published_weights(published_shapes(IN_THE_BOX[0]))
    prefixed = {f"module.{key}": tensor for key, tensor in weights.items()}
    torch.save({"state_dict": prefixed, "epoch": 120, **extra}, folder / name)
    return folder / name


@pytest.mark.parametrize("variant", PUBLISHED)
def test_shape_of_a_published_checkpoint_is_told_by_its_tensors(variant: str) -> None:
    assert shape_of(own_tensors(empty(variant)), KprConfig()) == PUBLISHED[variant]


@pytest.mark.slow
@pytest.mark.parametrize("variant", [*IN_THE_BOX, *FROM_SHARED])
def test_published_names_and_own_names_cover_each_other(variant: str) -> None:
    tensors = own_tensors(empty(variant))
    with torch.device("meta"):
        model = Kpr(shape_of(tensors, KprConfig(height=384 if "384" in variant else 256)))
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in tensors.items()} == wanted


@pytest.mark.parametrize("variant", [*IN_THE_BOX, *FROM_SHARED])
def test_only_copies_tables_and_unread_tensors_of_a_published_checkpoint_are_left_out(variant: str) -> None:
    shapes = published_shapes(variant)
    left_out = {name for name in shapes if own_name(name) is None}
    backbone = "backbone_appearance_feature_extractor."
    copies = {
        name.replace(".model.", ".") for name in shapes if name.startswith(f"{backbone}model.patch_embed.")
    }
    tables = {name for name in shapes if name.endswith("relative_position_index")}
    unread = {f"{backbone}{name}" for name in ("parts_embed", "norm.weight", "norm.bias")}
    unread |= {f"{backbone}model.norm.{kind}" for kind in ("weight", "bias")}
    assert left_out == copies | tables | (unread & set(shapes))
    kept = [own_name(name) for name in shapes if name not in left_out]
    assert len(kept) == len(set(kept))


def test_saved_weights_come_back_with_their_shape(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Kpr(MINI)
    save(tmp_path / "w.safetensors", model)
    back = load(tmp_path / "w.safetensors")
    assert back.config == MINI
    assert not back.training
    assert all(torch.equal(tensor, back.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_converted_checkpoint_gives_the_official_features(tmp_path: Path) -> None:
    source, target = published_file(tmp_path), tmp_path / "kpr.safetensors"
    config = convert(source, target, spec=SOLIDER_256)
    found = case(IN_THE_BOX[0])
    assert config == found.model.config
    with torch.inference_mode():
        features = load(target).embed(found.images, found.heatmaps)[0]
        assert torch.equal(load(source, spec=SOLIDER_256).embed(found.images, found.heatmaps)[0], features)
    # The fixture's part classifier has other statistics, so compare with the same weights run directly.
    direct = Kpr(config).eval()
    direct.load_state_dict(own_tensors(published_weights(published_shapes(IN_THE_BOX[0]))))
    with torch.inference_mode():
        assert torch.equal(direct.embed(found.images, found.heatmaps)[0], features)


def test_lost_copy_of_the_patch_embedding_does_not_matter(tmp_path: Path) -> None:
    weights = published_weights(published_shapes(IN_THE_BOX[0]))
    whole = load(published_file(tmp_path), spec=SOLIDER_256)
    kept = {name: tensor for name, tensor in weights.items() if ".model.patch_embed." not in name}
    torch.save({"state_dict": kept}, tmp_path / "half.pth")
    half = load(tmp_path / "half.pth", spec=SOLIDER_256)
    assert torch.equal(half.image_tokens.conv.weight, whole.image_tokens.conv.weight)


@pytest.mark.parametrize(
    ("name", "height", "mean", "std"),
    [
        ("kpr_occ_pt_IN_82.34_92.33_42323828.pth.tar", 256, IMAGENET_MEAN, IMAGENET_STD),
        ("kpr_market_IN_89.58_95.87_41898449.pth.tar", 384, IMAGENET_MEAN, IMAGENET_STD),
        ("kpr_occ_pt_SOLIDER_81.24_90.59_42326409.pth.tar", 384, HALF, HALF),
    ],
)
def test_view_of_a_published_file_is_known_by_its_name(
    tmp_path: Path, name: str, height: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    config = load(published_file(tmp_path, name)).config
    assert (config.height, config.width, config.mean, config.std) == (height, 128, mean, std)


def test_view_recorded_in_the_file_beats_its_name_and_the_user_beats_both(tmp_path: Path) -> None:
    recorded = {
        "data": {"height": 320, "width": 160, "norm_mean": [0.1, 0.2, 0.3], "norm_std": [0.5, 0.5, 0.5]},
        "model": {"solider": {"semantic_weight": 0.4}},
    }
    path = published_file(tmp_path, "kpr_market_IN_x.pth.tar", config=recorded)
    config = load(path).config
    assert (config.height, config.width, config.mean, config.std) == (320, 160, (0.1, 0.2, 0.3), HALF)
    assert config.semantic_weight == 0.4
    asked = load(path, spec=InputSpec(height=256, semantic_weight=0.0)).config
    assert (asked.height, asked.width, asked.semantic_weight) == (256, 160, 0.0)


def test_published_file_of_unknown_name_asks_for_what_it_does_not_tell(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not record height, mean, std.*image_height"):
        load(published_file(tmp_path, "mine.pth.tar"))


def test_option_that_contradicts_saved_weights_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "w.safetensors", Kpr(MINI))
    with pytest.raises(UserError, match="height = 256, not 384"):
        load(tmp_path / "w.safetensors", spec=InputSpec(height=384))


def test_missing_unknown_and_misshaped_tensors_are_named(tmp_path: Path) -> None:
    model = Kpr(MINI)
    save(tmp_path / "w.safetensors", model)
    tensors = dict(model.state_dict())
    del tensors["fusion.conv.bias"]
    tensors["surplus"] = torch.ones(1)
    tensors["fusion.norm.bias"] = torch.ones(5)
    header = {"kpr_config": json.dumps({**vars(MINI)})}
    save_file(tensors, tmp_path / "w.safetensors", header)
    with pytest.raises(WeightsError) as error:
        load(tmp_path / "w.safetensors")
    for part in (
        "1 missing (fusion.conv.bias)",
        "1 unknown (surplus)",
        "fusion.norm.bias [5] instead of [32]",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("backbone.backbone.stem.conv.conv.weight", "YOLOX"),
        ("stage2.0.branches.0.0.conv1.weight", "HRNet"),
        ("something.weight", "1 tensors, the first are something.weight"),
    ],
)
def test_weights_of_another_network_are_refused_with_a_guess_of_their_kind(
    tmp_path: Path, name: str, guess: str
) -> None:
    torch.save({name: torch.ones(1)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=f"not a KPR encoder.*{guess}"):
        load(tmp_path / "w.pth")


def test_incomplete_published_checkpoint_is_refused(tmp_path: Path) -> None:
    weights = published_weights(published_shapes(IN_THE_BOX[0]))
    torch.save({k: v for k, v in weights.items() if not k.startswith("parts_after")}, tmp_path / "a.pth")
    torch.save({k: v for k, v in weights.items() if ".0.bias" not in k}, tmp_path / "b.pth")
    with pytest.raises(WeightsError, match=r"reductions\.parts\.linear\.weight"):
        load(tmp_path / "a.pth", spec=SOLIDER_256)
    with pytest.raises(WeightsError, match=r"missing \("):
        load(tmp_path / "b.pth", spec=SOLIDER_256)


@pytest.mark.parametrize("change", [{"depth": 3}, {"backbone": "resnet"}])
def test_header_of_another_version_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    header = {"kpr_config": json.dumps({**vars(MINI), **change})}
    save_file(dict(Kpr(MINI).state_dict()), tmp_path / "w.safetensors", header)
    with pytest.raises(WeightsError, match=r"newer version|impossible model"):
        load(tmp_path / "w.safetensors")


def test_weights_that_cannot_be_written_are_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"Cannot write .*w\.safetensors"):
        save(tmp_path / "file" / "w.safetensors", Kpr(MINI))


def test_formula_weights_are_those_of_the_fixtures() -> None:
    weights = published_weights({"pixel_classifier.classifier.weight": (9, 256, 1, 1)})
    check = weights["pixel_classifier.classifier.weight"].flatten()[0].item()
    assert check == pytest.approx(-0.01489562, abs=1e-7)
