"""Find boxes in ignore regions."""

from collections.abc import Sequence as Ordered

import numpy as np
import shapely

MAX_OVERLAP = 0.1  # PoseTrack21's kit: more, as intersection over union, counts as inside


def boxes_in_regions(boxes: np.ndarray, polygons: Ordered[np.ndarray]) -> np.ndarray:
    """Return which boxes have an IoU above MAX_OVERLAP with any of the polygons.

    A self-intersecting polygon is repaired by a buffer of width 0; if that leaves several parts, their
    intersections and unions are summed. Source: docs/reference/tracking_and_evaluation.md 2.2.

    Args:
        boxes: [N, 4] x y w h.
        polygons: Each [V, 2] x y.

    Returns:
        [N] bool.
    """
    inside = np.zeros(len(boxes), bool)
    ends = boxes[:, :2] + boxes[:, 2:]
    for polygon in polygons:
        # Skip boxes outside the polygon's bounds: most of them are, and shapely is slow.
        near = ((ends > polygon.min(axis=0)) & (boxes[:, :2] < polygon.max(axis=0))).all(axis=1) & ~inside
        if near.any():
            inside[near] = _overlap(np.hstack([boxes[near, :2], ends[near]]), polygon) > MAX_OVERLAP
    return inside


def _overlap(corners: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Return [N] IoU of boxes, [N, 4] x1 y1 x2 y2, with a polygon; 0 if it has no area."""
    if len(polygon) < 3:
        return np.zeros(len(corners))
    shape = shapely.polygons(polygon)
    if not shape.is_valid:
        shape = shape.buffer(0)
    parts = shapely.get_parts(shape)  # [Q], one unless the repair split it
    boxes = shapely.box(*corners.T)[:, None]  # [N, 1]
    shared = shapely.area(shapely.intersection(boxes, parts)).sum(axis=1)
    union = shapely.area(shapely.union(boxes, parts)).sum(axis=1)
    return np.divide(shared, union, out=np.zeros(len(corners)), where=union > 0)
