"""Reads and writes the wire format of protocol buffers: fields of a message, without knowing its type.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTH = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10

Field = int | memoryview


class WireError(ValueError):
    """Bytes that are no protocol buffer."""


def fields(message: memoryview) -> Iterator[tuple[int, Field]]:
    """Read the fields of a message in order.

    Args:
        message: Its bytes.

    Yields:
        Number of the field, and its value: an integer, or the bytes of a number, a text or another message.

    Raises:
        WireError: The bytes end within a field, or are no protocol buffer.

    Examples:
        >>> [(number, bytes(value)) for number, value in fields(memoryview(b"\\x12\\x02hi"))]
        [(2, b'hi')]
    """
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == _BYTES:
            length, position = _varint(message, position)
        elif kind in _WIDTH:
            length = _WIDTH[kind]
        else:
            raise WireError(f"a field of the unknown kind {kind}")
        if length > len(message) - position:
            raise WireError(f"a field claims {length} bytes, but {len(message) - position} are left")
        yield number, message[position : position + length]
        position += length


def varints(packed: memoryview) -> Iterator[int]:
    """Read integers that are stored one behind the other. Raises: WireError."""
    position = 0
    while position < len(packed):
        value, position = _varint(packed, position)
        yield value


def signed(value: int) -> int:
    """The integer that 64 bits stand for in two's complement."""
    return value - (1 << 64) if value >> 63 else value


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for count in range(_MAX_VARINT_BYTES):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << 7 * count
        if not byte & 0x80:
            return value & (1 << 64) - 1, position
    raise WireError("an integer without end")


def written_field(number: int, value: int | bytes) -> bytes:
    """Write a field of a message.

    Args:
        number: Number of the field.
        value: A number that is not negative, or the bytes of a text, a message or an array.

    Returns:
        The bytes, which may be appended to any message.

    Examples:
        >>> written_field(2, b"hi")
        b'\\x12\\x02hi'
    """
    if isinstance(value, int):
        return _written_varint(number << 3 | _VARINT) + _written_varint(value)
    return _written_varint(number << 3 | _BYTES) + _written_varint(len(value)) + value


def _written_varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
