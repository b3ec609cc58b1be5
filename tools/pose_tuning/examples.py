"""People for fine-tuning a pose network: a clean crop for the teacher, an occluded one for the student."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kprtrack.core.skeleton import FLIP
from kprtrack.training.annotations import LabelledImage, read_annotations
from kprtrack.training.degradations import WorseCamera, worsened
from reid.datasets.crops import read_image

HEIGHT, WIDTH = 256, 192  # of the teacher's input, pixels
_SMALL_PX = 80.0  # smaller people are drawn less often
_ACCURATE = 0.999  # score of keypoints that people labelled
_CAMERA = WorseCamera(coarse=0.15, blur=0.1, noise=0.1, grey=0.05, jpeg=0.15)


@dataclass(frozen=True)
class Example:
    """A person: image, box, and keypoints [17, 3] x y v if people labelled them."""

    path: Path
    box: np.ndarray
    labels: np.ndarray | None
    weight: float


@dataclass(frozen=True)
class Pair:
    """Crops of one person, [H, W, 3] uint8 RGB, of the teacher's size."""

    clean: np.ndarray
    occluded: np.ndarray
    cover: np.ndarray  # [H, W] in 0..1: what was put in front of the person
    labels: np.ndarray | None  # [17, 3] x y v, pixels of the crop


def read_examples(file: Path, share: float) -> list[Example]:
    """The people of a list in COCO's form; together they are drawn with probability `share`."""
    people = [each for image in read_annotations(file) for each in _of(image)]
    total = sum(each.weight for each in people)
    return [Example(each.path, each.box, each.labels, each.weight / total * share) for each in people]


def _of(image: LabelledImage) -> list[Example]:
    found = []
    for box, points, scores in zip(image.boxes, image.keypoints, image.keypoint_scores, strict=True):
        size = float((box[2:] - box[:2]).max())
        known = points[:, 2] > 0
        labelled = known.any() and bool((scores[known] > _ACCURATE).all())
        certainty = float(scores.mean()) if known.any() else 1.0
        weight = min(1.0, size / _SMALL_PX) * (1.0 if labelled else certainty)
        found.append(Example(image.path, box, points if labelled else None, weight))
    return found


