"""The losses and their gradients against the official code, and what they must not do."""

import gzip
import json

import numpy as np
import pytest
import torch
from support.kpr_cases import GOLDEN

from kprtrack.core.errors import UserError
from reid.model.heads import PerHead
from reid.model.kpr import KprOutput
from reid.training.losses import (
    HeadWeights,
    LossConfig,
    Losses,
    gilt_loss,
    kpr_loss,
    part_prediction_loss,
    triplet_loss,
)

OFFICIAL = {"globl": "whole", "foreg": "foreground", "conct": "joined", "parts": "parts"}
SETTINGS = {
    "default_novis": None,
    "default_visbool": "vis_bool",
    "default_viscont": "vis_cont",
    "all_visbool": "vis_bool",
    "all_novis": None,
    "default_novis_margin0.05": None,
    "softmargin_novis": None,
}


def metadata() -> tuple[dict[str, torch.Tensor], dict[str, np.ndarray], dict]:
    """Inputs, official results, and the settings they were made with."""
    with np.load(GOLDEN / "kpr_losses.npz") as file:
        inputs = {name: torch.from_numpy(file[name]) for name in file}
    with np.load(GOLDEN / "kpr_losses_expected.npz") as file:
        expected = dict(file)
    with gzip.open(GOLDEN / "kpr_losses.json.gz", "rt") as file:
        return inputs, expected, json.load(file)


def per_head(inputs: dict[str, torch.Tensor], kind: str) -> PerHead:
    heads = {own: inputs[f"{kind}/{official}"].clone() for official, own in OFFICIAL.items()}
    if kind in ("emb", "id"):
        heads = {own: tensor.requires_grad_() for own, tensor in heads.items()}
    return PerHead(**heads, background=torch.zeros(0))


def head_weights(settings: dict, kind: str) -> HeadWeights:
    return HeadWeights(**{own: settings["weights"][official][kind] for official, own in OFFICIAL.items()})


def run(setting: str) -> tuple[Losses, PerHead, PerHead]:
    inputs, _, all_settings = metadata()
    settings, visibility = all_settings[setting], SETTINGS[setting]
    config = LossConfig(
        head_weights(settings, "id"), head_weights(settings, "tr"), margin=settings["margin"] or None
    )
    features, logits = per_head(inputs, "emb"), per_head(inputs, "id")
    visible = None if visibility is None else per_head(inputs, visibility)
    return gilt_loss(features, logits, inputs["pids"], visible, config), features, logits


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_loss_and_accuracy_equals_the_official_one(setting: str) -> None:
    losses, _, _ = run(setting)
    settings = metadata()[2][setting]
    assert float(losses.total.detach()) == pytest.approx(settings["loss"], rel=1e-5)
    for official, terms in settings["summary"].items():
        own = OFFICIAL[official]
        if "t" in terms:
            assert float(losses.terms[f"triplet/{own}"]) == pytest.approx(terms["t"], rel=1e-5)
            assert float(losses.watched[f"mined/{own}"]) == pytest.approx(terms["vt"])
        if settings["weights"][official]["id"]:
            assert float(losses.terms[f"identity/{own}"]) == pytest.approx(terms["c"], rel=1e-5)
            assert float(losses.watched[f"accuracy/{own}"]) == pytest.approx(terms["a"])


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_gradient_equals_the_official_one(setting: str) -> None:
    losses, features, logits = run(setting)
    losses.total.backward()
    expected = metadata()[1]
    checked = [name for name in expected if name.startswith(f"{setting}/grad_")]
    for name in checked:
        _, kind, official = name.split("/")
        ours = getattr(features if kind == "grad_emb" else logits, OFFICIAL[official]).grad
        np.testing.assert_allclose(ours, expected[name], atol=1e-5 * np.abs(expected[name]).max())
    assert len(checked) == (8 if setting.startswith("all") else 4)


