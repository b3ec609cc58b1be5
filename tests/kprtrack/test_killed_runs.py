"""Runs that are killed lose no finished frame; resumed, they give the bytes of a run without a kill."""

import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import fake_run
from support.killed_run import FRAMES, end, is_larger_than, kill_once, start, wait_for_last_frames

from kprtrack.config import TrackConfig
from kprtrack.core.atomic_file import PartFile
from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.identity import prototypes_path
from kprtrack.io import open_observations_writer, read_observations, read_tracks
from kprtrack.recover import recover
from kprtrack.run import observe_video, track_video
from kprtrack.video.writer import VideoWriter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals that end a process")
CHUNKS = 45_000  # bytes of observations, of which at least one chunk is whole
CONFIG = TrackConfig(frames_at_once=4)
OUTPUTS = {"t.json": None, "t.jsonl": None, "t.csv": None, "t.txt": "mot", "c.json": "coco"}
OUTPUTS |= {"000002_p.json": "posetrack21", "t.parquet": None}


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return fake_run.make_video(tmp_path / "walk.mp4", FRAMES)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "format"), OUTPUTS.items())
def test_the_frames_of_a_killed_run_are_recovered(
    video: Path, tmp_path: Path, name: str, format: str | None
) -> None:
    """As many as the file of a whole run has at the same size, and with the same values."""
    out, whole = tmp_path / name, tmp_path / "whole" / name
    whole.parent.mkdir()
    track_video(video, whole, CONFIG, format=format, networks=fake_run.NETWORKS)
    part = out if name.endswith("jsonl") else tmp_path / f"{name}.part"
    child = start(track_video, video, out, CONFIG, format=format)
    kill_once(child, is_larger_than(part, 9000 if format != "mot" else 2000))
    if part != out:
        recovered = recover(part)
        assert recovered.path == out and not part.exists()
    found, wanted = read_tracks(out, format), read_tracks(whole, format)
    assert 0 < len(found.frames) < FRAMES
    assert found.complete in (False, None)
    for ours, theirs in zip(found.frames, wanted.frames, strict=False):
        assert ours.frame_number == theirs.frame_number
        for column in ("ids", "boxes", "scores", "keypoints"):
            np.testing.assert_array_equal(getattr(ours, column), getattr(theirs, column))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_annotated_video_of_a_killed_run_can_be_played(video: Path, tmp_path: Path, suffix: str) -> None:
    drawn = tmp_path / f"d{suffix}"
    child = start(track_video, video, None, CONFIG, video_out=drawn)
    kill_once(child, is_larger_than(tmp_path / f"d{suffix}.part", 6000))
    recovered = recover(tmp_path / f"d{suffix}.part")
    assert recovered.path == drawn and 0 < recovered.frames < FRAMES


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, CHUNKS])
def test_a_killed_observation_resumes_to_the_same_bytes(video: Path, tmp_path: Path, size: int) -> None:
    observe_video(video, tmp_path / "whole.npz", CONFIG, networks=fake_run.NETWORKS)
    out, part = tmp_path / "o.npz", tmp_path / "o.npz.part"
    for more in (0, 20_000):  # killed twice
        child = start(observe_video, video, out, CONFIG, resume=True)
        kill_once(child, is_larger_than(part, size + more))
    summary = observe_video(video, out, CONFIG, networks=fake_run.NETWORKS, resume=True)
    assert summary.frames == FRAMES and summary.resumed % 4 == 0
    assert size == 0 or summary.resumed > 0
    assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert not part.exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize(("name", "format"), [("t.json", None), ("c.json", "coco"), ("t.txt", "mot")])
