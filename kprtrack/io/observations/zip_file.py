"""A zip file that only grows: what a killed run has written is found without the directory at its end.

Members are stored without compression, so numpy and any zip program read the finished file. Source: PKWARE's
APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (its end).
"""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import FileIO

from kprtrack.core.atomic_file import write_all

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_LOCAL_SIGN = b"PK\x03\x04"
_STORED, _NO_FLAGS = 0, 0
_VERSION, _VERSION_64 = 20, 45
_DATE = (1 << 5) | 1  # 1980-01-01: equal contents, equal bytes
_MODE = 0o600 << 16
_LONG_16, _LONG_32 = 0xFFFF, 0xFFFFFFFF  # stand for a number that follows with 64 bits
_MOST_16, _MOST_32 = _LONG_16 - 1, _LONG_32 - 1


@dataclass(frozen=True)
class Member:
    """A stored member: name, place of its local header and of its content, in bytes."""

    name: str
    start: int
    content: int
    end: int
    crc: int


class GrowingZip:
    """Appends members to an open file.

    Args:
        handle: The file; it is written from the end of `members` on.
        members: Those that it has already, in order.
    """

    def __init__(self, handle: FileIO, members: Sequence[Member] = ()) -> None:
        self._handle = handle
        self._directory = bytearray()
        self._count = 0
        self.end = 0  # of the last member
        for member in members:
            self._add(member)

    def append(self, members: Sequence[tuple[str, bytes]]) -> None:
        """Write members in one piece. Raises: OSError; the file can be continued afterwards."""
        for member in self.write_for_now(members):
            self._add(member)

    def write_for_now(self, members: Sequence[tuple[str, bytes]]) -> list[Member]:
        """Write members that the next ones replace; till then, a kill leaves them there. Raises: OSError."""
        added, pieces, place = [], [], self.end
        for name, content in members:
            crc = zlib.crc32(content)
            text = name.encode("ascii")
            size = len(content)
            pieces += [_local(crc, size, len(text)), text, content]
            start = place + _LOCAL.size + len(text)
            added.append(Member(name, place, start, start + size, crc))
            place = start + size
        self._handle.seek(self.end)
        write_all(self._handle, b"".join(pieces))
        return added

    def finish(self) -> None:
        """Write the directory and cut off what follows it. Raises: OSError."""
        self._handle.seek(self.end)
        write_all(self._handle, self._directory + self._ending())
        self._handle.truncate()

    def size_with(self, members: Sequence[tuple[str, bytes]]) -> int:
        """Return the bytes that these members and the directory need after the present end."""
        entry = _LOCAL.size + _CENTRAL.size + 12
        own = sum(entry + 2 * len(name) + len(content) for name, content in members)
        return own + len(self._directory) + _END_64.size + _LOCATOR_64.size + _END.size

    def _add(self, member: Member) -> None:
        text, size = member.name.encode("ascii"), member.end - member.content
        far = member.start > _MOST_32
        extra = struct.pack("<2HQ", 1, 8, member.start) if far else b""
        version = _VERSION_64 if far else _VERSION
        self._directory += _CENTRAL.pack(
            b"PK\x01\x02",
            (3 << 8) | version,
            version,
            _NO_FLAGS,
            _STORED,
            0,
            _DATE,
            member.crc,
            size,
            size,
            len(text),
            len(extra),
            0,
            0,
            0,
            _MODE,
            _LONG_32 if far else member.start,
        )
        self._directory += text + extra
        self._count += 1
        self.end = member.end

    def _ending(self) -> bytes:
        count, size, start = self._count, len(self._directory), self.end
        short = count <= _MOST_16 and size <= _MOST_32 and start <= _MOST_32
        numbers = (count, count, size, start) if short else (_LONG_16, _LONG_16, _LONG_32, _LONG_32)
        ending = _END.pack(b"PK\x05\x06", 0, 0, *numbers, 0)
        if short:
            return ending
        long = (count, count, size, start)
        record = _END_64.pack(b"PK\x06\x06", _END_64.size - 12, _VERSION_64, _VERSION_64, 0, 0, *long)
        return record + _LOCATOR_64.pack(b"PK\x06\x07", 0, start + size, 1) + ending


def _local(crc: int, size: int, name: int) -> bytes:
    if size > _MOST_32:
        raise ValueError(f"a member of {size} bytes")
    return _LOCAL.pack(_LOCAL_SIGN, _VERSION, _NO_FLAGS, _STORED, 0, _DATE, crc, size, size, name, 0)


def scan(handle: FileIO) -> Iterator[Member]:
    """Yield the whole members of a file from its beginning, up to the first that is damaged or missing.

    Args:
        handle: A file that GrowingZip or another program has written without compression.
    """
    place, size = 0, os.fstat(handle.fileno()).st_size
    while True:
        handle.seek(place)
        head = handle.read(_LOCAL.size)
        if len(head) < _LOCAL.size:
            return
        sign, _, flags, method, _, _, crc, packed, plain, name, extra = _LOCAL.unpack(head)
        content = place + _LOCAL.size + name + extra
        whole = sign == _LOCAL_SIGN and (flags, method) == (_NO_FLAGS, _STORED) and packed == plain
        if not whole or content + plain > size:
            return
        text = handle.read(name)
        handle.seek(content)
        data = handle.read(plain)
        if len(data) != plain or zlib.crc32(data) != crc or not text.isascii():
            return
        yield Member(text.decode("ascii"), place, content, content + plain, crc)
        place = content + plain
