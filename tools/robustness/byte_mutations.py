"""Mutations of bytes that know nothing of the format."""

from collections.abc import Callable
from random import Random

Mutation = Callable[[bytes, Random], bytes]
_ENDS = 4096  # bytes at both ends of a file, where headers and tables usually are


def position(data: bytes, rng: Random) -> int:
    """Return a position in the data, more often near one of its ends."""
    if rng.random() < 0.6:
        near = rng.randrange(min(len(data), _ENDS)) if data else 0
        return near if rng.random() < 0.6 else max(len(data) - 1 - near, 0)
    return rng.randrange(len(data)) if data else 0


def flip(data: bytes, rng: Random) -> bytes:
    """Change up to 16 bits or bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16)) if data else 0):
        place = position(data, rng)
        changed[place] = rng.choice((changed[place] ^ (1 << rng.randrange(8)), 0, 255, rng.randrange(256)))
    return bytes(changed)


def cut(data: bytes, rng: Random) -> bytes:
    """Keep the beginning."""
    return data[: rng.choice((0, 1, len(data) // 2, max(len(data) - 1, 0), rng.randint(0, len(data))))]


def remove(data: bytes, rng: Random) -> bytes:
    """Remove a piece from the middle."""
    start = position(data, rng)
    return data[:start] + data[start + rng.choice((1, 4, 64, 1000)) :]


def insert(data: bytes, rng: Random) -> bytes:
    """Insert random bytes, zeros, a byte order mark or an escape sequence."""
    piece = rng.choice((rng.randbytes(rng.randint(1, 64)), bytes(500), b"\xef\xbb\xbf", b"\x1b[31m", b"\x00"))
    start = rng.choice((0, len(data), position(data, rng)))
    return data[:start] + piece + data[start:]


def duplicate(data: bytes, rng: Random) -> bytes:
    """Repeat a piece, or the whole."""
    if rng.random() < 0.2:
        return data + data
    start = position(data, rng)
    piece = data[start : start + rng.choice((4, 64, 1000))]
    return data[:start] + piece * rng.choice((2, 3, 50)) + data[start + len(piece) :]


def overwrite(data: bytes, rng: Random) -> bytes:
    """Overwrite a piece with zeros or random bytes, as a damaged disk does."""
    start, size = position(data, rng), rng.choice((4, 40, 512))
    piece = bytes(size) if rng.random() < 0.5 else rng.randbytes(size)
    return (data[:start] + piece + data[start + size :])[: len(data)]


def number(data: bytes, rng: Random) -> bytes:
    """Overwrite four or eight bytes with an extreme number."""
    size, order = rng.choice((4, 8)), rng.choice(("little", "big"))
    value = rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1, 10**9)) % 256**size
    start = position(data, rng)
    return data[:start] + value.to_bytes(size, order) + data[start + size :]  # type: ignore[arg-type]


BYTES: tuple[Mutation, ...] = (flip, flip, cut, remove, insert, duplicate, overwrite, number)


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """Apply one to three mutations of bytes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(BYTES)(data, rng)
    return data
