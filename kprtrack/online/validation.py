"""Validate what a program hands over with every frame, beside its detections."""

from typing import Any

import numpy as np

from kprtrack.core.errors import UserError


def number_of(value: Any, name: str) -> float:
    """Return a number of Python, numpy or a tensor library as float.

    Raises:
        UserError: It is none.
    """
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"{name} must be a number, not {value!r:.40}.") from None


def valid_image(image: Any, bgr: bool) -> np.ndarray:
    """Return an image as [H, W, 3] uint8 RGB.

    Args:
        image: An array, or what numpy makes one of, such as an image of Pillow.
        bgr: Its channels are blue, green, red.

    Raises:
        UserError: It has another shape or type, or no pixels.
    """
    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8 and pixels.size:
        return np.ascontiguousarray(pixels[..., ::-1]) if bgr else pixels
    given = type(image).__name__ if pixels.ndim == 0 else f"{list(pixels.shape)} {pixels.dtype}"
    raise UserError(f"image must be [H, W, 3] uint8, not {given}.{_image_hint(pixels)}")


def _image_hint(pixels: np.ndarray) -> str:
    """How to make an image of it."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim in (2, 3) and pixels.size and pixels.dtype != np.uint8:
        return " Scale its pixels to 0 to 255 and convert them to uint8."
    if pixels.ndim == 3 and channels == 4:
        return " Leave its fourth channel out: image[..., :3]."
    if pixels.ndim in (2, 3) and channels == 1 and pixels.size:
        return " Make three channels of a grey image: cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)."
    if pixels.ndim == 3 and pixels.shape[0] == 3:
        return " Move its channels to the end: image.transpose(1, 2, 0)."
    return ""


def same_embedding_shape(features: np.ndarray, before: tuple[int, int] | None) -> tuple[int, int]:
    """Return the shape P, D of the embeddings of a frame.

    Args:
        features: [N, P, D] of a frame with people.
        before: P, D of earlier frames; None: this is the first one.

    Raises:
        UserError: They differ.
    """
    shape = features.shape[1], features.shape[2]
    if before in (None, shape):
        return shape
    if before == (0, 0):
        raise UserError(
            "The frames before had no embeddings. Give them from the first frame with people on, as zeros"
            " where they are unknown."
        )
    raise UserError(
        f"The embeddings of this frame have {shape[0]} parts of {shape[1]} numbers, those before {before[0]}"
        f" of {before[1]}. Use one encoder for all frames of a video."
    )
