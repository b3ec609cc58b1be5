"""Crops and keypoint heatmaps that prompt the encoder.

Training and tracking share this code. Channels of a prompt: background, negative, then one per prompt group.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from kprtrack.core.errors import unknown_name
from kprtrack.core.skeleton import PROMPT_GROUPS

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_BACKGROUND, _NEGATIVE, _FIRST_GROUP = 0, 1, 2


@dataclass(frozen=True)
class PromptConfig:
    """Input specification of a trained encoder."""

    height: int = 256  # pixels of the resized crop
    width: int = 128
    groups: str = "cck8"  # name in kprtrack.core.skeleton.PROMPT_GROUPS
    mean: tuple[float, float, float] = IMAGENET_MEAN  # of RGB in [0, 1]
    std: tuple[float, float, float] = IMAGENET_STD
    min_confidence: float = 0.3  # keypoints at or below it are not drawn (docs/reference/kpr.md 2.3)
    positives: bool = True  # draw the person's own keypoints; False: no positive prompts
    negatives: bool = True  # draw the keypoints of other people inside the box

    def __post_init__(self) -> None:
        if self.groups not in PROMPT_GROUPS:
            raise unknown_name("prompt groups", self.groups, PROMPT_GROUPS)

    @property
    def channels(self) -> int:
        return _FIRST_GROUP + len(PROMPT_GROUPS[self.groups])


@dataclass(frozen=True)
class Prompts:
    """Encoder input for N people."""

    crops: np.ndarray  # [N, 3, h, w] float32, normalised RGB
    heatmaps: np.ndarray  # [N, C, h, w] float32 in [0, 1]: background, negative, groups
    prompted: np.ndarray  # [N] bool, whether any own keypoint was drawn


def make_prompts(
    image: np.ndarray,
    boxes: np.ndarray,
    keypoints: np.ndarray,
    config: PromptConfig,
    rows: np.ndarray | None = None,
    duplicates: np.ndarray | None = None,
) -> Prompts:
    """Crops and heatmaps of the people at `rows` (default: all) of one frame.

    Args:
        image: [H, W, 3] uint8 RGB.
        boxes: [N, 4] x1 y1 x2 y2.
        keypoints: [M, 17, 3] x y confidence; row i for box i, then those of people without a box, if any.
        duplicates: [N, M] bool, duplicate detections of one person; they are not negatives of each other.

    Keypoints of all other people inside a box are its negative prompt. A person without usable keypoints gets
    the empty prompt (background 1 everywhere) and counts as unprompted.

    Source: docs/reference/kpr.md 2.3-2.6; docs/reference/tracking_and_evaluation.md 5, "prompt rules".
    """
    rows = np.arange(len(boxes)) if rows is None else rows
    corners = whole_pixel_boxes(boxes[rows], image.shape[0], image.shape[1])
    heatmaps = np.zeros((len(rows), config.channels, config.height, config.width), np.float32)
    prompted = np.zeros(len(rows), bool)
    for place, (row, corner) in enumerate(zip(rows, corners, strict=True)):
        skeletons = into_crop(keypoints, corner, config)
        own = skeletons[row] if config.positives else np.zeros_like(skeletons[row])
        prompted[place] = (own[:, 2] > config.min_confidence).any()
        # Negative prompts alone would suppress every person in the crop.
        other = np.full(len(skeletons), config.negatives and prompted[place])
        other[row] = False
        if duplicates is not None:
            other &= ~duplicates[row]
        draw_heatmaps(own, skeletons[other], config, out=heatmaps[place])
    return Prompts(cut_crops(image, corners, config), heatmaps, prompted)


def whole_pixel_boxes(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Boxes [N, 4] rounded and clipped to an image of that size, at least one pixel large, int64."""
    x1, y1, x2, y2 = np.rint(boxes).astype(np.int64).T
    x1, y1 = x1.clip(0, width - 1), y1.clip(0, height - 1)
    return np.stack((x1, y1, x2.clip(x1 + 1, width), y2.clip(y1 + 1, height)), axis=1)


def cut_crops(image: np.ndarray, corners: np.ndarray, config: PromptConfig) -> np.ndarray:
    """The image inside each box of whole pixels, resized and normalised: [N, 3, h, w] float32."""
    crops = np.empty((len(corners), config.height, config.width, 3), np.uint8)
    for place, (x1, y1, x2, y2) in enumerate(corners):
        cv2.resize(
            image[y1:y2, x1:x2], (config.width, config.height), crops[place], interpolation=cv2.INTER_LINEAR
        )
    return normalise(crops, config)


