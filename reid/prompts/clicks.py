"""Clicked points as prompts of KPR."""

from collections.abc import Sequence

import numpy as np

from kprtrack.core.skeleton import KEYPOINTS
from reid.prompts.body import HEIGHTS, SIDES

Point = Sequence[float]  # x, y in pixels


def prompts_from_clicks(
    positive: Sequence[Point], negative: Sequence[Point] = (), *, box: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Turn clicks on a person and on others into prompts of KPR, as the paper's prompting by hand.

    A prompt of KPR has a channel for each group of body parts, and a click does not name one. Each of the 17
    keypoints is therefore at the positive click that is nearest to where a standing person who fills the box
    has it; one click is the point of all parts. How this compares with keypoints is measured in
    docs/concepts/prompts.md.

    Args:
        positive: At least one x, y in pixels of the image, on the person.
        negative: Points on other people.
        box: x1, y1, x2, y2 of the person, in pixels of the image.

    Returns:
        [1 + M, 17, 3] float32, x y confidence, as `prompts_from_mask` returns them; M skeletons hold the
        negative clicks.

    Raises:
        ValueError: There is no positive click, or a number is not finite.

    Examples:
        >>> points = prompts_from_clicks([(30, 20), (30, 90)], [(70, 50)], box=(10, 0, 50, 100))
        >>> points[0, 0].tolist(), points[0, -1].tolist()  # nose and right ankle
        ([30.0, 20.0, 1.0], [30.0, 90.0, 1.0])
        >>> points[1, :2].tolist()
        [[70.0, 50.0, 1.0], [0.0, 0.0, 0.0]]
    """
    own, others = _points(positive), _points(negative)
    if not len(own):
        raise ValueError("there is no positive click")
    corners = np.array(box, np.float64)
    if corners.shape != (4,) or not np.isfinite(corners).all():
        raise ValueError(f"the box {list(box)} is not four numbers")
    size = np.maximum(corners[2:] - corners[:2], 1e-6)
    expected = corners[:2] + np.stack([(1 + SIDES) / 2, HEIGHTS], axis=1) * size  # [17, 2]
    nearest = np.hypot(*(expected[:, None] - own).transpose(2, 0, 1)).argmin(axis=1)
    rows = -(-len(others) // len(KEYPOINTS))
    points = np.zeros((1 + rows, len(KEYPOINTS), 3), np.float32)
    points[0] = np.c_[own[nearest], np.ones(len(KEYPOINTS))]
    points[1:].reshape(-1, 3)[: len(others)] = np.c_[others, np.ones(len(others))]
    return points


def _points(clicks: Sequence[Point]) -> np.ndarray:
    """Clicks [N, 2] float64. Raises: ValueError."""
    points = np.array([tuple(click) for click in clicks], np.float64)
    if not len(points):
        return np.zeros((0, 2))
    if points.shape[1:] != (2,) or not np.isfinite(points).all():
        raise ValueError(f"clicks are finite pairs x, y, not {[list(click) for click in clicks]}")
    return points
