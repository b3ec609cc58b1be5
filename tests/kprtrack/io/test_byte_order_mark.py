"""Every text format is read the same with a byte order mark in front, which Windows editors write."""

import codecs
import json
from pathlib import Path

import numpy as np
import pytest

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import UserError
from kprtrack.io import FORMATS, RunHeader, open_writer, read_tracks
from reid.datasets.keypoint_files import read_keypoints

TEXT = [name for name in FORMATS if name != "parquet"]


def tracks(frame: int) -> Tracks:
    random = np.random.default_rng(frame)
    corners = random.uniform(10, 200, (2, 2))
    return Tracks(
        frame_number=frame,
        time_s=frame / 25,
        ids=np.array([3, 7]),
        boxes=np.concatenate([corners, corners + 50], axis=1).astype(np.float32),
        scores=np.float32([0.5, 0.75]),
        keypoints=random.uniform(0.2, 1, (2, 17, 3)).astype(np.float32),
        distances=np.float32([0.25, 0.5]),
        margins=np.float32([0.25, 0.5]),
        visible=np.ones((2, 6), bool),
        prompted=np.ones(2, bool),
    )


def add_mark(path: Path) -> None:
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())


@pytest.mark.parametrize("format", TEXT)
def test_results_with_a_byte_order_mark(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"000001_a{FORMATS[format].suffix}"
    with open_writer(path, RunHeader(video={"width": 640, "height": 480, "fps": 25.0}), format) as writer:
        for frame in range(3):
            writer.write(tracks(frame))
    for named in (format, None):
        try:
            plain = read_tracks(path, named)
        except UserError:
            assert named is None  # a format that content and suffix do not tell
            continue
        add_mark(path)
        marked = read_tracks(path, named)
        path.write_bytes(path.read_bytes().removeprefix(codecs.BOM_UTF8))
        assert marked.header == plain.header
        for one, other in zip(marked.frames, plain.frames, strict=True):
            assert one.frame_number == other.frame_number and one.ids.tolist() == [3, 7] == other.ids.tolist()
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_array_equal(one.keypoints, other.keypoints)


def test_keypoint_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    keypoints = np.arange(51.0).reshape(17, 3)
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"keypoints": keypoints.tolist(), "is_target": True}]))
    add_mark(path)
    np.testing.assert_array_equal(read_keypoints(path)[0], keypoints)
