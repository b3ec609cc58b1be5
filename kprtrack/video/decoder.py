"""Reads the frames of a container: true times, exact frame numbers, upright RGB pictures."""

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
    display_turn,
    open_container,
    reason,
    shape_of_pixels,
    stated_duration_s,
    timed_out,
)
from kprtrack.video.inputs import TruncatedVideo, VideoInfo, is_stream, short_name, without_secrets

# A live stream loses packets as a matter of course; this many in a row mean it is broken.
MAX_BAD_PACKETS = 250


@dataclass(frozen=True)
class Span:
    """The part of a source that is wanted."""

    start_s: float = 0.0
    end_s: float = math.inf  # frames at this time and later are left out
    stride: int = 1  # 3: every third frame, beginning with the first in the span

    def over(self, time_s: float) -> bool:
        return time_s >= self.end_s - 1e-6  # rounding of time stamps must not add or lose a frame

    def begun(self, time_s: float) -> bool:
        return time_s >= self.start_s - 1e-6


class ContainerVideo:
    """The best video stream of a file, URL or standard input.

    Time 0 is the first frame. Times come from the container's time stamps, so a variable frame rate is kept;
    where a stream has none (raw H.264, AVI with B frames), or they jump back, the frame rate continues the
    time. Frame numbers count the frames of the source from 0, also after a seek. Pictures are turned upright
    by the display matrix; pixels that are not square stay as stored (VideoInfo.sample_aspect_ratio), so
    coordinates fit the file's own pixels.
    """

    def __init__(self, source: str, *, timeout_s: float) -> None:
        self._source, self._timeout_s = source, timeout_s
        self._shown = without_secrets(source)
        self._container, self._stream = open_container(source, timeout_s)
        # A film served over HTTP knows its length and can wait for us; a camera cannot.
        self._live = "://" in source and self._container.duration is None
        first, self._unread = self._first_picture()
        # AVI has one rate and no presentation times; FFmpeg guesses them wrongly around B frames.
        guessed = self._container.format.name == "avi" and self._stream.codec_context.has_b_frames
        self._first_pts = None if guessed else first.pts
        self._size = first.width, first.height
        self._tick = self._stream.time_base or Fraction(1, 1000)
        # Without time stamps the container's rate is only FFmpeg's default of 25.
        rate = self._stream.average_rate if first.pts is not None else self._stream.guessed_rate
        self._fps = float(rate or self._stream.guessed_rate or 25)
        self._turn = display_turn(first, self._shown)
        self.info = self._describe()

    def read(self, span: Span) -> Iterator[Frame]:
        """The frames of the span. A URL or pipe can be read once.

        Raises: TruncatedVideo where decoding fails, the stream falls silent, the picture's size changes, or a
        file ends clearly before its stated duration, after all frames up to there.
        """
        pictures, first_number = self._from(span.start_s)
        number, time_s, end_s, selected = first_number - 1, -math.inf, 0.0, 0
        asked = time.monotonic()
        try:
            for number, picture in enumerate(pictures, first_number):
                time_s = self._time_s(picture, number, time_s)
                if span.over(time_s):
                    return
                if (picture.width, picture.height) != self._size:
                    raise self._stopped(number, f"its picture changes to {picture.width}x{picture.height}")
                end_s = time_s + self._duration_s(picture)
                if span.begun(time_s):
                    if selected % span.stride == 0:
                        yield Frame(number, time_s, self._turn(picture.to_ndarray(format="rgb24")))
                    selected += 1
                asked = time.monotonic()
        except av.FFmpegError as error:
            silent = "://" in self._source and timed_out(asked, self._timeout_s)
            why = f"nothing came for {self._timeout_s:g} s" if silent else reason(error)
            raise self._stopped(number + 1, why) from error
        self._validate_early_end(number + 1, end_s)

    def close(self) -> None:
        """Let go of the file or connection."""
        self._unread = None
        self._container.close()

    def _first_picture(self) -> tuple[VideoFrame, Iterator[VideoFrame] | None]:
        """The first picture, and an iterator that begins with it."""
        pictures = self._decoded()
        asked = time.monotonic()
        try:
            first = next(pictures, None)
        except av.FFmpegError as error:
            if "://" in self._source and timed_out(asked, self._timeout_s):
                raise InputError(f"'{self._shown}' sent nothing for {self._timeout_s:g} s.") from error
            raise InputError(f"'{self._shown}' is damaged: its first frame cannot be decoded.") from error
        if first is None or not first.width or not first.height:
            raise InputError(
                f"'{self._shown}' has a video stream without a single frame that can be decoded."
            )
        return first, chain([first], pictures)

    def _describe(self) -> VideoInfo:
        width, height = self._size[::-1] if self._turn.swap else self._size
        return VideoInfo(
            name=short_name(self._source),
            path=self._shown,
            width=width,
            height=height,
            fps=self._fps,
            frames=self._stream.frames or None,
            duration_s=None if self._live else self._stated_duration_s(),
            time_base=self._tick,
            rotation=self._turn.rotation,
            mirrored=self._turn.mirrored,
            sample_aspect_ratio=shape_of_pixels(self._stream, self._turn),
            live=self._live,
        )

    def _stated_duration_s(self) -> float | None:
        return stated_duration_s(self._container, self._stream, self._first_pts)

    def _decoded(self) -> Iterator[VideoFrame]:
        bad = 0
        try:
            for packet in self._container.demux(self._stream):
                try:
                    pictures = packet.decode()
                except av.InvalidDataError:
                    bad += 1
                    if not self._live or bad > MAX_BAD_PACKETS:
                        raise
                    continue
                bad = 0
                yield from pictures
        except av.FFmpegError:
            # The pictures still inside the decoder came before the damage.
            yield from self._stream.codec_context.decode(None)
            raise

    def _from(self, start_s: float) -> tuple[Iterator[VideoFrame], int]:
        """Pictures from the key frame at or before the time, and the number of the first of them."""
        pictures, self._unread = self._unread, None
        if pictures is None:
            if is_stream(self._source):
                raise InputError(f"'{self._shown}' can be read only once; open it again.")
            pictures = self._reopened()
        if is_stream(self._source) or self._first_pts is None or start_s <= 0:
            return pictures, 0
        return self._sought(start_s, self._first_pts)

    def _reopened(self) -> Iterator[VideoFrame]:
        self._container.close()
        self._container, self._stream = open_container(self._source, self._timeout_s)
        return self._decoded()

    def _sought(self, start_s: float, first_pts: int) -> tuple[Iterator[VideoFrame], int]:
        target, back_s = first_pts + start_s / self._tick, 0.0
        # Containers seek in decoding order: the first picture may lie behind the target. Step back until not.
        while (position := int(target - back_s / self._tick)) > first_pts:
            try:
                self._container.seek(position, stream=self._stream)
            except av.FFmpegError:
                break  # a format without seeking is read from its beginning: slower, the same frames
            pictures = self._decoded()
            first = next(pictures, None)
            if first is not None and first.pts is not None and first.pts <= target:
                return chain([first], pictures), self._frames_before(first.pts, first_pts)
            back_s = 2 * back_s + 1
        return self._reopened(), 0

    def _frames_before(self, pts: int, first_pts: int) -> int:
        """How many frames the source has before this time stamp."""
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

    def _time_s(self, picture: VideoFrame, number: int, previous_s: float) -> float:
        if picture.pts is None or self._first_pts is None:
            return number / self._fps
        time_s = float((picture.pts - self._first_pts) * self._tick)
        return time_s if time_s > previous_s else previous_s + 1 / self._fps

    def _duration_s(self, picture: VideoFrame) -> float:
        return float(picture.duration * self._tick) if picture.duration else 1 / self._fps

    def _validate_early_end(self, frames_read: int, end_s: float) -> None:
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
