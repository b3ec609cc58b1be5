"""Image degradations of poor cameras: low resolution, blur, noise, grey, compression."""

from dataclasses import dataclass

import cv2
import numpy as np

from kprtrack.core.config_files.ranges import validate_ranges

_COARSE = (0.3, 0.9)  # of the resolution that is left
_BLUR_PX = (0.4, 1.8)  # standard deviation
_NOISE_LEVELS = (2.0, 14.0)  # standard deviation, of 255
_QUALITY = (20, 80)  # of JPEG


@dataclass(frozen=True)
class WorseCamera:
    """The probability of each degradation."""

    coarse: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    grey: float = 0.0
    jpeg: float = 0.0

    def __post_init__(self) -> None:
        validate_ranges(self, "augment.camera.")


def worsened(image: np.ndarray, config: WorseCamera, rng: np.random.Generator) -> np.ndarray:
    """Degrade an image [H, W, 3] uint8 BGR at random, in the order of a camera's processing.

    Args:
        image: [H, W, 3] uint8 BGR.
        config: The chance of each degradation, 0 to 1.
        rng: Source of the draws.

    Returns:
        [H, W, 3] uint8 BGR.
    """
    height, width = image.shape[:2]
    if rng.random() < config.coarse:
        share = rng.uniform(*_COARSE)
        less = (max(int(width * share), 1), max(int(height * share), 1))
        image = cv2.resize(cv2.resize(image, less, interpolation=cv2.INTER_AREA), (width, height))
    if rng.random() < config.blur:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(*_BLUR_PX))
    if rng.random() < config.noise:
        noise = rng.standard_normal((height, width, 1), np.float32) * rng.uniform(*_NOISE_LEVELS)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < config.grey:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < config.jpeg:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*_QUALITY))]
        _, compressed = cv2.imencode(".jpg", image, quality)
        image = np.asarray(cv2.imdecode(compressed, cv2.IMREAD_COLOR))
    return image