def normalise(crops: np.ndarray, config: PromptConfig) -> np.ndarray:
    """Images [N, h, w, 3] uint8 RGB as [N, 3, h, w] float32 with the encoder's mean and deviation."""
    scale = np.reciprocal(np.array(config.std, np.float32) * 255)[:, None, None]
    shift = (np.array(config.mean, np.float32) * 255)[:, None, None]
    pixels = crops.transpose(0, 3, 1, 2).astype(np.float32, order="C")
    pixels -= shift
    pixels *= scale
    return pixels


def into_crop(keypoints: np.ndarray, corner: np.ndarray, config: PromptConfig) -> np.ndarray:
    """Keypoints [S, 17, 3] of the image in pixels of one resized crop; unknown or outside ones all zero."""
    x1, y1, x2, y2 = corner
    size = np.array((x2 - x1, y2 - y1), np.float64)
    points = keypoints[..., :2] - np.array((x1, y1), np.float64)
    inside = ((points >= 0) & (points < size)).all(axis=-1) & (keypoints[..., 2] > 0)
    scaled = np.concatenate((points * ((config.width, config.height) / size), keypoints[..., 2:]), axis=-1)
    return np.where(inside[..., None], scaled, 0)


def draw_heatmaps(
    own: np.ndarray, others: np.ndarray, config: PromptConfig, out: np.ndarray | None = None
) -> np.ndarray:
    """One person's heatmaps [C, h, w] float32 in [0, 1].

    Args:
        own: [17, 3] x y confidence in pixels of the resized crop.
        others: [M, 17, 3], likewise.
        out: Zeroed array to draw into.

    A group's channel is the maximum of its keypoints' Gaussians, the negative channel that of all others'
    keypoints, and the background is the remainder.

    Source: docs/reference/kpr.md 2.3-2.5.
    """
    if out is None:
        out = np.zeros((config.channels, config.height, config.width), np.float32)
    bump, radius_px = gaussian_bump(config.width)
    for channel, members in enumerate(PROMPT_GROUPS[config.groups].values(), start=_FIRST_GROUP):
        _stamp(out[channel], own[list(members)], bump, radius_px, config.min_confidence)
    _stamp(out[_NEGATIVE], others.reshape(-1, 3), bump, radius_px, config.min_confidence)
    np.sum(out[_NEGATIVE:], axis=0, out=out[_BACKGROUND])
    np.clip(np.subtract(1, out[_BACKGROUND], out=out[_BACKGROUND]), 0, 1, out=out[_BACKGROUND])
    return out


def gaussian_bump(width: int) -> tuple[np.ndarray, int]:
    """The square stamp of one keypoint, peak 1, and its radius in pixels, for crops `width` pixels wide.

    Radius width/11, deviation a quarter of the stamp's side (docs/reference/kpr.md 2.3; the paper says 0.1
    width).
    """
    radius_px = int(width / 11)
    deviation_px = (2 * radius_px + 1) / 4
    profile = np.exp(-0.5 * (np.arange(-radius_px, radius_px + 1) / deviation_px) ** 2)
    return np.outer(profile, profile).astype(np.float32), radius_px


def _stamp(
    canvas: np.ndarray, points: np.ndarray, bump: np.ndarray, radius_px: int, min_confidence: float
) -> None:
    """Raise `canvas` [h, w] to the bump around each point [S, 3] that is confident enough and inside."""
    height, width = canvas.shape
    usable = points[:, 2] > min_confidence
    usable &= (points[:, :2] >= 0).all(axis=1) & (points[:, 0] < width) & (points[:, 1] < height)
    for x, y in points[usable, :2].astype(int).tolist():  # truncated, as the official code does
        left, top = max(radius_px - x, 0), max(radius_px - y, 0)
        right, bottom = min(width - x + radius_px, len(bump)), min(height - y + radius_px, len(bump))
        x0, y0 = x - radius_px, y - radius_px
        patch = canvas[y0 + top : y0 + bottom, x0 + left : x0 + right]
        np.maximum(patch, bump[top:bottom, left:right], out=patch)
