"""Segmented people with soft edges, for pasting on other backgrounds."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from kprtrack.core.atomic_file import write_file
from kprtrack.core.skeleton import FLIP
from person_data.labels import Person, clipped, person
from person_data.reading import SourceContext
from person_data.single import Masked, masked_ccp, masked_pennfudan

_MIN_PX = 90  # minimum height of a person
_FILLED = 0.2, 0.9  # share of the box that the mask of a whole person fills
_SHAPE = 1.4, 5.5  # height over width
_MARGIN = 3  # pixels around the mask, for its soft edge
_SOFT = 0.7  # pixels, deviation of that edge
_FILES = 260  # about as many cut-outs are written


@dataclass(frozen=True)
class Cutout:
    """A person without background."""

    image: np.ndarray  # [h, w, 3] uint8 RGB
    alpha: np.ndarray  # [h, w] float32, 0 to 1
    keypoints: np.ndarray  # [17, 3] x y v, pixels of `image`
    keypoint_scores: np.ndarray  # [17]
    height: float  # pixels of the person in `image`


def cutouts(context: SourceContext, *, held_out: bool) -> list[Cutout]:
    """Return the people of Penn-Fudan and Clothing Co-Parsing on one side of the split."""
    found: list[Cutout] = []
    for masked in _images(context):
        if masked.held_out == held_out:
            people = context.teachers.label(masked.image, masked.boxes)
            found += cut_out(masked, people)
    return found


def cut_out(masked: Masked, people: Iterable[Person]) -> Iterator[Cutout]:
    """Yield the people of an image that are large and nearly complete."""
    for mask, someone in zip(masked.masks, people, strict=True):
        left, top, right, bottom = someone.box
        size = np.float32([right - left, bottom - top])
        filled = np.count_nonzero(mask) / max(float(size.prod()), 1.0)
        whole = _FILLED[0] <= filled <= _FILLED[1] and _SHAPE[0] <= size[1] / size[0] <= _SHAPE[1]
        if size[1] >= _MIN_PX and whole:
            yield _cut(masked.image, mask, someone)


def write_cutouts(folder: Path, images: Iterable[Masked], *, held_out: bool) -> int:
    """Write the people of the first images as .npz: `image` uint8 RGB, `alpha` float32.

    Args:
        folder: Where the files NUMBER.npz are written; existing ones are replaced.
        images: Images with masks.
        held_out: Which side of the split is written.

    Returns:
        Number of files.
    """
    number = 0
    for masked in images:
        if masked.held_out != held_out:
            continue
        for cut in cut_out(masked, [person(box) for box in masked.boxes]):
            data = io.BytesIO()
            np.savez(data, image=cut.image, alpha=cut.alpha.astype(np.float32))
            write_file(folder / f"{number:04d}.npz", data.getvalue())
            number += 1
        if number >= _FILES:
            break
    return number


def mirrored(cut: Cutout) -> Cutout:
    """Return the mirrored person; left joints become right ones."""
    keypoints = cut.keypoints[list(FLIP)]
    keypoints[:, 0] = np.where(keypoints[:, 2] > 0, cut.image.shape[1] - keypoints[:, 0], 0)
    scores = cut.keypoint_scores[list(FLIP)]
    image, alpha = np.ascontiguousarray(cut.image[:, ::-1]), np.ascontiguousarray(cut.alpha[:, ::-1])
    return replace(cut, image=image, alpha=alpha, keypoints=keypoints, keypoint_scores=scores)


def resized(cut: Cutout, height: float) -> Cutout:
    """Return the person resized to `height` pixels."""
    scale = height / cut.height
    size = tuple(max(1, round(each * scale)) for each in cut.alpha.shape[::-1])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # Colours are weighted by alpha, so that the old background does not show at the edge.
    weighed = cv2.resize(cut.image.astype(np.float32) * cut.alpha[..., None], size, interpolation=way)
    alpha = cv2.resize(cut.alpha, size, interpolation=way)
    image = weighed / np.maximum(alpha, 1e-3)[..., None]
    keypoints = cut.keypoints.copy()
    keypoints[:, :2] *= np.float32(size) / np.float32(cut.alpha.shape[::-1])
    return Cutout(np.clip(image, 0, 255).astype(np.uint8), alpha, keypoints, cut.keypoint_scores, height)


def _images(context: SourceContext) -> Iterator[Masked]:
    yield from masked_pennfudan(context)
    yield from masked_ccp(context)


def _cut(image: np.ndarray, mask: np.ndarray, someone: Person) -> Cutout:
    around = clipped(someone.box + np.float32([-_MARGIN, -_MARGIN, _MARGIN, _MARGIN]), image.shape)
    left, top, right, bottom = around.astype(int)
    inside = np.s_[top:bottom, left:right]
    # Eroded by a pixel: masks are slightly too wide and would show a rim of the old background.
    core = cv2.erode(mask[inside].astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
    alpha = cv2.GaussianBlur(core.astype(np.float32), (0, 0), _SOFT)
    keypoints = someone.keypoints.copy()
    keypoints[keypoints[:, 2] > 0, :2] -= np.float32([left, top])
    height = float(someone.box[3] - someone.box[1])
    return Cutout(image[inside].copy(), alpha, keypoints, someone.keypoint_scores, height)
