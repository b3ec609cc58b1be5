"""Make parts of an image unrecognisable so that nothing can bring them back."""

from collections.abc import Iterable

import cv2
import numpy as np

CELLS = 4  # mean colours per side of what is blurred, at most
LEAST_CELL_PX = 6
_ELLIPSE = 1.15  # its axes in sides of the box: a head is no rectangle, but the box may be a little off


def blur_faces(image: np.ndarray, boxes: Iterable[np.ndarray]) -> None:
    """Blur an ellipse in each of the boxes [4], x1 y1 x2 y2 in pixels, in the image [H, W, 3] itself."""
    for box in boxes:
        middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
        half = _ELLIPSE * half
        _blur(image, np.concatenate([middle - half, middle + half]), CELLS, ellipse=True)


def blur_bodies(image: np.ndarray, boxes: Iterable[np.ndarray]) -> None:
    """Blur boxes [4], x1 y1 x2 y2 in pixels, in the image [H, W, 3] itself."""
    for box in boxes:
        _blur(image, box, CELLS, ellipse=False)


def _blur(image: np.ndarray, box: np.ndarray, cells: int, *, ellipse: bool) -> None:
    """Replace a part of the image by at most cells x cells mean colours, interpolated.

    Only these means of the pixels remain: a blur by a filter could be undone by a deconvolution.
    """
    height, width = image.shape[:2]
    x1, y1 = np.floor(np.clip(box[:2], 0, (width, height))).astype(int).tolist()
    x2, y2 = np.ceil(np.clip(box[2:], 0, (width, height))).astype(int).tolist()
    if x2 <= x1 or y2 <= y1:
        return
    part = image[y1:y2, x1:x2]
    size = (x2 - x1, y2 - y1)
    counts = [min(cells, max(1, side // LEAST_CELL_PX)) for side in size]
    means = cv2.resize(part, counts, interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(means, size, interpolation=cv2.INTER_LINEAR).reshape(part.shape)
    if not ellipse:
        part[:] = smooth
        return
    # Measured from the whole box, also where the image cuts it off.
    middle, half = (box[:2] + box[2:]) / 2, np.maximum((box[2:] - box[:2]) / 2, 0.5)
    x = (np.arange(x1, x2) + 0.5 - middle[0]) / half[0]
    y = (np.arange(y1, y2) + 0.5 - middle[1]) / half[1]
    inside = x[None] ** 2 + y[:, None] ** 2 <= 1
    part[inside] = smooth[inside]
