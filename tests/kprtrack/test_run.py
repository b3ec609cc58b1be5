"""A run from video to files, with functions in place of networks, also after interrupts and errors."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from support import fake_run

from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.datatypes import Detections, Frame, Tracks
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.core.signals import STOP_SIGNALS
from kprtrack.identity import read_prototypes
from kprtrack.io import read_observations, read_tracks
from kprtrack.pipeline import Networks
from kprtrack.rendering.video import draw_video
from kprtrack.run import observe_video, track_observations, track_video
from kprtrack.trackers.kpr import KprTracker
from kprtrack.video.clip import Clip
from kprtrack.video.inputs import TruncatedVideo

FRAMES = 12
PROTOTYPES = ".tracks.safetensors"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return fake_run.make_video(tmp_path / "walk.mp4", FRAMES)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))


def networks_that(happens: object, at: int) -> Networks:
    """The fake networks; at that frame a signal is sent or an exception raised."""

    def detect(batch: list[Frame]) -> list[Detections]:
        if any(frame.number == at for frame in batch):
            if isinstance(happens, BaseException):
                raise happens
            assert isinstance(happens, int)
            signal.raise_signal(signal.Signals(happens))
        return fake_run.detect(batch)

    return replace(fake_run.NETWORKS, detect=detect)


def frames_in(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def names(folder: Path) -> set[str]:
    """What is in a folder, but for the prototypes beside results."""
    found = {path.name for path in folder.iterdir()} - {"home"}
    return {name for name in found if not name.endswith(PROTOTYPES)}


ONE = TrackConfig(frames_at_once=1)


def test_a_run_writes_every_frame_and_counts_in_the_summary(video: Path, tmp_path: Path) -> None:
    out, drawn = tmp_path / "t.json", tmp_path / "d.mp4"
    summary = track_video(video, out, video_out=drawn, networks=fake_run.NETWORKS)
    tracks = read_tracks(out)
    assert [frame.frame_number for frame in tracks.frames] == list(range(FRAMES))
    assert tracks.complete is True
    assert frames_in(drawn) == FRAMES
    assert (summary.frames, summary.sightings, summary.prompted) == (FRAMES, 2 * FRAMES, FRAMES)
    assert summary.ids == {1, 2}
    assert (summary.out, summary.stopped) == (out, None)


def test_the_result_stores_which_detections_were_prompted(video: Path, tmp_path: Path) -> None:
    track_video(video, tmp_path / "t.json", networks=fake_run.NETWORKS)
    assert [frame.prompted.tolist() for frame in read_tracks(tmp_path / "t.json").frames] == [
        [True, False]
    ] * 12


def test_the_same_run_gives_the_same_bytes(video: Path, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        track_video(video, tmp_path / name, networks=fake_run.NETWORKS)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("tracker", ["kpr", "bytetrack"])
def test_observe_then_follow_gives_the_bytes_of_track(video: Path, tmp_path: Path, tracker: str) -> None:
    config, clip = TrackConfig(tracker=ComponentConfig(tracker)), Clip(video, 0.2, 1.0, 2)
    track_video(clip, tmp_path / "direct.json", config, networks=fake_run.NETWORKS)
    observe_video(clip, tmp_path / "o.npz", networks=fake_run.NETWORKS)
    summary = track_observations(read_observations(tmp_path / "o.npz"), tmp_path / "halves.json", config)
    assert (tmp_path / "halves.json").read_bytes() == (tmp_path / "direct.json").read_bytes()
    assert summary.frames == 4 and summary.prompted == 4


def test_frame_numbers_of_a_strided_span_are_those_of_the_video(video: Path, tmp_path: Path) -> None:
    track_video(Clip(video, 0.3, 1.0, 3), tmp_path / "t.json", networks=fake_run.NETWORKS)
    assert [frame.frame_number for frame in read_tracks(tmp_path / "t.json").frames] == [3, 6, 9]


def test_an_annotated_video_alone_is_enough(video: Path, tmp_path: Path) -> None:
    summary = track_video(video, None, video_out=tmp_path / "d.mp4", networks=fake_run.NETWORKS)
    assert names(tmp_path) == {"walk.mp4", "d.mp4"}
    assert summary.out == tmp_path / "d.mp4"


def test_stored_tracks_are_drawn_on_their_video(video: Path, tmp_path: Path) -> None:
    track_video(video, tmp_path / "t.json", networks=fake_run.NETWORKS)
    summary = draw_video(read_tracks(tmp_path / "t.json"), video, tmp_path / "d.mkv")
    assert (summary.frames, frames_in(tmp_path / "d.mkv")) == (FRAMES, FRAMES)


def test_a_video_without_people_gives_a_whole_file(video: Path, tmp_path: Path) -> None:
    summary = track_video(
        video, tmp_path / "t.json", video_out=tmp_path / "d.mp4", networks=fake_run.NO_PEOPLE
    )
    assert [len(frame) for frame in read_tracks(tmp_path / "t.json").frames] == [0] * FRAMES
    assert summary.sightings == 0 and summary.ids == set()


def test_prototypes_are_beside_the_result_of_every_run_unless_they_are_not_wanted(
    video: Path, tmp_path: Path
) -> None:
    observe_video(video, tmp_path / "o.npz", ONE, networks=fake_run.NETWORKS)
    track_video(video, tmp_path / "a.json", ONE, networks=fake_run.NETWORKS)
    track_observations(read_observations(tmp_path / "o.npz"), tmp_path / "b.csv", ONE)
    track_video(video, tmp_path / "c.json", ONE, networks=fake_run.NETWORKS, prototypes=False)
    assert {path.name for path in tmp_path.glob(f"*{PROTOTYPES}")} == {f"a{PROTOTYPES}", f"b{PROTOTYPES}"}
    by_run, by_observations = (read_prototypes(tmp_path / name) for name in ("a.json", "b.csv"))
    frames = read_tracks(tmp_path / "a.json").frames
    for each in (by_run, by_observations):
        assert each.header["complete"] is True
        assert each.track_ids.tolist() == sorted({n for frame in frames for n in frame.ids.tolist()})
    np.testing.assert_array_equal(by_run.frames, by_observations.frames)
    np.testing.assert_array_equal(by_run.embeddings.features, by_observations.embeddings.features)


def test_prototypes_of_an_earlier_result_are_not_taken_for_those_of_a_new_one(
    video: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "a.json", TrackConfig(frames_at_once=1, tracker="bytetrack")
    track_video(video, out, ONE, networks=fake_run.NETWORKS)
    read_prototypes(out)
    track_video(video, out, other, networks=fake_run.NETWORKS, prototypes=False)
    with pytest.raises(InputError, match=r"belongs to another result than .*a\.json is now"):
        read_prototypes(out)
    assert read_prototypes(tmp_path / f"a{PROTOTYPES}").track_ids.tolist()  # by its own name it can be read
    track_video(video, out, other, networks=fake_run.NETWORKS)
    read_prototypes(out)


@pytest.fixture(autouse=True)
def heard_signals() -> Iterator[None]:
    """Signals raise KeyboardInterrupt, whatever handlers the test runner has set."""
    usual = {number: signal.signal(number, signal.default_int_handler) for number in STOP_SIGNALS}
    yield
    for number, handler in usual.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_request_to_stop_leaves_valid_files_of_all_frames_so_far(
    video: Path, tmp_path: Path, number: int
) -> None:
    out, drawn = tmp_path / "t.json", tmp_path / "d.mp4"
    summary = track_video(video, out, ONE, video_out=drawn, networks=networks_that(int(number), at=5))
    tracks = read_tracks(out)
    assert isinstance(summary.stopped, KeyboardInterrupt)
    assert [frame.frame_number for frame in tracks.frames] == [0, 1, 2, 3, 4]
    assert tracks.complete is False
    assert json.loads(out.read_text())["note"] == "interrupted"
    assert frames_in(drawn) == 5
    assert names(tmp_path) == {"walk.mp4", "t.json", "d.mp4"}


def test_interrupted_observations_can_be_followed(video: Path, tmp_path: Path) -> None:
    observe_video(video, tmp_path / "o.npz", ONE, networks=networks_that(int(signal.SIGINT), at=5))
    observations = read_observations(tmp_path / "o.npz")
    assert observations.complete is False
    assert [seen.frame_number for seen in observations] == [0, 1, 2, 3, 4]


def test_ctrl_c_before_the_first_frame_leaves_an_older_result_alone(video: Path, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("precious")
    networks = networks_that(int(signal.SIGINT), at=0)
    summary = track_video(video, tmp_path / "t.json", ONE, video_out=tmp_path / "d.mp4", networks=networks)
    assert summary.frames == 0
    assert (tmp_path / "t.json").read_text() == "precious"
    assert names(tmp_path) == {"walk.mp4", "t.json"}


def test_a_bug_in_a_network_costs_no_frame_before_it(video: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="boom"):
        track_video(video, tmp_path / "t.json", ONE, networks=networks_that(RuntimeError("boom"), at=7))
    tracks = read_tracks(tmp_path / "t.json")
    assert (len(tracks.frames), tracks.complete) == (7, False)


def test_a_damaged_video_ends_the_run_with_what_could_be_read(tmp_path: Path) -> None:
    whole = fake_run.make_video(tmp_path / "whole.mkv", 100)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    summary = track_video(cut, tmp_path / "t.json", networks=fake_run.NETWORKS)
    tracks = read_tracks(tmp_path / "t.json")
    assert isinstance(summary.stopped, TruncatedVideo)
    assert 0 < len(tracks.frames) < 100
    assert tracks.complete is False


def test_an_older_result_stays_until_the_new_one_is_whole(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.json"
    out.write_text("precious")
    seen_meanwhile = []

    def detect(batch: list[Frame]) -> list[Detections]:
        seen_meanwhile.append(out.read_text())
        return fake_run.detect(batch)

    track_video(video, out, networks=replace(fake_run.NETWORKS, detect=detect))
    assert set(seen_meanwhile) == {"precious"}
    assert len(read_tracks(out).frames) == FRAMES


def test_a_video_is_never_replaced_by_its_own_result(video: Path, tmp_path: Path) -> None:
    before = video.read_bytes()
    (tmp_path / "link.mp4").symlink_to(video)
    for target in (video, tmp_path / "link.mp4", tmp_path / "home" / ".." / "walk.mp4"):
        (tmp_path / "home").mkdir(exist_ok=True)
        with pytest.raises(UserError, match="the result would replace it"):
            track_video(video, None, video_out=target, networks=fake_run.NETWORKS)
        with pytest.raises(UserError, match="the result would replace it"):
            track_video(video, tmp_path / "t.json", video_out=target, networks=fake_run.NETWORKS)
    assert video.read_bytes() == before
    assert names(tmp_path) == {"walk.mp4", "link.mp4"}


def test_a_file_of_boxes_is_never_replaced_by_its_tracks(video: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text("[]")
    config = TrackConfig(detector=ComponentConfig("file", str(boxes)))
    with pytest.raises(UserError, match=r"boxes\.json is read by this run"):
        track_video(video, boxes, config, networks=fake_run.NETWORKS)
    assert boxes.read_text() == "[]"


def test_unwritable_output_is_an_error_before_a_network_is_loaded(video: Path, tmp_path: Path) -> None:
    # There are no networks and the store is empty: loading would raise WeightsError.
    with pytest.raises(OutputError, match="there is no folder"):
        track_video(video, tmp_path / "no" / "t.json")
    with pytest.raises(OutputError, match="it is a folder"):
        track_video(video, tmp_path, format="coco")
    with pytest.raises(UserError, match="Unknown suffix"):
        track_video(video, tmp_path / "t.jsn")
    with pytest.raises(UserError, match="Unknown format 'cocoa'"):
        track_video(video, tmp_path / "t.json", format="cocoa")
    with pytest.raises(OutputError, match="there is no folder"):
        track_video(video, tmp_path / "t.json", video_out=tmp_path / "no" / "d.mp4")
    with pytest.raises(UserError, match=r"stored as \.npz"):
        observe_video(video, tmp_path / "o.json")
    with pytest.raises(UserError, match="Unknown tracker"):
        track_video(video, tmp_path / "t.json", TrackConfig(tracker=ComponentConfig("sort")))
    assert names(tmp_path) == {"walk.mp4"}


def test_a_missing_video_is_an_error_before_a_network_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        track_video(tmp_path / "none.mp4", tmp_path / "t.json")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_output_error(video: Path) -> None:
    with pytest.raises(OutputError, match="No space left"):
        track_video(video, "/dev/full", format="jsonl", networks=fake_run.NETWORKS)


def test_a_second_ctrl_c_does_not_cost_what_the_first_one_saved(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finalize = KprTracker.finalize

    def interrupted_finalize(tracker: KprTracker, tracks: Tracks) -> Tracks:
        signal.raise_signal(signal.SIGINT)
        return finalize(tracker, tracks)

    monkeypatch.setattr(KprTracker, "finalize", interrupted_finalize)
    with pytest.raises(KeyboardInterrupt):
        track_video(video, tmp_path / "t.json", ONE, networks=networks_that(int(signal.SIGINT), at=5))
    assert [frame.frame_number for frame in read_tracks(tmp_path / "t.json").frames] == [0, 1, 2, 3, 4]


def test_a_run_works_in_any_thread(video: Path, tmp_path: Path) -> None:
    thread = threading.Thread(
        target=track_video, args=(video, tmp_path / "t.json"), kwargs={"networks": fake_run.NETWORKS}
    )
    thread.start()
    thread.join()
    assert len(read_tracks(tmp_path / "t.json").frames) == FRAMES


@pytest.mark.skipif(os.name == "nt", reason="needs a pipe file")
def test_tracks_stream_into_a_pipe(video: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(pipe.read_text().splitlines()))
    reader.start()
    track_video(video, pipe, networks=fake_run.NETWORKS)
    reader.join()
    assert len(lines) >= FRAMES + 1


def test_trackers_take_plain_numpy_one_frame_at_a_time() -> None:
    import kprtrack
    from kprtrack.core.appearance import Appearance

    tracker = kprtrack.KprTracker()
    for number in range(3):
        embeddings = Appearance(np.ones((1, 1, 4), np.float32) / 2, np.ones((1, 1), bool), np.zeros(1, bool))
        seen = kprtrack.Observation(
            number,
            number / 25,
            kprtrack.Detections(np.array([[0, 0, 10, 30]], np.float32), np.array([0.9], np.float32)),
            kprtrack.Poses(np.zeros((1, 17, 3), np.float32)),
            embeddings,
        )
        assert tracker.update(seen).ids.tolist() == [1]