class PairMaker:
    """Draws pairs; a pair depends on the generator alone.

    Args:
        people: At least one.
        cutouts: People with `image` [h, w, 3] uint8 RGB and `alpha` [h, w] in 0..1, to be put in front.
        clean: Share of the students' crops that stay as they are.
        paste: Share of the others with a person in front.
        aspect: Width of the student's input relative to its height, at most the teacher's: it sees the middle
            columns, in which the whole box lies.
    """

    def __init__(
        self,
        people: Sequence[Example],
        cutouts: Sequence[dict[str, np.ndarray]],
        *,
        clean: float,
        paste: float,
        aspect: float = WIDTH / HEIGHT,
    ) -> None:
        self._people, self._cutouts, self._clean, self._paste = people, cutouts, clean, paste
        self._aspect = aspect
        odds = np.cumsum([each.weight for each in people])
        self._odds = odds / odds[-1]

    def pair(self, rng: np.random.Generator) -> Pair:
        """Draw a person, the crop window, and what covers the person."""
        person = self._person(rng)
        matrix, mirrored = _window(person.box, self._aspect, rng)
        image = read_image(person.path)
        clean = cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        labels = None
        if person.labels is not None:
            points = person.labels[:, :2] @ matrix[:, :2].T + matrix[:, 2]
            labels = np.column_stack((points, person.labels[:, 2]))
            labels = labels[list(FLIP)] if mirrored else labels
        occluded, cover = clean, np.zeros((HEIGHT, WIDTH), np.float32)
        if rng.random() > self._clean:
            occluded, cover = self._occlude(clean.copy(), cover, rng)
            occluded = worsened(_recoloured(occluded, rng), _CAMERA, rng)
        return Pair(clean, occluded, cover, labels)

    def _person(self, rng: np.random.Generator) -> Example:
        row = int(np.searchsorted(self._odds, rng.random(), side="right"))
        return self._people[min(row, len(self._people) - 1)]

    def _occlude(
        self, crop: np.ndarray, cover: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        if self._cutouts and rng.random() < self._paste:
            for _ in range(1 if rng.random() < 0.75 else 2):
                self._put_person(crop, cover, rng)
        if rng.random() < 0.12:
            h, w = int(rng.uniform(0.1, 0.45) * HEIGHT), int(rng.uniform(0.15, 0.6) * WIDTH)
            y, x = int(rng.integers(0, HEIGHT - h)), int(rng.integers(0, WIDTH - w))
            if rng.random() < 0.5:
                crop[y : y + h, x : x + w] = rng.integers(0, 256, 3)
            else:
                other = read_image(self._person(rng).path)
                crop[y : y + h, x : x + w] = cv2.resize(other, (w, h), interpolation=cv2.INTER_AREA)
            cover[y : y + h, x : x + w] = 1
        if rng.random() < 0.06:  # cut off by the edge of the frame
            rows = int(rng.uniform(0.05, 0.35) * HEIGHT)
            crop[-rows:], cover[-rows:] = 0, 1
        return crop, cover

    def _put_person(self, crop: np.ndarray, cover: np.ndarray, rng: np.random.Generator) -> None:
        cutout = self._cutouts[rng.integers(len(self._cutouts))]
        colours, alpha = cutout["image"], cutout["alpha"].astype(np.float32)
        if rng.random() < 0.5:
            colours, alpha = colours[:, ::-1], alpha[:, ::-1]
        tall = HEIGHT / 1.2 * rng.uniform(0.6, 1.3)
        scale = tall / len(alpha)
        size = (max(4, round(alpha.shape[1] * scale)), max(4, round(tall)))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        colours, alpha = (
            cv2.resize(np.ascontiguousarray(each), size, interpolation=way) for each in (colours, alpha)
        )
        side = rng.choice([-1, 1]) * rng.uniform(0.22, 0.6) * WIDTH
        left = round(WIDTH / 2 + side - size[0] / 2)
        top = round(HEIGHT / 2 + rng.normal(0, 0.12) * HEIGHT - size[1] / 2)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + size[0], WIDTH), min(top + size[1], HEIGHT)
        if x1 <= x0 or y1 <= y0:
            return
        here = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        opaque = alpha[here][..., None]
        pixels = rng.uniform(0.7, 1.2) * colours[here].astype(np.float32)
        mixed = crop[y0:y1, x0:x1] * (1 - opaque) + pixels * opaque + 0.5
        crop[y0:y1, x0:x1] = np.clip(mixed, 0, 255)
        cover[y0:y1, x0:x1] = np.maximum(cover[y0:y1, x0:x1], opaque[..., 0])


def _window(box: np.ndarray, aspect: float, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Affine map [2, 3] from the image to the crop, and whether it mirrors."""
    size = box[2:] - box[:2]
    centre = (box[:2] + box[2:]) / 2
    padding = rng.uniform(1.08, 1.35)
    if rng.random() < 0.1:
        padding *= rng.uniform(0.7, 1)  # parts of the body are outside
    centre = centre + rng.normal(0, 0.03, 2) * size
    scale = HEIGHT * aspect / max(size[0] * padding, size[1] * padding * aspect)
    angle = math.radians(rng.normal(0, 12)) if rng.random() < 0.3 else 0.0
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) * scale
    mirrored = bool(rng.random() < 0.5)
    if mirrored:
        turn = np.diag([-1, 1]) @ turn
    shift = np.array([WIDTH / 2, HEIGHT / 2]) - turn @ centre
    return np.column_stack((turn, shift)), mirrored


def _recoloured(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pixels = crop.astype(np.float32)
    if rng.random() < 0.35:
        pixels = pixels * rng.uniform(0.65, 1.4) + rng.uniform(-25, 25)
    if rng.random() < 0.25:
        pixels = np.clip(pixels, 0, 255) * rng.uniform(0.85, 1.15, 3)
    return np.clip(pixels, 0, 255).astype(np.uint8)
