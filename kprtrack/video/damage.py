"""Find damaged frames: what the decoder reports, and how far an error spreads to other frames."""

import logging
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import av.logging

# Their decoders mention errors in the log only; all others mark the frame (AVFrame.flags, tested by
# tests/kprtrack/video/test_damage.py). The log of worker threads cannot be assigned to a frame.
LOG_ONLY = frozenset({"hevc", "mjpeg", "gif", "ffv1", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "theora", "vc1"})
# A packet holds one frame, unless it is a field. What it takes for other data a decoder drops silently.
ONE_FRAME_A_PACKET = frozenset({"h264", "hevc"})
LENGTH_SIZE_AT = {"h264": 4, "hevc": 21}  # byte of avcC and hvcC with the size of a length
_ERROR_BELOW_LEVEL = re.compile(r"conceal|corrupt|EOI missing|undecodable", re.IGNORECASE)
# Errors of metadata or of encoders, which leave the image as it was recorded.
_HARMLESS = re.compile(r"\bSEI\b|APP fields|mmco: unref short|co located POCs|missing .* in access unit")
_ZEROS = bytes(32)
_ZEROS_INSIDE = re.compile(rb"\0{32}[^\0\1]", re.DOTALL)
# A start code is never part of the data of these, which have no lengths before their units.
WITH_START_CODES = frozenset({"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video"})
_REORDERED = 64  # no codec shows a frame later than this many packets after its own

_lock = threading.Lock()
_users = 0
_level_before: int | None = None


@contextmanager
def decoder_log() -> Iterator[list[tuple[int, str, str]]]:
    """Collect what FFmpeg logs in this thread as (level, name, message)."""
    _use_log(1)
    try:
        with av.logging.Capture() as messages:
            yield messages
    finally:
        _use_log(-1)


def errors_in(messages: list[tuple[int, str, str]]) -> set[str]:
    """Return the messages that mean a damaged image, without their numbers."""
    return {
        re.sub(r"\d+", "", text)
        for level, _, text in messages
        if (level <= av.logging.ERROR or _ERROR_BELOW_LEVEL.search(text)) and not _HARMLESS.search(text)
    }


def nal_length_size(codec: str, extradata: bytes | None) -> int | None:
    """Return the bytes of the length before each NAL unit (ISO/IEC 14496-15); None if there is none."""
    if codec not in LENGTH_SIZE_AT or not extradata or extradata[0] != 1:
        return None
    at = LENGTH_SIZE_AT[codec]
    return (extradata[at] & 3) + 1 if len(extradata) > at else None


def nal_units_are_intact(data: bytes, length_size: int) -> bool:
    """Whether the lengths add up and no unit has a row of zero bytes, which the coding forbids inside one.

    Source: ITU-T H.264, 7.4.1 (emulation prevention). Overwritten or missing disk sectors are often zeros. A
    few zeros are accepted: some encoders end a unit with the start code of another one.
    """
    at = 0
    while at + length_size <= len(data):
        length = int.from_bytes(data[at : at + length_size], "big")
        begin, at = at + length_size, at + length_size + length
        if not length or at > len(data) or _ZEROS in data[begin:at].rstrip(b"\0"):
            return False
    return at == len(data)


def has_zeros_inside(data: bytes) -> bool:
    """Whether data with start codes has a row of zero bytes, which the coding forbids, before other data."""
    return _ZEROS in data and _ZEROS_INSIDE.search(data) is not None


class DamageMarks:
    """The numbers of damaged frames: those with an error and those predicted from them.

    An error lasts from its packet, in decoding order, to the next key frame, and to the frames that are
    decoded after this key frame but shown before it. Packets are named by their place in decoding order.
    """

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._starts: deque[int] = deque(maxlen=_REORDERED)
        self._keys: deque[tuple[int, int | None]] = deque(maxlen=_REORDERED)
        self._shown: deque[tuple[int, int | None, int]] = deque(maxlen=_REORDERED)

    def add_key(self, packet: int, pts: int | None) -> None:
        """Note that a packet is a key frame."""
        self._keys.append((packet, pts))

    def add_error(self, packet: int) -> None:
        """Note an error, and mark frames shown already that depend on it."""
        if packet not in self._starts:
            self._starts.append(packet)
            for shown, pts, number in self._shown:
                self._mark(shown, pts, number)

    def add_frame(self, packet: int, pts: int | None, number: int) -> None:
        """Note that the frame of a packet is shown."""
        self._shown.append((packet, pts, number))
        self._mark(packet, pts, number)

    def add_lost(self, numbers: range) -> None:
        """Mark frames that were not decoded at all."""
        self._numbers.update(numbers)

    def shift(self, by: int) -> None:
        """Add to all numbers."""
        self._numbers = {number + by for number in self._numbers}
        self._shown = deque(
            [(packet, pts, number + by) for packet, pts, number in self._shown], maxlen=_REORDERED
        )

    def numbers(self) -> tuple[int, ...]:
        """Return the numbers of all damaged frames, ascending."""
        return tuple(sorted(self._numbers))

    def _mark(self, packet: int, pts: int | None, number: int) -> None:
        if any(self._reaches(start, packet, pts) for start in self._starts):
            self._numbers.add(number)

    def _reaches(self, start: int, packet: int, pts: int | None) -> bool:
        """Whether an error in packet `start` shows in the frame of `packet`."""
        if packet < start:
            return False
        key, key_pts = next((key for key in self._keys if key[0] > start), (None, None))
        if key is None or packet < key:
            return True
        leading = pts is not None and key_pts is not None and pts < key_pts
        return leading and packet - key < _REORDERED // 4


def _use_log(change: int) -> None:
    """Turn FFmpeg's log on for the first user and off after the last one, for all threads."""
    global _users, _level_before
    with _lock:
        _users += change
        if change == 1 and _users == 1:
            _level_before = av.logging.get_level()
            av.logging.set_level(max(_level_before or 0, av.logging.INFO))
            av.logging.set_skip_repeated(False)  # two frames may have the same error
            # What other threads log meanwhile goes to Python's logging, which prints warnings by default.
            logging.getLogger("libav").addHandler(logging.NullHandler())
        elif not _users:
            av.logging.set_level(_level_before)
