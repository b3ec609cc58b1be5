"""How well a detector finds people: average precision, and people seen where nobody is.

Source: COCO's evaluation (Lin et al., 2014), at one overlap and one class; 101 points of recall, at most 100
boxes a picture. A box that covers no person but lies in an ignored region by half counts neither way, which
for regions that are boxes is COCO's rule for crowds.
"""

from collections.abc import Sequence

import numpy as np

from kprtrack.core.datatypes import Detections
from kprtrack.core.geometry import iou
from kprtrack.training.annotations import LabelledImage

_MATCH_IOU = 0.5
_COVERED_SHARE = 0.5
_MOST_BOXES = 100
_RECALLS = np.linspace(0, 1, 101)
_SEEN_SCORE = 0.5


def average_precision(found: Sequence[Detections], ground_truth: Sequence[LabelledImage]) -> float:
    """AP in 0..1 of boxes at an overlap of 0.5. Raises: ValueError if the truth holds nobody."""
    people = sum(len(image.boxes) for image in ground_truth)
    if not people:
        raise ValueError("no people in the truth")
    judged = [_judged(boxes, image) for boxes, image in zip(found, ground_truth, strict=True)]
    scores, right = (np.concatenate([each[side] for each in judged]) for side in (0, 1))
    right = right[np.argsort(-scores, kind="stable")]
    if not len(right):
        return 0.0
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / people, _RECALLS)
    return float(np.where(places < len(right), best_from_here[np.minimum(places, len(right) - 1)], 0).mean())


def false_people(found: Sequence[Detections], ground_truth: Sequence[LabelledImage]) -> float | None:
    """Boxes of score 0.5 or more for each picture without people; None: there is no such picture."""
    empty = [
        boxes
        for boxes, image in zip(found, ground_truth, strict=True)
        if not len(image.boxes) + len(image.ignore)
    ]
    if not empty:
        return None
    return sum(int((boxes.scores >= _SEEN_SCORE).sum()) for boxes in empty) / len(empty)


def _judged(found: Detections, image: LabelledImage) -> tuple[np.ndarray, np.ndarray]:
    """(scores, right) of the boxes that count: each, the surest first, takes the free person it fits."""
    order = np.argsort(-found.scores, kind="stable")[:_MOST_BOXES]
    boxes, scores = found.boxes[order].astype(np.float64), found.scores[order]
    overlap = iou(boxes, image.boxes.astype(np.float64))  # [D, G]
    right = np.zeros(len(boxes), bool)
    for row in range(len(boxes)):
        if overlap.shape[1] and overlap[row].max() >= _MATCH_IOU:
            right[row] = True
            # Of two that are covered alike the later: as COCO's own program.
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
    return (shared >= _COVERED_SHARE * shapely.area(drawn)[:, None]).any(1)
