"""Assignment of YOLOX cells to ground-truth boxes: SimOTA.

Source: YOLOX (Ge et al., 2021, section 2.2) and OTA (Ge et al., CVPR 2021); constants:
docs/reference/detector_and_pose.md 1.9.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_RADIUS_CELLS = 1.5  # half side of the square around a box centre whose cells are candidates
_IOU_WEIGHT = 3.0
_OUTSIDE_COST = 1e6  # of a cell outside that square
_MAX_IOUS = 10  # whose sum is the number of cells of a box


@dataclass(frozen=True)
class Targets:
    """Ground truth of one image."""

    boxes: Tensor  # [G, 4] float32, centre x, centre y, width, height, canvas pixels
    classes: Tensor  # [G] int64
    scores: Tensor  # [G] float32 in [0, 1], confidence of a teacher; 1: annotated by hand


@dataclass(frozen=True)
class Assignment:
    """The P cells of one image that are assigned to a box."""

    cells: Tensor  # [P] int64, ascending
    boxes: Tensor  # [P] int64, rows of the targets
    ious: Tensor  # [P] float32, of what the cell predicts and its box


@torch.no_grad()
def assign(predicted: Tensor, logits: Tensor, targets: Targets, grid: Tensor) -> Assignment:
    """Assign cells to the boxes of one image.

    Args:
        predicted: [A, 4] centre x, centre y, width, height in canvas pixels.
        logits: [A, 1 + C] objectness and classes.
        targets: Ground truth.
        grid: [A, 3] column, row, stride, of `yolox_network.cells`.
    """
    near = _near(targets.boxes, grid)  # [G, A]
    rows = near.any(dim=0).nonzero()[:, 0]  # [F] candidate cells
    if not len(rows):
        none = rows.new_zeros(0)
        return Assignment(none, none, predicted.new_zeros(0))
    ious = pairwise_iou(targets.boxes, predicted[rows])  # [G, F]
    cost = _class_cost(logits[rows], targets.classes) - _IOU_WEIGHT * (ious + 1e-8).log()
    cost = cost + _OUTSIDE_COST * ~near[:, rows]
    counts = ious.topk(min(_MAX_IOUS, len(rows)), dim=1).values.sum(1).int().clamp(min=1)  # [G]
    places = cost.argsort(dim=1, stable=True).argsort(dim=1)
    taken = places < counts[:, None]
    # A cell assigned to several boxes goes to the box of least cost among all.
    contested = taken.sum(0) > 1
    cheapest = torch.zeros_like(taken).scatter_(0, cost.argmin(dim=0, keepdim=True), value=True)
    taken = torch.where(contested, cheapest, taken)
    columns = taken.any(0).nonzero()[:, 0]
    boxes = taken[:, columns].int().argmax(0)
    return Assignment(rows[columns], boxes, ious[boxes, columns])


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """[A, B] intersection over union of boxes given as centre x, centre y, width, height.

    Args:
        a: [A, 4] centre x, centre y, width, height in pixels.
        b: [B, 4] likewise.

    Returns:
        [A, B] in 0..1.
    """
    (a_least, a_greatest), (b_least, b_greatest) = _corners(a), _corners(b)
    overlap = torch.minimum(a_greatest[:, None], b_greatest) - torch.maximum(a_least[:, None], b_least)
    shared = overlap.clamp(min=0).prod(-1)
    return shared / (a[:, None, 2:].prod(-1) + b[:, 2:].prod(-1) - shared)


def paired_iou(a: Tensor, b: Tensor) -> Tensor:
    """[N] likewise, of each box of `a` and the same row of `b`.

    Args:
        a: [N, 4] centre x, centre y, width, height in pixels.
        b: [N, 4] likewise.

    Returns:
        [N] in 0..1.
    """
    (a_least, a_greatest), (b_least, b_greatest) = _corners(a), _corners(b)
    shared = (torch.minimum(a_greatest, b_greatest) - torch.maximum(a_least, b_least)).clamp(min=0).prod(-1)
    return shared / (a[:, 2:].prod(-1) + b[:, 2:].prod(-1) - shared + 1e-16)


def cell_centres(grid: Tensor) -> Tensor:
    """[A, 2] x y in canvas pixels.

    Args:
        grid: [A, 3] column, row and stride of each cell.

    Returns:
        [A, 2] x y in canvas pixels.
    """
    return (grid[:, :2] + 0.5) * grid[:, 2:]


def _near(boxes: Tensor, grid: Tensor) -> Tensor:
    """[G, A] whether the cell is a candidate for the box."""
    away = (cell_centres(grid) - boxes[:, None, :2]).abs().amax(-1)
    return away < _RADIUS_CELLS * grid[:, 2]


def _class_cost(logits: Tensor, classes: Tensor) -> Tensor:
    """[G, F] cross entropy between the cells' class probabilities and each box's class."""
    # Cross entropy raises for NaN; the losses propagate it, and the loop reports it.
    chance = (logits[:, 1:].sigmoid() * logits[:, :1].sigmoid()).sqrt().nan_to_num(0)  # [F, C]
    yes, no = (
        F.binary_cross_entropy(chance, torch.full_like(chance, one), reduction="none") for one in (1, 0)
    )
    # Of all classes "no", but of its own "yes".
    return no.sum(1) + (yes - no).T[classes]


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    half = boxes[:, 2:] / 2
    return boxes[:, :2] - half, boxes[:, :2] + half
