"""Decode image files of datasets; a small file that unpacks to a huge image is an error."""

import io
import warnings
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError

MOST_PIXELS = 100_000_000  # 300 MB of colours


def decode_image(data: bytes, path: Path, flags: int) -> np.ndarray | None:
    """Decode the contents of an image file with OpenCV.

    Args:
        data: The contents.
        path: The file, for messages.
        flags: Of `cv2.imdecode`.

    Returns:
        What OpenCV returns, uint8; None if it is no image.

    Raises:
        InputError: The image has more than MOST_PIXELS.
    """
    import cv2

    validate_pixels(data, path)
    try:
        image: np.ndarray | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except (cv2.error, MemoryError) as error:
        raise InputError(f"The image {path} cannot be decoded. Copy it again, or remove it.") from error
    return image


def validate_pixels(data: bytes, path: Path) -> None:
    """Raises: InputError if the header of an image gives more than MOST_PIXELS."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error).split("(")[-1].split(" pixels")[0]) from error
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError):
        return  # no image, or one that only OpenCV reads
    if width * height > MOST_PIXELS:
        raise _too_large(path, str(width * height))


def _too_large(path: Path, pixels: str) -> InputError:
    return InputError(
        f"The image {path} has {pixels} pixels; at most {MOST_PIXELS} are read. Make it smaller."
    )
