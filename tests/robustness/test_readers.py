"""Properties of every reader: any bytes, any change of a valid file is read or rejected in one line."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support import paths

from kprtrack.core.errors import UserError

# Where nothing else is said, a file is read as often as hypothesis finds good.
FEW = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
SIZE = 400  # most bytes of a random file


def _results(path: Path) -> object:
    from kprtrack.io import read_tracks

    return read_tracks(path).frames


def _observations(path: Path) -> object:
    from kprtrack.io import read_observations

    return list(read_observations(path))


def _video(path: Path) -> object:
    from kprtrack.video.source import open_source

    with open_source(path) as source:
        return [frame.image.shape for frame in source]


def _settings(path: Path) -> object:
    from kprtrack.config import load_config

    return load_config(path)


def _training_settings(path: Path) -> object:
    from kprtrack.training.tasks import load_config

    return load_config(path)


def _checkpoint(path: Path) -> object:
    from kprtrack.core.checkpoints import read_checkpoint

    return read_checkpoint(path)


def _yolox(path: Path) -> object:
    from kprtrack.detectors.yolox_network import load_yolox_weights

    return load_yolox_weights(path, "nano")


def _encoder(path: Path) -> object:
    from reid.model.weights import load

    return load(path)


def _network(path: Path) -> object:
    from kprtrack.inference.backends import open_network_file
    from kprtrack.inference.devices import ComputeConfig

    return open_network_file(path, ComputeConfig())


def _keypoints(path: Path) -> object:
    from reid.datasets.keypoint_files import read_keypoints

    return read_keypoints(path)


def _parsing(path: Path) -> object:
    from reid.parts.mask_files import read_fields

    return read_fields(path)


def _crop(path: Path) -> object:
    from reid.datasets.crops import read_image

    return read_image(path)


def _labels(path: Path) -> object:
    from kprtrack.training.annotations import read_annotations

    return read_annotations(path)


def _mot_ground_truth(path: Path) -> object:
    from eval.benchmarks.mot_table import read_mot_table

    return read_mot_table(path)


def _poses(path: Path) -> object:
    from eval.benchmarks.posetrack21_json import read_gt_poses

    return read_gt_poses(path)


def _image_info(path: Path) -> object:
    from eval.benchmarks.posetrack21_json import read_image_info

    return read_image_info(path)


def _table(path: Path) -> object:
    from reid.datasets.occluded_posetrack import read_table

    return read_table(path, ("id", "split"))


def _trials(path: Path) -> object:
    from eval.tune.log import TrialLog

    return TrialLog(path, {"seed": 1}).read()


# Reader -> (function of a path, suffix).
READERS: dict[str, tuple[Callable[[Path], object], str]] = {
    **{f"results {suffix}": (_results, suffix) for suffix in (".json", ".jsonl", ".csv", ".txt", ".parquet")},
    "observations": (_observations, ".npz"),
    **{f"video {suffix}": (_video, suffix) for suffix in (".mp4", ".mkv", ".ts", ".gif", ".webp", ".avi")},
    **{f"image {suffix}": (_video, suffix) for suffix in (".png", ".jpg", ".tiff")},
    **{f"config {suffix}": (_settings, suffix) for suffix in (".json", ".yaml", ".py")},
    **{f"training config {suffix}": (_training_settings, suffix) for suffix in (".json", ".yaml", ".py")},
    "checkpoint .pth": (_checkpoint, ".pth"),
    "checkpoint .safetensors": (_checkpoint, ".safetensors"),
    "detector weights": (_yolox, ".pth"),
    "encoder weights": (_encoder, ".safetensors"),
    "network .onnx": (_network, ".onnx"),
    "network .xml": (_network, ".xml"),
    "keypoints": (_keypoints, ".json"),
    "parsing .png": (_parsing, ".png"),
    "parsing .npy": (_parsing, ".npy"),
    "crop": (_crop, ".jpg"),
    "training labels": (_labels, ".json"),
    "MOT ground truth": (_mot_ground_truth, ".txt"),
    "PoseTrack21 poses": (_poses, ".json"),
    "PoseTrack21 images": (_image_info, ".json"),
    "ReID table": (_table, ".json"),
    "tuning log": (_trials, ".jsonl"),
}
JSON_READERS = sorted(name for name, (_, suffix) in READERS.items() if suffix == ".json")


def reject_or_read(read: Callable[[Path], object], path: Path, data: bytes) -> None:
    """Read; an error must be the user's, of one line (the command line escapes what cannot be printed)."""
    path.write_bytes(data)
    try:
        read(path)
    except UserError as error:
        message = str(error)
        assert message and "\n" not in message


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the images that training labels name."""
    place = tmp_path_factory.mktemp("readers")
    for number in range(8):
        Image.new("RGB", (64, 48)).save(place / f"{number}.png")
    return place


@pytest.mark.parametrize("name", READERS)
def test_any_bytes_are_rejected_in_one_line(name: str, folder: Path) -> None:
    read, suffix = READERS[name]

    @FEW
    @given(st.binary(max_size=SIZE))
    def holds(data: bytes) -> None:
        reject_or_read(read, folder / f"in{suffix}", data)

    holds()


numbers = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63), 10**30, 1e308, -1e308])
plain = st.none() | st.booleans() | numbers | st.text(max_size=8)
keys = st.sampled_from(
    [
        *(
            "images",
            "annotations",
            "categories",
            "frames",
            "people",
            "format",
            "version",
            "video",
            "skeleton",
        ),
        *("id", "image_id", "category_id", "track_id", "bbox", "keypoints", "score", "frame", "time", "name"),
        *("file_name", "width", "height", "is_target", "split", "info", "run", "models", "config", "videos"),
        *("detector", "tracker", "device", "task", "data", "schedule", "iscrowd", "attributes", "video_id"),
    ]
)
documents = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6), max_leaves=25
)


@pytest.mark.parametrize("name", JSON_READERS)
def test_any_json_document_is_rejected_in_one_line(name: str, folder: Path) -> None:
    read, suffix = READERS[name]

    @FEW
    @given(documents)
    def holds(document: Any) -> None:
        reject_or_read(read, folder / f"in{suffix}", json.dumps(document).encode("utf-8", "surrogatepass"))

    holds()


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """Return the bytes of a small valid file of a reader."""
    sys.path.insert(0, str(paths.ROOT / "tools"))
    from robustness import folders, media

    place = tmp_path_factory.mktemp("valid")
    media.write_video(place / "video.mp4")
    media.write_tracks(place / "results.json")
    for suffix in (".jsonl", ".csv", ".txt", ".parquet"):
        media.write_tracks(place / f"results{suffix}")
    media.write_observations(place / "observations.npz")
    media.write_image(place / "image.png")
    media.write_image(place / "crop.jpg")
    media.write_json(place / "labels.json", media.coco_document())
    folders.write_keypoints(place / "keypoints.json")
    folders.write_parsing(place / "parsing.png")
    folders.write_parsing(place / "parsing.npy")
    sys.path.remove(str(paths.ROOT / "tools"))
    return lambda name: (place / name).read_bytes()


FILES = {
    "video .mp4": "video.mp4",
    **{f"results {suffix}": f"results{suffix}" for suffix in (".json", ".jsonl", ".csv", ".txt", ".parquet")},
    "observations": "observations.npz",
    "image .png": "image.png",
    "crop": "crop.jpg",
    "training labels": "labels.json",
    "keypoints": "keypoints.json",
    "parsing .png": "parsing.png",
    "parsing .npy": "parsing.npy",
}


@st.composite
def edits(draw: st.DrawFn, size: int) -> list[tuple[int, int, bytes]]:
    """Places, lengths and replacements in a file of that size."""
    place = st.integers(0, size)
    piece = st.binary(max_size=6) | st.sampled_from(
        [b"nan", b"1e999", b"-1", b"[[", b'"', b"\x00", b"\xff" * 4]
    )
    return draw(st.lists(st.tuples(place, st.integers(0, 20), piece), min_size=1, max_size=3))


@pytest.mark.parametrize("name", FILES)
def test_any_edit_of_a_valid_file_is_read_or_rejected_in_one_line(
    name: str, folder: Path, valid: Callable[[str], bytes]
) -> None:
    data, (read, suffix) = valid(FILES[name]), READERS[name]
    read(_written(folder / f"valid{suffix}", data))

    @FEW
    @given(edits(len(data)))
    def holds(changes: list[tuple[int, int, bytes]]) -> None:
        changed = data
        for place, length, piece in changes:
            changed = changed[:place] + piece + changed[place + length :]
        reject_or_read(read, folder / f"in{suffix}", changed)

    holds()


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=10)
finite = st.floats(allow_nan=False, allow_infinity=False)
literals = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | finite | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text("abcdef", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(FEW, max_examples=60)
@given(st.dictionaries(st.sampled_from(["a", "b2", "long_name"]), literals, min_size=1))
def test_python_configs_hold_what_python_wrote(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    from kprtrack.core.settings import read_settings

    path = tmp_path_factory.getbasetemp() / "written.py"
    path.write_text("".join(f"{key} = {value!r}\n" for key, value in values.items()), "utf-8", newline="\n")
    assert read_settings(path) == values


cells = st.floats(0, 2000, allow_nan=False).map(lambda value: round(value, 2))
boxes = st.tuples(cells, cells, cells.map(lambda v: v + 1), cells.map(lambda v: v + 1))
people = st.dictionaries(st.integers(1, 2**40), st.tuples(boxes, st.integers(0, 100)), max_size=4)


@settings(FEW, max_examples=40)
@given(rows=st.dictionaries(st.integers(1, 10**6), people, min_size=1, max_size=5))
def test_mot_rows_mean_what_the_challenge_defines(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[int, Any]
) -> None:
    """Frames from 1, left, top, width, height: https://motchallenge.net/instructions."""
    from kprtrack.io import read_tracks

    path = tmp_path_factory.getbasetemp() / "written.txt"
    lines = [
        f"{frame},{one},{x},{y},{w},{h},{score / 100},-1,-1,-1"
        for frame, members in rows.items()
        for one, ((x, y, w, h), score) in members.items()
    ]
    path.write_text("\n".join(lines) + "\n" if lines else "")
    found = {tracks.frame_number + 1: tracks for tracks in read_tracks(path).frames}
    assert set(found) == {frame for frame, members in rows.items() if members}
    for frame, tracks in found.items():
        expected = rows[frame]
        assert sorted(tracks.ids.tolist()) == sorted(expected)
        for row, one in enumerate(tracks.ids.tolist()):
            (x, y, w, h), score = expected[one]
            assert np.allclose(tracks.boxes[row], [x, y, x + w, y + h], atol=1e-3)
            assert np.isclose(tracks.scores[row], score / 100)


