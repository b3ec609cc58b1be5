"""Results on a disk that fills up, in folders that are not there, on things that are no files.

The full disk is the operating system's own: a limit on the size of files, at which a write stops half-way.
"""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import OutputError
from kprtrack.io import FORMATS, RunHeader, open_writer, read_tracks
from kprtrack.io.frame_file import FrameFile

resource = pytest.importorskip("resource")  # Windows has no such limits
SUFFIX = {"kprtrack": ".json", "coco": ".json", "posetrack21": ".json", "mot": ".txt"}


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def tracks_at(frame: int, people: int = 3) -> Tracks:
    random = np.random.default_rng(frame)
    corners = random.uniform(10, 200, (people, 2))
    return Tracks(
        frame_number=frame,
        time_s=frame / 25,
        ids=np.arange(1, people + 1) + frame // 10,
        boxes=np.concatenate([corners, corners + 50], axis=1).astype(np.float32),
        scores=random.uniform(size=people).astype(np.float32),
        keypoints=random.uniform(1, 300, (people, 17, 3)).astype(np.float32),
        distances=np.full(people, np.nan, np.float32),
        margins=np.full(people, np.nan, np.float32),
        visible=np.ones((people, 6), bool),
        prompted=np.ones(people, bool),
    )


def fill(path: Path, format: str, size: int, frames: int) -> str:
    """Write until the disk is full; returns the message."""
    with (
        disk_of(size),
        pytest.raises(OutputError) as caught,
        open_writer(path, RunHeader(), format) as writer,
    ):
        for number in range(frames):
            writer.write(tracks_at(number))
    return str(caught.value)


@pytest.mark.parametrize("size", [20_000, 20_011, 50_123, 90_000])
@pytest.mark.parametrize("format", [name for name in FORMATS if name != "parquet"])
def test_a_full_disk_leaves_a_valid_file_of_the_first_frames(tmp_path: Path, format: str, size: int) -> None:
    path = tmp_path / f"t{SUFFIX.get(format, '.' + format)}"
    message = fill(path, format, size, 1000)
    file = read_tracks(path, format)
    numbers = [tracks.frame_number for tracks in file.frames]
    assert numbers == list(range(len(numbers)))
    assert f"The first {len(numbers)} frames are saved" in message
    assert not file.complete
    assert sorted(tmp_path.iterdir()) == [path]
    # Few frames are dropped for the end of the file. The two formats that are written as a whole have fewer
    # digits than the frames in NAME.part, which filled the disk.
    least = 0.4 if format in ("coco", "posetrack21") else 0.7
    assert size * least < path.stat().st_size <= size


def test_a_full_disk_leaves_a_valid_parquet_file(tmp_path: Path) -> None:
    message = fill(tmp_path / "t.parquet", "parquet", 1_500_000, 5000)
    file = read_tracks(tmp_path / "t.parquet")
    assert len(file.frames) >= 400
    assert file.complete is False
    assert f"The first {len(file.frames)} frames are saved" in message
    np.testing.assert_allclose(file.frames[-1].boxes, tracks_at(len(file.frames) - 1).boxes, atol=0.0101)


def test_the_summary_of_a_full_disk_counts_only_saved_frames(tmp_path: Path) -> None:
    fill(tmp_path / "t.json", "kprtrack", 50_000, 1000)
    data = json.loads((tmp_path / "t.json").read_text())
    last = data["frames"][-1]["frame"]
    assert max(track["last_frame"] for track in data["tracks"]) == last
    assert sum(track["frames"] for track in data["tracks"]) == 3 * (last + 1)


def test_a_footer_larger_than_the_last_frames_pushes_them_out(tmp_path: Path) -> None:
    """Five frames of 10 bytes fit, then the footer of 25 bytes needs the room of two of them."""
    with disk_of(56):
        file = FrameFile(tmp_path / "f", b"head")
        for _ in range(5):
            file.append(b"0123456789")
        with pytest.raises(OSError, match="large"):
            file.append(b"0123456789")
        assert file.finish(5, lambda kept: b"f" * 25, replace=True) == 2
    assert (tmp_path / "f").read_bytes() == b"head" + b"0123456789" * 2 + b"f" * 25


def test_a_disk_without_room_for_a_header_is_rejected_at_once(tmp_path: Path) -> None:
    with disk_of(10), pytest.raises(OutputError, match="Free some space"):
        open_writer(tmp_path / "t.json", RunHeader())
    assert not list(tmp_path.iterdir())


def test_a_device_that_takes_nothing_is_rejected_at_once() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OutputError, match="No space left"):
        open_writer(Path("/dev/full"), RunHeader(), "jsonl")


def test_a_device_is_rejected_by_formats_that_need_a_file() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OutputError, match="Only jsonl streams"):
        open_writer(Path("/dev/full"), RunHeader(), "kprtrack")
    assert not Path("/dev/full.part").exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no folder .*missing"):
        open_writer(tmp_path / "missing" / "t.json", RunHeader())


def test_a_folder_is_no_result_file(tmp_path: Path) -> None:
    (tmp_path / "t.json").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        open_writer(tmp_path / "t.json", RunHeader())


def test_a_write_protected_result_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.json").write_text("mine")
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(OutputError, match="write-protected"):
        open_writer(tmp_path / "t.json", RunHeader())


def test_a_link_still_points_at_the_result(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "t.json").symlink_to(tmp_path / "real" / "t.json")
    with open_writer(tmp_path / "t.json", RunHeader()) as writer:
        writer.write(tracks_at(0))
    assert (tmp_path / "t.json").is_symlink()
    assert len(read_tracks(tmp_path / "real" / "t.json").frames) == 1


def test_a_frame_torn_by_ctrl_c_is_cut_off(tmp_path: Path) -> None:
    file = FrameFile(tmp_path / "f", b"head")
    file.append(b"first")
    file.append(b"second, interrupted before it was noted")
    assert file.finish(1, lambda kept: b"end", replace=True) == 1
    assert (tmp_path / "f").read_bytes() == b"headfirstend"


def test_a_stream_may_go_to_a_device() -> None:
    if not Path("/dev/null").exists():
        pytest.skip("no /dev/null here")
    with open_writer(Path("/dev/null"), RunHeader(), "jsonl") as writer:
        writer.write(tracks_at(0))
