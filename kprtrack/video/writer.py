"""Write frames with their own times to a video file."""

import math
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import av
import numpy as np
from av.video.stream import VideoStream

from kprtrack.core.datatypes import Frame
from kprtrack.core.errors import OutputError, UserError
from kprtrack.io.output_file import OutputFile, saved_in
from kprtrack.video.colour import MATRICES, ColourTags, with_changes
from kprtrack.video.sound import SoundCopy, SoundFile

# Suffix -> FFmpeg's muxer and encoder.
FORMATS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        ".mp4": ("mp4", "libx264"),
        ".mov": ("mov", "libx264"),
        ".mkv": ("matroska", "libx264"),
        ".avi": ("avi", "libx264"),
        ".webm": ("webm", "libvpx-vp9"),
    }
)
# crf: lower is better; 20 and 32 are visually lossless at normal viewing distance.
_ENCODER_OPTIONS = {
    "libx264": {"crf": "20", "preset": "veryfast"},
    "libx265": {"crf": "22", "preset": "veryfast", "x265-params": "log-level=none:info=0"},
    "libvpx-vp9": {"crf": "32", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
}
_TICKS_PER_S = 90_000  # divisible by 24, 25, 30, 50 and 60 frames/s, fine enough for any other
_VIDEO_RANGE = 1  # 16 to 235, H.273
_PIXELS = "yuv420p"  # the only layout that every player supports
# What keeps more than 8 bits. Players support 10 bits of HEVC, few of H.264.
_DEEP_PIXELS, _DEEP_ENCODER, _DEEP_FORMATS = "yuv420p10le", "libx265", (".mp4", ".mov", ".mkv")


class VideoWriter:
    """Writes RGB frames of one size, as a context manager that also finishes the file after an exception.

    The suffix chooses the format: .mp4, .mov, .mkv, .avi (H.264) or .webm (VP9). Times are kept, counted from
    the first frame written; .avi has a constant rate, so there they move to the nearest free multiple of
    1/fps. An odd width or height is padded by one repeated row or column, because H.264 stores colour for 2x2
    pixels. While it is being written the file is called NAME.part; what a killed process leaves of it can be
    played (.avi and .mkv: without seeking). Without any frame no file is made. Sound is copied as it is, in
    step with the images; what a format cannot hold is encoded as AAC, in .webm as Opus (see `notes`).

    Args:
        path: Output file.
        width: Width of the frames in pixels.
        height: Height of the frames in pixels.
        fps: Expected frame rate; the duration of the last frame is 1/fps.
        sample_aspect_ratio: Width / height of one pixel; None: square.
        sound: The file whose sound is copied; None: there is none.
        colour: How the colours are stored; None: as in videos without tags, by the matrix of BT.601.
        deep: Keep up to 10 bits of frames that have them, in .mp4, .mov and .mkv as HEVC.

    Raises:
        UserError: The suffix is not one of the formats.
        OutputError: The file cannot be written.

    Examples:
        >>> import numpy as np
        >>> with VideoWriter("grey.mp4", width=64, height=48, fps=25) as writer:
        ...     for number in range(3):
        ...         writer.write(np.full((48, 64, 3), 128, np.uint8), number / 25)
    """

    def __init__(  # noqa: PLR0913
        self,
        path: str | Path,
        width: int,
        height: int,
        fps: float,
        *,
        sample_aspect_ratio: Fraction | None = None,
        sound: SoundFile | None = None,
        colour: ColourTags | None = None,
        deep: bool = False,
    ) -> None:
        self._path = Path(path)
        self._size = width, height
        self._fps = fps
        self._colour = colour
        self._constant_rate = self._path.suffix.lower() == ".avi"
        rate = Fraction(fps).limit_denominator(1001)
        self._tick = 1 / rate if self._constant_rate else Fraction(1, _TICKS_PER_S)
        self._first_s: float | None = None
        self._last_pts = -1
        self._frames = 0
        self._closed = False
        muxer, encoder = self._format()
        even = not (width % 2 or height % 2)
        deep = deep and even and self._path.suffix.lower() in _DEEP_FORMATS
        self._pixels = _PIXELS
        if deep and _DEEP_ENCODER in av.codecs_available:
            encoder, self._pixels = _DEEP_ENCODER, _DEEP_PIXELS
        self._file = OutputFile(self._path)
        try:
            # A hybrid mp4 can be played up to its last second even after a power failure. Sound may begin
            # before the images, which only a delayed header can store.
            movflags = "hybrid_fragmented" + ("+delay_moov" if sound else "")
            options = {"movflags": movflags} if muxer in ("mp4", "mov") else {}
            options["fflags"] = "+bitexact"  # no date and no random numbers: equal frames, equal bytes
            self._container = av.open(self._file.handle, "w", format=muxer, options=options)
            self._stream = self._add_stream(encoder, rate, sample_aspect_ratio)
            self._sound = SoundCopy(sound, self._container) if sound else None
        except (av.FFmpegError, OSError, ValueError) as error:
            self._file.discard()
            raise OutputError(f"'{self._path}' cannot be written as {encoder} video: {error}.") from error

    @property
    def saved(self) -> Path | None:
        """The file that holds the frames, once it is closed."""
        return self._file.saved

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the sound was not copied as it is."""
        return self._sound.notes if self._sound else ()

    def write(self, image: np.ndarray, time_s: float, original: Frame | None = None) -> None:
        """Append a frame.

        Args:
            image: [H, W, 3] uint8 RGB of the writer's size.
            time_s: Its time, later than that of the last frame.
            original: The frame on which `image` was drawn, whose depth is kept where nothing was.

        Raises:
            OutputError: The disk is full or fails; the frames before are kept in the file if possible.
        """
        assert not self._closed, "the video has been closed"
        width, height = self._size
        if image.shape != (height, width, 3):
            raise ValueError(f"The frame has shape {image.shape}, the video [{height}, {width}, 3].")
        padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
        if self._first_s is None:
            self._first_s = time_s
            if self._sound:
                self._sound.begin(time_s)
        if self._colour is not None:
            frame = frame.reformat(format=self._pixels, dst_colorspace=MATRICES[self._colour.matrix])
        if self._pixels == _DEEP_PIXELS:
            frame = frame.reformat(format=self._pixels)
            if original is not None and original.deep is not None:
                frame = with_changes(original.deep, frame, (image != original.image).any(axis=2))
        self._last_pts = max(self._last_pts + 1, round((time_s - self._first_s) / self._tick))
        frame.pts, frame.time_base = self._last_pts, self._tick
        try:
            self._container.mux(self._stream.encode(frame))
            if self._sound:
                self._sound.write_until(time_s - self._first_s)
        except (av.FFmpegError, OSError) as error:
            self._fail(error)
        self._frames += 1

    def close(self, complete: bool = True) -> None:
        """Finish the file and give it its name; calling it again does nothing.

        Args:
            complete: All frames are in it; else it does not replace an older file but is called NAME.partial.

        Raises:
            OutputError: It cannot be finished.
        """
        if self._closed:
            return
        if not self._frames:
            self._closed = True
            self._container.close()
            self._file.discard()
            if self._sound:
                self._sound.close()
            return
        try:
            self._container.mux(self._stream.encode(None))
            if self._sound:
                last_s = float(self._last_pts * self._tick) + 1 / self._fps
                self._sound.finish(math.inf if complete else last_s)
            self._container.close()
            self._closed = True
            self._file.finish(replace=complete)
            if self._sound:
                self._sound.close()
        except (av.FFmpegError, OSError) as error:
            self._fail(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=error is None)

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

    def _add_stream(self, encoder: str, rate: Fraction, shape: Fraction | None) -> VideoStream:
        width, height = self._size
        stream = self._container.add_stream(encoder, rate=rate, options=dict(_ENCODER_OPTIONS[encoder]))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = self._pixels
        if encoder == _DEEP_ENCODER and self._path.suffix.lower() != ".mkv":
            stream.codec_context.codec_tag = "hvc1"  # as Apple's players demand
        stream.codec_context.time_base = self._tick
        # A key frame about every second, for fast seeking and little loss after a power failure.
        stream.codec_context.gop_size = max(1, round(self._fps))
        if self._constant_rate:
            stream.codec_context.max_b_frames = 0  # AVI has no time stamps to reorder frames by
        if shape:
            stream.codec_context.sample_aspect_ratio = shape
        if self._colour is not None:
            context = stream.codec_context
            context.colorspace, context.color_primaries, context.color_trc = self._colour
            context.color_range = _VIDEO_RANGE
        # Open the encoder only: FFmpeg 8.1 crashes when a hybrid mp4 with a header gets no frame.
        stream.codec_context.open()
        return stream

    def _fail(self, error: BaseException) -> None:
        """Close the file, keep it if it can be played, and raise an OutputError."""
        self._closed = True
        with suppress(av.FFmpegError, OSError):  # the disk is still full; hybrid files can be played
            self._container.close()
        kept = playable_frames(self._file.present)
        if kept:
            place = saved_in(self._path, self._file.finish(replace=False))
            kept_part = f"The first {kept} of {self._frames} frames are saved in {place}"
        else:
            self._file.discard()
            kept_part = "No playable part of the file could be kept"
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"'{self._path}' could not be written completely: {reason.lower()}. {kept_part}."
        ) from error


def playable_frames(path: Path) -> int:
    """Count the frames of a video whose end may be missing; 0 if it cannot be played."""
    count = 0
    with suppress(av.FFmpegError, OSError), av.open(str(path)) as container:  # its end is missing
        for packet in container.demux(video=0):
            count += packet.size > 0 and not packet.is_corrupt
    return count
