"""Observations on disk."""

import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import fake_run

from eval.tune.score import tracks_of
from kprtrack.config import ComponentConfig
from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Observation, Poses
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.io import RunHeader, open_observations_writer, read_observations, write_observations
from kprtrack.pipeline import observe
from kprtrack.recover import recover

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


@pytest.mark.slow
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


def test_a_slow_run_stores_frames_before_a_chunk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = [observation_at(frame, 2) for frame in range(40)]
    write_observations(tmp_path / "fast.npz", HEADER, stored)
    monkeypatch.setattr("kprtrack.io.observations.writer.FLUSH_S", 0.0)
    with open_observations_writer(tmp_path / "slow.npz", HEADER) as writer:
        for number, observation in enumerate(stored, 1):
            writer.write(observation)
            if number in (1, 5, 31, 32, 33, 40):
                killed = tmp_path / "killed.npz.part"
                killed.write_bytes((tmp_path / "slow.npz.part").read_bytes())
                assert recover(killed).frames == number
                for ours, theirs in zip(read_observations(tmp_path / "killed.npz"), stored, strict=False):
                    assert_same(ours, theirs)
                (tmp_path / "killed.npz").unlink()
    assert (tmp_path / "slow.npz").read_bytes() == (tmp_path / "fast.npz").read_bytes()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def changed(name: str, array: np.ndarray) -> tuple[str, bytes]:
    return f"chunk_00000/{name}.npy", npy(array)


