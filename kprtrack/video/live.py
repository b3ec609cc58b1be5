"""Read cameras and live streams, and connect again after they broke off."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from kprtrack.core.datatypes import Frame, Interruption
from kprtrack.core.errors import InputError
from kprtrack.video.decoder import Span
from kprtrack.video.inputs import TruncatedVideo, VideoInfo

_log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # before the first attempt to connect again; then twice as long


class Reader(Protocol):
    """Reads one kind of source."""

    info: VideoInfo

    def damaged_frames(self) -> tuple[int, ...]:
        """Return the numbers of the damaged frames in what was read last."""
        ...

    def read(self, span: Span) -> Iterator[Frame]: ...

    def close(self) -> None: ...


class LiveReader:
    """Reads a live source and connects again when it stops.

    Frame numbers continue; the times have a gap as long as the interruption.

    Args:
        reader: The open source.
        connect: Opens it again. Raises: InputError.
        reconnect_s: Longest time without a frame before giving up.
    """

    def __init__(self, reader: Reader, connect: Callable[[], Reader], reconnect_s: float) -> None:
        self.info = reader.info
        self._reader, self._connect, self._reconnect_s = reader, connect, reconnect_s
        self._closed = threading.Event()
        self._first_number = 0  # of the current connection
        self._damaged: list[int] = []  # in earlier connections
        self.interruptions: list[Interruption] = []

    def damaged_frames(self) -> tuple[int, ...]:
        """Return the numbers of the damaged frames in what was read last."""
        current = [number + self._first_number for number in self._reader.damaged_frames()]
        return tuple(self._damaged + current)

    def read(self, span: Span) -> Iterator[Frame]:
        """Yield the frames of the span.

        Raises:
            TruncatedVideo: Nothing came for `reconnect_s`, or the image size changed.
        """
        selected = 0
        for frame in self._frames():
            if span.ends_before(frame.time_s):
                return
            if span.has_started(frame.time_s):
                if selected % span.stride == 0:
                    yield frame
                selected += 1

    def stop(self) -> None:
        """Connect no more; a wait for the source ends at once."""
        self._closed.set()

    def close(self) -> None:
        """Close the connection, and connect no more."""
        self.stop()
        self._reader.close()

    def _frames(self) -> Iterator[Frame]:
        """All frames of all connections."""
        number, time_s, offset_s, received_s = -1, 0.0, 0.0, time.monotonic()
        interrupted_s: float | None = None
        while not self._closed.is_set():
            why = f"'{self.info.path}' ended"
            try:
                for frame in self._reader.read(Span()):
                    number, time_s = self._first_number + frame.number, offset_s + frame.time_s
                    received_s = time.monotonic()
                    if interrupted_s is not None:
                        self.interruptions.append(Interruption(number, interrupted_s))
                        interrupted_s = None
                    yield Frame(number, time_s, frame.image)
            except InputError as error:
                why = str(error).rstrip(".")
            if self._closed.is_set():
                return
            self._damaged = list(self.damaged_frames())
            self._connect_again(why, received_s, number + 1)
            self._first_number = number + 1
            interrupted_s = max(time.monotonic() - received_s, 1 / self.info.fps)
            offset_s = time_s + interrupted_s

    def _connect_again(self, why: str, received_s: float, frames: int) -> None:
        """Wait until the source sends again. Raises: TruncatedVideo after `reconnect_s` without a frame."""
        self._reader.close()
        wait_s = FIRST_WAIT_S
        while (left_s := received_s + self._reconnect_s - time.monotonic()) > 0:
            _log.warning("%s; connecting again in %g s", why, wait_s)
            self._closed.wait(min(wait_s, left_s))
            if self._closed.is_set():
                return
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            try:
                reader = self._connect()
            except InputError as error:
                why = str(error).rstrip(".")
                continue
            if self._closed.is_set():
                reader.close()
                return
            self._reader = reader
            size = reader.info.width, reader.info.height
            if size != (self.info.width, self.info.height):
                message = f"'{self.info.path}' came back with another image size, {size[0]}x{size[1]}."
                raise TruncatedVideo(message, frames, None)
            return
        raise TruncatedVideo(
            f"{why}; nothing was received for {self._reconnect_s:g} s (--reconnect).", frames, None
        )
