"""Embeddings, boxes and pairs as values of the tables, and back; what is read is validated."""

import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.errors import UserError
from kprtrack.core.files.numbers import LARGEST, LARGEST_ID, LAST_FRAME
from kprtrack.gallery.connection import DamagedError, number, text, whole
from kprtrack.gallery.schema import MOST_PARTS

_LONGEST = 1.001  # of an embedding in half precision
_MOST_DIMENSIONS = 100_000
_EXPONENT = np.uint16(0x7C00)  # of half precision; infinity and NaN have all of its bits
_LONGEST_TEXT = 1000


def visible_bits(visible: np.ndarray) -> np.ndarray:
    """[N] int64, bit p is part p, of visible parts [N, P]."""
    bits: np.ndarray = visible.astype(np.int64) @ (1 << np.arange(visible.shape[1], dtype=np.int64))
    return bits


def visible_parts(bits: np.ndarray, parts: int) -> np.ndarray:
    """[N, P] bool of [N] int64."""
    return (bits[:, None] >> np.arange(parts, dtype=np.int64) & 1).astype(bool)


def embedding_blobs(appearance: Appearance) -> list[bytes]:
    """One value per person: [P, D] float16, invisible parts 0."""
    features = np.where(appearance.visible[:, :, None], appearance.features, 0).astype("<f2")
    return [row.tobytes() for row in features]


def appearance_of(rows: Sequence[tuple[object, object, object]], shape: tuple[int, int]) -> Appearance:
    """Return embeddings of values of a table.

    Args:
        rows: `visible`, `prompted` and `embedding` (or `mean`) of each person.
        shape: Parts P and dimensions D.

    Raises:
        DamagedError: A value has another length or type, or an embedding is not of unit length.
    """
    parts, dimensions = shape
    bits, prompted, blobs = zip(*rows, strict=True) if rows else ((), (), ())
    if {type(value) for value in (*bits, *prompted)} - {int}:
        raise DamagedError("visible or prompted is no whole number")
    if {type(blob) for blob in blobs} - {bytes} or {len(blob) for blob in blobs} - {parts * dimensions * 2}:
        raise DamagedError("an embedding has another length")
    numbers = np.array([bits, prompted], np.int64)
    if (numbers < 0).any() or (numbers[0] >> parts).any() or (numbers[1] > 1).any():
        raise DamagedError("visible or prompted is out of range")
    features = np.frombuffer(b"".join(blobs), "<f2").astype(np.float32).reshape(len(rows), parts, dimensions)
    squares = np.einsum("npd,npd->np", features, features)
    if not (squares < _LONGEST**2).all():
        raise DamagedError("an embedding is not of unit length")
    visible = visible_parts(numbers[0], parts)
    if (squares[~visible] != 0).any():
        raise DamagedError("an embedding has invisible parts that are not 0")
    return Appearance(features, visible, numbers[1].astype(bool))


def shape_of(connection: sqlite3.Connection) -> tuple[int, int] | None:
    """Parts and dimensions of the gallery's embeddings; None: it is empty."""
    row = connection.execute("SELECT parts, dimensions FROM encoder").fetchone()
    if row is None:
        return None
    return whole(row[0], "parts", 1, MOST_PARTS), whole(row[1], "dimensions", 1, _MOST_DIMENSIONS)


def validate_shape(shape: tuple[int, int]) -> None:
    """Raise UserError for embeddings that a gallery cannot hold."""
    if not (1 <= shape[0] <= MOST_PARTS and 1 <= shape[1] <= _MOST_DIMENSIONS):
        raise UserError(
            f"A gallery holds embeddings of 1 to {MOST_PARTS} parts, not {shape[0]} x {shape[1]}."
            " Choose another encoder with --reid."
        )


def array_of(value: object, name: str, kind: str, columns: int) -> np.ndarray:
    """Return the array [N, columns] of a value. Raises: DamagedError if it is none, or not finite."""
    kind = np.dtype(kind).newbyteorder("<").str
    size = np.dtype(kind).itemsize * columns
    if not isinstance(value, bytes) or len(value) % size:
        raise DamagedError(f"{name} has another length")
    array = np.frombuffer(value, kind).reshape(-1, columns)
    if array.dtype == np.dtype("<f2"):  # comparing its bits is much faster than comparing its numbers
        finite = ((array.view("<u2") & _EXPONENT) != _EXPONENT).all()
    else:
        finite = array.dtype.kind != "f" or (np.abs(array) < LARGEST).all()
    if not finite:
        raise DamagedError(f"{name} is not finite")
    return array


def blob_of(array: np.ndarray, kind: str) -> bytes:
    """Return an array as a value, little-endian."""
    return np.ascontiguousarray(array, np.dtype(kind).newbyteorder("<")).tobytes()


def boxes_of_sighting(connection: sqlite3.Connection, sighting: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames and boxes of the prototypes of a sighting."""
    rows = connection.execute(
        "SELECT frame, x1, y1, x2, y2 FROM prototype WHERE sighting = ? ORDER BY frame", (sighting,)
    ).fetchall()
    boxes = np.array([row[1:] for row in rows], np.float32).reshape(-1, 4)
    return np.array([frame_of(row[0]) for row in rows], np.int64), array_of(
        blob_of(boxes, "f4"), "a box", "f4", 4
    )


def time_of(value: object) -> float:
    """Seconds of a table."""
    return number(value, "a time", -LARGEST, LARGEST)


def frame_of(value: object) -> int:
    """Frame number of a table."""
    return whole(value, "a frame number", 0, LAST_FRAME)


def id_of(value: object) -> int:
    """Person, track or row ID of a table."""
    return whole(value, "an ID", 1, LARGEST_ID)


def name_of(value: object) -> str:
    """Short text of a table."""
    return text(value, "a text", _LONGEST_TEXT)


def box_of(values: Iterable[object]) -> tuple[float, float, float, float]:
    """Box of a table."""
    x1, y1, x2, y2 = (number(value, "a box", -LARGEST, LARGEST) for value in values)
    return x1, y1, x2, y2


def quality_of(value: object) -> float:
    """Quality of a prototype in a table."""
    return number(value, "a quality", 0, 1 + 1e-6)
