"""The losses of YOLOX: boxes, objectness and classes over the assigned cells.

Source: YOLOX (Ge et al., 2021); weights and targets: docs/reference/detector_and_pose.md 1.9. Added here:

- Unassigned cells in ignored regions do not count in the objectness loss.
- The score of a teacher's box is the target of the objectness and the weight of the box, class and L1 losses.
  Annotated boxes have score 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kprtrack.detectors.yolox_network import cells
from kprtrack.training.detector.assign import Assignment, Targets, assign, paired_iou
from reid.training.distributed import mean_of_processes, processes

_IOU_WEIGHT = 5.0


@dataclass(frozen=True)
class Losses:
    """The loss and its weighted terms: total = the sum of the terms."""

    total: Tensor
    terms: dict[str, Tensor]  # iou, obj, cls, l1; detached
    assigned: tuple[Assignment, ...]  # of each image


@dataclass(frozen=True)
class _Matched:
    """The P assigned cells of a batch, each with its box."""

    images: Tensor  # [P]
    cells: Tensor  # [P]
    ious: Tensor  # [P]
    boxes: Tensor  # [P, 4]
    classes: Tensor  # [P]
    scores: Tensor  # [P]


def yolox_loss(
    logits: Tensor,
    targets: Sequence[Targets],
    *,
    height: int,
    width: int,
    ignored: Tensor | None = None,
    l1: bool = False,
    joint: bool = False,
) -> Losses:
    """The losses of a batch.

    Args:
        logits: [B, A, 5 + C] of `Yolox.logits`.
        targets: Ground truth of each image.
        height: Of the canvas, pixels.
        width: Likewise.
        ignored: [B, A] bool, cells in ignored regions.
        l1: Add an L1 loss on the raw box outputs.
        joint: With one class, train the product of objectness and class alone; its target is the score of
            the label times the IoU of the predicted box, and 0 where no box is assigned.
    """
    # Half precision would give cells equal costs.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    grid = cells(height, width, logits.device)
    boxes = decoded(logits, grid)
    assigned = tuple(
        assign(box, own[:, 4:], each, grid)
        for box, own, each in zip(boxes.detach(), logits.detach(), targets, strict=True)
    )
    matched = _matched(assigned, targets)
    count = _mean_count(len(matched.cells), logits.device)
    own = logits[matched.images, matched.cells]  # [P, 5 + C]
    if joint:
        scores = {"joint": _joint_loss(logits[..., 4], logits[..., 5], matched, ignored)}
    else:
        scores = {
            "obj": _object_loss(logits[..., 4], matched, ignored),
            "cls": _class_loss(own[:, 5:], matched),
        }
    losses = {
        "iou": _IOU_WEIGHT * (matched.scores * (1 - _ious(boxes, matched).square())).sum(),
        **scores,
        "l1": _l1_loss(own[:, :4], matched, grid) if l1 else logits.new_zeros(()),
    }
    losses = {name: value / count for name, value in losses.items()}
    return Losses(torch.stack([*losses.values()]).sum(), {k: v.detach() for k, v in losses.items()}, assigned)


def decoded(logits: Tensor, grid: Tensor) -> Tensor:
    """[..., 4] centre x, centre y, width, height in canvas pixels. grid: of the same cells.

    Args:
        logits: [..., A, C] of the network, the first four of which are the box.
        grid: [A, 3] column, row and stride of the same cells.

    Returns:
        [..., A, 4] centre x, centre y, width, height in canvas pixels.
    """
    centres = (logits[..., :2] + grid[:, :2]) * grid[:, 2:]
    return torch.cat((centres, logits[..., 2:4].exp() * grid[:, 2:]), dim=-1)


def _mean_count(own: int, device: torch.device) -> float:
    """Assigned cells of each process on average, so that the mean gradient is that of the whole batch."""
    count = processes()
    if count == 1:
        return max(own, 1)
    total = mean_of_processes(torch.tensor(float(own), device=device)).item() * count
    return max(total, 1) / count


def _matched(assigned: Sequence[Assignment], targets: Sequence[Targets]) -> _Matched:
    pairs = list(zip(assigned, targets, strict=True))
    return _Matched(
        torch.cat([torch.full_like(found.cells, row) for row, found in enumerate(assigned)]),
        torch.cat([found.cells for found in assigned]),
        torch.cat([found.ious for found in assigned]),
        torch.cat([each.boxes[found.boxes] for found, each in pairs]),
        torch.cat([each.classes[found.boxes] for found, each in pairs]),
        torch.cat([each.scores[found.boxes] for found, each in pairs]),
    )


def _ious(boxes: Tensor, matched: _Matched) -> Tensor:
    return paired_iou(boxes[matched.images, matched.cells], matched.boxes)


def _object_loss(logits: Tensor, matched: _Matched, ignored: Tensor | None) -> Tensor:
    wanted = torch.zeros_like(logits)
    wanted[matched.images, matched.cells] = matched.scores.to(wanted.dtype)
    losses = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return _counted_sum(losses, matched, ignored)


def _joint_loss(objects: Tensor, classes: Tensor, matched: _Matched, ignored: Tensor | None) -> Tensor:
    wanted = torch.zeros_like(objects)
    wanted[matched.images, matched.cells] = (matched.scores * matched.ious).to(wanted.dtype)
    positive = F.logsigmoid(objects) + F.logsigmoid(classes)
    # 1 - p q = (1 - p) + p (1 - q), in logarithms
    negative = torch.logaddexp(F.logsigmoid(-objects), F.logsigmoid(objects) + F.logsigmoid(-classes))
    return _counted_sum(-(wanted * positive + (1 - wanted) * negative), matched, ignored)


def _counted_sum(losses: Tensor, matched: _Matched, ignored: Tensor | None) -> Tensor:
    """Sum over cells outside of ignored regions, and over assigned ones."""
    if ignored is None:
        return losses.sum()
    counted = ~ignored
    counted[matched.images, matched.cells] = True
    return losses.where(counted, 0).sum()


def _class_loss(logits: Tensor, matched: _Matched) -> Tensor:
    """The target of the class is the IoU of the predicted box."""
    wanted = F.one_hot(matched.classes, logits.shape[1]) * matched.ious[:, None]
    losses = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (matched.scores[:, None] * losses).sum()


def _l1_loss(raw: Tensor, matched: _Matched, grid: Tensor) -> Tensor:
    corner, stride = grid[matched.cells, :2], grid[matched.cells, 2:]
    centres, sizes = matched.boxes[:, :2], matched.boxes[:, 2:]
    wanted = torch.cat((centres / stride - corner, (sizes / stride + 1e-8).log()), dim=1)
    return (matched.scores[:, None] * (raw - wanted).abs()).sum()
