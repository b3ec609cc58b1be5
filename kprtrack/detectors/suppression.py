"""From the output of a YOLOX network to boxes: decoding, non-maximum suppression and box voting.

Source: `docs/reference/detector_and_pose.md 1.4-1.6`.
"""

import numpy as np

from kprtrack.core.geometry import iou
from kprtrack.detectors.validation import possible
from kprtrack.detectors.yolox_shapes import STRIDES


def decode_boxes(raw: np.ndarray, height: int, width: int) -> np.ndarray:
    """Convert raw boxes to centre x, centre y, width, height in canvas pixels.

    Args:
        raw: [B, A, 5 + C] float32, the output of the network: boxes, objectness and class probabilities.
        height: Of the canvas in pixels.
        width: Of the canvas.

    Returns:
        The same with decoded boxes; sizes too large for a float32 are infinite.
    """
    decoded = raw.copy()
    first = 0
    for stride in STRIDES:  # cells by row, stride 8 first
        rows, columns = height // stride, width // stride
        level = decoded[:, first : first + rows * columns]
        level[..., 0] += np.tile(np.arange(columns, dtype=np.float32), rows)
        level[..., 1] += np.repeat(np.arange(rows, dtype=np.float32), columns)
        with np.errstate(over="ignore"):
            np.exp(level[..., 2:4], out=level[..., 2:4])
            level[..., :4] *= stride
        first += rows * columns
    return decoded


def suppress(
    decoded: np.ndarray,
    min_score: float,
    nms_iou: float,
    *,
    per_class: bool = False,
    voting_iou: float | None = None,
) -> np.ndarray:
    """Select boxes by score and non-maximum suppression.

    Args:
        decoded: [A, 5 + C] float32 of one image, from `decode_boxes`.
        min_score: Lowest objectness × class probability.
        nms_iou: Boxes that overlap a better one by more are suppressed.
        per_class: Keep overlapping boxes of different classes, as in YOLOX's evaluation.
        voting_iou: Replace each box by the mean of those that overlap it by at least this (box voting,
            Gidaris and Komodakis, ICCV 2015); None: keep the best box as it is.

    Returns:
        [K, 7] float32 x1 y1 x2 y2 objectness class-probability class, best score first. Impossible boxes are
        left out: with numbers that are not finite, or 10^9 or more.
    """
    category = decoded[:, 5:].argmax(axis=1)
    probability = decoded[np.arange(len(decoded)), 5 + category]
    kept = decoded[:, 4] * probability >= min_score
    kept &= possible(decoded[:, :4])
    half = decoded[kept, 2:4] / 2
    corners = np.concatenate((decoded[kept, :2] - half, decoded[kept, :2] + half), axis=1)
    rows = np.column_stack((corners, decoded[kept, 4], probability[kept], category[kept])).astype(np.float32)
    scores = rows[:, 4] * rows[:, 5]
    best = non_maximum_suppression(corners, scores, nms_iou, rows[:, 6] if per_class else None)
    found = rows[best]
    if voting_iou is not None and not per_class:
        found[:, :4] = _voted(corners[best], corners, scores, voting_iou)
    return found


def non_maximum_suppression(
    boxes: np.ndarray, scores: np.ndarray, max_iou: float, categories: np.ndarray | None = None
) -> np.ndarray:
    """Keep each box that overlaps no better one of the same category by more than `max_iou`.

    Args:
        boxes: [N, 4] x1 y1 x2 y2 float32.
        scores: [N].
        max_iou: Largest IoU of two kept boxes.
        categories: [N]; None: all boxes are of one.

    Returns:
        Rows of the kept boxes, best score first, int64; of equal scores the first row is the better one.
    """
    waiting = np.argsort(-scores, kind="stable")
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        suppressed = iou(boxes[best][None], boxes[waiting])[0] > max_iou
        if categories is not None:
            suppressed &= categories[waiting] == categories[best]
        waiting = waiting[~suppressed]
    return np.array(kept, np.int64)


def _voted(best: np.ndarray, corners: np.ndarray, scores: np.ndarray, voting_iou: float) -> np.ndarray:
    """The mean of all boxes that overlap each of the best ones, weighted by score and IoU."""
    ious = iou(best, corners)
    votes = np.where(ious >= voting_iou, ious, 0) * scores
    total = votes.sum(axis=1, keepdims=True)
    # 0 where all scores are 0
    return np.where(total > 0, votes @ corners / np.maximum(total, np.finfo(np.float32).tiny), best)
