"""Read the crop of a sample with its keypoints and masks."""

from pathlib import Path

import numpy as np

from kprtrack.core.files.images import read_rgb
from kprtrack.core.skeleton import KEYPOINTS
from reid.crop import Crop, zero_outside
from reid.datasets.keypoint_files import read_keypoints
from reid.datasets.sample import ReidSample
from reid.parts import mask_files


def read_crop(sample: ReidSample, part_groups: str | None) -> Crop:
    """The image, its skeletons (the person first, zeros where unknown), and its masks of K parts.

    Args:
        part_groups: A name in reid.parts.targets.PART_GROUPS; None: no masks are read, as for scoring.

    Raises:
        InputError: A file is missing or damaged; the message names it.
    """
    image = read_image(sample.image)
    masks = None
    if part_groups is not None and sample.masks is not None:
        masks = mask_files.read_part_masks(sample.masks, part_groups)
    return Crop(image, skeletons_of(sample, image.shape[0], image.shape[1]), masks)


def read_fields(sample: ReidSample) -> np.ndarray | None:
    """The 36 human-parsing fields [h, w, 36] float32, of any size, to cut the person out; None: unknown.

    Args:
        sample: A crop.

    Returns:
        [h, w, 36] float32 in 0..1; None: the crop has no masks.

    Raises:
        InputError: The file is missing or damaged.
    """
    return None if sample.masks is None else mask_files.read_fields(sample.masks)


def skeletons_of(sample: ReidSample, height: int, width: int) -> np.ndarray:
    """[1 + M, 17, 3] float32 in a crop of that size: the person, then others with a keypoint inside it.

    Keypoints that are missing or beyond the crop are zero (docs/reference/kpr.md 2.6).

    Args:
        sample: A crop with its keypoints, in pixels of the crop.
        height: Of the crop in pixels.
        width: Of the crop in pixels.

    Returns:
        [1 + M, 17, 3] float32 x y confidence.
    """
    if sample.keypoints is None:
        return np.zeros((1, len(KEYPOINTS), 3), np.float32)
    found = read_keypoints(sample.keypoints) if isinstance(sample.keypoints, Path) else sample.keypoints
    inside = zero_outside(found * (found[..., 2:] > 0), height, width).astype(np.float32)
    others = inside[1:][(inside[1:, :, 2] > 0).any(axis=1)]
    return np.concatenate((inside[:1], others))


def read_image(path: Path) -> np.ndarray:
    """Read an image as [h, w, 3] uint8 RGB.

    Args:
        path: A file of any format that OpenCV reads.

    Returns:
        [h, w, 3] uint8 RGB.

    Raises:
        InputError: The image is missing, damaged or cut off.
    """
    return read_rgb(path, "Copy it again, or remove it from the dataset.")
