"""Points inside masks as prompts of KPR."""

from collections.abc import Sequence

import cv2
import numpy as np

from kprtrack.core.skeleton import KEYPOINTS
from reid.prompts.body import HEIGHTS, SIDES

_MOST_CANDIDATES = 1 << 14  # pixels of a mask that may become points
_BAND = 0.05  # of the height: pixels this far above and below are at the height of a keypoint
_DEEP = 0.05  # of the height: farther inside the mask than this is no better
_MISSED = 0.1  # of the height of the box: no pixel of the mask is this near to the height of the keypoint
_TORSO = [KEYPOINTS.index(name) for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")]


def prompts_from_mask(
    mask: np.ndarray, others: Sequence[np.ndarray] = (), box: Sequence[float] | np.ndarray | None = None
) -> np.ndarray:
    """Choose points inside masks that prompt KPR in place of keypoints.

    A prompt of KPR has a channel for each group of body parts, and a mask does not say which part a pixel
    belongs to. Each of the 17 keypoints is therefore placed where it is in a standing person as high as the
    mask (Drillis and Contini's proportions), at its side of the mask at that height, and moved to a pixel
    well inside the mask; the person's left is taken to be on the right of the image. The points of the other
    masks are negative prompts, for which the part does not matter. How close such prompts come to keypoints
    is measured in docs/concepts/prompts.md.

    Args:
        mask: [H, W] bool, the person; other types: not 0.
        others: The masks of other people, of the same size. A pixel in both is the person's.
        box: x1, y1, x2, y2 in pixels of the whole person, of whom the mask shows a part; heights are measured
            in it. None: the mask shows the person from head to foot.

    Returns:
        [1 + M, 17, 3] float32, x y confidence in pixels of the image, the person first, then M others:
        keypoints as `reid.crop.Crop` and `kprtrack.Poses` take them. The confidence is 1, or 0 where there is
        no point.

    Raises:
        ValueError: The mask is empty, or the masks differ in size.

    Examples:
        >>> import numpy as np
        >>> mask = np.zeros((100, 60), bool)
        >>> mask[10:90, 20:40] = True
        >>> points = prompts_from_mask(mask, [~mask])
        >>> points.shape
        (2, 17, 3)
        >>> x, y = points[0, :, :2].astype(int).T
        >>> bool(mask[y, x].all())
        True
    """
    person = _as_mask(mask)
    if not person.any():
        raise ValueError("the mask is empty")
    found = [_points(person, box)]
    for other in map(_as_mask, others):
        if other.shape != person.shape:
            raise ValueError(f"a mask has the size {other.shape}, that of the person {person.shape}")
        found.append(_points(other & ~person, None))
    return np.stack(found)


def _as_mask(mask: np.ndarray) -> np.ndarray:
    array = np.asarray(mask)
    if array.ndim != 2:
        raise ValueError(f"a mask has the shape {array.shape}, not [height, width]")
    result: np.ndarray = array != 0
    return result


def mask_box(mask: np.ndarray) -> np.ndarray | None:
    """Return the box of a mask [H, W] bool: [4] float32 x1 y1 x2 y2 in pixels; None: it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def _points(mask: np.ndarray, whole: Sequence[float] | np.ndarray | None) -> np.ndarray:
    """Points [17, 3] inside a mask; all 0: it is empty."""
    points = np.zeros((len(KEYPOINTS), 3), np.float32)
    bounds = mask_box(mask)
    if bounds is None:
        return points
    left, upper, right, lower = bounds.astype(int).tolist()
    part = mask[upper:lower, left:right]
    # The border of the image cuts a person off, too.
    depth = cv2.distanceTransform(np.pad(part, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    inside = np.flatnonzero(part)
    inside = inside[:: -(-len(inside) // _MOST_CANDIDATES)]
    y, x = np.divmod(inside, part.shape[1])  # [N] pixels of the mask
    deep = depth.ravel()[inside]
    box = np.subtract(bounds if whole is None else whole, (left, upper, left, upper))
    chosen, known = _nearest(x, y, deep, box)
    points[known, 0] = x[chosen] + left + 0.5
    points[known, 1] = y[chosen] + upper + 0.5
    points[known, 2] = 1
    return points


def _nearest(
    x: np.ndarray, y: np.ndarray, deep: np.ndarray, box: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For keypoints the pixel nearest to where a body has them.

    Args:
        x: [N] of the pixels.
        y: [N].
        deep: [N] distance to the edge of the mask.
        box: [4] of the whole person.

    Returns:
        [K] indices of pixels, and the keypoints [K] that have one.
    """
    height = max(float(box[3] - box[1]), 1.0)
    target_y = box[1] + HEIGHTS * height  # [17]
    away = np.abs(y - target_y[:, None])  # [17, N]
    nearest = away.min(axis=1)
    known = np.flatnonzero(nearest <= max(_MISSED * height, 1))
    if not len(known):  # the box is elsewhere
        return np.full(len(_TORSO), deep.argmax()), np.array(_TORSO)
    band = away[known] <= np.maximum(_BAND * height, nearest[known])[:, None]
    low = np.where(band, x, np.inf).min(axis=1)
    high = np.where(band, x, -np.inf).max(axis=1)
    target_x = (low + high) / 2 + SIDES[known] * (high - low) / 2
    cost = np.hypot(x - target_x[:, None], away[known]) - np.minimum(deep, _DEEP * height)
    return cost.argmin(axis=1), known