def test_a_stopped_run_resumes_to_the_same_bytes(
    video: Path, tmp_path: Path, name: str, format: str | None, number: int
) -> None:
    whole, out = tmp_path / "whole" / name, tmp_path / name
    whole.parent.mkdir()
    track_video(video, whole, CONFIG, format=format, networks=fake_run.NETWORKS)

    child = start(track_video, video, out, CONFIG, format=format, resume=True)
    kill_once(child, is_larger_than(tmp_path / f"{name}.observations.npz.part", CHUNKS), number)
    summary = track_video(video, out, CONFIG, format=format, networks=fake_run.NETWORKS, resume=True)
    assert summary.frames == FRAMES and summary.resumed > 0
    assert out.read_bytes() == whole.read_bytes()
    beside = prototypes_path(out)
    assert beside.read_bytes() == prototypes_path(whole).read_bytes()
    left = {path.name for path in tmp_path.iterdir()} - {"home"}
    assert left == {"whole", "walk.mp4", name, beside.name}


@pytest.mark.slow
def test_a_resumed_annotated_video_has_the_images_of_a_whole_run(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images before encoding: the encoder itself may give other bytes for equal images."""
    drawn = tmp_path / "d.mp4"
    child = start(track_video, video, None, CONFIG, video_out=drawn, resume=True)
    kill_once(child, is_larger_than(tmp_path / "d.mp4.observations.npz.part", CHUNKS))
    images: list[tuple[float, bytes]] = []
    write = VideoWriter.write

    def noted_write(self: VideoWriter, image: np.ndarray, time_s: float, original: Frame | None) -> None:
        images.append((time_s, image.tobytes()))
        write(self, image, time_s, original)

    monkeypatch.setattr(VideoWriter, "write", noted_write)
    summary = track_video(video, None, CONFIG, video_out=drawn, networks=fake_run.NETWORKS, resume=True)
    resumed, images = images, []
    track_video(video, None, CONFIG, video_out=tmp_path / "whole.mp4", networks=fake_run.NETWORKS)
    assert summary.resumed > 0 and len(images) == FRAMES
    assert resumed == images


def test_a_resumed_run_that_ends_at_once_keeps_what_the_first_had_stored(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the frames of a batch that was not whole, which a resumed run computes again."""

    def stopped_at(number: int) -> Callable[[list[Frame]], list[Detections]]:
        def detect(batch: list[Frame]) -> list[Detections]:
            if batch[0].number >= number:
                raise KeyboardInterrupt
            return fake_run.detect(batch)

        return detect

    out = tmp_path / "o.npz"
    networks = replace(fake_run.NETWORKS, detect=stopped_at(40))
    observe_video(video, out, replace(CONFIG, frames_at_once=8), networks=networks)
    header, stored = read_observations(out).header, list(read_observations(out))
    assert len(stored) == 40
    monkeypatch.setattr("kprtrack.io.observations.writer.FLUSH_S", 0.0)
    with open_observations_writer(out, header, resume=True, multiple_of=16) as killed:
        assert killed.resumed == 32
        killed.write(stored[32])
        killed.keep()
    with open_observations_writer(out, header, resume=True, multiple_of=16) as stopped:
        assert stopped.resumed == 32
        stopped.write(stored[32])
        stopped.close(complete=False)
    assert [one.frame_number for one in read_observations(out)] == list(range(40))


def test_only_the_same_run_is_resumed(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.npz"
    child = start(observe_video, video, out, CONFIG)
    kill_once(child, is_larger_than(tmp_path / "o.npz.part", CHUNKS))
    other = replace(CONFIG, frames_at_once=8)
    with pytest.raises(UserError, match=r"config\.frames_at_once was 4, now it is 8"):
        observe_video(video, out, other, networks=fake_run.NETWORKS, resume=True)
    with pytest.raises(UserError, match="read again"):
        track_video("rtsp://localhost/none", tmp_path / "t.json", resume=True)
    assert recover(tmp_path / "o.npz.part").frames > 0
    assert not read_observations(out).complete


def test_a_run_that_is_complete_is_not_repeated(video: Path, tmp_path: Path) -> None:
    def fail(batch: list[Frame]) -> list[Detections]:
        raise AssertionError("a network was run")

    never = replace(fake_run.NETWORKS, detect=fail)
    first = track_video(video, tmp_path / "t.json", CONFIG, networks=fake_run.NETWORKS)
    again = track_video(video, tmp_path / "t.json", CONFIG, networks=never, resume=True)
    assert (again.frames, again.ids, again.resumed) == (first.frames, first.ids, FRAMES)
    observe_video(video, tmp_path / "o.npz", CONFIG, networks=fake_run.NETWORKS)
    assert observe_video(video, tmp_path / "o.npz", CONFIG, networks=never, resume=True).frames == FRAMES
    with pytest.raises(AssertionError):  # other settings
        track_video(video, tmp_path / "t.json", networks=never, resume=True)


@pytest.mark.slow
def test_a_second_run_to_the_same_file_is_refused(video: Path, tmp_path: Path) -> None:
    for name in ("t.json", "t.jsonl", "t.csv", "o.npz", "d.mp4"):
        out = tmp_path / name
        written = out if name == "t.jsonl" else tmp_path / f"{name}.part"

        run: Callable[..., object] = observe_video if out.suffix == ".npz" else track_video
        arguments = (video, None, CONFIG) if out.suffix == ".mp4" else (video, out, CONFIG)
        options = {"video_out": out} if out.suffix == ".mp4" else {}
        child = start(run, *arguments, **options)
        wait_for_last_frames(child)
        with pytest.raises(OutputError, match="another run is writing it"):
            run(*arguments, networks=fake_run.NETWORKS, **options)
        if written != out:
            with pytest.raises(OutputError, match="another run is writing it"):
                recover(written)
        end(child)
        assert out.exists() and not written.with_suffix(".part").exists()


def test_a_file_that_is_still_empty_is_refused_while_a_run_has_it(tmp_path: Path) -> None:
    for name in ("t.json", "o.npz", "t.csv", "d.mp4", "c.bin"):
        with PartFile(tmp_path / name) as part, pytest.raises(OutputError, match="another run is writing it"):
            recover(part.part)


def test_a_run_keeps_what_a_killed_one_has_left_until_it_is_complete(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    old, part = tmp_path / "t.csv.old.part", tmp_path / "t.csv.part"
    child = start(track_video, video, out, CONFIG)
    kill_once(child, is_larger_than(part, 20_000))
    child = start(track_video, video, out, CONFIG)  # killed earlier
    kill_once(child, lambda: old.exists() and part.exists())
    assert old.stat().st_size > 20_000
    with pytest.raises(InputError, match="also a newer"):
        recover(old)
    old_bytes = old.read_bytes()
    part.unlink()
    assert recover(old).path == out
    out.unlink()
    old.write_bytes(old_bytes)
    track_video(video, out, CONFIG, networks=fake_run.NETWORKS)
    assert not list(tmp_path.glob("*.part"))


def test_what_is_no_file_of_a_killed_run_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "t.json.part").write_bytes(b'{"format":"kprtrack","version":2,')
    (tmp_path / "x.bin.part").write_bytes(b"rubbish")
    (tmp_path / "o.npz.part").write_bytes(b"PK\x03\x04" + bytes(100))
    (tmp_path / "d.mp4.part").write_bytes(bytes(100))
    (tmp_path / "e.npz.part").write_bytes(b"")  # killed before its first byte
    for name, message in (
        ("t.json.part", "no whole frame"),
        ("x.bin.part", "is no result"),
        ("o.npz.part", "no whole frame"),
        ("d.mp4.part", "no whole frame"),
        ("e.npz.part", "no whole frame"),
        ("none.json.part", "There is no file"),
    ):
        with pytest.raises(InputError, match=message):
            recover(tmp_path / name)
    with pytest.raises(UserError, match=r"those end in \.part"):
        recover(tmp_path / "t.json")
    assert len(list(tmp_path.glob("*.part"))) == 5
