"""Inputs of the encoder: crops occluded, shifted and erased at random in training, plain in evaluation.

The order is the official one, resize, occlude, shift, normalise, erase; the paper occludes last. No crop is
mirrored. Source: docs/reference/kpr.md 4.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from kprtrack.core.config_files.ranges import validate_ranges
from kprtrack.core.errors import UserError
from reid.crop import Crop, resize_crop, zero_outside
from reid.model.prompts import PromptConfig, draw_heatmaps, normalise
from reid.parts.targets import part_labels
from reid.training.bipo import OccluderBank, OcclusionConfig, draw_centre, paste


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation settings."""

    padding_px: int = 10  # of black on every side, before a crop of the first size is cut out again
    erase_probability: float = 0.5
    erase_share: tuple[float, float] = (0.15, 0.65)  # least and greatest, of height and of width
    occlusion: OcclusionConfig = field(default_factory=OcclusionConfig)

    def __post_init__(self) -> None:
        least, greatest = self.erase_share
        validate_ranges(self, "augment.")
        if not 0 < least <= greatest:
            raise UserError(f"augment.erase_share is {self.erase_share}; it needs 0 < least <= greatest.")


@dataclass(frozen=True)
class Example:
    """Input and part labels of one crop; after `stack`, of N crops."""

    image: torch.Tensor  # [3, H, W] float32, normalised
    heatmaps: torch.Tensor  # [C, H, W] float32 in [0, 1]
    part_labels: torch.Tensor | None  # [H/4, W/4] int64, 0 is background; None: the crop has no masks


class Augment:
    """Makes training examples. bank: people to paste over others; None: no pasting."""

    def __init__(self, config: AugmentConfig, prompts: PromptConfig, bank: OccluderBank | None) -> None:
        self.config = config
        self.prompts = prompts
        self._bank = bank

    def __call__(self, crop: Crop, others: Sequence[int], rng: np.random.Generator) -> Example:
        """One example. others: the other identities of the batch, from which the pasted person is drawn."""
        crop = resize_crop(crop, self.prompts.height, self.prompts.width)
        crop = self._occlude(crop, others, rng)
        crop = shift(crop, self.config.padding_px, rng.integers(0, 2 * self.config.padding_px + 1, 2))
        if rng.random() >= self.config.erase_probability:
            return make_example(crop, self.prompts)
        return make_example(crop, self.prompts, draw_hole(crop.image.shape[:2], self.config.erase_share, rng))

    def _occlude(self, crop: Crop, others: Sequence[int], rng: np.random.Generator) -> Crop:
        occlusion = self.config.occlusion
        if self._bank is None or rng.random() >= occlusion.probability:
            return crop
        if (occluder := self._bank.draw(others, rng)) is None:
            return crop
        height, width = crop.image.shape[:2]
        centre = draw_centre(height, width, rng)
        pasted = paste(crop, occluder, centre, phantom_keypoints=occlusion.phantom_keypoints)
        return Crop(pasted.image, zero_outside(pasted.keypoints, height, width), pasted.masks)


def plain_example(crop: Crop, prompts: PromptConfig) -> Example:
    """The example of a crop as it is, for evaluation.

    Args:
        crop: Of any size.
        prompts: Input size, and which prompts are used.

    Returns:
        Image, prompt heatmaps, and part labels where the crop has masks.
    """
    return make_example(resize_crop(crop, prompts.height, prompts.width), prompts)


def make_example(crop: Crop, prompts: PromptConfig, hole: tuple[slice, slice] | None = None) -> Example:
    """The example of a crop of the encoder's size, erased in the hole (rows and columns).

    Args:
        crop: Of the input size of the encoder.
        prompts: Input size, and which prompts are used.
        hole: Rows and columns to erase; None: nothing.

    Returns:
        Image, prompt heatmaps, and part labels where the crop has masks.
    """
    image = torch.from_numpy(normalise(crop.image[None], prompts)[0])
    if hole is not None:
        crop = erase(crop, hole)
        # The mean of the pixels, in the place of normalised ones: as the official code fills it.
        image[:, *hole] = torch.tensor(prompts.mean)[:, None, None]
    own = crop.keypoints[0] if prompts.positives else np.zeros_like(crop.keypoints[0])
    others = crop.keypoints[1:] if prompts.negatives else crop.keypoints[:0]
    return Example(
        image,
        torch.from_numpy(draw_heatmaps(own, others, prompts)),
        None if crop.masks is None else part_labels(crop.masks),
    )


def stack(examples: Sequence[Example]) -> Example:
    """N examples as one with a leading axis.

    Args:
        examples: One or more of the same size.

    Returns:
        The same with a leading axis [N].

    Raises:
        UserError: Only some have part labels.
    """
    labels = [each.part_labels for each in examples if each.part_labels is not None]
    if 0 < len(labels) < len(examples):
        raise UserError(
            f"Only {len(labels)} of the {len(examples)} crops of a batch have human-parsing masks. Give all "
            "crops of the dataset masks, or none and set loss.part_prediction=0."
        )
    return Example(
        torch.stack([each.image for each in examples]),
        torch.stack([each.heatmaps for each in examples]),
        torch.stack(labels) if labels else None,
    )


def shift(crop: Crop, padding_px: int, corner: np.ndarray) -> Crop:
    """The crop on a black border, cut to its size again with the top left at `corner` (y x) of the border.

    Args:
        crop: Image, keypoints and masks.
        padding_px: Width of the border in pixels.
        corner: y x in pixels, each from 0 to twice `padding_px`.

    Returns:
        A crop of the same size.
    """
    height, width = crop.image.shape[:2]
    y, x = corner
    keypoints = crop.keypoints.copy()
    visible = keypoints[..., 2] > 0
    keypoints[..., :2] += (padding_px - x, padding_px - y)
    keypoints[~visible] = 0

    def moved(pixels: np.ndarray) -> np.ndarray:
        padded = np.pad(pixels, ((padding_px, padding_px), (padding_px, padding_px), (0, 0)))
        return padded[y : y + height, x : x + width]

    return Crop(
        moved(crop.image),
        zero_outside(keypoints, height, width),
        None if crop.masks is None else moved(crop.masks),
    )


def draw_hole(
    shape: tuple[int, ...], share: tuple[float, float], rng: np.random.Generator
) -> tuple[slice, slice]:
    """Rows and columns of a random rectangle, each side between the two shares of the image's.

    Args:
        shape: Height and width in pixels.
        share: Least and greatest side of the rectangle, each 0 to 1 of the side of the image.
        rng: Source of the draws.

    Returns:
        Rows and columns.
    """
    sides = [int(rng.integers(int(share[0] * size), int(share[1] * size) + 1)) for size in shape]
    starts = [int(rng.integers(0, size - side + 1)) for size, side in zip(shape, sides, strict=True)]
    rows, columns = (slice(start, start + side) for start, side in zip(starts, sides, strict=True))
    return rows, columns


def erase(crop: Crop, hole: tuple[slice, slice]) -> Crop:
    """The crop without masks and keypoints in the hole; the image is left to the caller.

    Args:
        crop: Image, keypoints and masks.
        hole: Rows and columns.

    Returns:
        The crop with the same image; the given one is not changed.
    """
    rows, columns = hole
    keypoints, masks = crop.keypoints.copy(), crop.masks
    x, y = keypoints[..., 0], keypoints[..., 1]
    keypoints[(x >= columns.start) & (x < columns.stop) & (y >= rows.start) & (y < rows.stop)] = 0
    if masks is not None:
        masks = masks.copy()
        masks[hole] = 0
    return Crop(crop.image, keypoints, masks)
