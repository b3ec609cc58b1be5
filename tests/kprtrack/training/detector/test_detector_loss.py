"""Losses and assignment give the official numbers; extensions behave as documented."""

import json

import numpy as np
import pytest
import torch
from support.yolox_cases import GOLDEN, filled_parameter
from torch import Tensor

from kprtrack.detectors.yolox_network import SHAPES, DecoupledHead, cells
from kprtrack.training.detector.assign import Targets, pairwise_iou
from kprtrack.training.detector.loss import Losses, yolox_loss
from kprtrack.training.detector.schedule import YoloxSchedule

EXPECTED = json.loads((GOLDEN / "yolox_training.json").read_text())
STORED = np.load(GOLDEN / "yolox_loss.npz")
HEIGHT, WIDTH = 192, 256


def official_case(classes: int) -> tuple[DecoupledHead, tuple[Tensor, ...], list[Targets]]:
    head = DecoupledHead(SHAPES["nano"], classes).eval()
    filled = {name: filled_parameter(f"head.{name}", v.shape, 2.0) for name, v in head.state_dict().items()}
    head.load_state_dict(filled)
    rng = np.random.default_rng(77)
    shapes = ((2, 64, 24, 32), (2, 128, 12, 16), (2, 256, 6, 8))
    features = tuple(torch.from_numpy(rng.standard_normal(s, dtype=np.float32)) for s in shapes)
    labels = torch.from_numpy(STORED["person_labels" if classes == 1 else "coco_labels"])
    rows = [each[each.sum(1) > 0] for each in labels]
    return head, features, [Targets(r[:, 1:], r[:, 0].long(), torch.ones(len(r))) for r in rows]


@pytest.mark.parametrize("l1", [False, True])
@pytest.mark.parametrize(("kind", "classes"), [("person", 1), ("coco", 80)])
def test_losses_and_gradients_are_the_official_ones(kind: str, classes: int, l1: bool) -> None:
    head, features, targets = official_case(classes)
    for feature in features:
        feature.requires_grad_()
    losses = yolox_loss(head(features), targets, height=HEIGHT, width=WIDTH, l1=l1)
    losses.total.backward()
    wanted = EXPECTED["losses"][f"{kind}_l1={l1}"]
    found = {"total": losses.total.detach(), "iou_x5": losses.terms["iou"], **losses.terms}
    for name in ("total", "iou_x5", "obj", "cls", "l1"):
        assert float(found[name]) == pytest.approx(wanted[name], rel=1e-5)
    per_box = sum(len(each.cells) for each in losses.assigned) / sum(len(each.boxes) for each in targets)
    assert per_box == pytest.approx(wanted["num_fg_per_gt"])
    for name, tensors in (("feats", features), ("reg_preds", [layer.weight for layer in head.reg_preds])):
        sums = [float(tensor.grad.abs().sum()) for tensor in tensors]
        assert sums == pytest.approx(wanted[f"grad_abs_sum_{name}"], rel=1e-5)


@pytest.mark.parametrize(("kind", "classes", "image"), [("person", 1, 0), ("person", 1, 1), ("coco", 80, 0)])
def test_the_same_cells_answer_for_the_same_boxes(kind: str, classes: int, image: int) -> None:
    head, features, targets = official_case(classes)
    found = yolox_loss(head(features), targets, height=HEIGHT, width=WIDTH).assigned[image]
    stored = f"{kind}_img{image}"
    np.testing.assert_array_equal(found.cells, STORED[f"{stored}_fg_index"])
    np.testing.assert_array_equal(found.boxes, STORED[f"{stored}_matched_gt"])
    np.testing.assert_allclose(found.ious, STORED[f"{stored}_matched_iou"], rtol=1e-4, atol=1e-5)


def small_loss(
    score: float = 1.0, *, ignored: Tensor | None = None, logits: Tensor | None = None
) -> tuple[Losses, Tensor]:
    """One box on a canvas of 64 pixels, and the gradient of the object logits."""
    generator = torch.Generator().manual_seed(3)
    if logits is None:
        logits = torch.randn(1, 84, 6, generator=generator)
    logits.requires_grad_()
    box = Targets(torch.tensor([[30.0, 28.0, 20.0, 30.0]]), torch.tensor([0]), torch.tensor([score]))
    losses = yolox_loss(logits, [box], height=64, width=64, ignored=ignored, l1=True)
    losses.total.backward()
    assert logits.grad is not None
    return losses, logits.grad


