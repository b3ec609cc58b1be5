"""Read the cameras of this computer."""

import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kprtrack.core.datatypes import Frame
from kprtrack.core.errors import InputError
from kprtrack.video.decoder import Span
from kprtrack.video.inputs import TruncatedVideo, VideoInfo, short_name


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
            name=short_name(number),
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
