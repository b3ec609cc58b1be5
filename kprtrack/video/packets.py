"""Decode the packets of a stream, number the frames and find those that are damaged."""

import math
from collections import deque
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kprtrack.video.damage import (
    LOG_ONLY,
    ONE_FRAME_A_PACKET,
    WITH_START_CODES,
    DamageMarks,
    decoder_log,
    errors_in,
    has_zeros_inside,
    nal_length_size,
    nal_units_are_intact,
)
from kprtrack.video.structure import may_lose_packets

_MOST_DEMUX_ERRORS = 20  # in a row; a demuxer that cannot continue repeats its error
_MARKED_BEFORE_JOINT = 2  # packets
_MOST_ABSENT = 1000  # frames; a longer step of time is a jump of the clock
_MOST_B_FRAMES = 4  # in a row, which are shown before a frame on which they depend; usual are up to 3
_WAIT_PACKETS = 64  # a lost frame is counted at the latest after this many packets


class ThreadedDecodingError(Exception):
    """A decoder with several threads met an undecodable packet: which one, it does not tell."""


class NumberedFrames:
    """Iterates over the frames of a stream with their numbers, continuing after damaged packets.

    Args:
        container: An open container, at a packet whose frame is a key frame or the first.
        stream: Its video stream, not decoded yet. Decoders that report errors in the log only get one thread.
        one_thread: Decode in one thread, so that undecodable packets can be counted.
        structure_is_broken: Frames of the container may be missing without any other sign.

    Raises:
        ThreadedDecodingError: While iterating, at an undecodable packet without `one_thread`.
        av.FFmpegError: While iterating, if the container cannot be read further; all frames before that are
            yielded first.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        *,
        one_thread: bool,
        structure_is_broken: bool = False,
    ) -> None:
        context = stream.codec_context
        self._container, self._stream = container, stream
        self._logs = context.codec.canonical_name in LOG_ONLY
        self._one_thread = one_thread or self._logs
        if not context.is_open:
            context.thread_type = "NONE" if self._one_thread else "AUTO"
            context.thread_count = int(self._one_thread)  # 0: as many as there are cores
            context.copy_opaque = True  # frames name their packet
        self._length_size = nal_length_size(context.codec.canonical_name, context.extradata)
        self._start_codes = context.codec.canonical_name in WITH_START_CODES
        self._number = self._first_number = 0
        self._place = -1  # of the packet, in decoding order
        self._key_seen = False
        self._key_pts: int | None = None  # of the first key frame
        self._marked: int | None = None  # a packet that the container marks as corrupt
        # A time step longer than usual means lost frames if there is an error nearby.
        self._error_at = 0 if structure_is_broken else -_WAIT_PACKETS
        self._structure_is_broken = structure_is_broken
        # Ticks between frames, where no index states how many there are.
        self._usual_step = (
            1 / (stream.average_rate * stream.time_base)
            if stream.average_rate and stream.time_base and may_lose_packets(container)
            else None
        )
        self._last_pts: int | None = None
        self._recent: deque[int] = deque(maxlen=_MOST_B_FRAMES)  # packets of the frames shown last
        self._anchor = 0, 0  # time stamp and number of the first frame
        self._lost: list[tuple[int, int]] = []  # time stamp and place of packets
        # The same of packets whose frames are not shown yet, where each packet is one frame; None: elsewhere.
        one_each = context.codec.canonical_name in ONE_FRAME_A_PACKET and container.format.name != "avi"
        self._waiting: dict[int, int] | None = {} if one_each else None
        self._shown_pts: int | None = None
        self._decoded_pts: int | None = None
        self._is_reordered = False  # the time stamps are those of the frames, not the order of decoding
        self._errors_of_first: set[str] | None = None
        self.lost_pts: int | None = None  # the first time stamp of a frame lost before the first frame
        self.marks = DamageMarks()
        self._frames = self._iterate()

    def begin_at(self, number: int) -> None:
        """Number the frames so that the first one that was seen, or lost before it, has this number."""
        shift = number - self._first_number
        self._number, self._first_number = self._number + shift, number
        self._anchor = self._anchor[0], self._anchor[1] + shift
        self.marks.shift(shift)

    def __iter__(self) -> Iterator[tuple[VideoFrame, int]]:
        return self._frames

    def _iterate(self) -> Iterator[tuple[VideoFrame, int]]:
        try:
            for packet in self._packets():
                self._place += 1
                packet.opaque = self._place
                self._note_marks(packet)
                yield from self._numbered(self._decode(packet))
        except av.FFmpegError:
            # The frames still in the decoder come before the damage.
            yield from self._numbered(self._stream.codec_context.decode(None))
            raise
        self._find_missing(math.inf)
        if self._lost:
            self._count_lost(len(self._lost))

    def _note_marks(self, packet: "Packet[VideoStream]") -> None:
        """Note key frames, and packets that the container marks as corrupt."""
        # At the joint of two MPEG-TS files one of the last packets before the next key frame is marked, too.
        if self._marked is not None and not packet.is_keyframe:
            if not packet.size or self._place - self._marked > _MARKED_BEFORE_JOINT:
                self.marks.add_error(self._marked)
                self._marked = None
        elif packet.is_keyframe:
            self._marked = None
        if packet.is_corrupt and self._key_seen:
            self._marked = self._marked if self._marked is not None else self._place
            self._error_at = self._place
        packet.is_corrupt = False  # so that the frame has the decoder's own mark
        if packet.is_keyframe:
            self._key_seen = True
            self._key_pts = packet.pts if self._key_pts is None else self._key_pts
            self.marks.add_key(self._place, packet.pts)

    def _packets(self) -> "Iterator[Packet[VideoStream]]":
        errors = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    errors = 0
                    yield packet
                return
            except av.InvalidDataError:
                errors += 1
                if errors > _MOST_DEMUX_ERRORS:
                    raise

    def _decode(self, packet: "Packet[VideoStream]") -> list[VideoFrame]:
        frames: list[VideoFrame] = []
        damaged = not self._is_intact(packet)
        self._await(packet)
        try:
            if self._logs:
                with decoder_log() as messages:
                    frames = packet.decode()
                damaged |= self._shows_error(errors_in(messages))
            else:
                frames = packet.decode()
        except av.EOFError:
            raise
        except av.FFmpegError as error:
            if not self._one_thread:
                raise ThreadedDecodingError from error
            if packet.size and self._key_seen:
                self._lose(packet.pts)
            if self._waiting is not None:
                self._waiting.pop(self._place, None)
            damaged = True
        # Recordings of a broadcast begin anywhere; what comes before the first key frame cannot be decoded.
        if damaged and self._key_seen:
            self._add_error(self._place)
        return frames

    def _shows_error(self, errors: set[str]) -> bool:
        """Whether the messages are more than what this encoder's frames cause from the first one on."""
        if self._errors_of_first is None:
            # Cameras that omit the end marker of each JPEG image do so from the first image on.
            self._errors_of_first = {text for text in errors if "EOI missing" in text or "overread" in text}
        return bool(errors - self._errors_of_first)

    def _is_intact(self, packet: "Packet[VideoStream]") -> bool:
        if not packet.size:
            return True
        if self._length_size:
            return nal_units_are_intact(bytes(packet), self._length_size)
        return not (self._start_codes and has_zeros_inside(bytes(packet)))

    def _numbered(self, frames: list[VideoFrame]) -> Iterator[tuple[VideoFrame, int]]:
        for frame in frames:
            place = frame.opaque if isinstance(frame.opaque, int) else self._place
            self._show(frame, place)
            self._lost = sorted((pts, lost) for pts, lost in self._lost if lost != place)
            lost = sum(self._is_earlier(pts, lost, frame) for pts, lost in self._lost)
            by_time = None not in (self._usual_step, frame.pts, self._last_pts)
            absent = self._absent_before(frame, place)
            if by_time:
                del self._lost[:lost]
            else:
                self._count_lost(lost)
            for _ in range(absent):
                self._count_lost_now()
            if absent:  # where in the order of decoding they are missing is unknown
                self._add_error(min([place, *self._recent]))
            self._recent.append(place)
            if frame.is_corrupt:
                self._add_error(place)
            self.marks.add_frame(place, frame.pts, self._number)
            yield frame, self._number
            self._number += 1

    def _await(self, packet: "Packet[VideoStream]") -> None:
        """Note that a packet is to become a frame; those before the first key frame may not be decodable."""
        pts, key_pts = packet.pts, self._key_pts
        if self._waiting is None or not packet.size or pts is None:
            return
        self._is_reordered |= self._decoded_pts is not None and pts < self._decoded_pts
        self._decoded_pts = pts
        if not packet.is_discard and key_pts is not None and pts >= key_pts:
            self._waiting[self._place] = pts

    def _show(self, frame: VideoFrame, place: int) -> None:
        """Note that the frame of a packet is shown, and which others should have been shown before it."""
        if self._waiting is None or frame.pts is None:
            return
        if frame.interlaced_frame:  # a packet may be a field, half of a frame
            self._waiting = None
            return
        self._waiting.pop(place, None)
        self._find_missing(frame.pts)
        self._shown_pts = frame.pts

    def _find_missing(self, before_pts: float) -> None:
        """Find packets whose frames should have been shown since the last one, by their time stamps."""
        trusted = self._is_reordered or not self._stream.codec_context.has_b_frames
        waiting = self._waiting or {}
        for packet, pts in list(waiting.items()):
            if trusted and self._shown_pts is not None and self._shown_pts < pts < before_pts:
                self._lost.append((pts, packet))
                self._add_error(packet)
            elif self._place - packet <= _WAIT_PACKETS:
                continue
            del waiting[packet]

    def _is_earlier(self, pts: int, lost: int, frame: VideoFrame) -> bool:
        """Whether a lost frame, of time stamp and packet, comes before a frame that is shown now."""
        return self._place - lost > _WAIT_PACKETS or (frame.pts is not None and pts < frame.pts)

    def _absent_before(self, frame: VideoFrame, place: int) -> int:
        """The number of frames between the last one and this one, by the time stamps of a constant rate."""
        pts, last = frame.pts, self._last_pts
        if pts is None or self._usual_step is None:
            return 0
        self._last_pts = pts
        if last is None:
            self._anchor = pts, self._number
        elif abs(pts - last - self._usual_step) > 1:
            if not (self._structure_is_broken or place - self._error_at < _WAIT_PACKETS):
                self._usual_step = None  # a variable rate: a long step means nothing
            elif pts > last and not frame.is_corrupt:  # damaged frames may have another one's time stamp
                number = self._anchor[1] + float((pts - self._anchor[0]) / self._usual_step)
                absent = round(number) - self._number
                return absent if abs(number - round(number)) < 0.2 and 0 < absent < _MOST_ABSENT else 0
        return 0

    def _add_error(self, place: int) -> None:
        self._error_at = max(self._error_at, place)
        self.marks.add_error(place)

    def _lose(self, pts: int | None) -> None:
        """Note that the frame of the current packet was not decoded."""
        if pts is None and self._usual_step is None:
            self._count_lost_now()
        elif pts is None:
            self._error_at = self._place  # the time stamp of the next frame says how many
        else:
            self._lost.append((pts, self._place))

    def _count_lost_now(self) -> None:
        self.marks.add_lost(range(self._number, self._number + 1))
        self._number += 1

    def _count_lost(self, count: int) -> None:
        """Give the next numbers to lost frames."""
        for _ in range(count):
            pts, _ = self._lost.pop(0)
            self.lost_pts = pts if self.lost_pts is None else self.lost_pts
            self._count_lost_now()
