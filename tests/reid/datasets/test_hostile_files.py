"""Small files of datasets that claim or unpack to more than memory holds, and numbers that are none."""

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kprtrack.core.errors import InputError
from kprtrack.core.files.images import MOST_PIXELS
from kprtrack.training.annotations import LabelledImage
from kprtrack.training.detector.data import read_image as read_training_image
from reid.datasets.crops import read_image
from reid.datasets.keypoint_files import read_keypoints
from reid.parts.mask_files import read_fields


def png_of(width: int, height: int) -> bytes:
    """A grey PNG of this size in its header, with the data of one row alone."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(width + 1))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [10_001, 30_000, 100_000])
def test_an_image_of_too_many_pixels_is_an_error_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_of(side, side))
    empty = np.zeros((0, 4), np.float32)
    image = LabelledImage(path, side, side, empty, empty[:, 0], empty, empty)
    for read in (lambda: read_image(path), lambda: read_training_image(image), lambda: read_fields(path)):
        with pytest.raises(InputError, match=rf"has {side * side} pixels; at most {MOST_PIXELS}"):
            read()


@pytest.mark.parametrize("shape", [(36, 20_000, 20_000), (10**9,), (36, 2**31, 2**31), (2**62, 4)])
def test_an_array_that_claims_more_than_its_file_holds_is_an_error(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": "<f4", "fortran_order": False, "shape": shape})
    (tmp_path / "a.npy").write_bytes(data.getvalue() + bytes(400))
    with pytest.raises(InputError, match=r"a\.npy cannot be read"):
        read_fields(tmp_path / "a.npy")


def test_an_archive_is_no_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(InputError, match=r"a\.npy cannot be read"):
        read_fields(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("keypoints", "message"),
    [
        ([[1.0, 2.0, float("nan")]] * 17, "the nose is .* not finite"),
        ([[1.0, 2.0, 1.0]] * 16 + [[1e300, 2.0, 1.0]], "the right_ankle is .* not finite"),
        ([[10**400, 2, 1]] * 17, "17 x .x, y, confidence. in numbers"),
        ([["1", "2", "1"]] * 17, "17 x .x, y, confidence. in numbers"),
        ([[1.0, 2.0, 1.0]] * 16, "17 x .x, y, confidence. in numbers"),
        ([[1.0], [2.0, 1.0]], "17 x .x, y, confidence. in numbers"),
        ({"x": 1}, "17 x .x, y, confidence. in numbers"),
        (None, "17 x .x, y, confidence. in numbers"),
    ],
)
def test_keypoints_that_are_no_numbers_are_an_error(tmp_path: Path, keypoints: Any, message: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"keypoints": keypoints, "is_target": True}]))
    with pytest.raises(InputError, match=message):
        read_keypoints(tmp_path / "a.json")


def test_more_skeletons_than_a_crop_can_hold_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"keypoints": [0] * 51}] * 2001))
    with pytest.raises(InputError, match="2001 skeletons; at most 2000"):
        read_keypoints(tmp_path / "a.json")
