"""Observations on disk."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Observation, Poses
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.io import RunHeader, open_observations_writer, read_observations, write_observations

HEADER = RunHeader(video={"path": "clip.mp4"}, models={"reid": {"name": "kpr"}})


def observation_at(frame: int, people: int, dimensions: int = 8) -> Observation:
    random = np.random.default_rng(frame)
    return Observation(
        frame_number=frame,
        time_s=frame / 30,
        detections=Detections(
            np.sort(random.uniform(size=(people, 4)), axis=1).astype(np.float32),
            random.uniform(size=people).astype(np.float32),
        ),
        poses=Poses(random.uniform(size=(people, 17, 3)).astype(np.float32)),
        embeddings=Appearance(
            random.uniform(size=(people, 6, dimensions)).astype(np.float32),
            random.uniform(size=(people, 6)) > 0.5,
            random.uniform(size=people) > 0.5,
        ),
    )


def assert_same(a: Observation, b: Observation) -> None:
    assert (a.frame_number, a.time_s) == (b.frame_number, b.time_s)
    np.testing.assert_array_equal(a.detections.boxes, b.detections.boxes)
    np.testing.assert_array_equal(a.detections.scores, b.detections.scores)
    np.testing.assert_array_equal(a.poses.keypoints, b.poses.keypoints)
    np.testing.assert_array_equal(a.embeddings.features, b.embeddings.features)
    np.testing.assert_array_equal(a.embeddings.visible, b.embeddings.visible)
    np.testing.assert_array_equal(a.embeddings.prompted, b.embeddings.prompted)


def test_observations_come_back_bit_by_bit(tmp_path: Path) -> None:
    stored = [observation_at(frame, frame % 4) for frame in range(80)]  # three chunks
    write_observations(tmp_path / "o.npz", HEADER, stored)
    file = read_observations(tmp_path / "o.npz")
    assert (len(file), file.complete, file.header, file.chunks) == (80, True, HEADER, 3)
    for a, b in zip(file, stored, strict=True):
        assert_same(a, b)


def test_a_file_can_be_read_twice(tmp_path: Path) -> None:
    write_observations(tmp_path / "o.npz", HEADER, [observation_at(0, 2)])
    file = read_observations(tmp_path / "o.npz")
    assert [len(list(file)), len(list(file))] == [1, 1]


def test_a_file_without_people_is_fine(tmp_path: Path) -> None:
    write_observations(tmp_path / "o.npz", HEADER, [observation_at(0, 0), observation_at(1, 0)])
    assert [len(observation) for observation in read_observations(tmp_path / "o.npz")] == [0, 0]


def test_numpy_opens_the_file_without_pickle(tmp_path: Path) -> None:
    write_observations(tmp_path / "o.npz", HEADER, [observation_at(0, 2)])
    with np.load(tmp_path / "o.npz", allow_pickle=False) as arrays:
        assert arrays["chunk_00000/features"].shape == (2, 6, 8)


def test_large_features_end_a_chunk_early(tmp_path: Path) -> None:
    write_observations(tmp_path / "o.npz", HEADER, (observation_at(frame, 40, 16_384) for frame in range(5)))
    assert read_observations(tmp_path / "o.npz").chunks == 2


def test_an_interrupted_run_leaves_the_frames_so_far(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Observation]:
        yield observation_at(0, 1)
        yield observation_at(1, 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_observations(tmp_path / "o.npz", HEADER, interrupted())
    file = read_observations(tmp_path / "o.npz")
    assert (len(list(file)), file.complete) == (2, False)
    assert list(tmp_path.iterdir()) == [tmp_path / "o.npz"]


def test_a_full_disk_leaves_a_valid_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
    try:
        with pytest.raises(OutputError, match="frames are saved"):
            write_observations(
                tmp_path / "o.npz", HEADER, (observation_at(frame, 2) for frame in range(20_000))
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    file = read_observations(tmp_path / "o.npz")
    assert file.complete is False
    assert len(file) > 1000
    for number, observation in enumerate(file):
        assert_same(observation, observation_at(number, 2))
    assert number == len(file) - 1


def test_another_suffix_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"o\.npz"):
        open_observations_writer(tmp_path / "o.json", HEADER)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no folder"):
        open_observations_writer(tmp_path / "missing" / "o.npz", HEADER)


def test_rubbish_is_no_observation_file(tmp_path: Path) -> None:
    (tmp_path / "o.npz").write_bytes(b"rubbish")
    with pytest.raises(InputError, match="Cannot read"):
        read_observations(tmp_path / "o.npz")


def test_another_zip_is_no_observation_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "o.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="no observation file"):
        read_observations(tmp_path / "o.npz")


def test_a_cut_file_is_rejected(tmp_path: Path) -> None:
    write_observations(tmp_path / "o.npz", HEADER, [observation_at(0, 2)])
    data = (tmp_path / "o.npz").read_bytes()
    (tmp_path / "o.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError):
        read_observations(tmp_path / "o.npz")


def rewritten(path: Path, name: str, data: bytes) -> None:
    """Replace one member of the zip."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in (members | {name: data}).items():
            archive.writestr(member, content)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    write_observations(tmp_path / "o.npz", HEADER, [observation_at(0, 2)])
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    rewritten(tmp_path / "o.npz", "chunk_00000/scores.npy", (tmp_path / "evil.npy").read_bytes())
    with pytest.raises(InputError, match="chunk_00000 is damaged"):
        list(read_observations(tmp_path / "o.npz"))


def test_arrays_that_do_not_align_are_rejected(tmp_path: Path) -> None:
    write_observations(tmp_path / "o.npz", HEADER, [observation_at(0, 2)])
    np.save(tmp_path / "short.npy", np.zeros(1, np.float32))
    rewritten(tmp_path / "o.npz", "chunk_00000/scores.npy", (tmp_path / "short.npy").read_bytes())
    with pytest.raises(InputError, match="do not align"):
        list(read_observations(tmp_path / "o.npz"))


def test_features_that_are_not_finite_are_rejected(tmp_path: Path) -> None:
    observation = observation_at(0, 2)
    observation.embeddings.features[1, 0, 0] = np.inf
    write_observations(tmp_path / "o.npz", HEADER, [observation])
    with pytest.raises(InputError, match="not finite"):
        list(read_observations(tmp_path / "o.npz"))


def test_a_newer_version_is_named(tmp_path: Path) -> None:
    write_observations(tmp_path / "o.npz", HEADER, [observation_at(0, 2)])
    header = {"format": "kprtrack", "version": 9, "kind": "kprtrack observations"}
    rewritten(tmp_path / "o.npz", "header.json", json.dumps(header).encode())
    with pytest.raises(InputError, match="version 9"):
        read_observations(tmp_path / "o.npz")
