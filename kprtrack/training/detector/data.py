"""Labelled pictures as batches for a detector: what DataLoader calls."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from kprtrack.core.errors import InputError, UserError
from kprtrack.detectors.yolox_network import CANVAS_MULTIPLE_PX, STRIDES
from kprtrack.training.annotations import LabelledImage, corners_of
from kprtrack.training.detector.assign import Targets
from kprtrack.training.detector.augment import Example, Labels, Picture, example, plain_example
from kprtrack.training.detector.config import DetectorDistil, DetectorTrainConfig
from reid.training.sampler import Draw

_SAME_SIZE_BATCHES = 10  # before another size is drawn (docs/reference/detector_and_pose.md 1.9)
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_FLAGS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2}


@dataclass(frozen=True)
class DetectorBatch:
    """B pictures of one size with all their N people."""

    images: Tensor  # [B, H, W, 3] uint8, RGB
    boxes: Tensor  # [N, 4] float32, centre x, centre y, width, height
    scores: Tensor  # [N] float32
    counts: tuple[int, ...]  # people of each picture
    ignored: Tensor  # [B, A] bool, cells in regions where nobody was labelled

    def targets(self, device: torch.device) -> list[Targets]:
        """The people of each picture."""
        boxes, scores = (each.to(device).split(self.counts) for each in (self.boxes, self.scores))
        kinds = [torch.zeros(count, dtype=torch.int64, device=device) for count in self.counts]
        return [Targets(*each) for each in zip(boxes, kinds, scores, strict=True)]


class DetectorExamples(Dataset[tuple[Example, np.ndarray]]):
    """The training pictures of all sources; what is random about an example is in its Draw.

    sources: the pictures of each. shares: how often each source is drawn into the mosaics of others.
    Raises: UserError if nobody is labelled in any picture.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[LabelledImage]],
        shares: Sequence[float],
        config: DetectorTrainConfig,
    ) -> None:
        self._pictures = [_picture(image, config.distil) for images in sources for image in images]
        if not any(len(picture.labels.boxes) for picture in self._pictures):
            raise UserError("Nobody is labelled in the pictures of data.train. Give annotations with people.")
        odds = np.repeat(shares, [len(images) for images in sources])
        self._odds = np.cumsum(odds) / odds.sum()
        self._config = config

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, draw: Draw) -> tuple[Example, np.ndarray]:
        """The example, and [A] bool, which cells are ignored."""
        config, size, rng = self._config, self._size(draw), draw.generator()
        picture = self._pictures[draw.row]
        if config.schedule.is_plain(draw.epoch):
            made = plain_example(picture, size, config.augment, rng)
        else:
            made = example(picture, self._another, size, config.augment, rng)
        return made, ignored_cells(made.labels.ignore, size)

    def fingerprint(self) -> str:
        """Tells other training pictures or labels apart."""
        found = hashlib.sha256()
        for picture in self._pictures:
            boxes, scores, ignore = picture.labels
            for array in (np.array((picture.width, picture.height)), boxes, scores, *ignore):
                found.update(array.tobytes())
        return found.hexdigest()[:16]

    def _another(self, rng: np.random.Generator) -> Picture:
        return self._pictures[int(np.searchsorted(self._odds, rng.random(), side="right"))]

    def _size(self, draw: Draw) -> int:
        """Side of the canvas, the same for all examples of a batch."""
        if self._config.input_range_px is None:
            return self._config.input_px
        least, greatest = (side // CANVAS_MULTIPLE_PX for side in self._config.input_range_px)
        rng = np.random.default_rng((draw.seed[0], draw.epoch, draw.batch // _SAME_SIZE_BATCHES, 0))
        return int(rng.integers(least, greatest + 1)) * CANVAS_MULTIPLE_PX


def collate(made: Sequence[tuple[Example, np.ndarray]]) -> DetectorBatch:
    """The examples of a batch as tensors."""
    examples, ignored = zip(*made, strict=True)
    boxes = np.concatenate([each.labels.boxes for each in examples])
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    return DetectorBatch(
        torch.from_numpy(np.stack([cv2.cvtColor(each.image, cv2.COLOR_BGR2RGB) for each in examples])),
        torch.from_numpy(np.concatenate((boxes[:, :2] + half, 2 * half), axis=1)),
        torch.from_numpy(np.concatenate([each.labels.scores for each in examples])),
        tuple(len(each.labels.boxes) for each in examples),
        torch.from_numpy(np.stack(ignored)),
    )


def ignored_cells(polygons: Sequence[np.ndarray], size: int) -> np.ndarray:
    """[A] bool, in the order of `yolox_network.cells`: whose centre lies in a polygon, to half a pixel."""
    occluded_fraction = np.zeros((size, size), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(occluded_fraction, [np.rint(polygon).astype(np.int32)], 1)
    return np.concatenate([occluded_fraction[s // 2 :: s, s // 2 :: s].reshape(-1) for s in STRIDES]) > 0


def read_image(image: LabelledImage, coarse: int = 1) -> np.ndarray:
    """[H, W, 3] uint8 BGR. coarse: 2 reads it at half its size, rounded up, which is faster.

    Raises: InputError if it is damaged or of another size than its annotations say.
    """
    try:
        data = Path(image.path).read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read the picture {image.path}: {error.strerror}.") from error
    flags = _FLAGS[coarse] | cv2.IMREAD_IGNORE_ORIENTATION  # boxes are told for the pixels as they lie there
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    # OpenCV fills what is missing of a JPEG with grey and says nothing.
    if pixels is None or (data.startswith(_JPEG_START) and _JPEG_END not in data):
        raise InputError(f"{image.path} is no picture, damaged or cut off. Copy it again.")
    if pixels.shape[:2] != (-(-image.height // coarse), -(-image.width // coarse)):
        height, width = pixels.shape[0] * coarse, pixels.shape[1] * coarse
        raise InputError(
            f"{image.path} has about {width} x {height} pixels, its annotations say {image.width} x "
            f"{image.height}, so boxes would lie elsewhere. Are these the right pictures?"
        )
    return pixels


def _picture(image: LabelledImage, distil: DetectorDistil) -> Picture:
    """With people as targets: boxes cut off at the picture; those beside it are left out.

    Source: docs/reference/detector_and_pose.md 1.9.
    """
    least, greatest = np.zeros(2, np.float32), np.array((image.width, image.height), np.float32)
    boxes = np.concatenate([np.clip(part, least, greatest) for part in np.split(image.boxes, 2, axis=1)], 1)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(1)
    sure = inside & (image.scores >= distil.ignore_below) & (image.scores > 0)
    doubtful = tuple(corners_of(box) for box in boxes[inside & ~sure])
    scores = np.minimum(image.scores[sure] / distil.full_score, 1).astype(np.float32)
    labels = Labels(boxes[sure], scores, (*image.ignore, *doubtful))
    return Picture(partial(read_image, image), image.width, image.height, labels)
