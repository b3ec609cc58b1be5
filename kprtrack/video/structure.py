"""Check without decoding whether a file is whole, and count the frames that its index names."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

# Matroska's Segment and Cluster, whose elements are followed, and the elements in them (RFC 8794, RFC 9559).
_ENTERED = frozenset({bytes.fromhex("18538067"), bytes.fromhex("1f43b675")})
_IDENTIFIERS = (
    "1a45dfa3 114d9b74 1549a966 1654ae6b 1c53bb6b 1941a469 1043a770 1254c367 ec bf"  # in a file or Segment
    " e7 a7 ab a3 a0 5854 af"  # in a Cluster
)
_KNOWN = _ENTERED | {bytes.fromhex(identifier) for identifier in _IDENTIFIERS.split()}
_TRACKS, _TRACK_ENTRY, _TRACK_NUMBER = bytes.fromhex("1654ae6b"), b"\xae", b"\xd7"
_SIMPLE_BLOCK = b"\xa3"
_FLV_VIDEO = 9
_FLV_TAGS = frozenset({8, _FLV_VIDEO, 18})  # audio, video, data
_PACKETS_AT_ONCE = 20_000
# Of H.264 (parameters), HEVC (parameters) and MPEG-2.
_SEQUENCE_STARTS = tuple(b"\0\0\1" + code for code in (b"\x67", b"\x27", b"\x47", b"\x40\1", b"\xb3"))
_PACKET_SIZES = (188, 192, 204)  # MPEG-TS, with a time stamp (M2TS), with error correction
_SYNC = 0x47


@dataclass(frozen=True)
class StructureDamage:
    """What is wrong with a file, to be continued after "the video could be read up to frame N only"."""

    text: str
    cut: bool  # the end is missing; else more follows after the damage


def damage_of_structure(path: Path, container: InputContainer, stream: VideoStream) -> StructureDamage | None:
    """Return how a file is cut short or its structure broken; None if nothing is seen.

    Args:
        path: The file.
        container: The same, open.
        stream: Its video stream.
    """
    names = set(container.format.name.split(","))
    if names & {"mov", "mp4", "avi"}:
        return _cut_index(path, stream)
    checks: dict[str, Callable[[BinaryIO, int], StructureDamage | None]] = {
        "matroska": _broken_matroska,
        "gif": _cut_gif,
        "flv": _broken_flv,
        "mpegts": partial(_broken_transport_stream, pid=stream.id),
    }
    check = next((checks[name] for name in names & checks.keys()), None)
    if check is None:
        return None
    with path.open("rb") as file:
        return check(file, path.stat().st_size)


def frames_in_index(container: InputContainer, stream: VideoStream) -> int | None:
    """Return the number of frames without those that an edit list leaves out; None if unknown."""
    entries = stream.index_entries
    if not stream.frames or not len(entries) or "mp4" not in container.format.name.split(","):
        return stream.frames or None
    return sum(1 for entry in entries if entry.size and not entry.is_discard) or None


def may_lose_packets(container: InputContainer) -> bool:
    """Whether damage can remove packets without a trace: no index states how many there are."""
    return not {"mov", "mp4", "avi"} & set(container.format.name.split(","))


def _cut_index(path: Path, stream: VideoStream) -> StructureDamage | None:
    size = path.stat().st_size
    missing = sum(entry.pos + entry.size > size for entry in stream.index_entries)
    text = f"the file ends before the last {missing} frames of its index"
    return StructureDamage(text, cut=True) if missing else None


def _broken_matroska(file: BinaryIO, size: int) -> StructureDamage | None:
    """Follow the elements from one to the next, inside clusters too, and validate the tracks of blocks."""
    tracks: set[int] = set()
    while (at := file.tell()) < size:
        element = _element(file)
        if element is None or element[0] not in _KNOWN:
            return StructureDamage(f"its structure is broken at byte {at}", cut=False)
        identifier, length = element
        if length is None and identifier not in _ENTERED:
            return None  # written live: nothing states where an element ends
        end = file.tell() + (length or 0)
        if end > size:
            text = f"the file ends at byte {size}, but an element ends at byte {end}"
            return StructureDamage(text, cut=True)
        if identifier == _TRACKS:
            tracks = set(_track_numbers(file, end))
        elif identifier == _SIMPLE_BLOCK and tracks and not _is_block_of(tracks, file):
            return StructureDamage(f"its structure is broken at byte {at}", cut=False)
        if identifier not in _ENTERED:
            file.seek(end)
    return None


def _track_numbers(file: BinaryIO, end: int) -> Iterator[int]:
    """Yield the numbers of the tracks in the element Tracks."""
    while file.tell() < end and (element := _element(file)) is not None and element[1] is not None:
        identifier, length = element[0], element[1]
        if identifier == _TRACK_NUMBER:
            yield int.from_bytes(file.read(length), "big")
        elif identifier != _TRACK_ENTRY:
            file.seek(length, 1)


def _is_block_of(tracks: set[int], file: BinaryIO) -> bool:
    """Whether a block is of a known track and its reserved flags are zero."""
    return _number(file) in tracks and not any(flag & 0x70 for flag in file.read(3)[2:])


def _number(file: BinaryIO) -> int | None:
    """Read a number of variable length; None if there is none."""
    begin = file.read(1)
    if not begin or not begin[0]:
        return None
    more = 8 - begin[0].bit_length()
    return int.from_bytes(begin + file.read(more), "big") - (1 << 7 * (more + 1))


def _element(file: BinaryIO) -> tuple[bytes, int | None] | None:
    """Read ID and length of an EBML element; the length is None if it is unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    identifier = first + file.read(8 - first[0].bit_length())
    at = file.tell()
    value = _number(file)
    if value is None:
        return None
    unknown = (1 << 7 * (file.tell() - at)) - 1  # all bits are set
    return identifier, None if value == unknown else value


