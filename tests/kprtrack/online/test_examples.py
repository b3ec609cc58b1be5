"""The loops of the guides: cameras, OpenCV, ultralytics, supervision, trackers and Rerun."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import fake_run
from support.paths import ROOT

import kprtrack
from kprtrack.core.datatypes import Frame
from kprtrack.online import tracker as online

GUIDES = ROOT / "docs" / "guides"
BOXES = np.array([[100, 60, 160, 220], [300, 80, 350, 230]], np.float32)


def example(page: str, part: str) -> str:
    """The example of a guide that holds this text."""
    text = (GUIDES / page).read_text("utf-8")
    (found,) = [each for each in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if part in each]
    return str(found)


def names_of(page: str, part: str) -> dict[str, Any]:
    """The names that an example defines."""
    names: dict[str, Any] = {"kprtrack": kprtrack}
    exec(compile(example(page, part), page, "exec"), names)
    return names


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """video.mp4 of 12 frames with two people, and functions in place of the networks."""
    for role, function in (
        ("detector", fake_run.detect),
        ("pose", fake_run.estimate_poses),
        ("reid", fake_run.embed),
    ):
        monkeypatch.setitem(online._BUILDERS, role, lambda component, compute, function=function: function)
    monkeypatch.chdir(tmp_path)
    fake_run.make_video(tmp_path / "video.mp4")
    return "video.mp4"


def result(number: int) -> Any:
    """What the example uses of a result of ultralytics."""
    boxes = SimpleNamespace(xyxy=BOXES + number, conf=np.array([0.9, 0.8]), cls=np.zeros(2))
    image = np.zeros((240, 400, 3), np.uint8)
    return SimpleNamespace(boxes=boxes, keypoints=None, names={0: "person"}, orig_img=image)


# --- one's own detector


def test_fifteen_lines_around_a_detector_of_ones_own_write_the_final_tracks(video: str) -> None:
    text = example("own_detector.md", "def detect_people")
    assert len([line for line in text.splitlines() if line.strip()]) <= 15
    exec(compile(text, "own_detector.md", "exec"), {"__name__": "example"})
    frames = kprtrack.read_tracks("tracks.csv").frames
    assert [tracks.frame_number for tracks in frames] == list(range(12))
    for tracks in frames:
        assert tracks.ids.tolist() == [1, 2]
        np.testing.assert_array_equal(tracks.boxes, BOXES)
        assert tracks.time_s == pytest.approx(tracks.frame_number / 10)


# --- a camera


class Camera:
    """A camera whose frames come at uneven times; every third one was dropped."""

    def __init__(self, times: list[float]) -> None:
        self._times = times

    def __enter__(self) -> Iterator[Frame]:
        image = np.zeros((48, 64, 3), np.uint8)
        return (Frame(number, time, image) for number, time in enumerate(self._times) if number % 3)

    def __exit__(self, *error: object) -> None:
        pass


def test_the_camera_loop_tells_who_comes_and_what_was_corrected(
    video: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = (np.arange(90) * 0.04 + np.random.default_rng(0).uniform(0, 0.02, 90)).tolist()
    monkeypatch.setattr(kprtrack, "open_source", lambda source: Camera(times), raising=False)
    real = fake_run.detect

    def one_comes_later(frames: list[Frame]) -> list[kprtrack.Detections]:
        frames = [replace(frame, number=0) for frame in frames]
        found = real(frames)[0]
        rows = slice(0, 1 if arrived() else 2)
        return [kprtrack.Detections(found.boxes[rows], found.scores[rows])]

    count = iter(range(1000))
    arrived = lambda: next(count) < 10  # noqa: E731
    monkeypatch.setitem(online._BUILDERS, "detector", lambda component, compute: one_comes_later)
    names_of("own_loop.md", "def watch")["watch"](0)
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"0\.\d s: person 1 comes", lines[0])
    assert sum("comes" in line for line in lines) == 2
    assert next(line.partition(": ")[2] for line in lines if "it was" in line) == "it was [1, 2]"


def test_the_camera_loop_takes_a_file_in_the_place_of_a_camera(
    video: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names_of("own_loop.md", "def watch")["watch"](video)
    assert capsys.readouterr().out == "0.0 s: person 1 comes\n0.0 s: person 2 comes\n"


def test_the_loop_of_opencv_writes_the_annotated_video(video: str) -> None:
    names_of("own_loop.md", "def annotate")["annotate"](video, "annotated.mp4")
    with kprtrack.open_source("annotated.mp4") as annotated:
        frames = list(annotated)
    assert [round(frame.time_s, 3) for frame in frames] == [number / 10 for number in range(12)]
    assert all(np.ptp(frame.image) > 100 for frame in frames)  # the video is grey


# --- other libraries


def test_the_ultralytics_loop_follows_the_people_of_its_results(video: str) -> None:
    follow = names_of("own_detector.md", "def follow")["follow"]
    tracks = list(follow(result(number) for number in range(5)))
    assert [each.ids.tolist() for each in tracks] == [[1, 2]] * 5


def test_ultralytics_own_results_are_read() -> None:
    results = pytest.importorskip("ultralytics.engine.results")
    data = np.concatenate([BOXES, [[0.9, 0], [0.8, 16]]], axis=1)
    found = results.Results(np.zeros((240, 400, 3), np.uint8), "a.jpg", {0: "person", 16: "dog"}, boxes=data)
    tracks = kprtrack.Tracker(kprtrack.TrackConfig(reid="none"), poses=False).update(None, found)
    np.testing.assert_array_equal(tracks.boxes, BOXES[:1])


def crossing(number: int) -> Any:
    """A result in which a person walks to the right."""
    found = result(0)
    found.boxes.xyxy = BOXES + np.array([[20, 0, 20, 0], [0, 0, 0, 0]], np.float32) * number
    return found


def test_the_loop_of_supervisions_line_zone_counts_as_with_its_own_tracker(video: str) -> None:
    """The oracle is the same loop with supervision's own tracker."""
    sv = pytest.importorskip("supervision")
    tracked: list[set[int]] = []

    def detections(number: int) -> Any:
        return sv.Detections.from_ultralytics(_obb_less(crossing(number)))

    def count(update: Any) -> tuple[int, int]:
        line, ids = sv.LineZone(sv.Point(220, 0), sv.Point(220, 240)), set()
        for number in range(12):
            found = update(np.zeros((240, 400, 3), np.uint8), detections(number))
            line.trigger(found)
            ids.update(found.tracker_id.tolist())
        tracked.append(ids)
        return line.in_count, line.out_count

    ours = kprtrack.Tracker(kprtrack.TrackConfig(reid="none"), poses=False)
    theirs = sv.ByteTrack() if hasattr(sv, "ByteTrack") else None
    counted = count(lambda image, found: ours.update(image, found).to_supervision())
    assert sum(counted) == 1
    assert tracked == [{1, 2}]
    if theirs is not None:
        assert counted == count(lambda image, found: theirs.update_with_detections(found))