def test_nobody_is_blamed_for_what_is_found_in_an_ignored_region() -> None:
    everywhere = torch.ones(1, 84, dtype=torch.bool)
    losses, gradient = small_loss(ignored=everywhere)
    answering = losses.assigned[0].cells
    assert set(gradient[0, :, 4].nonzero()[:, 0].tolist()) == set(answering.tolist())
    plain, _ = small_loss()
    assert losses.terms["obj"] < plain.terms["obj"]
    assert losses.terms["iou"] == plain.terms["iou"]


def test_a_doubtful_box_of_a_teacher_counts_as_much_as_its_score() -> None:
    plain, _ = small_loss()
    low_score, _ = small_loss(0.25)
    for name in ("iou", "cls", "l1"):
        assert float(low_score.terms[name]) == pytest.approx(0.25 * float(plain.terms[name]))


def test_the_object_score_is_drawn_to_the_score_of_the_teacher() -> None:
    answering = small_loss()[0].assigned[0].cells
    logits = torch.randn(1, 84, 6, generator=torch.Generator().manual_seed(3))
    logits[0, answering, 4] = float(torch.tensor(0.25).logit())
    losses, gradient = small_loss(0.25, logits=logits)
    assert losses.assigned[0].cells.tolist() == answering.tolist()
    torch.testing.assert_close(gradient[0, answering, 4], torch.zeros(len(answering)))


def test_pictures_without_people_teach_only_that_nobody_is_there() -> None:
    logits = torch.randn(2, 84, 6, generator=torch.Generator().manual_seed(3)).requires_grad_()
    no_people = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0))
    losses = yolox_loss(logits, [no_people, no_people], height=64, width=64, l1=True)
    losses.total.backward()
    assert losses.total.detach() == losses.terms["obj"] > 0
    assert logits.grad is not None and not logits.grad[..., [0, 1, 2, 3, 5]].any()


def test_overlap_of_boxes_is_intersection_over_union() -> None:
    a = torch.tensor([[2.0, 2.0, 4.0, 4.0]])
    b = torch.tensor([[2.0, 2.0, 4.0, 4.0], [4.0, 2.0, 4.0, 4.0], [9.0, 9.0, 2.0, 2.0]])
    assert pairwise_iou(a, b)[0].tolist() == pytest.approx([1, 1 / 3, 0])
    assert len(cells(64, 64)) == 84


def test_the_learning_rate_is_the_official_one() -> None:
    official = EXPECTED["schedule"]
    for name, schedule, batch in (
        ("lr_300ep_100it", YoloxSchedule(), 64),
        ("lr_bytetrack_80ep_100it", YoloxSchedule(80, 0.001 / 64, 0.05, 1, 10), 48),
    ):
        for iteration, rate in official[name].items():
            assert schedule.rate(int(iteration) / 100, batch) == pytest.approx(rate, rel=1e-9)


def test_the_average_forgets_as_the_official_one() -> None:
    from kprtrack.training.ema import ema_decay

    for update, decay in EXPECTED["schedule"]["ema_decay_at_update"].items():
        assert ema_decay(int(update), 0.9998) == pytest.approx(decay, rel=1e-12)


def test_the_joint_loss_is_cross_entropy_of_the_product_in_double_precision():
    logits = 3 * torch.randn(1, 84, 6, generator=torch.Generator().manual_seed(3))
    box = torch.tensor([[30.0, 34.0, 20.0, 40.0]])
    targets = [Targets(box, torch.zeros(1, dtype=torch.int64), torch.tensor([0.7]))]
    losses = yolox_loss(logits, targets, height=64, width=64, joint=True)
    (found,) = losses.assigned
    score = torch.special.expit(logits[0, :, 4].double()) * torch.special.expit(logits[0, :, 5].double())
    wanted = torch.zeros(84, dtype=torch.float64)
    wanted[found.cells] = 0.7 * found.ious.double()
    by_hand = -(wanted * score.log() + (1 - wanted) * (1 - score).log()).sum() / len(found.cells)
    assert float(losses.terms["joint"]) == pytest.approx(float(by_hand), rel=1e-5)
    assert "obj" not in losses.terms
