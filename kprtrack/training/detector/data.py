"""Annotated images as training examples of a detector."""

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
from kprtrack.core.files.images import decode_image
from kprtrack.detectors.yolox_shapes import CANVAS_MULTIPLE_PX, STRIDES
from kprtrack.training.annotations import LabelledImage, corners_of
from kprtrack.training.detector.assign import Targets
from kprtrack.training.detector.augment import Example, Labels, LazyImage, example, plain_example
from kprtrack.training.detector.config import DetectorDistil, DetectorTrainConfig
from reid.training.sampler import Draw

_SAME_SIZE_BATCHES = 10  # before another size is drawn (docs/reference/detector_and_pose.md 1.9)
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_FLAGS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2}


@dataclass(frozen=True)
class DetectorBatch:
    """B images of one size with all their N people."""

    images: Tensor  # [B, H, W, 3] uint8, RGB
    boxes: Tensor  # [N, 4] float32, centre x, centre y, width, height
    scores: Tensor  # [N] float32
    counts: tuple[int, ...]  # people of each image
    ignored: Tensor  # [B, A] bool, cells in ignored regions

    def targets(self, device: torch.device) -> list[Targets]:
        """Return the people of each image.

        Args:
            device: Where their tensors are placed.

        Returns:
            One per image, in the order of the batch.
        """
        boxes, scores = (each.to(device).split(self.counts) for each in (self.boxes, self.scores))
        kinds = [torch.zeros(count, dtype=torch.int64, device=device) for count in self.counts]
        return [Targets(*each) for each in zip(boxes, kinds, scores, strict=True)]


class DetectorExamples(Dataset[tuple[Example, np.ndarray]]):
    """The training images of all sources, indexed by draws.

    Args:
        sources: The annotated images of each source.
        shares: How often each source is drawn into mosaics.
        config: All settings.

    Raises:
        UserError: No person is annotated.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[LabelledImage]],
        shares: Sequence[float],
        config: DetectorTrainConfig,
    ) -> None:
        self._images = [_lazy_image(image, config.distil) for images in sources for image in images]
        if not any(len(image.labels.boxes) for image in self._images):
            raise UserError("No person is annotated in data.train. Use annotations with people.")
        odds = np.repeat(shares, [len(images) for images in sources])
        self._odds = np.cumsum(odds) / odds.sum()
        self._config = config

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, draw: Draw) -> tuple[Example, np.ndarray]:
        """The example, and [A] bool, which cells are ignored."""
        config, size, rng = self._config, self._size(draw), draw.generator()
        image = self._images[draw.row]
        if config.schedule.is_plain(draw.epoch):
            made = plain_example(image, size, config.augment, rng)
        else:
            made = example(image, self._another, size, config.augment, rng)
        return made, ignored_cells(made.labels.ignore, size)

    def fingerprint(self) -> str:
        """Hash of image sizes and annotations."""
        found = hashlib.sha256()
        for image in self._images:
            boxes, scores, ignore = image.labels
            for array in (np.array((image.width, image.height)), boxes, scores, *ignore):
                found.update(array.tobytes())
        return found.hexdigest()[:16]

    def _another(self, rng: np.random.Generator) -> LazyImage:
        return self._images[int(np.searchsorted(self._odds, rng.random(), side="right"))]

    def _size(self, draw: Draw) -> int:
        """Side of the canvas, the same for all examples of a batch."""
        if self._config.input_range_px is None:
            return self._config.input_px
        least, greatest = (side // CANVAS_MULTIPLE_PX for side in self._config.input_range_px)
        rng = np.random.default_rng((draw.seed[0], draw.epoch, draw.batch // _SAME_SIZE_BATCHES, 0))
        return int(rng.integers(least, greatest + 1)) * CANVAS_MULTIPLE_PX


def collate(made: Sequence[tuple[Example, np.ndarray]]) -> DetectorBatch:
    """The examples of a batch as tensors.

    Args:
        made: For each image its example and [A] bool, the ignored cells.

    Returns:
        The batch; images are RGB, boxes centre x, centre y, width, height in canvas pixels.
    """
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
    """[A] bool, in the order of `yolox_network.cells`: whose centre lies in a polygon, to half a pixel.

    Args:
        polygons: Each [V, 2] x y in canvas pixels.
        size: Side of the square canvas in pixels, a multiple of 32.

    Returns:
        [A] bool, in the order of `yolox_network.cells`.
    """
    mask = np.zeros((size, size), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.rint(polygon).astype(np.int32)], 1)
    return np.concatenate([mask[s // 2 :: s, s // 2 :: s].reshape(-1) for s in STRIDES]) > 0


def read_image(image: LabelledImage, coarse: int = 1) -> np.ndarray:
    """[H, W, 3] uint8 BGR. coarse: 2 reads it at half its size, rounded up, which is faster.

    Args:
        image: Path and annotated size.
        coarse: 2 reads the image at half its size, rounded up, which is faster; 1 as it is.

    Returns:
        [H, W, 3] uint8 BGR.

    Raises:
        InputError: It is damaged, or its size differs from the annotations.
    """
    try:
        data = Path(image.path).read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read the image {image.path}: {error.strerror}.") from error
    flags = _FLAGS[coarse] | cv2.IMREAD_IGNORE_ORIENTATION  # boxes refer to the pixels as stored
    pixels = decode_image(data, Path(image.path), flags)
    # OpenCV fills a truncated JPEG with grey without an error.
    if pixels is None or (data.startswith(_JPEG_START) and _JPEG_END not in data):
        raise InputError(f"{image.path} is not an image, or is damaged or truncated. Copy it again.")
    if pixels.shape[:2] != (-(-image.height // coarse), -(-image.width // coarse)):
        height, width = pixels.shape[0] * coarse, pixels.shape[1] * coarse
        raise InputError(
            f"{image.path} has about {width} x {height} pixels, but {image.width} x {image.height} in "
            "its annotations. Use the images that were annotated."
        )
    return pixels


def _lazy_image(image: LabelledImage, distil: DetectorDistil) -> LazyImage:
    """The image with its targets: boxes clipped to the image; those outside are left out.

    Source: docs/reference/detector_and_pose.md 1.9.
    """
    least, greatest = np.zeros(2, np.float32), np.array((image.width, image.height), np.float32)
    boxes = np.concatenate([np.clip(part, least, greatest) for part in np.split(image.boxes, 2, axis=1)], 1)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(1)
    certain = inside & (image.scores >= distil.ignore_below) & (image.scores > 0)
    ignored = tuple(corners_of(box) for box in boxes[inside & ~certain])
    scores = np.minimum(image.scores[certain] / distil.full_score, 1).astype(np.float32)
    labels = Labels(boxes[certain], scores, (*image.ignore, *ignored))
    return LazyImage(partial(read_image, image), image.width, image.height, labels)
