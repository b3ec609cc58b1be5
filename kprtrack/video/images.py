"""Read folders of images, and animated images and images of several pages as videos."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kprtrack.core.datatypes import Frame
from kprtrack.core.errors import InputError, UserError
from kprtrack.video.decoder import Span
from kprtrack.video.inputs import TruncatedVideo, VideoInfo, short_name

if TYPE_CHECKING:
    from PIL import Image

_ANIMATED = ("PNG", "TIFF", "WEBP")  # formats of files with several images; JPEG only has previews


class ImageFiles:
    """Reads image files of one size as a video with a constant frame rate."""

    def __init__(self, source: str, files: list[Path], fps: float) -> None:
        _validate_rate(fps)
        self._files, self._fps = files, fps
        height, width = _read_image(files[0]).shape[:2]
        self.info = VideoInfo(
            name=short_name(source),
            path=source,
            width=width,
            height=height,
            fps=fps,
            frames=len(files),
            duration_s=len(files) / fps,
            time_base=1 / Fraction(fps).limit_denominator(1001),
        )

    def damaged_frames(self) -> tuple[int, ...]:
        """Return no number: an image that cannot be read is an error."""
        return ()

    def read(self, span: Span) -> Iterator[Frame]:
        """Yield the frames of the span. Raises: InputError; TruncatedVideo if the size changes."""
        wanted = [
            n
            for n in range(len(self._files))
            if span.has_started(n / self._fps) and not span.ends_before(n / self._fps)
        ]
        for number in wanted[:: span.stride]:
            image = _read_image(self._files[number])
            height, width = image.shape[:2]
            if (width, height) != (self.info.width, self.info.height):
                message = (
                    f"'{self._files[number]}' is {width}x{height}, but the images before it are "
                    f"{self.info.width}x{self.info.height}; all frames of a video must have the same size."
                )
                raise TruncatedVideo(message, number, len(self._files))
            yield Frame(number, number / self._fps, image)

    def close(self) -> None:
        """Do nothing: no file stays open."""


class ImagePages:
    """Reads an animated WebP or PNG, or a TIFF file of several pages, as a video.

    Times are those of the animation; pages without a duration follow each other at `fps`.
    """

    def __init__(self, path: Path, pages: int, fps: float) -> None:
        _validate_rate(fps)
        self._path, self._pages, self._seconds = path, pages, 1 / fps
        (image, duration_s), *_ = self._images(1)
        height, width = image.shape[:2]
        self.info = VideoInfo(
            name=short_name(path),
            path=str(path),
            width=width,
            height=height,
            fps=1 / duration_s,
            frames=pages,
            duration_s=None,
            time_base=Fraction(1, 1000),
        )

    def damaged_frames(self) -> tuple[int, ...]:
        """Return no number: an image that cannot be read is an error."""
        return ()

    def read(self, span: Span) -> Iterator[Frame]:
        """Yield the frames of the span. Raises: InputError; TruncatedVideo if the size changes."""
        time_s, selected = 0.0, 0
        for number, (image, duration_s) in enumerate(self._images(self._pages)):
            if span.ends_before(time_s):
                return
            if image.shape[:2] != (self.info.height, self.info.width):
                message = f"Page {number + 1} of '{self._path}' has another size than the first one."
                raise TruncatedVideo(message, number, self._pages)
            if span.has_started(time_s):
                if selected % span.stride == 0:
                    yield Frame(number, time_s, image)
                selected += 1
            time_s += duration_s

    def close(self) -> None:
        """Do nothing: the file is open only while it is read."""

    def _images(self, count: int) -> Iterator[tuple[np.ndarray, float]]:
        """Each page as an upright RGB image, [H, W, 3], and how long it is shown, in seconds."""
        with _opened(self._path) as opened:
            first = int(bool(getattr(opened, "default_image", False)))  # of a PNG without animation support
            for number in range(first, first + count):
                opened.seek(number)
                image = _rgb(opened)
                duration_ms = opened.info.get("duration") or 0
                yield image, duration_ms / 1000 if duration_ms > 0 else self._seconds


def page_count(path: Path) -> int:
    """Return the number of images in a file: 1, except for animations and TIFF pages of one size.

    Raises:
        InputError: The file cannot be read.
    """
    with _opened(path) as image:
        pages = getattr(image, "n_frames", 1) - int(bool(getattr(image, "default_image", False)))
        if image.format not in _ANIMATED or pages < 2:
            return 1
        size = image.size
        image.seek(1)
        return pages if image.size == size else 1  # the second page of a photo is often its preview


def _read_image(path: Path) -> np.ndarray:
    """Read an image of one page as upright RGB, [H, W, 3]."""
    with _opened(path) as opened:
        if opened.format in _ANIMATED and getattr(opened, "is_animated", False) and page_count(path) > 1:
            raise InputError(f"The image '{path}' has several images. Give it alone, not in a folder.")
        opened.seek(0)
        return _rgb(opened)


@contextmanager
def _opened(path: Path) -> Iterator["Image.Image"]:
    """Open an image. Raises: InputError, also for errors within the block."""
    from PIL import Image  # rejects truncated files, which OpenCV fills with grey

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(path)
        with opened:
            yield opened
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise InputError(
            f"The image '{path}' is too large: more than {Image.MAX_IMAGE_PIXELS} pixels. Scale it down."
        ) from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        MemoryError,
        TypeError,
        LookupError,
        struct.error,
    ) as error:
        raise InputError(
            f"The image '{path}' cannot be read: it is damaged or not an image ({error})."
        ) from error


def _rgb(opened: "Image.Image") -> np.ndarray:
    from PIL import ImageOps

    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.array(image.convert("RGB"))


def _validate_rate(fps: float) -> None:
    if not fps > 0:
        raise UserError(f"The frame rate of images must be above 0, not {fps}.")
