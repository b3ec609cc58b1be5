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
        around = _enlarged(box)
        _replace(image, _averaged(image, around), around, ellipse=True)


def blur_bodies(image: np.ndarray, boxes: Iterable[np.ndarray]) -> None:
    """Blur boxes [4], x1 y1 x2 y2 in pixels, in the image [H, W, 3] itself."""
    for box in boxes:
        _replace(image, _averaged(image, box), box, ellipse=False)


def uncover_faces(image: np.ndarray, original: np.ndarray, boxes: Iterable[np.ndarray]) -> None:
    """Bring back what `blur_faces` has hidden: copy the ellipses from the original image [H, W, 3]."""
    for box in boxes:
        around = _enlarged(box)
        rows, columns = _span(image, around)
        _replace(image, original[rows, columns], around, ellipse=True)


def _enlarged(box: np.ndarray) -> np.ndarray:
    middle, half = (box[:2] + box[2:]) / 2, _ELLIPSE * (box[2:] - box[:2]) / 2
    return np.concatenate([middle - half, middle + half])


def _span(image: np.ndarray, box: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the image that a box touches."""
    height, width = image.shape[:2]
    x1, y1 = np.floor(np.clip(box[:2], 0, (width, height))).astype(int).tolist()
    x2, y2 = np.ceil(np.clip(box[2:], 0, (width, height))).astype(int).tolist()
    return slice(y1, max(y1, y2)), slice(x1, max(x1, x2))


def _averaged(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the part of the image in a box as at most CELLS x CELLS mean colours, interpolated.

    Only these means of the pixels remain: a blur by a filter could be undone by a deconvolution.
    """
    part = image[_span(image, box)]
    if not part.size:
        return part
    size = part.shape[1], part.shape[0]
    counts = [min(CELLS, max(1, side // LEAST_CELL_PX)) for side in size]
    means = cv2.resize(part, counts, interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(means, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth, np.uint8).reshape(part.shape)


def _replace(image: np.ndarray, part: np.ndarray, box: np.ndarray, *, ellipse: bool) -> None:
    """Put a part into the box, or into the ellipse in it, also where the edge of the image cuts that off."""
    rows, columns = _span(image, box)
    if not ellipse:
        image[rows, columns] = part
        return
    middle, half = (box[:2] + box[2:]) / 2, np.maximum((box[2:] - box[:2]) / 2, 0.5)
    x = (np.arange(columns.start, columns.stop) + 0.5 - middle[0]) / half[0]
    y = (np.arange(rows.start, rows.stop) + 0.5 - middle[1]) / half[1]
    inside = x[None] ** 2 + y[:, None] ** 2 <= 1
    image[rows, columns][inside] = part[inside]
