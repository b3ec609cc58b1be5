"""The encoder against the outputs of the official code, with the same formula weights."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from support.kpr_cases import FROM_SHARED, IN_THE_BOX, SHARED, Case, case

from kprtrack.core.appearance import Appearance, part_distance
from kprtrack.core.errors import UserError
from reid.model.backbone_swin import PatchMerging
from reid.model.config import KprConfig
from reid.model.kpr import Kpr, KprOutput

OFFICIAL = {
    "globl": "whole",
    "backg": "background",
    "foreg": "foreground",
    "conct": "joined",
    "parts": "parts",
}
VARIANTS = [
    *IN_THE_BOX,
    *(
        pytest.param(
            name, marks=[pytest.mark.slow, pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")]
        )
        for name in FROM_SHARED
    ),
]
MINI = KprConfig(backbone="swin_mini", fused_width=64, dimensions=16, identities=4, semantic_weight=0.2)


def run(found: Case, tag: str) -> KprOutput:
    with torch.inference_mode():
        return found.model(found.images, found.heatmaps if tag == "prompt" else None, found.cameras)


def differ(ours: torch.Tensor, theirs: np.ndarray) -> float:
    assert tuple(ours.shape) == theirs.shape
    return float(np.abs(ours.numpy().astype(np.float64) - theirs.astype(np.float64)).max())


@pytest.mark.parametrize("tag", ["prompt", "noprompt"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_output_equals_the_official_one(variant: str, tag: str) -> None:
    found = case(variant)
    got, expected = run(found, tag), found.expected
    for official, own in OFFICIAL.items():
        if official != "conct":
            assert differ(getattr(got.reduced, own), expected[f"{tag}/emb/{official}"]) < 1e-5
        assert differ(getattr(got.necks, own), expected[f"{tag}/emb/bn_{official}"]) < 1e-5
        logits = getattr(got.identity_logits, own)[..., :16]
        assert differ(logits, expected[f"{tag}/idcls/{official}"]) < 1e-5
    assert differ(got.part_logits[:, :, ::4, ::4], expected[f"{tag}/pixels_cls_scores_sub"]) < 1e-4
    assert differ(got.fused[:, ::16, ::8, ::8], expected[f"{tag}/spatial_sub"]) < 1e-4
    assert differ(got.visible[:, 1:], expected[f"{tag}/vis/parts"]) == 0
    assert differ(got.visible[:, 0], expected[f"{tag}/vis/backg"]) == 0


@pytest.mark.parametrize("tag", ["prompt", "noprompt"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_stage_equals_the_official_one(variant: str, tag: str) -> None:
    found = case(variant)
    with torch.inference_mode():
        heatmaps = found.heatmaps if tag == "prompt" else None
        maps = found.model.stage_maps(found.images, heatmaps, found.cameras)
    for stage, stage_map in enumerate(maps):
        ours = stage_map.permute(0, 3, 1, 2)[:, ::8, ::4, ::4]
        assert differ(ours, found.expected[f"{tag}/stage{stage}_sub"]) < 1e-4


@pytest.mark.parametrize("tag", ["prompt", "noprompt"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_embedding_and_distance_equal_the_official_test_protocol(variant: str, tag: str) -> None:
    found = case(variant)
    with torch.inference_mode():
        features, visible = found.model.embed(
            found.images, found.heatmaps if tag == "prompt" else None, found.cameras
        )
    assert differ(features, found.expected[f"{tag}/test/embeddings_l2"]) < 1e-6
    assert differ(visible, found.expected[f"{tag}/test/visibility"]) == 0
    embeddings = Appearance(features.numpy(), visible.numpy(), np.ones(len(features), bool))
    distance = part_distance(embeddings, embeddings, "euclidean")
    expected = found.expected[f"{tag}/test/distmat"]
    apart = ~np.eye(len(distance), dtype=bool)
    assert np.abs(distance - expected)[apart].max() < 1e-4


def test_parts_alone_are_the_rest_of_the_default_embedding() -> None:
    found = case(IN_THE_BOX[0])
    with torch.inference_mode():
        both, seen = found.model.embed(found.images, found.heatmaps)
        parts, parts_seen = found.model.embed(found.images, found.heatmaps, vectors="parts")
    assert torch.equal(both[:, 1:], parts)
    assert torch.equal(seen[:, 1:], parts_seen)
    assert seen[:, 0].all()


def test_no_prompt_is_the_empty_prompt() -> None:
    found = case(IN_THE_BOX[0])
    empty = torch.zeros_like(found.heatmaps)
    empty[:, 0] = 1
    with torch.inference_mode():
        assert torch.equal(found.model.embed(found.images)[0], found.model.embed(found.images, empty)[0])


def test_prompt_changes_what_is_seen() -> None:
    found = case(IN_THE_BOX[0])
    with torch.inference_mode():
        prompted, unprompted = (
            found.model.embed(found.images, heatmaps)[0] for heatmaps in (found.heatmaps, None)
        )
    assert (prompted - unprompted).abs().max() > 0.05


def test_a_person_looks_the_same_in_any_batch() -> None:
    found = case(IN_THE_BOX[0])
    with torch.inference_mode():
        together = found.model.embed(found.images, found.heatmaps)[0]
        alone = torch.cat(
            [found.model.embed(found.images[i : i + 1], found.heatmaps[i : i + 1])[0] for i in range(3)]
        )
    assert (together - alone).abs().max() < 1e-6


def test_unnamed_cameras_leave_out_the_camera_term() -> None:
    torch.manual_seed(0)
    config = KprConfig(**{**vars(MINI), "cameras": 2})
    model, images = Kpr(config).eval(), torch.randn(1, 3, 256, 128)
    with torch.inference_mode():
        unnamed = model.stage_maps(images, None, None)[0]
        named = model.stage_maps(images, None, torch.tensor([1]))[0]
        model.camera_tokens.zero_()
        zeroed = model.stage_maps(images, None, torch.tensor([1]))[0]
    assert torch.equal(unnamed, zeroed)
    assert not torch.equal(unnamed, named)


def test_untrained_prompts_say_nothing() -> None:
    torch.manual_seed(0)
    model, images = Kpr(MINI).eval(), torch.randn(1, 3, 256, 128)
    with torch.inference_mode():
        assert torch.equal(model.embed(images, torch.rand(1, 10, 256, 128))[0], model.embed(images)[0])


def test_every_trainable_tensor_that_matters_gets_a_gradient() -> None:
    torch.manual_seed(0)
    model = Kpr(MINI).train()
    out = model(torch.randn(4, 3, 256, 128), torch.rand(4, 10, 256, 128))
    everything = [
        getattr(group, f.name) for group in (out.reduced, out.identity_logits) for f in fields(group)
    ]
    (sum(tensor.square().mean() for tensor in everything) + out.part_logits.square().mean()).backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert without == []
    necks = {f"identity.{name}.bn.bias" for name in ("whole", "background", "foreground", "joined")}
    necks |= {f"part_identity.{part}.bn.bias" for part in range(8)}
    semantic = {name for name in frozen if name.startswith("stages.semantic.")}
    assert frozen == necks | semantic
    assert len(semantic) == 16


def test_drop_path_grows_from_block_to_block() -> None:
    rates = [m.drop_prob for name, m in Kpr(MINI).named_modules() if name.endswith("drop_path")]
    assert rates == pytest.approx(np.linspace(0, 0.1, 8))


def test_patch_merging_interleaves_the_four_channel_by_channel() -> None:
    merging = PatchMerging(1)
    merging.norm, merging.reduction = torch.nn.Identity(), torch.nn.Identity()
    tokens = torch.tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]])
    assert merging(tokens).flatten().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "said"), [({"backbone": "resnet"}, "swin_base"), ({"height": 250}, "250x128")]
)
def test_impossible_models_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        KprConfig(**change)
