"""Where a person's head is: by the keypoints, or by the box where they are uncertain."""

from collections.abc import Sequence

import numpy as np

MIN_CONFIDENCE = 0.3  # of a keypoint that locates the head
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_bottom", "head_top")
# Half the side of the head, with a margin. In a view from the front the ears are as far apart as a head is
# wide, 3/4 of its height; from the side, nose and one ear are half as far apart.
_OF_EARS, _OF_FACE = 0.95, 1.5
_OF_SHOULDERS = 0.5  # shoulders are twice as far apart as a head is wide
_OF_HEIGHT = 0.09  # a standing person is 7 to 8 heads high
_LEAST_UPPER_PART = 1 / 3  # of the height of a box, where only it is known


def head_boxes(
    keypoints: np.ndarray, boxes: np.ndarray, names: Sequence[str], *, least_height: float = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return a box around each person's head, rather too large than too small, and whether it is certain.

    Args:
        keypoints: [M, K, 3] x y confidence in pixels.
        boxes: [M, 4] x1 y1 x2 y2 in pixels, the whole person.
        names: Names of the keypoints.
        least_height: Of a box, in pixels, from which on its keypoints can be certain.

    Returns:
        Boxes [M, 4] float64, and [M] bool. Where fewer than two keypoints of the head are certain, they lie
        outside the box, or the box is lower than `least_height`, it contains the upper part of the box.
    """
    boxes = boxes.astype(np.float64)
    face = [row for row, name in enumerate(names) if name in _FACE]
    points = keypoints[:, face].astype(np.float64)
    certain = points[..., 2] > MIN_CONFIDENCE
    count = certain.sum(axis=1)
    low = np.where(certain[..., None], points[..., :2], np.inf).min(axis=1, initial=np.inf)
    high = np.where(certain[..., None], points[..., :2], -np.inf).max(axis=1, initial=-np.inf)
    known = count > 0
    low[~known], high[~known] = 0, 0
    middles, spreads = (low + high) / 2, (high - low).max(axis=1)
    widths, heights = (boxes[:, 2:] - boxes[:, :2]).T
    radius = np.where(_both(keypoints, names, "ear"), _OF_EARS, _OF_FACE) * spreads
    radius = np.maximum(radius, _OF_SHOULDERS * _distance(keypoints, names, "shoulder"))
    radius = np.maximum(radius, _OF_HEIGHT * heights)
    # One wrong keypoint must not make a head as large as the person.
    radius = np.minimum(radius, np.maximum(0.5 * np.maximum(widths, 0.3 * heights), 1))[:, None]
    by_points = np.concatenate([middles - radius, middles + radius], axis=1)
    margin = 0.1 * np.stack([widths, heights], axis=1)
    inside = (middles >= boxes[:, :2] - margin).all(axis=1) & (middles <= boxes[:, 2:] + margin).all(axis=1)
    upper = upper_parts(boxes)
    both = np.concatenate(
        [np.minimum(by_points[:, :2], upper[:, :2]), np.maximum(by_points[:, 2:], upper[:, 2:])], axis=1
    )
    uncertain = np.where((known & inside)[:, None], both, upper)
    certain_heads = (count >= 2) & inside & (heights >= least_height)
    return np.where(certain_heads[:, None], by_points, uncertain), certain_heads


def upper_parts(boxes: np.ndarray) -> np.ndarray:
    """Return the upper part of boxes [N, 4], in which the head of an upright person is.

    A head is no higher than a body is wide, so it is as high as the box is wide, at least a third of the box.
    """
    upper = boxes.astype(np.float64)
    widths, heights = (upper[:, 2:] - upper[:, :2]).T
    part = np.minimum(np.maximum(widths, _LEAST_UPPER_PART * heights), heights)
    margin = 0.1 * part
    upper[:, 3] = upper[:, 1] + part
    upper[:, 0] -= margin
    upper[:, 2] += margin
    upper[:, 1] -= margin
    return upper


def _both(keypoints: np.ndarray, names: Sequence[str], part: str) -> np.ndarray:
    sides = _sides(names, part)
    if sides is None:
        return np.zeros(len(keypoints), bool)
    return np.asarray((keypoints[:, sides, 2] > MIN_CONFIDENCE).all(axis=1), bool)


def _distance(keypoints: np.ndarray, names: Sequence[str], part: str) -> np.ndarray:
    sides = _sides(names, part)
    if sides is None:
        return np.zeros(len(keypoints))
    left, right = (keypoints[:, side, :2].astype(np.float64) for side in sides)
    return np.where(_both(keypoints, names, part), np.hypot(*(left - right).T), 0)


def _sides(names: Sequence[str], part: str) -> list[int] | None:
    sides = [f"left_{part}", f"right_{part}"]
    return [list(names).index(side) for side in sides] if set(sides) <= set(names) else None
