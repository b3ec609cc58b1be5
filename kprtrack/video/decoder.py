"""Read the frames of a container with their times, exact frame numbers and upright RGB images."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import av
from av.video.frame import VideoFrame

from kprtrack.core.datatypes import Frame
from kprtrack.core.errors import InputError
from kprtrack.video.colour import converter_of, has_depth, tags_of
from kprtrack.video.container import (
    OpenSettings,
    Orientation,
    display_orientation,
    open_container,
    pixel_aspect_ratio,
    reason,
    stated_duration_s,
    timed_out,
)
from kprtrack.video.inputs import TruncatedVideo, VideoInfo, is_stream, short_name, without_secrets
from kprtrack.video.packets import NumberedFrames, ThreadedDecodingError
from kprtrack.video.sound import SoundFile
from kprtrack.video.structure import StructureDamage, damage_of_structure, frames_in_index
from kprtrack.video.timestamps import TimeStamps, may_restart, scan_time_stamps


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
    rate. Frame numbers count the frames of the source from 0, also after a seek and after frames that could
    not be decoded. Images are turned upright by the display matrix; pixels that are not square stay as stored
    (VideoInfo.sample_aspect_ratio), so that coordinates are those of the file.

    Args:
        source: A file, a URL or "-" for standard input.
        settings: Timeout and what to do about damage.

    Raises:
        InputError: The source cannot be opened or no frame can be decoded.
    """

    def __init__(self, source: str, settings: OpenSettings) -> None:
        self._source, self._settings = source, settings
        self._shown = without_secrets(source)
        self._container, self._stream = open_container(source, settings)
        # A video file served over HTTP has a duration and can be read slowly; a camera has neither.
        self._live = "://" in source and self._container.duration is None
        # Where errors must be counted at once, one thread decodes: a URL or pipe cannot be read again after
        # an error, and where damage is to stop the reading, no frame may be yielded after it.
        self._one_thread = is_stream(source) or settings.on_damage == "stop"
        self._broken: StructureDamage | None = None
        if not is_stream(source):
            self._broken = damage_of_structure(Path(source), self._container, self._stream)
        first, self._unread = self._first_frame()
        # AVI has a constant rate and no presentation times; FFmpeg guesses them wrongly around B frames.
        guessed = self._container.format.name == "avi" and self._stream.codec_context.has_b_frames
        lost_pts = self._frames.lost_pts
        self._first_pts = None if guessed or first.pts is None else min(first.pts, lost_pts or first.pts)
        self._size = first.width, first.height
        self._time_base = self._stream.time_base or Fraction(1, 1000)
        # Without timestamps the container's rate is only FFmpeg's default of 25.
        rate = self._stream.average_rate if first.pts is not None else self._stream.guessed_rate
        self._fps = float(rate or self._stream.guessed_rate or 25)
        self._orientation = display_orientation(first, self._shown)
        context = self._stream.codec_context
        self._to_rgb, self.colour = converter_of(context, first), tags_of(context)
        self.deep = has_depth(context, first) and self._orientation == Orientation()
        self._first_read, self._last_read = 0.0, math.inf  # numbers of frames
        self._joined = None if is_stream(source) else self._restarting_time_stamps()
        self.info = self._describe()

    def sound(self, end_s: float) -> SoundFile | None:
        """Return the sound up to a time; None where there is none that can be read beside the images."""
        if self.sound_problem() is not None or not self._container.streams.audio:
            return None
        origin = Fraction(0) if self._first_pts is None else self._first_pts * self._time_base
        return SoundFile(self._source, float(origin), end_s)

    def sound_problem(self) -> str | None:
        """Return why the sound of the source cannot be copied; None: it can be, or there is none."""
        if self._container.streams.audio and is_stream(self._source):
            return "the sound is left out: an address or a pipe can be read only once"
        if self._container.streams.audio and self._joined is not None:
            return "the sound is left out: the time stamps of this file start again in the middle"
        return None

    def damaged_frames(self) -> tuple[int, ...]:
        """Return the numbers of the damaged frames in what was read last."""
        numbers = self._frames.marks.numbers()
        return tuple(number for number in numbers if self._first_read <= number <= self._last_read)

    def read(self, span: Span) -> Iterator[Frame]:
        """Yield the frames of the span. A URL or pipe can be read once.

        Raises:
            TruncatedVideo: The container cannot be read further, the stream stops sending, the image size
                changes, a file ends clearly before its stated duration, or a frame is damaged and damage is
                to stop the reading; all frames before are yielded first.
        """
        number, time_s, end_s, selected = -1, -math.inf, 0.0, 0
        self._first_read, self._last_read = 0.0 if span.start_s <= 0 else math.inf, math.inf
        asked = time.monotonic()
        try:
            for image, number in self._numbered(span):
                time_s = self._time_s(image, number, time_s)
                if span.ends_before(time_s):
                    self._last_read = number - 1
                    return
                if (image.width, image.height) != self._size:
                    raise self._stopped(number, f"its image size changes to {image.width}x{image.height}")
                end_s = time_s + self._duration_s(image)
                if span.has_started(time_s):
                    self._first_read = min(self._first_read, number)
                    self._validate_undamaged()
                    if selected % span.stride == 0:
                        rgb = self._orientation(self._to_rgb(image))
                        yield Frame(number, time_s, rgb, image if self.deep else None)
                    selected += 1
                asked = time.monotonic()
        except av.FFmpegError as error:
            silent = "://" in self._source and timed_out(asked, self._settings.timeout_s)
            why = f"nothing was received for {self._settings.timeout_s:g} s" if silent else reason(error)
            raise self._stopped(number + 1, why) from error
        self._validate_end(number + 1, end_s)

    def close(self) -> None:
        """Close the file or connection."""
        self._unread = None
        self._container.close()

    def _first_frame(self) -> tuple[VideoFrame, Iterator[tuple[VideoFrame, int]] | None]:
        """The first frame, and an iterator of it and all later ones with their numbers."""
        asked = time.monotonic()
        try:
            self._frames = self._decoder()
            found = next(iter(self._frames), None)
        except ThreadedDecodingError:
            self._one_thread = True
            self._reopen()
            return self._first_frame()
        except av.FFmpegError as error:
            if "://" in self._source and timed_out(asked, self._settings.timeout_s):
                message = f"'{self._shown}' sent nothing for {self._settings.timeout_s:g} s."
                raise InputError(message) from error
            raise InputError(f"'{self._shown}' is damaged: its first frame cannot be decoded.") from error
        if found is None or not found[0].width or not found[0].height:
            raise InputError(f"'{self._shown}' has a video stream without any frame that can be decoded.")
        return found[0], chain([found], self._frames)

    def _restarting_time_stamps(self) -> TimeStamps | None:
        """The time stamps of joined recordings, in which seeking leads to the wrong place; else None."""
        if self._first_pts is None or not may_restart(self._container):
            return None
        container, stream = open_container(self._source, self._settings)
        with container:
            stamps = scan_time_stamps(container, stream, self._fps)
        return stamps if stamps is not None and stamps.restarts else None

    def _describe(self) -> VideoInfo:
        width, height = self._size[::-1] if self._orientation.swap else self._size
        return VideoInfo(
            name=short_name(self._source),
            path=self._shown,
            width=width,
            height=height,
            fps=self._fps,
            frames=frames_in_index(self._container, self._stream),
            duration_s=None if self._live else self._stated_duration_s(),
            time_base=self._time_base,
            rotation=self._orientation.rotation,
            mirrored=self._orientation.mirrored,
            sample_aspect_ratio=pixel_aspect_ratio(self._stream, self._orientation),
            live=self._live,
        )

    def _stated_duration_s(self) -> float | None:
        if self._joined is not None:
            return self._joined.duration_s
        return stated_duration_s(self._container, self._stream, self._first_pts)

    def _decoder(self) -> NumberedFrames:
        return NumberedFrames(
            self._container,
            self._stream,
            one_thread=self._one_thread,
            structure_is_broken=self._broken is not None and not self._broken.cut,
        )

    def _numbered(self, span: Span) -> Iterator[tuple[VideoFrame, int]]:
        """The frames from the key frame at or before the start, with their numbers."""
        number = -1
        try:
            for image, number in self._from(span.start_s):
                yield image, number
            return
        except ThreadedDecodingError:
            self._one_thread = True
        for image, later in self._from(span.start_s):
            if later > number:
                yield image, later

    def _from(self, start_s: float) -> Iterator[tuple[VideoFrame, int]]:
        unread, self._unread = self._unread, None
        if unread is None:
            if is_stream(self._source):
                raise InputError(f"'{self._shown}' can be read only once; open it again.")
            unread = self._read_again()
        from_front = is_stream(self._source) or self._joined is not None or start_s <= 0
        return unread if from_front or self._first_pts is None else self._sought(start_s, self._first_pts)

    def _reopen(self) -> None:
        self._container.close()
        self._container, self._stream = open_container(self._source, self._settings)

    def _read_again(self) -> Iterator[tuple[VideoFrame, int]]:
        self._reopen()
        self._frames = self._decoder()
        return iter(self._frames)

    def _sought(self, start_s: float, first_pts: int) -> Iterator[tuple[VideoFrame, int]]:
        target, back_s = first_pts + start_s / self._time_base, 0.0
        # Containers seek in decoding order: the first frame may come after the target. Step back until not.
        while (position := int(target - back_s / self._time_base)) > first_pts:
            try:
                self._container.seek(position, stream=self._stream)
            except av.FFmpegError:
                break  # a format without seeking is read from its start: slower, the same frames
            self._frames = self._decoder()
            first, place = next(iter(self._frames), (None, 0))
            if first is not None and first.pts is not None and first.pts <= target:
                before = self._frames_before(min(first.pts, self._frames.lost_pts or first.pts), first_pts)
                self._frames.begin_at(before)
                return chain([(first, before + place)], self._frames)
            back_s = 2 * back_s + 1
        return self._read_again()

    def _frames_before(self, pts: int, first_pts: int) -> int:
        """The number of frames of the source before this timestamp."""
        index = list(self._stream.index_entries)
        steps = {later.timestamp - entry.timestamp for entry, later in pairwise(index)}
        whole = len(index) == self._stream.frames and not any(e.is_discard or not e.size for e in index)
        if whole and len(steps) == 1:  # a constant rate, known from the index alone
            return round((pts - first_pts) / steps.pop())
        # Any other rate: count packets without decoding them.
        container, stream = open_container(self._source, self._settings)
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

        if self._broken is not None and (self._broken.cut or not self._frames.marks.numbers()):
            raise self._stopped(frames_read, self._broken.text)

    def _validate_undamaged(self) -> None:
        if self._settings.on_damage == "stop" and (damaged := self.damaged_frames()):
            raise self._stopped(damaged[0], "the frames after it are damaged")

    def _stopped(self, frames_read: int, why: str) -> TruncatedVideo:
        expected = self.info.frames
        if expected is None and self.info.duration_s is not None:
            expected = round(self.info.duration_s * self._fps)
        of = f" of {expected}" if expected else ""
        message = f"'{self._shown}' could be read up to frame {frames_read}{of} only: {why}."
        return TruncatedVideo(message, frames_read, expected)
