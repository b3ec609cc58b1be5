"""Check without decoding whether a file is whole, and count the frames that its index names."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from av.container import InputContainer
from av.video.stream import VideoStream

# Matroska's Segment and Cluster, whose elements are followed, and the elements in them (RFC 8794, RFC 9559).
_ENTERED = frozenset({bytes.fromhex("18538067"), bytes.fromhex("1f43b675")})
_IDENTIFIERS = (
    "1a45dfa3 114d9b74 1549a966 1654ae6b 1c53bb6b 1941a469 1043a770 1254c367 ec bf"  # in a file or Segment
    " e7 a7 ab a3 a0 5854 af"  # in a Cluster
)
_KNOWN = _ENTERED | {bytes.fromhex(identifier) for identifier in _IDENTIFIERS.split()}
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
        "mpegts": _cut_transport_stream,
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
    """Follow the elements from one to the next, inside clusters too."""
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
        if identifier not in _ENTERED:
            file.seek(end)
    return None


def _element(file: BinaryIO) -> tuple[bytes, int | None] | None:
    """Read ID and length of an EBML element; the length is None if it is unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    identifier = first + file.read(8 - first[0].bit_length())
    begin = file.read(1)
    if not begin or not begin[0]:
        return None
    more = 8 - begin[0].bit_length()
    value = int.from_bytes(begin + file.read(more), "big") - (1 << 7 * (more + 1))
    return identifier, None if value == (1 << 7 * (more + 1)) - 1 else value


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


def _cut_transport_stream(file: BinaryIO, size: int) -> StructureDamage | None:
    begin = file.read(3 * max(_PACKET_SIZES))
    for packet in _PACKET_SIZES:
        at = 4 if packet == 192 else 0  # the time stamp comes first
        if len(begin) > at + 2 * packet and all(begin[at + i * packet] == _SYNC for i in range(3)):
            text = f"its last packet has {size % packet} of {packet} bytes"
            return StructureDamage(text, cut=True) if size % packet else None
    return None