@pytest.mark.parametrize("share", [1.0, 0.75])
def test_part_prediction_equals_the_official_one(share: float) -> None:
    inputs, expected, _ = metadata()
    logits = inputs["pp/logits"].requires_grad_()
    loss = part_prediction_loss(logits, inputs["pp/targets"], share)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(expected[f"pp_ratio{share}/loss"]), rel=1e-5)
    official = expected[f"pp_ratio{share}/grad"]
    np.testing.assert_allclose(logits.grad, official, atol=1e-5 * np.abs(official).max())


def test_part_labels_are_the_strongest_channel_of_the_target_maps() -> None:
    inputs, _, _ = metadata()
    assert torch.equal(inputs["pp/target_maps"].argmax(dim=1), inputs["pp/targets"])


def test_triplet_takes_the_farthest_positive_and_the_nearest_negative() -> None:
    points = torch.tensor([[0.0], [1.0], [4.0], [2.0], [9.0]])
    loss, mined = triplet_loss(points, torch.tensor([0, 0, 0, 1, 2]), None, 0.5)
    # Anchors 0, 1, 2: positives at 4, 3, 4 and negatives at 2, 1, 2; the other two lack a positive.
    assert float(loss) == pytest.approx(((4 - 2) + (3 - 1) + (4 - 2)) / 3 + 0.5)
    assert float(mined) == pytest.approx(3 / 5)


def test_a_batch_without_any_triplet_costs_nothing_and_can_be_differentiated() -> None:
    points = torch.randn(4, 3, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    loss, mined = triplet_loss(points, torch.arange(4), None, 0.3)
    loss.backward()
    assert float(loss.detach()) == float(mined) == 0
    assert not points.grad.any()


def test_twice_the_same_crop_gives_finite_gradients() -> None:
    points = torch.ones(4, 2, 8).requires_grad_()
    triplet_loss(points, torch.tensor([0, 0, 1, 1]), None, 0.3)[0].backward()
    assert torch.isfinite(points.grad).all()


def output(visible: torch.Tensor) -> KprOutput:
    """A random output for four people and two parts."""
    random = torch.Generator().manual_seed(3)
    flat, parts = torch.randn(4, 6, generator=random), torch.randn(4, 2, 6, generator=random)
    heads = PerHead(flat, flat, flat, flat, parts)
    return KprOutput(heads, heads, heads, torch.randn(4, 3, 2, 2, generator=random), visible, flat)


PAIRS = torch.tensor([0, 0, 1, 1])
ALL_SEEN = torch.ones(4, 3, dtype=torch.bool)


def test_invisible_parts_change_the_loss_only_where_asked() -> None:
    labels = torch.zeros(4, 2, 2, dtype=torch.int64)
    hidden = ALL_SEEN.clone()
    hidden[:, 1] = False
    seen_only = LossConfig(visible_only=True)
    totals = [
        float(kpr_loss(output(visible), PAIRS, labels, config).total)
        for config in (LossConfig(), seen_only)
        for visible in (ALL_SEEN, hidden)
    ]
    assert totals[0] == totals[1] == pytest.approx(totals[2])
    assert totals[2] != pytest.approx(totals[3])


def test_half_precision_does_not_enter_the_losses() -> None:
    labels = torch.zeros(4, 2, 2, dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = kpr_loss(output(ALL_SEEN), PAIRS, labels, LossConfig()).total
    assert torch.equal(mixed, kpr_loss(output(ALL_SEEN), PAIRS, labels, LossConfig()).total)


def test_missing_part_labels_are_refused_unless_parts_are_not_learnt() -> None:
    with pytest.raises(UserError, match=r"loss\.part_prediction=0"):
        kpr_loss(output(ALL_SEEN), PAIRS, None, LossConfig())
    losses = kpr_loss(output(ALL_SEEN), PAIRS, None, LossConfig(part_prediction=0))
    assert "part_prediction" not in losses.terms


def test_no_position_left_to_learn_from_is_refused() -> None:
    with pytest.raises(UserError, match="easiest_share"):
        LossConfig(easiest_share=0)
