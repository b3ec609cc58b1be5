"""Learning from another YOLOX that sees the same pictures: each cell is to say what the teacher's says.

Labels tell some ten cells of a person apart from the rest; a teacher tells every cell how surely a person is
there and where it ends, mosaics and pasted people included. Cells that answer for a label keep to it: there
the teacher may have overlooked somebody. Source: Hinton et al. 2015 (arXiv 1503.02531) on the dense outputs
of a detector, weighted by the teacher's own score as in Chen et al., NeurIPS 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kprtrack.detectors.yolox_network import cells, decode
from kprtrack.training.detector.assign import Assignment, paired_iou
from kprtrack.training.detector.loss import decoded
from reid.training.distributed import mean_of_processes, processes

_IOU_WEIGHT = 5.0  # as of labels
_LEAST_SCORE = 0.05  # of the teacher, for its box and class to be learnt: less weighs next to nothing


@dataclass(frozen=True)
class TeacherOutput:
    """What a teacher says of the A cells of B pictures."""

    boxes: Tensor  # [B, A, 4] centre x, centre y, width, height in canvas pixels
    people: Tensor  # [B, A] in [0, 1], how surely a person is there
    classes: Tensor  # [B, A] in [0, 1], that what is there is a person


@torch.no_grad()
def teacher_output(raw: Tensor, *, height: int, width: int, full_score: float) -> TeacherOutput:
    """What to learn from [B, A, 6] of `Yolox.forward` of one class. full_score: counts as certain."""
    found = decode(raw, height, width)
    people = (found[..., 4] * found[..., 5] / full_score).clamp(max=1)
    return TeacherOutput(found[..., :4], people, (found[..., 5] / full_score).clamp(max=1))


def distil_loss(
    logits: Tensor, teacher: TeacherOutput, assigned: Sequence[Assignment], *, height: int, width: int
) -> Tensor:
    """The loss of a batch, of the size of a label's for as many cells as the teacher sees people in.

    logits: [B, A, 6] of `Yolox.logits`. assigned: for each picture, the cells that answer for labels.
    """
    logits = logits.float()
    free = torch.ones_like(teacher.people, dtype=torch.bool)
    for row, found in enumerate(assigned):
        free[row, found.cells] = False
    objects = F.binary_cross_entropy_with_logits(logits[..., 4], teacher.people, reduction="none")
    seen = (teacher.people > _LEAST_SCORE).nonzero(as_tuple=True)  # [P] cells
    weights = teacher.people[seen]
    own = logits[seen]
    boxes = decoded(own, cells(height, width, logits.device)[seen[1]])
    apart = 1 - paired_iou(boxes, teacher.boxes[seen]).square()
    classes = F.binary_cross_entropy_with_logits(own[:, 5], teacher.classes[seen], reduction="none")
    total = objects.where(free, 0).sum() + (weights * (_IOU_WEIGHT * apart + classes)).sum()
    return total / mean_of_processes(weights.sum()).clamp(min=1 / processes())
