"""`kprtrack view --save`: the recording, read back with Rerun's own reader."""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support import fake_run
from support.embedding_cases import expected, observations
from support.export_cases import PRESENT, UNKNOWN, box_of, keypoints_of, tracks_of, write_source

import kprtrack
from kprtrack.cli.main import main
from kprtrack.core.skeleton import KEYPOINTS, LIMBS
from kprtrack.rendering import viewer

FPS, COUNT = 25, 8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with video.mp4 of 8 frames, tracks.json and observations obs.npz."""
    monkeypatch.chdir(tmp_path)
    fake_run.make_video(tmp_path / "video.mp4", COUNT, FPS)
    write_source(tmp_path, header=kprtrack.RunHeader())
    return tmp_path


def test_without_rerun_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    monkeypatch.setattr("kprtrack.core.extras.find_spec", lambda name: None)
    assert main(["view", "tracks.json", "video.mp4", "--save", "t.rrd"]) == 2
    assert 'pip install "kprtrack[rerun]"' in capsys.readouterr().err


# --- with Rerun


@pytest.fixture
def rerun() -> Any:
    pytest.importorskip("rerun.chunk")
    return pytest.importorskip("rerun")


class Recording:
    """What an .rrd file holds."""

    def __init__(self, path: Path) -> None:
        from rerun.chunk import RrdReader

        self.reader = RrdReader(path)
        self.batches: dict[str, list[Any]] = {}
        for chunk in self.reader.stream().to_chunks():
            self.batches.setdefault(chunk.entity_path, []).append((chunk.is_static, chunk.to_record_batch()))

    def rows(self, entity: str, component: str) -> list[tuple[int, float, Any]]:
        """Frame number, seconds and value of each row that is not static, in order."""
        found = []
        for static, batch in self.batches.get(entity, []):
            if not static and component in batch.schema.names:
                frames = batch.column("frame").to_pylist()
                times = batch.column("time").cast("int64").to_pylist()
                values = batch.column(component).to_pylist()
                found += [(f, t / 1e9, v) for f, t, v in zip(frames, times, values, strict=True)]
        return sorted(found, key=lambda row: row[0])

    def static(self, entity: str, component: str) -> Any:
        (value,) = [
            batch.column(component).to_pylist()[0]
            for static, batch in self.batches[entity]
            if static and component in batch.schema.names
        ]
        return value


def saved(*options: str) -> Recording:
    assert main(["view", "tracks.json", "video.mp4", "--save", "t.rrd", "--quiet", *options]) == 0
    return Recording(Path("t.rrd"))


@pytest.mark.slow
def test_the_recording_holds_every_frame_box_and_skeleton_by_frame_and_time(rerun: Any, folder: Path) -> None:
    recording = saved()
    images = recording.rows("/video/image", "EncodedImage:blob")
    assert [(frame, round(time, 6)) for frame, time, _ in images] == [(f, f / FPS) for f in range(COUNT)]
    with kprtrack.open_source("video.mp4") as video:
        for frame, (_, _, blob) in zip(video, images, strict=True):
            image = cv2.imdecode(np.array(blob[0], np.uint8), cv2.IMREAD_COLOR)
            assert np.abs(image[..., ::-1].astype(int) - frame.image).max() <= 4  # JPEG
    centers, sizes, classes = (
        recording.rows("/video/people/boxes", f"Boxes2D:{name}")
        for name in ("centers", "half_sizes", "class_ids")
    )
    assert {frame: tuple(ids or ()) for frame, _, ids in classes} == PRESENT
    for (frame, _, center), (_, _, half), (_, _, ids) in zip(centers, sizes, classes, strict=True):
        for middle, reach, track_id in zip(center or (), half or (), ids or (), strict=True):
            corners = [*np.subtract(middle, reach), *np.add(middle, reach)]
            np.testing.assert_allclose(corners, box_of(track_id, frame), atol=0.011)
    points, ids, keypoints = (
        {frame: value for frame, _, value in recording.rows("/video/people/skeletons", f"Points2D:{name}")}
        for name in ("positions", "class_ids", "keypoint_ids")
    )
    for frame, people in PRESENT.items():
        wanted = [
            (track_id, row, *keypoints_of(track_id, frame)[row, :2])
            for track_id in people
            for row in range(17)
            if (track_id, row) != (7, UNKNOWN)
        ]
        found = zip(ids[frame] or (), keypoints[frame] or (), points[frame] or (), strict=True)
        flat = [(track_id, row, *point) for track_id, row, point in found]
        np.testing.assert_allclose(flat, np.reshape(wanted, (-1, 4)) if wanted else [], atol=0.006)


@pytest.mark.slow
def test_people_have_labels_colours_and_skeletons_and_leave_when_they_are_away(
    rerun: Any, folder: Path
) -> None:
    recording = saved()
    (context,) = recording.static("/video/people", "AnnotationContext:context")
    by_class = {each["class_id"]: each["class_description"] for each in context}
    assert {number: each["info"]["label"] for number, each in by_class.items()} == {2: "2", 7: "7"}
    names = [each["label"] for each in by_class[7]["keypoint_annotations"]]
    assert names == list(KEYPOINTS)
    pairs = [(each["keypoint0"], each["keypoint1"]) for each in by_class[7]["keypoint_connections"]]
    assert pairs == list(LIMBS)
    states = {
        track_id: [
            (frame, value[0])
            for frame, _, value in recording.rows(f"/identities/{track_id}", "StateChange:state")
        ]
        for track_id in (2, 7)
    }
    # Frame 3 has no people, frame 5 is not in the file, person 7 is away in frame 4, frame 7 is the last one.
    assert states[2] == [(0, "2"), (3, ""), (4, "2"), (5, ""), (6, "2"), (7, "")]
    assert states[7] == [(0, "7"), (3, ""), (6, "7"), (7, "")]
    assert recording.static("/identities/7", "StateConfiguration:labels") == ["7"]
    cleared = recording.rows("/video/people", "Clear:is_recursive")
    assert [(frame, value) for frame, _, value in cleared] == [(5, [True]), (7, [True])]
    (blueprint,) = recording.reader.blueprints()
    assert blueprint.application_id == "kprtrack"


@pytest.mark.slow
def test_people_of_a_run_with_a_stride_stay_between_its_frames(rerun: Any, folder: Path) -> None:
    frames = [tracks_of(number, ids) for number, ids in ((0, (2,)), (2, (2, 7)), (4, (7,)))]
    write_source(folder, frames, header=kprtrack.RunHeader())
    recording = saved()
    assert len(recording.rows("/video/image", "EncodedImage:blob")) == COUNT
    assert [frame for frame, _, _ in recording.rows("/video/people/boxes", "Boxes2D:centers")] == [0, 2, 4]
    rows = {person: recording.rows(f"/identities/{person}", "StateChange:state") for person in (2, 7)}
    states = {person: [(frame, state[0]) for frame, _, state in row] for person, row in rows.items()}
    assert states == {2: [(0, "2"), (4, "")], 7: [(2, "7"), (6, "")]}
    assert [frame for frame, _, _ in recording.rows("/video/people", "Clear:is_recursive")] == [6]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "other"), [("own", False), ("nearest_other", True)])
def test_distances_are_those_to_the_mean_embeddings(rerun: Any, folder: Path, name: str, other: bool) -> None:
    kprtrack.write_observations(Path("obs.npz"), kprtrack.RunHeader(), observations())
    recording = saved("--observations", "obs.npz")
    for track_id in (2, 7):
        rows = recording.rows(f"/distances/{track_id}/{name}", "Scalars:scalars")
        assert [frame for frame, _, _ in rows] == [f for f, ids in PRESENT.items() if track_id in ids]
        for frame, _, value in rows:
            assert value[0] == pytest.approx(
                expected(track_id, frame, other), abs=2e-3
            )  # float16 in the file


def test_archetypes_of_a_frame_are_self_contained(rerun: Any) -> None:
    items = tracks_of(0, (2, 7)).to_rerun("camera/people")
    assert [type(each).__name__ for each in items.values()] == ["AnnotationContext", "Boxes2D", "Points2D"]
    assert list(items) == ["camera/people", "camera/people/boxes", "camera/people/skeletons"]
    large = items["camera/people/boxes"].class_ids.as_arrow_array().to_pylist()
    assert large == [2, 7]
    many = tracks_of(0, (7, 70_000)).to_rerun()  # class IDs have 16 bits
    assert many["people/boxes"].class_ids.as_arrow_array().to_pylist() == [0, 1]
    assert len(tracks_of(0, ()).to_rerun()["people/boxes"].centers.as_arrow_array()) == 0


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--save", "t.mp4"], 2, "Rerun's files end in .rrd, not as 't.mp4'. Use t.rrd."),
        (["--save", "no/t.rrd"], 5, "there is no folder no"),
        (["--save", "t.rrd", "--only", "9"], 2, "There is no person 9 in tracks.json"),
        (["--save", "t.rrd", "--observations", "no.npz"], 3, "no.npz"),
        ([], 2, "There is no display to open the viewer on. Add --save tracks.rrd"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_no_file(
    rerun: Any,
    folder: Path,
    options: list[str],
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["view", "tracks.json", "video.mp4", *options]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["tracks.json", "video.mp4"]


def test_observations_of_other_people_and_a_full_disk_leave_no_file(
    rerun: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    far = kprtrack.Detections(np.array([[900, 900, 950, 990]], np.float32), np.array([0.9], np.float32))
    one = kprtrack.Appearance(np.ones((1, 1, 1), np.float32), np.ones((1, 1), bool), np.zeros(1, bool))
    strange = [kprtrack.Observation(0, 0.0, far, kprtrack.empty_poses(1), one)]
    kprtrack.write_observations(Path("obs.npz"), kprtrack.RunHeader(), strange)
    command = ["view", "tracks.json", "video.mp4", "--save", "t.rrd", "--quiet"]
    assert main([*command, "--observations", "obs.npz"]) == 3
    assert "obs.npz has no embeddings of the people in the tracks" in capsys.readouterr().err
    monkeypatch.setattr(viewer, "_MIN_FREE_BYTES", 1 << 60)
    assert main(command) == 5
    assert "MB are free on its disk" in capsys.readouterr().err
    assert not list(folder.glob("*.rrd"))


def test_a_video_that_ends_before_the_tracks_is_noted(rerun: Any, folder: Path, capsys: Any) -> None:
    fake_run.make_video(folder / "short.mp4", 3, FPS)
    assert main(["view", "tracks.json", "short.mp4", "--save", "t.rrd"]) == 0
    assert "note: the tracks have 3 frames after the end of 'short'." in capsys.readouterr().err
