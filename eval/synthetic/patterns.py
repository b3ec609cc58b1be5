"""Colours on the surface of a body: cloth with patterns and numbers, skin, faces and hair."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np

Colour = tuple[float, float, float]  # RGB, 0 to 255
_TEXTURE_SIZE = 64


@dataclass(frozen=True)
class Paint:
    """The colours of a tube. `along` runs from 0 at its start to 1 at its end."""

    colour: Colour  # RGB, 0 to 255
    other: Colour = (0, 0, 0)  # colour of pattern and trim
    pattern: str = "plain"  # a key of PATTERNS
    period: float = 0.2  # period of the pattern, relative to the length of the tube
    cut: float = 2.0  # position where the cloth ends and `under` begins
    under: Colour = (0, 0, 0)
    weave: float = 0.05  # strength of folds and fabric
    number: int | None = None  # digit on chest and back; for a head, 1 means a beard


@dataclass(frozen=True)
class Surface:
    """The visible surface points of one tube: [K] float32 each."""

    along: np.ndarray  # 0 to 1 between its ends, beyond in the caps
    right: np.ndarray  # surface normal in the frame of the body: to its right
    front: np.ndarray  # to its front


@cache
def _fabric() -> np.ndarray:
    """Return seamless smooth noise [64, 64] of about -1 to 1."""
    rng, size = np.random.default_rng(7), _TEXTURE_SIZE
    total = np.zeros((size, size), np.float32)
    for step, weight in ((16, 0.6), (4, 0.3), (1, 0.3)):
        coarse = rng.uniform(-1, 1, (size // step, size // step)).astype(np.float32)
        fine = np.repeat(np.repeat(coarse, step, 0), step, 1)
        for axis in (0, 1):  # a box blur as wide as the step makes it smooth
            near = [np.roll(fine, shift, axis) for shift in range(-(step // 2), step // 2 + 1)]
            fine = np.mean(near, axis=0, dtype=np.float32)
        total += weight * fine
    return total


def _mixed(paint: Paint, surface: Surface, other: np.ndarray | None) -> np.ndarray:
    """Return colours [K, 3]: main colour, other colour in the mask `other`, skin beyond the cut, folds."""
    count = len(surface.along)
    colour = np.empty((count, 3), np.float32)
    colour[:] = paint.colour
    if other is not None:
        colour[other] = paint.other
    if paint.number is not None:
        colour[_is_digit(paint.number, surface)] = paint.other
    bare = surface.along > paint.cut if paint.cut < 2 else None
    if paint.weave:
        rows = (surface.along * 40).astype(np.int32) & (_TEXTURE_SIZE - 1)
        columns = (surface.right * 14 + surface.front * 22).astype(np.int32) & (_TEXTURE_SIZE - 1)
        fold = 1 + np.float32(paint.weave) * _fabric()[rows, columns]
        colour *= fold[:, None]
    if bare is not None:
        colour[bare] = paint.under
        hem = (surface.along > paint.cut - 0.03) & ~bare
        colour[hem] *= np.float32(0.8)
    return colour


def _odd(value: np.ndarray, period: float) -> np.ndarray:
    return np.floor(value * np.float32(2 / period)).astype(np.int32) % 2 == 1


def _head(paint: Paint, surface: Surface) -> np.ndarray:
    """Return skin with eyes, brows and mouth in `other`, and hair in `under` from `cut` on."""
    up = (surface.along - 0.5) * np.float32(0.6)  # -1 chin, 1 crown, for the tube of a head
    right, front = surface.right, surface.front
    colour = np.empty((len(up), 3), np.float32)
    colour[:] = paint.colour
    face = front > 0.2
    cheek = face & (up < 0.02) & (np.abs(right) > 0.3)
    colour[cheek] *= np.array((1.02, 0.95, 0.94), np.float32)
    side = (np.abs(right) - np.float32(0.34)) / np.float32(0.15)
    white = face & (side**2 + ((up - 0.08) / 0.07) ** 2 < 1)
    colour[white] = (238, 236, 230)
    colour[white & (np.abs(side) < 0.55)] = (48, 34, 28)
    brow = face & (np.abs(side) < 1.4) & (np.abs(up - 0.26) < 0.045)
    mouth = face & (np.abs(right) < 0.27) & (np.abs(up + 0.5) < 0.055)
    colour[mouth] = np.array(paint.colour, np.float32) * np.array((0.78, 0.5, 0.5), np.float32)
    if paint.number:  # a beard
        beard = (up < -0.28 - 0.1 * (front > 0.75)) & (front > -0.05) & ~mouth
        colour[beard] = paint.other
    colour[brow] = paint.other
    colour[(np.abs(right) < 0.09) & face & (np.abs(up + 0.17) < 0.05)] *= np.float32(0.86)
    hair = up > paint.cut + np.float32(0.5) * front
    colour[hair] = paint.under
    strands = (right[hair] * 30).astype(np.int32), (up[hair] * 6).astype(np.int32)
    rows, columns = (strand & (_TEXTURE_SIZE - 1) for strand in strands)
    colour[hair] *= (1 + 0.25 * _fabric()[rows, columns])[:, None]
    return colour


_DIGITS = np.array(
    [
        [int(cell) for cell in rows]
        for rows in (
            *("111101101101111", "010110010010111", "111001111100111", "111001111001111", "101101111001001"),
            *("111100111001111", "111100111101111", "111001010010010", "111101111101111", "111101111001111"),
        )
    ],
    bool,
).reshape(10, 5, 3)


def _is_digit(number: int, surface: Surface) -> np.ndarray:
    """Return the mask of a digit: large on the back, small on the chest."""
    back = surface.front < 0
    size = np.where(back, np.float32(0.5), np.float32(0.26))
    across = surface.right * np.where(back, np.float32(1), np.float32(-1))
    column = np.floor((across / size + 0.5) * 3).astype(np.int32)
    top = np.where(back, np.float32(0.92), np.float32(0.84))
    row = np.floor((top - surface.along) / (size * np.float32(0.9)) * 5).astype(np.int32)
    on = (column >= 0) & (column < 3) & (row >= 0) & (row < 5)
    return on & _DIGITS[number % 10, row.clip(0, 4), column.clip(0, 2)]


def _open_jacket(paint: Paint, surface: Surface) -> np.ndarray:
    return (surface.front > 0) & (np.abs(surface.right) < 0.1 + 0.25 * surface.along)


PATTERNS: Mapping[str, Callable[[Paint, Surface], np.ndarray]] = MappingProxyType(
    {
        "plain": lambda paint, surface: _mixed(paint, surface, None),
        "hoops": lambda paint, surface: _mixed(paint, surface, _odd(surface.along, paint.period)),
        "stripes": lambda paint, surface: _mixed(paint, surface, _odd(surface.right + 2, paint.period * 2)),
        "checks": lambda paint, surface: _mixed(
            paint, surface, _odd(surface.along, paint.period) ^ _odd(surface.right + 2, paint.period * 2)
        ),
        "chest band": lambda paint, surface: _mixed(paint, surface, np.abs(surface.along - 0.62) < 0.11),
        "halves": lambda paint, surface: _mixed(paint, surface, surface.right > 0),
        "sash": lambda paint, surface: _mixed(
            paint, surface, np.abs(surface.along - 0.5 - 0.45 * surface.right) < 0.1
        ),
        "open": lambda paint, surface: _mixed(paint, surface, _open_jacket(paint, surface)),
        "buttons": lambda paint, surface: _mixed(
            paint, surface, (surface.front > 0.5) & (np.abs(surface.right) < 0.05) & _odd(surface.along, 0.14)
        ),
        "logo": lambda paint, surface: _mixed(
            paint, surface, (surface.front > 0.4) & (surface.right**2 + (surface.along - 0.68) ** 2 < 0.06)
        ),
        "side seam": lambda paint, surface: _mixed(paint, surface, np.abs(surface.front) < 0.22),
        "head": _head,
    }
)