BOXES = np.array([[1, 1, 5, 5], [2, 2, 6, 6]], np.float32)
NAN, HUGE = np.float32("nan"), np.float32(1e30)
HOSTILE = {
    "boxes that are not finite": changed("boxes", BOXES * NAN),
    "huge boxes": changed("boxes", BOXES * HUGE),
    "boxes of negative size": changed("boxes", BOXES[:, ::-1] * np.float32([1, 1, 1, 1]) - [[0, 0, 9, 9]]),
    "boxes of another type": changed("boxes", BOXES.astype(np.float64)),
    "boxes as text": changed("boxes", BOXES.astype("U9")),
    "complex scores": changed("scores", np.ones(2, np.complex64)),
    "scores above 1": changed("scores", np.float32([0.5, 1.5])),
    "undefined scores": changed("scores", np.float32([0.5, NAN])),
    "infinite keypoints": changed("keypoints", np.full((2, 17, 3), np.inf, np.float32)),
    "negative scores of keypoints": changed("keypoints", np.full((2, 17, 3), -0.1, np.float32)),
    "another number of keypoints": changed("keypoints", np.ones((2, 18, 3), np.float32)),
    "huge features": changed("features", np.full((2, 6, 8), HUGE)),
    "features of another shape": changed("features", np.ones((2, 6), np.float32)),
    "more parts than visible": changed("features", np.ones((2, 7, 8), np.float32)),
    "a visibility of 2": (
        "chunk_00000/visible.npy",
        npy(np.full((2, 6), 2, np.uint8)).replace(b"|u1", b"|b1"),
    ),
    "an undefined time": changed("time", np.array([np.nan])),
    "boxes without an area": changed("boxes", BOXES * np.float32([1, 1, 1, 0])),
    "a negative frame": changed("frame", np.array([-5])),
    "a frame as a fraction": changed("frame", np.array([0.5])),
    "a negative count": changed("count", np.array([-1])),
    "a huge count": changed("count", np.array([2**62])),
    "two counts": changed("count", np.array([1, 1])),
    "a column-wise array": changed("boxes", np.asfortranarray(BOXES)),
    "a length that overflows": (
        "chunk_00000/scores.npy",
        npy(np.ones(2, np.float32)).replace(b"(2,), }", b"(9223372036854775807,), }"),
    ),
    "no numpy file": ("chunk_00000/scores.npy", b"rubbish"),
    "more frames": ("ending.json", b'{"complete":true,"note":null,"frames":7,"chunks":1}'),
    "negative frames": ("ending.json", b'{"complete":true,"note":null,"frames":-1,"chunks":1}'),
    "endless chunks": ("ending.json", b'{"complete":true,"note":null,"frames":1,"chunks":1000000000}'),
    "chunks as text": ("ending.json", b'{"complete":true,"note":null,"frames":1,"chunks":"1"}'),
    "a deep header": ("header.json", b"[" * 100_000),
    "a list as header": ("header.json", b"[1]"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_with_wrong_contents_is_an_input_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / "o.npz"
    write_observations(path, HEADER, [observation_at(0, 2)])
    rewritten(path, *HOSTILE[name])
    with pytest.raises(InputError) as caught:
        list(read_observations(path))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_frames_must_rise_from_chunk_to_chunk(tmp_path: Path) -> None:
    path = tmp_path / "o.npz"
    write_observations(path, HEADER, [observation_at(frame, 1) for frame in range(40)])
    rewritten(path, "chunk_00001/frame.npy", npy(np.arange(8)))
    with pytest.raises(InputError, match=r"chunk_00001 is damaged \(the frame numbers do not rise"):
        list(read_observations(path))


def test_embeddings_keep_their_shape_from_chunk_to_chunk(tmp_path: Path) -> None:
    frames = [observation_at(frame, 1, 8 if frame < 32 else 9) for frame in range(40)]
    write_observations(tmp_path / "o.npz", HEADER, frames)
    with pytest.raises(InputError, match=r"embeddings of shape \(6, 9\), those before have \(6, 8\)"):
        list(read_observations(tmp_path / "o.npz"))


@pytest.mark.slow
def test_a_bomb_is_rejected_before_it_is_unpacked(tmp_path: Path) -> None:
    """A member of 1 GB of zeros packs to 1 MB; the limit of memory is the operating system's own."""
    path = tmp_path / "o.npz"
    write_observations(path, HEADER, [observation_at(0, 2)])
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
                for _ in range(300 if name.endswith("features.npy") else 0):
                    member.write(bytes(1 << 20))
    assert path.stat().st_size < 5_000_000
    with pytest.raises(InputError, match="it unpacks to"):
        list(read_observations(path))


def test_a_member_that_claims_gigabytes_is_rejected_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "o.npz"
    write_observations(path, HEADER, [observation_at(0, 2)])
    data = bytearray(path.read_bytes())
    name = b"chunk_00000/visible.npy"
    entry = data.rindex(name) - 46  # in the central directory
    assert data[entry : entry + 4] == b"PK\x01\x02"
    struct.pack_into("<I", data, entry + 20, 0xFF80_0000)  # the compressed size
    path.write_bytes(data)
    with pytest.raises(InputError, match="it unpacks to"):
        list(read_observations(path))


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "o.npz"
    write_observations(path, HEADER, [observation_at(0, 2)])
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert_same(next(iter(read_observations(path))), observation_at(0, 2))


def test_a_large_archive_is_one_for_other_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More members than the plain end of a zip file can count: 65,535."""
    monkeypatch.setattr("kprtrack.io.observations.zip_file._MOST_16", 20)
    monkeypatch.setattr("kprtrack.io.observations.zip_file._MOST_32", 30_000)
    path = tmp_path / "o.npz"
    write_observations(path, HEADER, [observation_at(frame, 2) for frame in range(100)])
    monkeypatch.undo()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 2 + 9 * 4
    assert [seen.frame_number for seen in read_observations(path)] == list(range(100))


@pytest.mark.parametrize(
    "header",
    [
        *(RunHeader(video={"fps": wrong}) for wrong in ({"a": 1}, "25", -1.0, 1e9, None, [25])),
        *(RunHeader(video={"fps": 25.0}, config={"stride": wrong}) for wrong in ({"a": 1}, "2", 0, 0.5)),
    ],
)
def test_a_header_without_a_valid_frame_rate_is_an_error_where_that_is_needed(
    tmp_path: Path, header: RunHeader
) -> None:
    path = tmp_path / "o.npz"
    with open_observations_writer(path, header) as writer:
        for observation in observe(fake_run.frames(2), fake_run.NETWORKS):
            writer.write(observation)
    with pytest.raises(InputError, match=r"frames per second\. Make|has the stride"):
        tracks_of(read_observations(path), ComponentConfig("kpr"))
