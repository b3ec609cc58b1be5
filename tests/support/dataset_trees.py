"""Tiny made-up data sets on disk."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import orjson
from PIL import Image

from kprtrack.core.skeleton import KEYPOINTS


def write_picture(
    path: Path, *, height: int = 24, width: int = 12, colour: tuple[int, int, int] = (200, 30, 60)
) -> None:
    """A plain image, RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path)


def write_pictures(root: Path, names: Iterable[str]) -> None:
    for name in names:
        write_picture(root / name)


def skeleton(x: float = 3.0, y: float = 5.0, confidence: float = 1.0) -> list[list[float]]:
    """Seventeen keypoints at one place."""
    return [[x, y, confidence] for _ in KEYPOINTS]


def write_keypoints(path: Path, entries: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(entries if isinstance(entries, bytes) else orjson.dumps(entries))


def write_array(path: Path, array: np.ndarray, *, pickled: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = io.BytesIO()
    np.save(data, array, allow_pickle=pickled)
    path.write_bytes(data.getvalue())
