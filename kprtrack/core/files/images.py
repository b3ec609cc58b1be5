"""Decode image files of datasets; a small file that unpacks to a huge image is an error."""

import io
import warnings
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
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


def read_rgb(path: Path, advice: str = "Copy it again.") -> np.ndarray:
    """Read an image file of any format that OpenCV reads.

    Args:
        path: The file.
        advice: What to do about a damaged file, for messages.

    Returns:
        [h, w, 3] uint8, RGB, turned as its metadata says.

    Raises:
        InputError: The image is missing, damaged or cut off.
    """
    import cv2

    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read the image {path}: {error.strerror}.") from error
    image = decode_image(data, path, cv2.IMREAD_COLOR)
    # OpenCV fills the missing part of a JPEG with grey without reporting it.
    cut_off = data.startswith(_JPEG_START) and _JPEG_END not in data
    if image is None or cut_off:
        what = "is cut off" if cut_off else "is empty" if not data else "is not an image, or damaged"
        raise InputError(f"{path} {what}. {advice}")
    rgb: np.ndarray = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return rgb


def encode_rgb(image: np.ndarray, suffix: str) -> bytes:
    """Return the contents of an image file.

    Args:
        image: [h, w, 3] uint8, RGB.
        suffix: Of the format, such as ".png".
    """
    import cv2

    written, data = cv2.imencode(suffix.lower(), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert written
    return bytes(data)


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
