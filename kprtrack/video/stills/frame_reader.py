"""Single frames of a video by their numbers; frames in order are decoded only once."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Frame
from kprtrack.core.errors import InputError
from kprtrack.video.source import Source, open_source
from kprtrack.video.stills.jpeg import to_jpeg

_AHEAD_S = 1.5  # a frame that is so much later is reached by decoding; any other one by seeking
_CACHE_BYTES = 96 << 20  # of decoded images
_SHORT_S = 2.0  # of the video, read before the wanted frame if it was not found from its own time on


class FrameReader:
    """Reads single frames of a video, exact by their numbers, also at a variable frame rate.

    Args:
        source: A video file or a folder of images.

    Raises:
        InputError: The source cannot be read.

    Examples:
        >>> with FrameReader("video.mp4") as reader:
        ...     reader.image(5, 0.5).shape
        (48, 64, 3)
    """

    def __init__(self, source: str | Path) -> None:
        self._path = source
        self._source: Source = open_source(source)
        self.info = self._source.info
        self._frames: Iterator[Frame] | None = None
        self._next: tuple[int, float] = (0, 0.0)  # number and time of the frame that was read last
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __enter__(self) -> "FrameReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the video."""
        with self._lock:
            self._source.close()
            self._frames = None

    def image(self, number: int, time_s: float) -> np.ndarray:
        """Return a frame.

        Args:
            number: Its number in the video.
            time_s: Its time in seconds, where it is searched.

        Returns:
            [H, W, 3] uint8, RGB.

        Raises:
            InputError: The video has no such frame, or it cannot be decoded.
        """
        with self._lock:
            if number in self._cache:
                self._cache.move_to_end(number)
                return self._cache[number]
            last, last_s = self._next
            if self._frames is not None and last < number and 0 <= time_s - last_s <= _AHEAD_S:
                found = self._advance(number)
                if found is not None:
                    return found
            back_s = 0.0
            while True:
                start_s = max(time_s - back_s - 1e-3, 0.0)
                found = self._seek(number, start_s)
                if found is not None:
                    return found
                if start_s == 0:
                    raise InputError(f"'{self.info.path}' has no frame {number}.")
                back_s = 2 * back_s + _SHORT_S

    def jpeg(self, number: int, time_s: float, width: int | None = None) -> bytes:
        """Return a frame as JPEG; arguments and errors as `image`.

        Args:
            number: Its number.
            time_s: Its time.
            width: The most pixels of its width; None: as it is.
        """
        return to_jpeg(self.image(number, time_s), width)

    def _seek(self, number: int, start_s: float) -> np.ndarray | None:
        self._source.close()
        try:
            self._source = open_source(self._path, start_s=start_s or None)
        except InputError:
            if start_s == 0:
                raise
            return None
        self._frames = iter(self._source)
        return self._advance(number)

    def _advance(self, number: int) -> np.ndarray | None:
        """Read up to a frame; None: it does not come."""
        assert self._frames is not None
        try:
            for frame in self._frames:
                self._next = frame.number, frame.time_s
                if frame.number > number:
                    break
                self._keep(frame)
                if frame.number == number:
                    return frame.image
        except InputError:
            pass  # a damaged end, or no frame from there on: what was wanted is before it or missing
        self._frames = None
        return None

    def _keep(self, frame: Frame) -> None:
        self._cache[frame.number] = frame.image
        while len(self._cache) > max(_CACHE_BYTES // max(frame.image.nbytes, 1), 2):
            self._cache.popitem(last=False)
