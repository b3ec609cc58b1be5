"""What a config file may hold: plain values, and how many of them."""

from typing import Any

MAX_BYTES = 128 * 1024
MAX_DEPTH = 32  # of lists and dicts within one another
MAX_SIZE = (
    200_000  # values plus characters of text, those that are referred to several times counted each time
)
MAX_INTEGER = 2**63


class ConfigContentError(ValueError):
    """Why the content of a config file cannot be used; the reader adds the name of the file."""


def validate_plain(value: Any) -> None:
    """Check that a config holds plain values of a sensible size.

    Args:
        value: What was read from the file.

    Raises:
        ConfigContentError: It holds other objects, or is nested too deeply or too large, also where the same
            list is referred to again and again.
    """
    left = MAX_SIZE
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        left -= 1 + (len(item) if isinstance(item, str | list | tuple | dict) else 0)
        if left < 0:
            raise ConfigContentError(f"it holds more than {MAX_SIZE:,} values and characters")
        if depth > MAX_DEPTH:
            raise too_deep()
        if isinstance(item, dict):
            waiting += [(one, depth + 1) for pair in item.items() for one in pair]
            if not all(isinstance(key, str) for key in item):
                raise ConfigContentError("the keys of a dict must be text")
        elif isinstance(item, list | tuple):
            waiting += [(one, depth + 1) for one in item]
        else:
            validate_scalar(item)


def validate_scalar(value: Any) -> None:
    """Check a value that is no list and no dict. Raises: ConfigContentError."""
    if value is not None and not isinstance(value, bool | int | float | str):
        raise ConfigContentError(
            f"a value is of the type {type(value).__name__}; use numbers, text, true, false, lists and dicts"
        )
    if isinstance(value, int) and abs(value) >= MAX_INTEGER:
        raise ConfigContentError("a whole number does not fit into 64 bits")
    if isinstance(value, str) and not value.isprintable() and _unusable(value):
        raise ConfigContentError(f"the text {value[:40]!r} has characters that no setting can have")


def too_deep() -> ConfigContentError:
    """The error for lists and dicts that are nested too deeply."""
    return ConfigContentError(f"its lists and dicts are nested more than {MAX_DEPTH} deep")


def _unusable(text: str) -> bool:
    """Whether text has control characters, or halves of characters that no encoding can write."""
    return any(
        (ord(letter) < 32 and letter not in "\t\r\n")
        or 0x7F <= ord(letter) < 0xA0
        or 0xD800 <= ord(letter) < 0xE000
        for letter in text
    )