def test_the_example_counts_who_crosses_the_line(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sv = pytest.importorskip("supervision")
    count = names_of("own_loop.md", "def count_crossings")["count_crossings"]
    numbers = iter(range(100))

    def detect(image: np.ndarray) -> Any:
        moved = BOXES[:1] + np.array([[40, 0, 40, 0]], np.float32) * next(numbers)
        return sv.Detections(xyxy=moved, confidence=np.array([0.9]))

    assert sum(count(video, detect)) == 1


@pytest.mark.slow
def test_the_loop_of_trackers_runs_with_ours_in_its_trackers_place(video: str) -> None:
    """Both trackers, in one loop as the documentation of trackers has it, follow the same two people."""
    cv2 = pytest.importorskip("cv2")
    trackers = pytest.importorskip("trackers")
    sv = pytest.importorskip("supervision")
    alone = kprtrack.TrackConfig(reid="none")
    ours = kprtrack.Tracker(alone, poses=False, bgr=True)
    found = {}
    for name, update in (
        ("theirs", trackers.ByteTrackTracker().update),
        ("ours", lambda detections: ours.update(None, detections).to_supervision()),
    ):
        capture, paths = cv2.VideoCapture(video), {}
        number = 0
        while capture.isOpened():
            read, _ = capture.read()
            if not read:
                break
            detections = sv.Detections(
                xyxy=BOXES + number, confidence=np.array([0.9, 0.8]), class_id=np.zeros(2, int)
            )
            tracked = update(detections)
            for box, track_id in zip(tracked.xyxy.tolist(), tracked.tracker_id.tolist(), strict=True):
                if track_id >= 0:
                    paths.setdefault(track_id, []).append((number, tuple(box)))
            number += 1
        found[name] = sorted(path[-1] for path in paths.values())
        assert len(paths) == 2
    assert found["ours"] == found["theirs"] == sorted((11, tuple(box)) for box in (BOXES + 11).tolist())


@pytest.mark.slow
def test_the_rerun_loop_logs_every_frame(video: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rr = pytest.importorskip("rerun")
    reader = pytest.importorskip("rerun.chunk")
    start = rr.init
    monkeypatch.setattr(rr, "init", lambda name, spawn: (start(name), rr.save("loop.rrd")))  # no window
    names_of("own_loop.md", "def show")["show"](video)
    rr.disconnect()
    rows: dict[str, int] = {}
    for chunk in reader.RrdReader("loop.rrd").stream().to_chunks():
        rows[chunk.entity_path] = rows.get(chunk.entity_path, 0) + chunk.num_rows
    wanted = ("/camera", "/camera/people", "/camera/people/boxes", "/camera/people/skeletons")
    assert {name: rows[name] for name in wanted} == dict.fromkeys(wanted, 12)


def _obb_less(found: Any) -> Any:
    """A result with what supervision's converter reads of it."""
    boxes = SimpleNamespace(
        **{name: _tensor(getattr(found.boxes, name)) for name in ("xyxy", "conf", "cls")},
        id=None,
        is_track=False,
    )
    return SimpleNamespace(boxes=boxes, obb=None, masks=None, names=found.names, orig_img=found.orig_img)


def _tensor(values: np.ndarray) -> Any:
    return SimpleNamespace(cpu=lambda: SimpleNamespace(numpy=lambda: values))
