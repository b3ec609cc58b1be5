"""Reference implementation of keypoint prompts, which draws one keypoint at a time.

Source: docs/reference/kpr.md 2.3-2.6 and 9. It implements the published algorithm without its code.
"""

import cv2
import numpy as np

from kprtrack.core.skeleton import PROMPT_GROUPS
from reid.model.prompts import PromptConfig


def reference_heatmaps(own: np.ndarray, others: np.ndarray, config: PromptConfig) -> np.ndarray:
    """Return the prompt [C, h, w] float64 of skeletons [17, 3] and [M, 17, 3] in pixels of the crop."""
    maps = _skeleton_maps(own, config)
    channels = [np.clip(maps[list(group)].max(0), 0, 1) for group in PROMPT_GROUPS[config.groups].values()]
    negative = np.zeros((config.height, config.width))
    if len(others):
        negative = np.concatenate([_skeleton_maps(other, config) for other in others]).max(0)
    drawn = np.stack([negative, *channels])
    background = np.clip(1 - drawn.sum(0), 0, 1)
    return np.concatenate((background[None], drawn))


def reference_prompts(
    image: np.ndarray, boxes: np.ndarray, keypoints: np.ndarray, config: PromptConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return crops [N, 3, h, w] and prompts [N, C, h, w], both float32, of the people of a frame."""
    crops, prompts = [], []
    mean, std = np.array(config.mean, np.float32), np.array(config.std, np.float32)
    for row, box in enumerate(boxes):
        x1, y1, x2, y2 = np.rint(box).astype(int)
        crop = cv2.resize(image[y1:y2, x1:x2], (config.width, config.height))
        crops.append(((crop.astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1))
        moved = [_moved(skeleton, (x1, y1, x2, y2), config) for skeleton in keypoints]
        own = moved.pop(row)
        others = [one for one in moved if (one[:, 2] > 0).any()]
        prompts.append(reference_heatmaps(own, np.array(others), config).astype(np.float32))
    return np.stack(crops), np.stack(prompts)


def _moved(skeleton: np.ndarray, box: tuple[int, int, int, int], config: PromptConfig) -> np.ndarray:
    """Convert frame pixels to crop pixels, one keypoint at a time; keypoints outside become zero."""
    x1, y1, x2, y2 = box
    moved = np.zeros((len(skeleton), 3))
    for row, (x, y, confidence) in enumerate(skeleton):
        if confidence > 0 and x1 <= x < x2 and y1 <= y < y2:
            moved[row] = (x - x1) * config.width / (x2 - x1), (y - y1) * config.height / (y2 - y1), confidence
    return moved


def _skeleton_maps(skeleton: np.ndarray, config: PromptConfig) -> np.ndarray:
    """Return [17, h, w] float64, a map of full size for every keypoint."""
    radius_px = int(config.width / 11)
    steps = np.arange(-radius_px, radius_px + 1)
    profile = np.exp(-0.5 * (steps / ((2 * radius_px + 1) / 4)) ** 2)
    kernel = np.outer(profile, profile)
    return np.stack([_map(*keypoint, kernel, radius_px, config) for keypoint in skeleton])


def _map(
    x: float, y: float, confidence: float, kernel: np.ndarray, radius_px: int, config: PromptConfig
) -> np.ndarray:
    drawn = np.zeros((config.height, config.width))
    if confidence <= config.min_confidence:
        return drawn
    left, top = int(x) - radius_px, int(y) - radius_px
    x0, x1 = max(left, 0), min(left + len(kernel), config.width)
    y0, y1 = max(top, 0), min(top + len(kernel), config.height)
    drawn[y0:y1, x0:x1] = kernel[y0 - top : y1 - top, x0 - left : x1 - left]
    return drawn
