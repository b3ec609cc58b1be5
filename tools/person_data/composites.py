"""Compose images of segmented people and backgrounds without people.

Boxes follow COCO: the visible extent of a person inside the image. An occluded joint has v 1, a joint
outside the image v 0. People who are hardly visible are ignored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from person_data.cutouts import Cutout, cutouts, mirrored, resized
from person_data.labels import ImageRecord, Person
from person_data.reading import SourceContext
from person_data.street import backgrounds

_SIZES = ((416, 234), (480, 270), (512, 384), (416, 416), (384, 512), (320, 480), (640, 360))  # width, height
_HEIGHTS = 12.0, 1.15  # smallest person in pixels; largest, relative to the image
_MAX_PEOPLE = 9
_IGNORED, _UNSEEN = 0.15, 0.02  # visible share below which a person is ignored, omitted
_REACH = 0.02  # of a person's height: a joint is visible if visible pixels of the person are that near
_BACKGROUND, _OBJECT = 0, -1  # owners of a pixel; people count from 1


@dataclass(frozen=True)
class _Layer:
    cut: Cutout
    left: int
    top: int


def composites(context: SourceContext, count: int, *, held_out: bool) -> Iterator[ImageRecord]:
    """Yield `count` images of the people and backgrounds of one side of the split."""
    people = cutouts(context, held_out=held_out)
    places = [each.image for each in backgrounds(context) if each.held_out == held_out]
    side = "val" if held_out else "train"
    for number in range(count):
        rng = np.random.default_rng([context.seed, held_out, number])
        image, found = compose(rng, people, places)
        yield ImageRecord(f"{side}_{number:05d}", image, tuple(found), "pasted", held_out)


def compose(
    rng: np.random.Generator, people: Sequence[Cutout], places: Sequence[np.ndarray]
) -> tuple[np.ndarray, list[Person]]:
    """Return one image and its people, the nearest last."""
    width, height = _SIZES[rng.integers(len(_SIZES))]
    canvas, blur = _background(rng, places, width, height)
    owner = np.full((height, width), _BACKGROUND, np.int16)
    layers = [_placed(rng, people, each, width, height) for each in _heights(rng, height)]
    for number, layer in enumerate(layers, start=1):
        if rng.random() < 0.12:
            _paste_object(rng, canvas, owner, places)
        _paste(canvas, owner, _dyed(rng, layer, canvas, blur), number)
    if rng.random() < 0.2:
        _paste_object(rng, canvas, owner, places)
    found = [_seen(layer, owner == number) for number, layer in enumerate(layers, start=1)]
    return _simulate_camera(rng, canvas), [each for each in found if each is not None]


def single_person_image(
    rng: np.random.Generator, cut: Cutout, places: Sequence[np.ndarray]
) -> tuple[np.ndarray, Person | None]:
    """Return an image of one person, at times partly occluded; None for the person if fully occluded."""
    rows, columns = cut.alpha.shape
    height, width = (round(side * rng.uniform(1.05, 1.5)) for side in (rows, columns))
    canvas, enlarged = _background(rng, places, width, height)
    owner = np.full((height, width), _BACKGROUND, np.int16)
    left, top = rng.integers(width - columns + 1), rng.integers(height - rows + 1)
    layer = _Layer(cut, int(left), int(top))
    _paste(canvas, owner, _dyed(rng, layer, canvas, enlarged), number=1)
    if rng.random() < 0.2:
        _paste_object(rng, canvas, owner, places)
    return _simulate_camera(rng, canvas), _seen(layer, owner == 1)


def _heights(rng: np.random.Generator, height: int) -> np.ndarray:
    """Return the heights [N] of the people in pixels, ascending: the tallest are in front."""
    count = min(_MAX_PEOPLE, 1 + rng.geometric(0.3))
    largest = _HEIGHTS[1] * height
    if rng.random() < 0.5:  # a group of similar size
        middle = np.exp(rng.uniform(np.log(_HEIGHTS[0] * 2), np.log(largest)))
        spread = middle * np.exp(rng.normal(0, 0.25, count))
    else:
        spread = np.exp(rng.uniform(np.log(_HEIGHTS[0]), np.log(largest), count))
    return np.sort(np.clip(spread, _HEIGHTS[0], largest))


def _placed(
    rng: np.random.Generator, people: Sequence[Cutout], tall: float, width: int, height: int
) -> _Layer:
    cut = people[rng.integers(len(people))]
    cut = resized(mirrored(cut) if rng.random() < 0.5 else cut, float(tall))
    if rng.random() < 0.7:  # feet on a ground that rises to the horizon
        feet = height * rng.uniform(0.35, 0.5) + 0.75 * tall + rng.normal(0, 0.04) * height
    else:
        feet = rng.uniform(0.3 * tall, height + 0.6 * tall)
    # Larger people may extend further beyond the image.
    left = rng.uniform(-0.5, 0.5 + width / cut.alpha.shape[1] - 1) * cut.alpha.shape[1]
    return _Layer(cut, round(left), round(feet - cut.alpha.shape[0]))


def _background(
    rng: np.random.Generator, places: Sequence[np.ndarray], width: int, height: int
) -> tuple[np.ndarray, float]:
    """Return a background [height, width, 3] uint8 of one to four images, and its magnification."""
    columns, rows = ((1, 1), (1, 1), (2, 1), (1, 2), (2, 2))[rng.integers(5)] if width >= 480 else (1, 1)
    canvas, most = np.empty((height, width, 3), np.uint8), 1.0
    xs, ys = (
        np.linspace(0, length, parts + 1).astype(int) for length, parts in ((width, columns), (height, rows))
    )
    for top, bottom in pairwise(ys):
        for left, right in pairwise(xs):
            place = places[rng.integers(len(places))]
            canvas[top:bottom, left:right], scale = _cover(rng, place, right - left, bottom - top)
            most = max(most, scale)
    gain, tint = rng.uniform(0.7, 1.25), rng.uniform(0.94, 1.06, 3)
    return np.clip(canvas * (gain * tint), 0, 255).astype(np.uint8), most


def _cover(rng: np.random.Generator, place: np.ndarray, width: int, height: int) -> tuple[np.ndarray, float]:
    """Return a part of an image that fills the space, and its magnification."""
    scale = max(width / place.shape[1], height / place.shape[0]) * rng.uniform(1, 1.4)
    size = max(width, round(place.shape[1] * scale)), max(height, round(place.shape[0] * scale))
    large = cv2.resize(place, size, interpolation=cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA)
    left, top = rng.integers(size[0] - width + 1), rng.integers(size[1] - height + 1)
    piece = large[top : top + height, left : left + width]
    return (piece[:, ::-1] if rng.random() < 0.5 else piece), scale


def _dyed(rng: np.random.Generator, layer: _Layer, canvas: np.ndarray, enlarged: float) -> _Layer:
    """Adapt a person to the brightness and sharpness of the background."""
    image = layer.cut.image.astype(np.float32)
    opaque = layer.cut.alpha > 0.5
    top, left = max(layer.top, 0), max(layer.left, 0)
    behind = canvas[top : layer.top + image.shape[0], left : layer.left + image.shape[1]]
    if behind.size and opaque.any():
        own, there = image[opaque].mean(axis=0), behind.reshape(-1, 3).mean(axis=0)
        contrast = rng.uniform(0.6, 1.1)
        image = (image - own) * contrast + own + rng.uniform(0, 0.45) * (there - own)
    sigma = 0.35 * (enlarged - 1) * rng.uniform(0.5, 1.2)
    if sigma > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    dyed = np.clip(image, 0, 255).astype(np.uint8)
    return replace(layer, cut=replace(layer.cut, image=dyed))


def _paste(canvas: np.ndarray, owner: np.ndarray, layer: _Layer, number: int) -> None:
    """Blend a person in, and record the owner of the pixels."""
    height, width = owner.shape
    rows, columns = layer.cut.alpha.shape
    top, left = max(layer.top, 0), max(layer.left, 0)
    bottom, right = min(layer.top + rows, height), min(layer.left + columns, width)
    if bottom <= top or right <= left:
        return
    there = np.s_[top:bottom, left:right]
    here = np.s_[top - layer.top : bottom - layer.top, left - layer.left : right - layer.left]
    alpha = layer.cut.alpha[here][..., None]
    blended = canvas[there] * (1 - alpha) + layer.cut.image[here] * alpha
    canvas[there] = np.clip(blended + 0.5, 0, 255).astype(np.uint8)
    owner[there][alpha[..., 0] > 0.5] = number


def _paste_object(
    rng: np.random.Generator, canvas: np.ndarray, owner: np.ndarray, places: Sequence[np.ndarray]
) -> None:
    """Paste an occluding object with an edge as soft as that of people."""
    height, width = owner.shape
    size = np.maximum(np.round(rng.uniform(0.06, 0.4, 2) * [width, height]).astype(int), 6)
    image, _ = _cover(rng, places[rng.integers(len(places))], int(size[0]), int(size[1]))
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 12)))
    reach = rng.uniform(0.6, 1.0, len(angles))[:, None] * size / 2
    corners = size / 2 + reach * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    alpha = np.zeros(size[::-1], np.float32)
    cv2.fillPoly(alpha, [np.round(corners).astype(np.int32)], 1.0)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.7)
    cut = Cutout(np.ascontiguousarray(image), alpha, np.zeros((0, 3)), np.zeros(0), float(size[1]))
    left, top = (rng.uniform(-0.3, 1, 2) * [width, height]).astype(int)
    _paste(canvas, owner, _Layer(cut, int(left), int(top)), _OBJECT)


def _seen(layer: _Layer, mask: np.ndarray) -> Person | None:
    """Return the visible person; None if hardly anything is visible."""
    whole, shown = np.count_nonzero(layer.cut.alpha > 0.5), np.count_nonzero(mask)
    if shown < max(_UNSEEN * whole, 4):
        return None
    rows, columns = np.nonzero(mask)
    box = np.float32([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    keypoints = layer.cut.keypoints.copy()
    known = keypoints[:, 2] > 0
    keypoints[known, :2] += np.float32([layer.left, layer.top])
    height, width = mask.shape
    inside = known & (keypoints[:, :2] >= 0).all(axis=1) & (keypoints[:, :2] < [width, height]).all(axis=1)
    near = np.ones((2 * round(max(1, _REACH * layer.cut.height)) + 1,) * 2, np.uint8)
    reached = cv2.dilate(mask.astype(np.uint8), near) > 0
    spots = keypoints[inside, :2].astype(int)
    occluded = np.zeros(len(keypoints), bool)
    occluded[inside] = ~reached[spots[:, 1], spots[:, 0]]
    keypoints[occluded, 2] = 1
    keypoints[~inside] = 0
    scores = np.where(inside | ~known, layer.cut.keypoint_scores, 0).astype(np.float32)
    return Person(box, keypoints, scores, ignore=shown < _IGNORED * whole)


def _simulate_camera(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Add random defocus, motion blur, low resolution or noise."""
    choice = rng.random()
    if choice < 0.15:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.5, 1.6))
    elif choice < 0.22:
        length = int(rng.integers(3, 9))
        canvas = cv2.blur(canvas, (length, 1) if rng.random() < 0.7 else (1, length))
    elif choice < 0.35:
        size, scale = canvas.shape[1::-1], rng.uniform(0.4, 0.8)
        canvas = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        canvas = cv2.resize(canvas, size, interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.3:
        grain = rng.normal(0, rng.uniform(2, 8), canvas.shape)
        canvas = np.clip(canvas + grain, 0, 255).astype(np.uint8)
    return canvas
