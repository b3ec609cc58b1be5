"""Read folders of images and the cameras of this computer."""

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Frame
from kprtrack.core.errors import InputError, UserError
from kprtrack.video.decoder import Span
from kprtrack.video.inputs import TruncatedVideo, VideoInfo, short_name


class ImageFiles:
    """Reads image files of one size as a video with a constant frame rate."""

    def __init__(self, source: str, files: list[Path], fps: float) -> None:
        if not fps > 0:
            raise UserError(f"The frame rate of images must be above 0, not {fps}.")
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


def _read_image(path: Path) -> np.ndarray:
    from PIL import Image, ImageOps  # rejects truncated files, which OpenCV fills with grey

    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I;16"):
                grey = (np.asarray(image) >> 8).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # PIL's own errors derive from these
        raise InputError(
            f"The image '{path}' cannot be read: it is damaged or not an image ({error})."
        ) from error


class Camera:
    """Reads a camera of this computer, with times of the clock."""

    def __init__(self, number: int) -> None:
        import cv2

        self._number = number
        cv2.utils.logging.setLogLevel(
            0
        )  # the error below is shorter than what OpenCV logs about a missing camera
        self._capture = cv2.VideoCapture(number)
        received, first = self._capture.read()
        if not received:
            self._capture.release()
            raise InputError(
                f"Camera {number} sends no image. Is it connected, and not used by another program?"
            )
        height, width = first.shape[:2]
        self.info = VideoInfo(
            name=short_name(str(number)),
            path=str(number),
            width=width,
            height=height,
            fps=self._capture.get(cv2.CAP_PROP_FPS) or 30.0,
            frames=None,
            duration_s=None,
            time_base=Fraction(1, 1_000_000),
            live=True,
        )

    def damaged_frames(self) -> tuple[int, ...]:
        """Return no number: an image that cannot be read is an error."""
        return ()

    def read(self, span: Span) -> Iterator[Frame]:
        """Yield the frames of the span. Raises: TruncatedVideo when the camera stops."""
        begin, number, selected = time.monotonic(), -1, 0
        try:
            while True:
                received, image = self._capture.read()
                number, time_s = number + 1, time.monotonic() - begin
                if not received:
                    raise TruncatedVideo(
                        f"Camera {self._number} stopped after {number} frames.", number, None
                    )
                if span.ends_before(time_s):
                    return
                if span.has_started(time_s):
                    if selected % span.stride == 0:
                        yield Frame(number, time_s, np.ascontiguousarray(image[:, :, ::-1]))
                    selected += 1
        finally:
            self._capture.release()

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()
