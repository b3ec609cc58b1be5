"""Augmentation of images with boxes: mosaic, affine warp, mixup, colour, flip, degradations.

Each image is warped once, straight from the file to its place on the canvas. All randomness comes from the
example's generator. Ignored regions are warped with the image, and people of whom little is left visible
become ignored regions.
Source: YOLOX (docs/reference/detector_and_pose.md 1.9); degradations: our own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from kprtrack.core.config_files.ranges import validate_ranges
from kprtrack.core.errors import UserError
from kprtrack.detectors.letterbox import PADDING_GREY, letterbox_ratio, resized_hw
from kprtrack.training.annotations import corners_of
from kprtrack.training.degradations import WorseCamera, worsened

_LEAST_SIDE_PX = 1.0  # thinner boxes are ignored (docs/reference/detector_and_pose.md 1.9)
_MIXUP_SCALE = (0.5, 1.5)
_HSV = np.array((5, 30, 30))  # greatest shift of hue (of 180), saturation and value
_HUES = 180


@dataclass(frozen=True)
class DetectorAugment:
    """Augmentation settings; probabilities in 0..1."""

    mosaic: float = 1.0  # probability of a mosaic of four images; nano: 0.5
    mixup: float = 1.0  # probability that a mosaic is blended with another image; nano and tiny: 0
    rotate_deg: float = 10.0
    shear_deg: float = 2.0
    translate: float = 0.1  # of the canvas
    scale: tuple[float, float] = (0.1, 2.0)  # nano and tiny: 0.5, 1.5
    colour: float = 1.0
    flip: float = 0.5
    least_visible: float = 0.2  # share of a box that must be left for it to count; ByteTrack's value
    camera: WorseCamera = field(default_factory=WorseCamera)

    def __post_init__(self) -> None:
        validate_ranges(self, "augment.")
        if self.scale[0] > self.scale[1]:
            raise UserError(f"augment.scale is {self.scale}; give the least first.")


class Labels(NamedTuple):
    """The people of an image, and its ignored regions."""

    boxes: np.ndarray  # [N, 4] float32, x1 y1 x2 y2
    scores: np.ndarray  # [N] float32
    ignore: tuple[np.ndarray, ...]  # [V, 2] each


class LazyImage(NamedTuple):
    """An image that is read on demand."""

    read: Callable[[int], np.ndarray]  # [H, W, 3] uint8 BGR: 1 gives its own size, 2 half of it, rounded up
    width: int
    height: int
    labels: Labels


class Example(NamedTuple):
    """An input of the network with its labels."""

    image: np.ndarray  # [size, size, 3] uint8, BGR
    labels: Labels


Draw = Callable[[np.random.Generator], LazyImage]  # another image of the training set


def plain_example(image: LazyImage, size: int, config: DetectorAugment, rng: np.random.Generator) -> Example:
    """The image letterboxed, perhaps mirrored and in other colours: as in the last epochs.

    Args:
        image: The image and its labels.
        size: Side of the square canvas in pixels.
        config: Chances of mirroring and new colours.
        rng: Source of the draws.

    Returns:
        Canvas [size, size, 3] uint8 BGR and labels in its pixels.
    """
    canvas = _grey(size)
    matrix = _placed(image, size) @ _mirror(image, rng.random() < config.flip)
    labels = _paint(canvas, image, matrix, _whole(image), config.least_visible)
    return _finish(canvas, labels, config, rng)


def example(
    image: LazyImage, another: Draw, size: int, config: DetectorAugment, rng: np.random.Generator
) -> Example:
    """The image as the configuration draws it, with others where it is part of a mosaic.

    Args:
        image: The image and its labels.
        another: Draws one more image of the training set.
        size: Side of the square canvas in pixels.
        config: Chances and ranges of the augmentation.
        rng: Source of the draws.

    Returns:
        Canvas [size, size, 3] uint8 BGR and labels in its pixels.
    """
    if rng.random() >= config.mosaic:
        return plain_example(image, size, config, rng)
    canvas, flip = _grey(size), rng.random() < config.flip
    labels = _mosaic(canvas, [image, *(another(rng) for _ in range(3))], config, rng, flip=flip)
    if rng.random() < config.mixup:
        labels = _mixup(canvas, labels, another(rng), config, rng)
    return _finish(canvas, labels, config, rng)


def _mosaic(
    canvas: np.ndarray,
    images: list[LazyImage],
    config: DetectorAugment,
    rng: np.random.Generator,
    *,
    flip: bool,
) -> Labels:
    """Four images around a point, all warped by one random affine map onto the canvas."""
    size = len(canvas)
    x, y = rng.uniform(0.5 * size, 1.5 * size, 2)
    view = _random_affine(size, config, rng)
    parts = []
    for place, image in enumerate(images):
        left, top = place % 2 == 0, place < 2
        rows, columns = resized_hw((image.height, image.width), size, size)
        corner = _shift(x - columns if left else x, y - rows if top else y)
        matrix = corner @ _placed(image, size) @ _mirror(image, flip)
        # What of the image lies on the mosaic of twice the canvas's size; the rest is cut off.
        mosaic = np.array([[0, 0, 2 * size, 2 * size]], np.float64)
        (part,) = _clipped(_boxes_moved(mosaic, np.linalg.inv(matrix)), _whole(image))
        parts.append(_paint(canvas, image, view @ matrix, part, config.least_visible))
    return _joined(*parts)


def _mixup(
    canvas: np.ndarray, labels: Labels, image: LazyImage, config: DetectorAugment, rng: np.random.Generator
) -> Labels:
    """Half of another image, of random size and place, over the canvas; both are to be found."""
    size, scale = len(canvas), rng.uniform(*_MIXUP_SCALE)
    spare = np.array([size - scale * side for side in resized_hw((image.height, image.width), size, size)])
    y, x = rng.uniform(np.minimum(spare, 0), np.maximum(spare, 0))
    matrix = _shift(x, y) @ _scaled(scale) @ _placed(image, size) @ _mirror(image, rng.random() < 0.5)
    other = _grey(size)
    found = _paint(other, image, matrix, _whole(image), config.least_visible)
    cv2.addWeighted(canvas, 0.5, other, 0.5, 0, dst=canvas)
    return _joined(labels, found)


def _finish(canvas: np.ndarray, labels: Labels, config: DetectorAugment, rng: np.random.Generator) -> Example:
    if rng.random() < config.colour:
        canvas = recoloured(canvas, rng)
    return Example(worsened(canvas, config.camera, rng), labels)


def recoloured(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image with its hue, saturation and value shifted, each with a chance of one half.

    Args:
        image: [H, W, 3] uint8 BGR.
        rng: Source of the draws.

    Returns:
        [H, W, 3] uint8 BGR.
    """
    hue, saturation, value = np.rint(rng.uniform(-1, 1, 3) * _HSV * rng.integers(0, 2, 3)).astype(int)
    levels = np.arange(256)
    tables = [(levels + hue) % _HUES, *(np.clip(levels + by, 0, 255) for by in (saturation, value))]
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    return cv2.cvtColor(cv2.LUT(hsv, np.stack(tables, -1).astype(np.uint8)[None]), cv2.COLOR_HSV2BGR)


