"""Read JSON files of users: size and depth are limited, every error is one line."""

import json
import os
import stat
from pathlib import Path

import orjson

from kprtrack.core.errors import InputError

MAX_BYTES = 2 << 30  # of a text file, whose contents take several times as much memory
_CHUNK = 1 << 20


def load_json(path: Path) -> object:
    """Read a JSON file; NaN, infinity and a byte order mark are accepted.

    Args:
        path: The file.

    Returns:
        Its contents.

    Raises:
        InputError: The file cannot be read, is empty, too large, nested too deeply or not JSON; the message
            names the place.
    """
    text = read_limited(path)
    if not text.strip():
        raise InputError(f"{path} is empty. Make or copy it again.")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass  # json also reads NaN and byte order marks, and says where an error is
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}, column {error.colno}: this is not valid JSON ({error.msg})."
            " Is the file truncated?"
        ) from error
    except RecursionError as error:
        raise InputError(f"{path} is nested too deeply.") from error
    except ValueError as error:  # not UTF-8, or a number of thousands of digits
        raise InputError(f"Cannot read {path}: {error}.") from error


def read_limited(path: Path) -> bytes:
    """Return the contents of a file of at most MAX_BYTES.

    Args:
        path: A file, pipe or device.

    Raises:
        InputError: It cannot be read or is larger.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                _validate_size(path, status.st_size)
                return file.read()
            chunks = bytearray()  # the size of a pipe or device is not known
            while chunk := file.read(_CHUNK):
                chunks += chunk
                _validate_size(path, len(chunks))
            return bytes(chunks)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def _validate_size(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise InputError(
            f"{path} has {size / 2**30:.1f} GiB; at most {MAX_BYTES >> 30} GiB are read. Split it."
        )
