"""Iterate over the frames of a video file, image folder, camera or stream, decoded in a thread."""

import math
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, get_args

from kprtrack.core.datatypes import Frame, FrameLosses
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.paths import expanded
from kprtrack.video.camera import Camera
from kprtrack.video.colour import ColourTags
from kprtrack.video.container import OpenSettings
from kprtrack.video.decoder import ContainerVideo, Span
from kprtrack.video.images import ImageFiles, ImagePages, page_count
from kprtrack.video.inputs import OnDamage, image_sequence, is_camera, is_stream
from kprtrack.video.live import LiveReader, Reader
from kprtrack.video.sound import SoundFile

QUEUE_FRAMES = 8  # decoded ahead of the consumer; bounds memory
SHUTDOWN_S = 2.0  # how long to wait for a decoder that is blocked by a dead network connection


class Source:
    """Iterates over the frames of one source; they are decoded in a separate thread.

    Files and images can be iterated again; cameras, URLs and standard input once. A live source (`info.live`)
    never waits for a slow consumer: the oldest waiting frames are dropped, which leaves gaps in the frame
    numbers. Stopping early, by `break` or an exception, stops the decoder.

    Raises:
        TruncatedVideo: While iterating, after the last good frame of a source that is damaged, ends early,
            changes its size or stops sending.
        InputError: While iterating, for an image that cannot be read.
    """

    def __init__(self, reader: Reader, span: Span) -> None:
        self.info = reader.info
        self._reader, self._span = reader, span
        self._stop: Callable[[], None] | None = None
        self._dropped = 0

    def close(self) -> None:
        """Stop decoding and close the file or camera; the end of a `with` block does this, too."""
        if self._stop is not None:
            self._stop()
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def losses(self) -> FrameLosses:
        """The damaged and dropped frames and the interruptions of the last iteration so far."""
        interruptions = tuple(self._reader.interruptions) if isinstance(self._reader, LiveReader) else ()
        return FrameLosses(self._reader.damaged_frames(), self._dropped, interruptions)

    @property
    def sound(self) -> SoundFile | None:
        """The sound of the frames that are read; None: there is none, or it cannot be read beside them."""
        return self._reader.sound(self._span.end_s) if isinstance(self._reader, ContainerVideo) else None

    @property
    def sound_problem(self) -> str | None:
        """Why the sound cannot be copied; None: it can be, or there is none."""
        return self._reader.sound_problem() if isinstance(self._reader, ContainerVideo) else None

    @property
    def deep(self) -> bool:
        """Whether the frames have more than 8 bits, see `Frame.deep`."""
        return isinstance(self._reader, ContainerVideo) and self._reader.deep

    @property
    def colour(self) -> ColourTags | None:
        """The colour tags of a video made from the frames; None: none."""
        return self._reader.colour if isinstance(self._reader, ContainerVideo) else None

    @property
    def expected_frames(self) -> int | None:
        """The approximate number of frames of an iteration, for a progress bar; None if unknown."""
        info, span = self.info, self._span
        duration_s = info.frames / info.fps if info.frames else info.duration_s
        if duration_s is not None:
            span_s = min(span.end_s, duration_s) - span.start_s
        else:
            span_s = span.end_s - span.start_s
        return None if math.isinf(span_s) else math.ceil(round(span_s * info.fps, 3) / span.stride)

    def __iter__(self) -> Iterator[Frame]:
        frames: queue.Queue[Frame | BaseException | None] = queue.Queue(QUEUE_FRAMES)
        stop = threading.Event()
        self._dropped = 0
        decoder = threading.Thread(
            target=self._decode, args=(frames, stop), name="kprtrack-decoder", daemon=True
        )
        decoder.start()

        def halt() -> None:
            stop.set()
            if isinstance(self._reader, LiveReader):
                self._reader.stop()
            decoder.join(SHUTDOWN_S)

        self._stop = halt
        count = 0
        try:
            while (item := frames.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                count += 1
                yield item
        finally:
            halt()
        if not count:
            raise InputError(f"'{self.info.path}' has no frame at or after {self._span.start_s:g} s.")

    def _decode(self, frames: queue.Queue[Frame | BaseException | None], stop: threading.Event) -> None:
        last: BaseException | None = None
        try:
            for frame in self._reader.read(self._span):
                self._dropped += _hand_over(frame, frames, stop, drop_oldest=self.info.live)
                if stop.is_set():
                    return
        except BaseException as error:  # raised again by the consumer, which runs in another thread
            last = error
        _hand_over(last, frames, stop, drop_oldest=False)


def open_source(  # noqa: PLR0913
    source: str | int | Path,
    start_s: float | None = None,
    end_s: float | None = None,
    stride: int = 1,
    *,
    images_fps: float = 25.0,
    timeout_s: float = 10.0,
    on_damage: OnDamage = "skip",
    allow_playlists: bool = False,
    reconnect_s: float = 60.0,
) -> Source:
    """Open a video file, folder or pattern of images, camera number, URL or "-" (standard input).

    Args:
        source: What to open.
        start_s: Seconds from the first frame.
        end_s: Seconds from the first frame; a frame exactly at it is left out.
        stride: 3 yields every third frame from the start on.
        images_fps: Frames per second of a folder of images.
        timeout_s: Longest wait for data of a URL.
        on_damage: "skip": continue after a damaged part and list it in `Source.losses`; "stop": end there
            with TruncatedVideo.
        allow_playlists: Also open local playlists (.m3u8, ffconcat, .sdp), which name other files.
        reconnect_s: How long a live source (a camera or an address without a duration) that breaks off is
            tried again; 0: not at all.

    Returns:
        The frames, as a context manager; their numbers and times are those of the whole source.

    Raises:
        InputError: The source cannot be read.
        UserError: The span is empty or negative.

    Examples:
        >>> with open_source("video.mp4", stride=5) as video:
        ...     print(video.info.fps, [frame.number for frame in video])
        10.0 [0, 5, 10]
    """
    span = _span(start_s, end_s, stride)
    if not reconnect_s >= 0:
        raise UserError(f"The time to connect again must be 0 or more, not {reconnect_s} s.")
    if on_damage not in get_args(OnDamage):
        raise UserError(f"on_damage is '{on_damage}'. Give 'skip' or 'stop'.")
    reader = _reader(source, images_fps, OpenSettings(timeout_s, on_damage, allow_playlists), reconnect_s)
    info = reader.info
    if info.duration_s is not None and span.start_s >= info.duration_s:
        reader.close()
        raise InputError(
            f"'{info.path}' is {info.duration_s:.2f} s long; it cannot start at {span.start_s:g} s."
        )
    return Source(reader, span)


def _reader(
    source: str | int | Path, images_fps: float, settings: OpenSettings, reconnect_s: float
) -> Reader:
    name = str(source)

    def connect() -> Reader:
        return Camera(int(name)) if is_camera(source) else ContainerVideo(name, settings)

    if is_camera(source) or is_stream(name):
        reader = connect()
        return LiveReader(reader, connect, reconnect_s) if reader.info.live and reconnect_s else reader
    images = image_sequence(name)
    if images is None:
        return ContainerVideo(str(expanded(name)), settings)
    if len(images) == 1 and (pages := page_count(images[0])) > 1:
        return ImagePages(images[0], pages, images_fps)
    return ImageFiles(name, images, images_fps)


def _span(start_s: float | None, end_s: float | None, stride: int) -> Span:
    start_s, end_s = start_s or 0.0, math.inf if end_s is None else end_s
    if not start_s >= 0:
        raise UserError(f"The start must be 0 or later, not {start_s} s.")
    if not end_s > start_s:
        raise UserError(f"The end ({end_s:g} s) must be later than the start ({start_s:g} s).")
    if stride < 1:
        raise UserError(f"The stride must be 1 or more, not {stride}.")
    return Span(start_s, end_s, stride)


def _hand_over(
    item: Frame | BaseException | None,
    frames: queue.Queue[Frame | BaseException | None],
    stop: threading.Event,
    *,
    drop_oldest: bool,
) -> int:
    """Put the item into the queue as soon as it has a free place, unless the consumer has stopped.

    Returns:
        The number of waiting frames that were dropped for it.
    """
    dropped = 0
    while not stop.is_set():
        try:
            frames.put(item, timeout=0 if drop_oldest else 0.1)
            break
        except queue.Full:
            if drop_oldest:
                dropped += _drop_one(frames)
    return dropped


def _drop_one(frames: queue.Queue[Frame | BaseException | None]) -> int:
    try:
        frames.get_nowait()
    except queue.Empty:
        return 0  # the consumer has taken it
    return 1