def _paint(
    canvas: np.ndarray, image: LazyImage, matrix: np.ndarray, part: np.ndarray, least_visible: float
) -> Labels:
    """Warps a part (x1 y1 x2 y2) of the image onto the canvas; the labels that lie there."""
    size = len(canvas)
    target = np.array([0, 0, size, size], np.float64)
    x1, y1, x2, y2 = (round(side) for side in part.tolist())
    if x2 - x1 < 1 or y2 - y1 < 1:
        return Labels(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), ())
    (area,) = _clipped(_boxes_moved(np.array([[x1, y1, x2, y2]], np.float64), matrix), target)
    left, top, right, bottom = (int(side) for side in (*np.floor(area[:2]), *np.ceil(area[2:])))
    if right > left and bottom > top:
        coarse = 2 if abs(np.linalg.det(matrix[:2, :2])) <= 0.25 else 1
        pixels = image.read(coarse)
        x, y = x1 // coarse, y1 // coarse
        cut = pixels[y : -(-y2 // coarse), x : -(-x2 // coarse)]
        # From pixels of the part to those of the area; both count from the middle of the first.
        half = _shift(-0.5, -0.5)
        inner = half @ _shift(-left, -top) @ matrix @ _scaled(coarse) @ _shift(x, y) @ np.linalg.inv(half)
        # A view: the warp writes into the canvas, and leaves alone what the part does not cover.
        view = canvas[top:bottom, left:right]
        cv2.warpAffine(
            cut, inner[:2], (right - left, bottom - top), dst=view, borderMode=cv2.BORDER_TRANSPARENT
        )
    return _moved(image.labels, matrix, np.array([x1, y1, x2, y2], np.float64), target, least_visible)


def _moved(
    labels: Labels, matrix: np.ndarray, part: np.ndarray, target: np.ndarray, least_visible: float
) -> Labels:
    """The labels on the canvas: enclosing boxes of the moved corners, cut off at part and canvas."""
    inside = _clipped(labels.boxes, part)
    moved = _boxes_moved(inside, matrix)
    boxes = _clipped(moved, target)
    left = _areas(boxes) / np.maximum(_areas(moved), 1e-9)
    left *= _areas(inside) / np.maximum(_areas(labels.boxes), 1e-9)
    sides = np.minimum(*(boxes[:, 2:] - boxes[:, :2]).T)
    there = (sides > 0) & (_areas(inside) > 0)
    counts = there & (left >= least_visible) & (sides > _LEAST_SIDE_PX)
    regions = [_cut(polygon, part) for polygon in labels.ignore]
    regions += [corners_of(box) for box in inside[there & ~counts]]
    return Labels(
        boxes[counts].astype(np.float32),
        labels.scores[counts],
        tuple(_points_moved(region, matrix).astype(np.float32) for region in regions if len(region)),
    )


def _cut(polygon: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The polygon with all its points drawn into the part; empty if it lies beside it."""
    if (polygon.max(0) <= part[:2]).any() or (polygon.min(0) >= part[2:]).any():
        return polygon[:0]
    return np.clip(polygon, part[:2], part[2:])


def _random_affine(size: int, config: DetectorAugment, rng: np.random.Generator) -> np.ndarray:
    """From a mosaic of twice the canvas's size to the canvas, about the middle of both."""
    turn = np.deg2rad(rng.uniform(-config.rotate_deg, config.rotate_deg))
    scale = rng.uniform(*config.scale)
    shear_x, shear_y = np.tan(np.deg2rad(rng.uniform(-config.shear_deg, config.shear_deg, 2)))
    x, y = size * (0.5 + rng.uniform(-config.translate, config.translate, 2))
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    turned = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    sheared = np.array([[1, shear_x, 0], [shear_y, 1, 0], [0, 0, 1]])
    return _shift(x, y) @ sheared @ turned @ _shift(-size, -size)


def _placed(image: LazyImage, size: int) -> np.ndarray:
    """From the image to the top left of the canvas, scaled to fit."""
    return _scaled(letterbox_ratio((image.height, image.width), size, size))


def _mirror(image: LazyImage, flip: bool) -> np.ndarray:
    return np.array([[-1.0, 0, image.width], [0, 1, 0], [0, 0, 1]]) if flip else np.eye(3)


def _shift(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _scaled(scale: float) -> np.ndarray:
    return np.diag((scale, scale, 1.0))


def _grey(size: int) -> np.ndarray:
    return np.full((size, size, 3), PADDING_GREY, np.uint8)


def _whole(image: LazyImage) -> np.ndarray:
    return np.array([0, 0, image.width, image.height], np.float64)


def _points_moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def _boxes_moved(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """[N, 4]: what encloses the four moved corners of each box."""
    corners = _points_moved(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2), matrix)
    return np.concatenate((corners.min(1), corners.max(1)), axis=1)


def _clipped(boxes: np.ndarray, within: np.ndarray) -> np.ndarray:
    """[N, 4] cut off at the box `within` [4]; without area where they lie beside it."""
    return np.concatenate(
        (np.maximum(boxes[:, :2], within[:2]), np.minimum(boxes[:, 2:], within[2:])), axis=1
    )


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1)


def _joined(*several: Labels) -> Labels:
    boxes, scores, ignore = zip(*several, strict=True)
    return Labels(
        np.concatenate(boxes), np.concatenate(scores), tuple(each for part in ignore for each in part)
    )
