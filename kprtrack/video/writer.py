"""Writes frames with their own times to a video file, complete or not there at all."""

from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import av
import numpy as np
from av.video.stream import VideoStream

from kprtrack.core.atomic_file import commit, part_path
from kprtrack.core.errors import OutputError, UserError

# FFmpeg's muxer and encoder by suffix.
FORMATS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        ".mp4": ("mp4", "libx264"),
        ".mov": ("mov", "libx264"),
        ".mkv": ("matroska", "libx264"),
        ".avi": ("avi", "libx264"),
        ".webm": ("webm", "libvpx-vp9"),
    }
)
# crf: lower is better; 20 and 32 look the same as the source at normal viewing distance.
_ENCODER_OPTIONS = {
    "libx264": {"crf": "20", "preset": "veryfast"},
    "libvpx-vp9": {"crf": "32", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
}
_TICKS_PER_S = 90_000  # divisible by 24, 25, 30, 50 and 60 frames/s, fine enough for any other
_PIXELS = "yuv420p"  # the only layout every player shows


class VideoWriter:
    """Writes RGB frames of one size. Close it, or use `with`, which finishes the file after exceptions too.

    The suffix chooses the format: .mp4, .mov, .mkv, .avi (H.264) or .webm (VP9). Times are kept as given,
    counted from the first frame written; .avi knows one rate only, so there they move to the nearest free
    multiple of 1/fps. An odd width or height grows by one repeated row or column, because H.264 stores colour
    for 2x2 pixels. While it is being written the file is called NAME.part; close() renames it. Nothing
    appears where no frame came.

    fps: expected frames per second; gives the last frame its duration. width, height: pixels of the frames.

    Raises: UserError for another suffix, OutputError where the file cannot be written; before any frame is
    taken.
    """

    def __init__(
        self,
        path: str | Path,
        width: int,
        height: int,
        fps: float,
        *,
        sample_aspect_ratio: Fraction | None = None,
    ) -> None:
        self._path = Path(path)
        self._part = part_path(self._path)
        self._size = width, height
        self._fps = fps
        self._constant_rate = self._path.suffix.lower() == ".avi"
        rate = Fraction(fps).limit_denominator(1001)
        self._tick = 1 / rate if self._constant_rate else Fraction(1, _TICKS_PER_S)
        self._first_s: float | None = None
        self._last_pts = -1
        self._frames = 0
        self._closed = False
        muxer, encoder = self._format()
        self._validate_unwritable()
        try:
            # A hybrid mp4 can be played up to its last second even if the power fails while writing.
            options = {"movflags": "hybrid_fragmented"} if muxer in ("mp4", "mov") else {}
            self._container = av.open(str(self._part), "w", format=muxer, options=options)
            self._stream = self._add_stream(encoder, rate, sample_aspect_ratio)
        except (av.FFmpegError, OSError, ValueError) as error:
            self._part.unlink(missing_ok=True)
            raise OutputError(f"'{self._path}' cannot be written as {encoder} video: {error}.") from error

    def write(self, image: np.ndarray, time_s: float) -> None:
        """Append a frame. image: [H, W, 3] uint8 RGB of the writer's size. time_s: after the last.

        Raises: OutputError where the disk is full or fails; the frames so far are kept in the file if
        possible.
        """
        assert not self._closed, "the video has been closed"
        width, height = self._size
        if image.shape != (height, width, 3):
            raise ValueError(f"The frame has shape {image.shape}, the video [{height}, {width}, 3].")
        padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
        self._first_s = time_s if self._first_s is None else self._first_s
        self._last_pts = max(self._last_pts + 1, round((time_s - self._first_s) / self._tick))
        picture.pts, picture.time_base = self._last_pts, self._tick
        try:
            self._container.mux(self._stream.encode(picture))
        except (av.FFmpegError, OSError) as error:
            self._fail(error)
        self._frames += 1

    def close(self) -> None:
        """Finish the file and give it its name. May be called again.

        Raises: OutputError as write does.
        """
        if self._closed:
            return
        if not self._frames:
            self._closed = True
            self._container.close()
            self._part.unlink(missing_ok=True)
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._closed = True
            commit(self._part, self._path)
        except (av.FFmpegError, OSError) as error:
            self._fail(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _format(self) -> tuple[str, str]:
        suffix = self._path.suffix.lower()
        if suffix not in FORMATS:
            raise UserError(f"'{self._path}': video is written as {', '.join(FORMATS)}, not '{suffix}'.")
        muxer, encoder = FORMATS[suffix]
        if encoder not in av.codecs_available:
            raise OutputError(
                f"'{self._path}' needs the encoder {encoder}, which this PyAV was built without."
            )
        return muxer, encoder

    def _validate_unwritable(self) -> None:
        folder = self._path.parent
        if not folder.is_dir():
            raise OutputError(f"'{self._path}' cannot be written: there is no folder '{folder}'.")
        if self._path.is_dir():
            raise OutputError(f"'{self._path}' cannot be written: it is a folder.")
        try:
            self._part.open("wb").close()
        except OSError as error:
            raise OutputError(f"'{self._path}' cannot be written: {error.strerror}.") from error

    def _add_stream(self, encoder: str, rate: Fraction, shape: Fraction | None) -> VideoStream:
        width, height = self._size
        stream = self._container.add_stream(encoder, rate=rate, options=dict(_ENCODER_OPTIONS[encoder]))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = _PIXELS
        stream.codec_context.time_base = self._tick
        # A key frame about every second: quick to seek in, and what a power failure may cost.
        stream.codec_context.gop_size = max(1, round(self._fps))
        if self._constant_rate:
            stream.codec_context.max_b_frames = 0  # AVI has no time stamps to reorder frames by
        if shape:
            stream.codec_context.sample_aspect_ratio = shape
        # Only the encoder: FFmpeg 8.1 crashes when a hybrid mp4 with a header gets no frame.
        stream.codec_context.open()
        return stream

    def _fail(self, error: BaseException) -> None:
        """Close what there is, keep it under its name if it can be played, and raise an OutputError."""
        self._closed = True
        with suppress(av.FFmpegError, OSError):  # the disk is still full; a hybrid file plays nevertheless
            self._container.close()
        kept = _playable_frames(self._part)
        if kept:
            commit(self._part, self._path)
            rest = f"The file holds the first {kept} of {self._frames} frames"
        else:
            self._part.unlink(missing_ok=True)
            rest = "No playable part of the file could be kept"
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"'{self._path}' could not be written further: {reason.lower()}. {rest}."
        ) from error


def _playable_frames(path: Path) -> int:
    count = 0
    with suppress(av.FFmpegError, OSError), av.open(str(path)) as container:  # its end is missing
        for packet in container.demux(video=0):
            count += packet.size > 0 and not packet.is_corrupt
    return count
