"""Masks from run lengths, as COCO stores them.

Source of the format: COCO's `maskApi` (Lin et al., ECCV 2014): pixels column by column, runs of 0 and 1 in
turn, 0 first; compressed to text of five bits a character, from the third run on as a difference.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MOST_PIXELS = 100_000_000
_FIRST, _LAST = ord("0"), ord("0") + 63  # characters of compressed counts
_MORE, _SIGN, _BITS = 0x20, 0x10, 5
_MOST_DIGITS = 7  # of one run: 35 bits


def decode_rle(rle: Mapping[str, Any]) -> np.ndarray:
    """Decode a mask of COCO.

    Args:
        rle: "size", [height, width] in pixels, and "counts": a list of run lengths, or the text (or bytes) to
            which pycocotools compresses them.

    Returns:
        [H, W] bool.

    Raises:
        ValueError: It is no such mask, or its runs do not fill the size.

    Examples:
        >>> decode_rle({"size": [2, 3], "counts": [1, 2, 3]}).astype(int).tolist()
        [[0, 1, 0], [1, 0, 0]]
    """
    height, width = _size(rle.get("size"))
    counts = rle.get("counts")
    if isinstance(counts, str | bytes):
        runs = _decompressed(counts)
    elif isinstance(counts, Sequence):
        runs = list(counts)
    else:
        raise ValueError("it has no counts")
    if not all(isinstance(run, int) and not isinstance(run, bool) and run >= 0 for run in runs):
        raise ValueError("its counts are not all whole numbers of 0 or more")
    if sum(runs) != height * width:
        raise ValueError(f"its counts give {sum(runs)} pixels, not {height} x {width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _size(size: object) -> tuple[int, int]:
    if not isinstance(size, Sequence) or len(size) != 2 or not all(type(side) is int for side in size):
        raise ValueError("its size is not [height, width]")
    height, width = size
    if height < 1 or width < 1 or math.prod(size) > MOST_PIXELS:
        raise ValueError(f"its size {height} x {width} is not between 1 and {MOST_PIXELS} pixels")
    return height, width


def _decompressed(text: str | bytes) -> list[int]:
    """Run lengths of compressed counts."""
    codes = text.encode("latin-1", "replace") if isinstance(text, str) else text
    runs: list[int] = []
    value, digits = 0, 0
    for code in codes:
        if not _FIRST <= code <= _LAST or digits == _MOST_DIGITS:
            raise ValueError(f"its counts are no compressed text at '{chr(code)}'")
        bits = code - _FIRST
        value |= (bits & (_MORE - 1)) << (_BITS * digits)
        digits += 1
        if bits & _MORE:
            continue
        if bits & _SIGN:
            value -= 1 << (_BITS * digits)
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, digits = 0, 0
    if digits:
        raise ValueError("its counts end within a number")
    return runs
