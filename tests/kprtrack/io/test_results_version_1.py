"""Result files of version 1, written by release 0.1.0 (tests/golden/README.md), are still read."""

import json

import numpy as np
import pytest

from kprtrack.core.renamed import METADATA, SETTINGS
from kprtrack.io import read_observations, read_tracks
from kprtrack.io.header import VERSION, header_to_json
from tests.support.paths import GOLDEN

STORED = GOLDEN / "results_v1"
DOCUMENT = json.loads((STORED / "tracks.json").read_text("utf-8"))


def keys_of(data: object) -> set[str]:
    if not isinstance(data, dict):
        return set()
    return set(data).union(*map(keys_of, data.values()))


def test_the_stored_files_are_of_version_1_and_use_former_names() -> None:
    assert DOCUMENT["version"] == 1
    former = keys_of(DOCUMENT) & set(SETTINGS)
    assert {"new_track_score", "backend"} <= {SETTINGS[name] for name in former}


@pytest.mark.parametrize("name", ["tracks.json", "tracks.jsonl"])
def test_tracks_of_version_1_are_read(name: str) -> None:
    file = read_tracks(STORED / name)
    assert file.complete
    assert [frame.frame_number for frame in file.frames] == [0, 1, 2]
    for frame, record in zip(file.frames, DOCUMENT["frames"], strict=True):
        assert frame.ids.tolist() == [person["track_id"] for person in record["people"]]
        left, top, width, height = np.array([person["bbox"] for person in record["people"]], np.float32).T
        np.testing.assert_array_equal(frame.boxes[:, :2], np.stack([left, top], axis=1))
        np.testing.assert_allclose(frame.boxes[:, 2:], np.stack([left + width, top + height], 1), rtol=1e-6)
        wanted = np.array([person["keypoints"] for person in record["people"]], np.float32)
        np.testing.assert_array_equal(frame.keypoints.reshape(wanted.shape), wanted)


def test_a_parquet_table_of_version_1_is_read() -> None:
    pytest.importorskip("pyarrow")
    table, document = read_tracks(STORED / "tracks.parquet"), read_tracks(STORED / "tracks.json")
    for frame, wanted in zip(table.frames, document.frames, strict=True):
        np.testing.assert_array_equal(frame.ids, wanted.ids)
        np.testing.assert_allclose(frame.boxes, wanted.boxes, atol=0.011)


@pytest.mark.parametrize("name", ["tracks.json", "tracks.jsonl", "observations.npz"])
def test_former_names_in_models_and_config_are_replaced(name: str) -> None:
    path = STORED / name
    header = read_observations(path).header if path.suffix == ".npz" else read_tracks(path).header
    assert header.models["detector"]["backend"] == DOCUMENT["models"]["detector"]["runs_in"]
    assert header.models["compute"] == {"device": "cpu", "precision": "fp32"}
    assert header.config["backend"] == "torch"
    assert header.config["tracker"]["options"] == {"new_track_score": 0.6}
    assert not keys_of(header_to_json(header)) & {*METADATA, *SETTINGS}
    assert header_to_json(header)["version"] == VERSION


def test_observations_of_version_1_are_read() -> None:
    file = read_observations(STORED / "observations.npz")
    assert file.complete
    assert [(one.frame_number, len(one)) for one in file] == [(0, 1), (1, 2), (2, 2)]
