"""Crop overlays for tests of plots: a grey crop, a skeleton, parts in horizontal bands."""

import io

import numpy as np
from PIL import Image

from reid.evaluation.report.crop_overlay import CropOverlay

HEIGHT, WIDTH = 64, 32


def overlay(*, parts: int | None = 8, prompted: bool = True, others: int = 0) -> CropOverlay:
    """A person upright in a grey crop."""
    own = np.zeros((17, 3), np.float32)
    if prompted:
        own[:] = (16, 20, 1)
    other_people = np.tile(np.array((6, 50, 1), np.float32), (others, 17, 1))
    bands = None
    if parts is not None:
        bands = np.zeros((parts + 1, HEIGHT // 4, WIDTH // 4), np.float32)
        for row in range(HEIGHT // 4):
            bands[row * (parts + 1) // (HEIGHT // 4), row] = 1
    return CropOverlay(np.full((HEIGHT, WIDTH, 3), 120, np.uint8), own, other_people, bands)


def pixels(png: bytes) -> np.ndarray:
    """[H, W, 3] uint8 of a PNG file."""
    return np.array(Image.open(io.BytesIO(png)))


def count(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    """How many pixels have exactly this colour."""
    return int((image == colour).all(axis=-1).sum())