@pytest.mark.parametrize(
    ("name", "format"),
    [("t.json", None), ("t.jsonl", None), ("t.csv", None), ("t.parquet", None), ("t.json", "coco")],
)
def test_what_is_written_is_read_back(name: str, format: str | None, folder: Path) -> None:
    """Boxes to 0.01 pixels, scores to 0.0001 (docs/formats.md)."""
    from kprtrack.core.datatypes import Tracks
    from kprtrack.io import RunHeader, open_writer, read_tracks

    @settings(FEW, max_examples=25)
    @given(rows=st.dictionaries(st.integers(0, 10**6), people.filter(bool), min_size=1, max_size=4))
    def holds(rows: dict[int, Any]) -> None:
        with open_writer(folder / name, RunHeader(), format) as writer:
            for frame in sorted(rows):
                ids = np.array(sorted(rows[frame]), np.int64)
                xywh = np.array([rows[frame][one][0] for one in ids.tolist()])
                corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)
                scores = np.array([rows[frame][one][1] / 100 for one in ids.tolist()], np.float32)
                nothing = np.full(len(ids), np.nan, np.float32)
                points = np.zeros((len(ids), 17, 3), np.float32)
                visible, prompted = np.zeros((len(ids), 0), bool), np.zeros(len(ids), bool)
                tracks = (ids, corners, scores, points, nothing, nothing, visible, prompted)
                writer.write(Tracks(frame, frame / 25, *tracks))
        found = {tracks.frame_number: tracks for tracks in read_tracks(folder / name).frames if len(tracks)}
        assert list(found) == sorted(rows)
        for frame, tracks in found.items():
            order = np.argsort(tracks.ids)
            assert tracks.ids[order].tolist() == sorted(rows[frame])
            for row, one in zip(order, sorted(rows[frame]), strict=True):
                (x, y, w, h), score = rows[frame][one]
                assert np.allclose(tracks.boxes[row], [x, y, x + w, y + h], atol=0.012)
                assert np.isclose(tracks.scores[row], score / 100, atol=1e-4)

    holds()
