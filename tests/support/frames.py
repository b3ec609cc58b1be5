"""Frames for networks that are called without a video."""

from collections.abc import Iterable

import numpy as np

from kprtrack.core.datatypes import Frame


def frames_of(images: Iterable[np.ndarray]) -> list[Frame]:
    """`images` [H, W, 3] uint8 as the first frames of a video of 25 frames per second."""
    return [Frame(number, number / 25, image) for number, image in enumerate(images)]
