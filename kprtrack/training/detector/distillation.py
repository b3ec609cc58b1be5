"""Distillation from another YOLOX on the same images: each cell learns the teacher's outputs.

Annotations supervise some ten cells per person; a teacher supervises the score and box of every cell, in
mosaics and mixups too. Cells assigned to an annotation are trained on it, because the teacher may have missed
the person. Source: Hinton et al. 2015 (arXiv 1503.02531) on the dense outputs of a detector, weighted by the
teacher's own score as in Chen et al., NeurIPS 2017.
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
_MIN_SCORE = 0.05  # of the teacher, for its box and class to count


@dataclass(frozen=True)
class TeacherOutput:
    """A teacher's outputs for the A cells of B images."""

    boxes: Tensor  # [B, A, 4] centre x, centre y, width, height in canvas pixels
    people: Tensor  # [B, A] score in [0, 1] of a person
    classes: Tensor  # [B, A] probability in [0, 1] of the class


@torch.no_grad()
def teacher_output(raw: Tensor, *, height: int, width: int, full_score: float) -> TeacherOutput:
    """The teacher's outputs as targets.

    Args:
        raw: [B, A, 6] outputs of `Yolox.forward` of one class.
        height: Of the images, pixels.
        width: Likewise.
        full_score: Scores from here up become 1, lower ones are scaled in proportion.
    """
    found = decode(raw, height, width)
    people = (found[..., 4] * found[..., 5] / full_score).clamp(max=1)
    return TeacherOutput(found[..., :4], people, (found[..., 5] / full_score).clamp(max=1))


def distil_loss(
    logits: Tensor, teacher: TeacherOutput, assigned: Sequence[Assignment], *, height: int, width: int
) -> Tensor:
    """The distillation loss of a batch, normalised by the sum of the teacher's scores.

    Args:
        logits: [B, A, 6] of `Yolox.logits`.
        teacher: The targets.
        assigned: For each image, the cells assigned to annotations.
        height: Of the images, pixels.
        width: Likewise.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    unassigned = torch.ones_like(teacher.people, dtype=torch.bool)
    for row, found in enumerate(assigned):
        unassigned[row, found.cells] = False
    objects = F.binary_cross_entropy_with_logits(logits[..., 4], teacher.people, reduction="none")
    positive = (teacher.people > _MIN_SCORE).nonzero(as_tuple=True)  # [P] cells
    weights = teacher.people[positive]
    own = logits[positive]
    boxes = decoded(own, cells(height, width, logits.device)[positive[1]])
    box_loss = 1 - paired_iou(boxes, teacher.boxes[positive]).square()
    classes = F.binary_cross_entropy_with_logits(own[:, 5], teacher.classes[positive], reduction="none")
    total = objects.where(unassigned, 0).sum() + (weights * (_IOU_WEIGHT * box_loss + classes)).sum()
    return total / mean_of_processes(weights.sum()).clamp(min=1 / processes())
