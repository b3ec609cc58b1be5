"""Heatmaps that the student is to predict: the teacher's of the clean crop and its mirror image."""

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from kprtrack.core.skeleton import FLIP
from kprtrack.poses.decode import unmirror
from kprtrack.poses.lite_hrnet import LiteHrnetShape
from pose_tuning.examples import HEIGHT, Pair

_SIGMA = 2.0  # of a keypoint's Gaussian in heatmap cells, at every input size
_CELL_PX = 4
_MAX_GAIN = 1.35  # of the mean of both views, to have the higher of their maxima
_FAR_CELLS = 5.0  # from a label: there the label's Gaussian takes the place of the teacher's heatmap
_LABEL_HEIGHT = 0.8  # of that Gaussian
_COVERED = 0.4  # opacity above which a keypoint is hidden
_HIDDEN_CONFIDENCE = 0.65  # relative to that of the visible keypoint


def targets(
    pairs: Sequence[Pair], teacher: Callable[[np.ndarray], np.ndarray], shape: LiteHrnetShape
) -> np.ndarray:
    """Compute the targets of a batch.

    Args:
        pairs: N pairs.
        teacher: From crops [N, 256, 192, 3] uint8 RGB to heatmaps [N, 17, 64, 48].
        shape: The student's input; a narrower one sees the middle columns of the teacher's.

    Returns:
        [N, 17, input_height / 4, input_width / 4] float32.
    """
    crops = np.stack([each.clean for each in pairs])
    upright = teacher(crops)
    mirrored = unmirror(teacher(np.ascontiguousarray(crops[:, :, ::-1])), FLIP, "msra")
    maps = (upright + mirrored) / 2
    highest = np.maximum(upright.max((2, 3)), mirrored.max((2, 3)))
    gain = np.clip(highest / np.maximum(maps.max((2, 3)), 1e-3), 1, _MAX_GAIN)
    maps = maps * gain[..., None, None]
    for own, pair in zip(maps, pairs, strict=True):
        if pair.labels is not None:
            _correct(own, pair.labels)
        own *= _confidence(own, pair.cover)[:, None, None]
    if shape.input_height != HEIGHT:
        maps = _resized(maps, shape.input_height / HEIGHT)
    return middle_columns(maps, math.ceil(shape.input_width / _CELL_PX), axis=3)


def middle_columns(values: np.ndarray, width: int, *, axis: int) -> np.ndarray:
    """Cut as many columns from the left as from the right, so that `width` are left."""
    left = (values.shape[axis] - width) // 2
    return np.take(values, range(left, left + width), axis)


def _correct(maps: np.ndarray, labels: np.ndarray) -> None:
    rows, columns = maps.shape[1:]
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    for own, (label_x, label_y, visible) in zip(maps, labels, strict=True):
        at_x, at_y = label_x / _CELL_PX - 0.5, label_y / _CELL_PX - 0.5
        peak_y, peak_x = np.unravel_index(own.argmax(), own.shape)
        inside = 0 <= at_x < columns - 1 and 0 <= at_y < rows - 1
        if visible > 0 and inside and math.hypot(peak_x - at_x, peak_y - at_y) > _FAR_CELLS:
            own[:] = _LABEL_HEIGHT * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * _SIGMA**2))


def _confidence(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """[17] factor of each keypoint: hidden ones keep their place with a lower confidence."""
    peaks = maps.reshape(len(maps), -1).argmax(1)
    y, x = np.divmod(peaks, maps.shape[2])
    hidden = cover[y * _CELL_PX + _CELL_PX // 2, x * _CELL_PX + _CELL_PX // 2] > _COVERED
    return np.where(hidden, np.float32(_HIDDEN_CONFIDENCE), np.float32(1))


def _resized(maps: np.ndarray, scale: float) -> np.ndarray:
    """Fewer cells; the blur and gain make a Gaussian of 2 cells out of one that became narrower."""
    count, joints, rows, columns = maps.shape
    size = (math.ceil(columns * scale), math.ceil(rows * scale))
    narrow = _SIGMA * scale
    blur, gain = math.sqrt(_SIGMA**2 - narrow**2), (_SIGMA / narrow) ** 2
    small = [
        cv2.GaussianBlur(cv2.resize(each, size, interpolation=cv2.INTER_LINEAR), (0, 0), blur) * gain
        for each in maps.reshape(-1, rows, columns)
    ]
    return np.stack(small).reshape(count, joints, size[1], size[0])
