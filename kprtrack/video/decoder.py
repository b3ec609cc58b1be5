"""Read the frames of a container with their times, exact frame numbers and upright RGB images."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise

import av
from av.video.frame import VideoFrame

from kprtrack.core.datatypes import Frame
from kprtrack.core.errors import InputError
from kprtrack.video.container import (
    display_orientation,
    open_container,
    pixel_aspect_ratio,
    reason,
    stated_duration_s,
    timed_out,
)
from kprtrack.video.inputs import OnDamage, TruncatedVideo, VideoInfo, is_stream, short_name, without_secrets

# Live streams lose packets regularly; this many in a row mean that the stream is broken.
MAX_BAD_PACKETS = 250


@dataclass(frozen=True)
class Span:
    """The part of a source to read."""

    start_s: float = 0.0
    end_s: float = math.inf  # frames at this time and later are left out
    stride: int = 1  # 3: every third frame, starting with the first in the span

    def ends_before(self, time_s: float) -> bool:
        """Whether a frame at this time comes after the span."""
        return time_s >= self.end_s - 1e-6  # rounding of timestamps must not add or drop a frame

    def has_started(self, time_s: float) -> bool:
        """Whether a frame at this time does not come before the span."""
        return time_s >= self.start_s - 1e-6


class ContainerVideo:
    """Reads the best video stream of a file, URL or standard input.

    Time 0 is the first frame. Times come from the container's timestamps, so a variable frame rate is kept;
    without timestamps (raw H.264, AVI with B frames), or if they jump back, times continue at the frame
    rate. Frame numbers count the frames of the source from 0, also after a seek. Images are turned upright by
    the display matrix; pixels that are not square stay as stored (VideoInfo.sample_aspect_ratio), so that
    coordinates are those of the file.

    Args:
        source: A file, a URL or "-" for standard input.
        timeout_s: How long a URL may send nothing.

    Raises:
        InputError: The source cannot be opened or its first frame cannot be decoded.
    """

    def __init__(self, source: str, *, timeout_s: float, on_damage: OnDamage = "skip") -> None:
        self._source, self._timeout_s, self._on_damage = source, timeout_s, on_damage
        self._shown = without_secrets(source)
        self._container, self._stream = open_container(source, timeout_s)
        # A video file served over HTTP has a duration and can be read slowly; a camera has neither.
        self._live = "://" in source and self._container.duration is None
        first, self._unread = self._first_frame()
        # AVI has a constant rate and no presentation times; FFmpeg guesses them wrongly around B frames.
        guessed = self._container.format.name == "avi" and self._stream.codec_context.has_b_frames
        self._first_pts = None if guessed else first.pts
        self._size = first.width, first.height
        self._time_base = self._stream.time_base or Fraction(1, 1000)
        # Without timestamps the container's rate is only FFmpeg's default of 25.
        rate = self._stream.average_rate if first.pts is not None else self._stream.guessed_rate
        self._fps = float(rate or self._stream.guessed_rate or 25)
        self._orientation = display_orientation(first, self._shown)
        self.info = self._describe()

    def damaged_frames(self) -> tuple[int, ...]:
        """Return the numbers of the damaged frames in what was read last."""
        return ()

    def read(self, span: Span) -> Iterator[Frame]:
        """Yield the frames of the span. A URL or pipe can be read once.

        Raises:
            TruncatedVideo: Decoding fails, the stream stops sending, the image size changes, or a file ends
                clearly before its stated duration; all frames before are yielded first.
        """
        decoded, first_number = self._from(span.start_s)
        number, time_s, end_s, selected = first_number - 1, -math.inf, 0.0, 0
        asked = time.monotonic()
        try:
            for number, image in enumerate(decoded, first_number):
                time_s = self._time_s(image, number, time_s)
                if span.ends_before(time_s):
                    return
                if (image.width, image.height) != self._size:
                    raise self._stopped(number, f"its image size changes to {image.width}x{image.height}")
                end_s = time_s + self._duration_s(image)
                if span.has_started(time_s):
                    if selected % span.stride == 0:
                        yield Frame(number, time_s, self._orientation(image.to_ndarray(format="rgb24")))
                    selected += 1
                asked = time.monotonic()
        except av.FFmpegError as error:
            silent = "://" in self._source and timed_out(asked, self._timeout_s)
            why = f"nothing was received for {self._timeout_s:g} s" if silent else reason(error)
            raise self._stopped(number + 1, why) from error
        self._validate_end(number + 1, end_s)

    def close(self) -> None:
        """Close the file or connection."""
        self._unread = None
        self._container.close()

    def _first_frame(self) -> tuple[VideoFrame, Iterator[VideoFrame] | None]:
        """The first frame, and an iterator that starts with it."""
        decoded = self._decoded()
        asked = time.monotonic()
        try:
            first = next(decoded, None)
        except av.FFmpegError as error:
            if "://" in self._source and timed_out(asked, self._timeout_s):
                raise InputError(f"'{self._shown}' sent nothing for {self._timeout_s:g} s.") from error
            raise InputError(f"'{self._shown}' is damaged: its first frame cannot be decoded.") from error
        if first is None or not first.width or not first.height:
            raise InputError(f"'{self._shown}' has a video stream without any frame that can be decoded.")
        return first, chain([first], decoded)

    def _describe(self) -> VideoInfo:
        width, height = self._size[::-1] if self._orientation.swap else self._size
        return VideoInfo(
            name=short_name(self._source),
            path=self._shown,
            width=width,
            height=height,
            fps=self._fps,
            frames=self._stream.frames or None,
            duration_s=None if self._live else self._stated_duration_s(),
            time_base=self._time_base,
            rotation=self._orientation.rotation,
            mirrored=self._orientation.mirrored,
            sample_aspect_ratio=pixel_aspect_ratio(self._stream, self._orientation),
            live=self._live,
        )

    def _stated_duration_s(self) -> float | None:
        return stated_duration_s(self._container, self._stream, self._first_pts)

    def _decoded(self) -> Iterator[VideoFrame]:
        bad = 0
        try:
            for packet in self._container.demux(self._stream):
                try:
                    decoded = packet.decode()
                except av.InvalidDataError:
                    bad += 1
                    if not self._live or bad > MAX_BAD_PACKETS:
                        raise
                    continue
                bad = 0
                yield from decoded
        except av.FFmpegError:
            # The frames still in the decoder come before the damage.
            yield from self._stream.codec_context.decode(None)
            raise

    def _from(self, start_s: float) -> tuple[Iterator[VideoFrame], int]:
        """The frames from the key frame at or before the time, and the number of the first one."""
        decoded, self._unread = self._unread, None
        if decoded is None:
            if is_stream(self._source):
                raise InputError(f"'{self._shown}' can be read only once; open it again.")
            decoded = self._reopened()
        if is_stream(self._source) or self._first_pts is None or start_s <= 0:
            return decoded, 0
        return self._sought(start_s, self._first_pts)

    def _reopened(self) -> Iterator[VideoFrame]:
        self._container.close()
        self._container, self._stream = open_container(self._source, self._timeout_s)
        return self._decoded()

    def _sought(self, start_s: float, first_pts: int) -> tuple[Iterator[VideoFrame], int]:
        target, back_s = first_pts + start_s / self._time_base, 0.0
        # Containers seek in decoding order: the first frame may come after the target. Step back until not.
        while (position := int(target - back_s / self._time_base)) > first_pts:
            try:
                self._container.seek(position, stream=self._stream)
            except av.FFmpegError:
                break  # a format without seeking is read from its start: slower, the same frames
            decoded = self._decoded()
            first = next(decoded, None)
            if first is not None and first.pts is not None and first.pts <= target:
                return chain([first], decoded), self._frames_before(first.pts, first_pts)
            back_s = 2 * back_s + 1
        return self._reopened(), 0

    def _frames_before(self, pts: int, first_pts: int) -> int:
        """The number of frames of the source before this timestamp."""
        index = list(self._stream.index_entries)
        steps = {later.timestamp - entry.timestamp for entry, later in pairwise(index)}
        whole = len(index) == self._stream.frames and not any(e.is_discard or not e.size for e in index)
        if whole and len(steps) == 1:  # a constant rate, known from the index alone
            return round((pts - first_pts) / steps.pop())
        # Any other rate: count packets without decoding them.
        container, stream = open_container(self._source, self._timeout_s)
        count = 0
        with container:
            for packet in container.demux(stream):
                if packet.dts is not None and packet.dts >= pts:
                    break
                shown = packet.size > 0 and not packet.is_discard
                count += shown and packet.pts is not None and packet.pts < pts
        return count

    def _time_s(self, image: VideoFrame, number: int, previous_s: float) -> float:
        if image.pts is None or self._first_pts is None:
            return number / self._fps
        time_s = float((image.pts - self._first_pts) * self._time_base)
        return time_s if time_s > previous_s else previous_s + 1 / self._fps

    def _duration_s(self, image: VideoFrame) -> float:
        return float(image.duration * self._time_base) if image.duration else 1 / self._fps

    def _validate_end(self, frames_read: int, end_s: float) -> None:
        stated_s = self.info.duration_s
        if stated_s is not None and stated_s - end_s > max(0.2, 3 / self._fps):
            raise self._stopped(frames_read, f"the file ends there, {stated_s - end_s:.1f} s early")

    def _stopped(self, frames_read: int, why: str) -> TruncatedVideo:
        expected = self.info.frames
        if expected is None and self.info.duration_s is not None:
            expected = round(self.info.duration_s * self._fps)
        of = f" of {expected}" if expected else ""
        message = f"'{self._shown}' could be read up to frame {frames_read}{of} only: {why}."
        return TruncatedVideo(message, frames_read, expected)
