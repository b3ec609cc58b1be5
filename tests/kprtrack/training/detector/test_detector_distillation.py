"""A live teacher: the loss is what its page says, and a student comes to say what the teacher says."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.detector_cases import draw_plots, tiny_config

from kprtrack.core.errors import UserError
from kprtrack.detectors.yolox_shapes import STRIDES
from kprtrack.training.detector.assign import Assignment
from kprtrack.training.detector.distillation import TeacherOutput, distil_loss, teacher_output
from kprtrack.training.tasks import train

HEIGHT, WIDTH = 64, 96
A = sum((HEIGHT // s) * (WIDTH // s) for s in STRIDES)
ONE_STEP = {
    "schedule": {"epochs": 1, "rate_per_image": 0.002, "warmup_epochs": 0, "plain_epochs": 0},
}
NO_PEOPLE = Assignment(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0))


def some_raw(seed: int, shift: float = -2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(2, A, 6, generator=generator) * 0.5
    raw[..., 4] += shift
    return raw


def said(raw: torch.Tensor, full_score: float = 1.0) -> TeacherOutput:
    told = torch.cat((raw[..., :4], raw[..., 4:].sigmoid()), dim=-1)
    return teacher_output(told, height=HEIGHT, width=WIDTH, full_score=full_score)


def plainly(logits: torch.Tensor, teacher: TeacherOutput, answering: set[tuple[int, int]]) -> float:
    """The loss cell by cell, in double precision."""
    corners = [(x, y, s) for s in STRIDES for y in range(HEIGHT // s) for x in range(WIDTH // s)]
    total = weights = 0.0
    for image, rows in enumerate(logits.double()):
        for cell, row in enumerate(rows):
            weight = float(teacher.people[image, cell])
            yes, no = torch.nn.functional.logsigmoid(torch.stack((row[4], -row[4])))
            if (image, cell) not in answering:
                total -= float(weight * yes + (1 - weight) * no)
            if weight <= 0.05:
                continue
            weights += weight
            x, y, stride = corners[cell]
            cx, cy = float((row[0] + x) * stride), float((row[1] + y) * stride)
            w, h = (float(row[2 + side].exp() * stride) for side in (0, 1))
            tx, ty, tw, th = teacher.boxes[image, cell].double().tolist()
            wide = max(min(cx + w / 2, tx + tw / 2) - max(cx - w / 2, tx - tw / 2), 0)
            high = max(min(cy + h / 2, ty + th / 2) - max(cy - h / 2, ty - th / 2), 0)
            iou = wide * high / (w * h + tw * th - wide * high)
            kind = float(teacher.classes[image, cell])
            yes, no = torch.nn.functional.logsigmoid(torch.stack((row[5], -row[5])))
            total += weight * (5 * (1 - iou**2) - float(kind * yes + (1 - kind) * no))
    return total / weights


def test_the_loss_is_that_of_its_page() -> None:
    logits, teacher = some_raw(1), said(some_raw(2), full_score=0.6)
    cells = [torch.tensor([3, 40]), torch.tensor([7])]
    labelled = [Assignment(each, torch.zeros_like(each), torch.ones(len(each))) for each in cells]
    found = distil_loss(logits, teacher, labelled, height=HEIGHT, width=WIDTH)
    assert float(found) == pytest.approx(plainly(logits, teacher, {(0, 3), (0, 40), (1, 7)}), rel=1e-5)


def test_a_score_that_counts_as_certain_is_certain() -> None:
    raw = some_raw(3, shift=0.0)
    as_it_is, certain = said(raw), said(raw, full_score=0.5)
    assert torch.equal(certain.people, (as_it_is.people * 2).clamp(max=1))
    assert (certain.people == 1).any()


def test_where_the_teacher_sees_nobody_only_silence_is_learnt() -> None:
    logits = some_raw(4).requires_grad_()
    distil_loss(
        logits, said(some_raw(5, shift=-20.0)), [NO_PEOPLE] * 2, height=HEIGHT, width=WIDTH
    ).backward()
    assert logits.grad is not None
    assert (logits.grad[..., 4] > 0).all()
    assert not logits.grad[..., [0, 1, 2, 3, 5]].any()


@pytest.mark.slow
def test_a_student_learns_from_a_teacher_and_stays_its_own_size(tmp_path: Path) -> None:
    drawn = draw_plots(tmp_path / "drawn", count=4)
    first = train(tiny_config(drawn, tmp_path / "teacher", **ONE_STEP), quiet=True)
    weights = str(first / "weights.safetensors")
    alone = train(tiny_config(drawn, tmp_path / "alone", seed=2, **ONE_STEP), quiet=True)
    config = tiny_config(drawn, tmp_path / "student", seed=2, distil__teacher=weights, **ONE_STEP)
    taught_run = train(config, quiet=True)
    assert "distil" in (taught_run / "metrics.csv").read_text().splitlines()[0]
    one, two = (load_file(folder / "weights.safetensors") for folder in (alone, taught_run))
    assert one.keys() == two.keys()
    assert any(not torch.equal(one[name], two[name]) for name in one)


def test_a_teacher_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    drawn = draw_plots(tmp_path / "drawn")
    with pytest.raises(UserError, match=r"nowhere\.pth"):
        train(tiny_config(drawn, tmp_path / "run", distil__teacher="nowhere.pth"), quiet=True)
    with pytest.raises(UserError, match=r"distil\.weight is -1"):
        tiny_config(drawn, None, distil__weight=-1.0)