def _cut_gif(file: BinaryIO, size: int) -> StructureDamage | None:
    """Follow the blocks to the trailer (GIF89a specification)."""
    file.seek(10)
    flags = file.read(3)
    _skip_colours(file, flags[:1])
    while (kind := file.read(1)) != b"\x3b":
        if kind == b"\x2c":
            _skip_colours(file, file.read(9)[-1:])
            file.read(1)
        elif kind == b"\x21":
            file.read(1)
        elif kind != b"\0":
            at = min(file.tell(), size)
            if kind:
                return StructureDamage(f"its structure is broken at byte {at}", cut=False)
            return StructureDamage("the end mark of a GIF is missing", cut=True)
        else:
            continue
        while length := file.read(1)[:1]:
            if not length[0]:
                break
            file.seek(length[0], 1)
    return None


def _skip_colours(file: BinaryIO, flags: bytes) -> None:
    if flags and flags[0] & 0x80:
        file.seek(3 << (flags[0] & 7) + 1, 1)


def _broken_flv(file: BinaryIO, size: int) -> StructureDamage | None:
    """Follow the tags, each of which is followed by its size (Adobe Flash Video specification, annex E)."""
    file.seek(5)
    at = int.from_bytes(file.read(4), "big") + 4
    while at < size:
        file.seek(at)
        tag = file.read(11)
        length = 11 + int.from_bytes(tag[1:4], "big")
        if at + length > size:
            return StructureDamage(
                f"the file ends at byte {size}, but a tag ends at byte {at + length}", cut=True
            )
        kind, frame = tag[0] & 0x1F, file.read(1)
        file.seek(at + length)
        stated = int.from_bytes(file.read(4), "big")
        valid = kind in _FLV_TAGS and not any(tag[8:11]) and (kind != _FLV_VIDEO or frame[0] & 0x70)
        if not valid or stated != length:
            return StructureDamage(f"its structure is broken at byte {at}", cut=False)
        at += length + 4
    return None


def _broken_transport_stream(file: BinaryIO, size: int, *, pid: int) -> StructureDamage | None:
    """Find a cut packet, and packets of the video that are missing (ISO/IEC 13818-1, 2.4.3.3)."""
    begin = file.read(3 * max(_PACKET_SIZES))
    for length in _PACKET_SIZES:
        at = 4 if length == 192 else 0  # the time stamp comes first
        if len(begin) > at + 2 * length and all(begin[at + i * length] == _SYNC for i in range(3)):
            break
    else:
        return None
    file.seek(0)
    counter, done = -1, 0
    while len(data := file.read(length * _PACKETS_AT_ONCE)) >= length:
        packets = np.frombuffer(data, np.uint8)[: len(data) // length * length].reshape(-1, length)[:, at:]
        for row in np.flatnonzero(packets[:, 0] != _SYNC)[:1]:
            return StructureDamage(f"its structure is broken at byte {(done + row) * length}", cut=False)
        rows = _rows_of(packets, pid)
        for row in rows[~_begins_as_stated(packets[rows])][:1]:
            return StructureDamage(f"its structure is broken at byte {(done + row) * length}", cut=False)
        counters = np.concatenate([[counter], packets[rows, 3] & 15])
        steps = np.diff(counters) % 16
        for index in np.flatnonzero(steps > 1):  # 0: a packet is repeated
            if counters[index] >= 0 and not _may_begin(packets[rows[index]]):
                return StructureDamage(
                    f"packets are missing before byte {(done + rows[index]) * length}", cut=False
                )
        counter, done = int(counters[-1]), done + len(packets)
    text = f"its last packet has {size % length} of {length} bytes"
    return StructureDamage(text, cut=True) if size % length else None


def _rows_of(packets: np.ndarray, pid: int) -> np.ndarray:
    """The rows of packets [N, L] that hold data of a stream."""
    found = (packets[:, 1] & 31).astype(np.int64) << 8 | packets[:, 2]
    return np.flatnonzero((found == pid) & (packets[:, 3] & 16 > 0))


def _begins_as_stated(packets: np.ndarray) -> np.ndarray:
    """Whether each of the packets [N, L] that is to begin a frame has the start code of one."""
    starts = np.flatnonzero(packets[:, 1] & 64)
    adaptation = np.where(packets[starts, 3] & 32, 1 + packets[starts, 4].astype(np.int64), 0)
    at = 4 + adaptation[:, None] + np.arange(3)
    code = packets[starts[:, None], np.minimum(at, packets.shape[1] - 1)]
    valid = np.ones(len(packets), bool)
    valid[starts] = (code == (0, 0, 1)).all(axis=1) & (at[:, -1] < 188)
    return valid


def _may_begin(packet: np.ndarray) -> bool:
    """Whether a recording may begin with this packet: it is marked so, or holds the header of a sequence."""
    adaptation = packet[3] & 32 and packet[4]
    marked = bool(adaptation and packet[5] & 0xC0)  # discontinuity, random access
    data = packet.tobytes()
    return marked or any(code in data for code in _SEQUENCE_STARTS)
