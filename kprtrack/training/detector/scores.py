"""Metrics of a detector: average precision, and false positives in images without people.

Source: COCO's evaluation (Lin et al., 2014), at one overlap and one class; 101 points of recall, at most 100
boxes an image. An unmatched box of which half lies in an ignored region counts neither way, which for regions
that are boxes is COCO's rule for crowds.
"""

from collections.abc import Sequence

import numpy as np

from kprtrack.core.datatypes import Detections
from kprtrack.core.geometry import iou
from kprtrack.training.annotations import LabelledImage

_MATCH_IOU = 0.5
_IGNORED_SHARE = 0.5
_MAX_BOXES = 100
_RECALLS = np.linspace(0, 1, 101)
_MIN_SCORE = 0.5


def average_precision(found: Sequence[Detections], ground_truth: Sequence[LabelledImage]) -> float:
    """AP in 0..1 of boxes at an IoU of 0.5.

    Args:
        found: Detections of each image.
        ground_truth: The same images with their labels, in the same order.

    Returns:
        AP in 0..1.

    Raises:
        ValueError: The ground truth has no people.
    """
    people = sum(len(image.boxes) for image in ground_truth)
    if not people:
        raise ValueError("no people in the ground truth")
    matches = [_matches(boxes, image) for boxes, image in zip(found, ground_truth, strict=True)]
    scores, right = (np.concatenate([each[side] for each in matches]) for side in (0, 1))
    right = right[np.argsort(-scores, kind="stable")]
    if not len(right):
        return 0.0
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / people, _RECALLS)
    return float(np.where(places < len(right), best_from_here[np.minimum(places, len(right) - 1)], 0).mean())


def false_people(found: Sequence[Detections], ground_truth: Sequence[LabelledImage]) -> float | None:
    """Boxes of score 0.5 or more per image without people; None: there is no such image.

    Args:
        found: Detections of each image.
        ground_truth: The same images with their labels, in the same order.

    Returns:
        Boxes per image, 0 or more; None if every image has people.
    """
    empty = [
        boxes
        for boxes, image in zip(found, ground_truth, strict=True)
        if not len(image.boxes) + len(image.ignore)
    ]
    if not empty:
        return None
    return sum(int((boxes.scores >= _MIN_SCORE).sum()) for boxes in empty) / len(empty)


def _matches(found: Detections, image: LabelledImage) -> tuple[np.ndarray, np.ndarray]:
    """(scores, matched) of the boxes that count, matched greedily in order of score."""
    order = np.argsort(-found.scores, kind="stable")[:_MAX_BOXES]
    boxes, scores = found.boxes[order].astype(np.float64), found.scores[order]
    overlap = iou(boxes, image.boxes.astype(np.float64))  # [D, G]
    right = np.zeros(len(boxes), bool)
    for row in range(len(boxes)):
        if overlap.shape[1] and overlap[row].max() >= _MATCH_IOU:
            right[row] = True
            # Of two with equal IoU the later, as in COCO's own program.
            overlap[:, overlap.shape[1] - 1 - overlap[row, ::-1].argmax()] = 0
    counts = right.copy()
    counts[~right] = ~_in_regions(boxes[~right], image.ignore)
    return scores[counts], right[counts]


def _in_regions(boxes: np.ndarray, regions: Sequence[np.ndarray]) -> np.ndarray:
    """[N] whether half of the box or more lies in one region."""
    if not len(boxes) or not regions:
        return np.zeros(len(boxes), bool)
    import shapely

    drawn = shapely.box(*boxes.T)
    polygons = shapely.make_valid(np.array([shapely.Polygon(region) for region in regions]))
    shared = shapely.area(shapely.intersection(drawn[:, None], polygons))
    return (shared >= _IGNORED_SHARE * shapely.area(drawn)[:, None]).any(1)
