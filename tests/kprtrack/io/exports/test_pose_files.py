"""Poses for behaviour research and pose tools: each file is opened with the library of its format."""

import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.export_cases import (
    FPS,
    FRAMES,
    HEADER,
    PRESENT,
    UNKNOWN,
    box_of,
    export,
    keypoints_of,
    tracks_of,
    without,
    without_times,
    write_source,
)

from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_SKELETON
from kprtrack.io import EXPORTS, ConvertOptions, TrackFile, convert, read_tracks
from kprtrack.selection import PeopleSelection

# Compiled extensions may be older than the numpy that is installed.
pytestmark = pytest.mark.filterwarnings("ignore:numpy.ndarray size changed")

LIBRARY = {"c3d": "ezc3d", "slp": "sleap_io", "nwb": "pynwb", "movement": "movement", "xlsx": "openpyxl"}
NAMES = {
    "slp": "o.slp",
    "dlc": "o.csv",
    "nwb": "o.nwb",
    "movement": "o.nc",
    "openpose": "o",
    "alphapose": "o.json",
}
HEAVY = ("slp", "nwb", "movement")  # their libraries take seconds to import


def formats(names: Iterable[str]) -> list[Any]:
    """Parameters, of which those with a heavy library are slow."""
    return [pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ()) for name in names]


WITH_TIMES = ("nwb", "movement")


def needed(format: str) -> None:
    """Skip where the library of a format is not installed."""
    if format in LIBRARY:
        pytest.importorskip(LIBRARY[format])


def known(track_id: int, frame: int) -> np.ndarray:
    """[17, 3] with NaN for unknown keypoints and for people who are not there."""
    points = keypoints_of(track_id, frame)
    here = track_id in PRESENT.get(frame, ())
    return np.where((points[:, 2:] > 0) & here, points, np.nan)


# --- what KPRTrack reads back


@pytest.mark.parametrize("format", formats(NAMES))
def test_identities_and_keypoints_come_back(tmp_path: Path, format: str) -> None:
    needed(format)
    (path,) = export(tmp_path, NAMES[format], format)
    file = read_tracks(path)  # found by suffix or content
    assert {tracks.frame_number: tuple(tracks.ids) for tracks in file.frames} == {
        frame: ids for frame, ids in PRESENT.items() if ids
    }
    for tracks in file.frames:
        for row, track_id in enumerate(tracks.ids.tolist()):
            truth = keypoints_of(track_id, tracks.frame_number)
            np.testing.assert_allclose(tracks.keypoints[row], truth, atol=0.006)
    if format in WITH_TIMES:
        assert [tracks.time_s for tracks in file.frames] == pytest.approx([0, 0.04, 0.08, 0.16, 0.24])


@pytest.mark.parametrize("format", formats(name for name in NAMES if name != "alphapose"))
def test_a_box_is_the_extent_of_the_keypoints_where_the_format_has_none(tmp_path: Path, format: str) -> None:
    needed(format)
    tracks = read_tracks(export(tmp_path, NAMES[format], format)[0]).frames[0]
    points = keypoints_of(2, 0)[:, :2]
    np.testing.assert_allclose(tracks.boxes[0], [*points.min(axis=0), *points.max(axis=0)], atol=0.006)


@pytest.mark.parametrize("format", formats(NAMES))
def test_no_people_or_no_keypoints_is_one_line(tmp_path: Path, format: str) -> None:
    needed(format)
    empty = [tracks_of(number, ()) for number in range(3)]
    if format in ("openpose", "alphapose"):  # their files may have no people
        assert export(tmp_path, NAMES[format], format, frames=empty)[0].exists()
        return
    with pytest.raises(InputError, match="has no people"):
        export(tmp_path, NAMES[format], format, frames=empty)
    boxes = [replace(tracks, keypoints=np.zeros_like(tracks.keypoints)) for tracks in FRAMES]
    with pytest.raises(InputError, match="has no keypoints"):
        export(tmp_path, NAMES[format], format, frames=boxes)
    assert not (tmp_path / NAMES[format]).exists()


@pytest.mark.parametrize("format", formats(["slp", "nwb", "movement", "xlsx"]))
def test_damaged_files_are_one_line(tmp_path: Path, format: str) -> None:
    needed(format)
    path = tmp_path / f"bad{EXPORTS[format].suffix}"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"nothing" * 99)
    with pytest.raises(InputError, match=r"^Cannot read .*bad") as caught:
        read_tracks(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("format", "package"), LIBRARY.items())
def test_a_missing_library_is_one_line_with_the_command(
    tmp_path: Path, format: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [package, *(each for each in sys.modules if each.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)  # importing it raises ImportError
    with pytest.raises(UserError, match=r'not installed: pip install "kprtrack\[\w+\]"\.$'):
        export(tmp_path, f"o{EXPORTS[format].suffix}", format)


# --- what their libraries read


@pytest.mark.slow
def test_sleap_io_reads_tracks_skeleton_and_scores(tmp_path: Path) -> None:
    sio = pytest.importorskip("sleap_io")
    labels = sio.load_slp(str(export(tmp_path, "o.slp")[0]), open_videos=False)
    assert [track.name for track in labels.tracks] == ["person2", "person7"]
    assert labels.skeleton.node_names == list(KEYPOINTS)
    assert ("left_shoulder", "left_elbow") in [(a.name, b.name) for a, b in labels.skeleton.edges]
    assert labels.video.filename == "clip.mp4"
    found = {(frame.frame_idx, one.track.name): one for frame in labels for one in frame.instances}
    assert len(found) == sum(map(len, PRESENT.values()))
    for (frame, name), instance in found.items():
        truth = known(int(name[-1]), frame)
        np.testing.assert_allclose(instance.numpy(), truth[:, :2], atol=0.006)
        np.testing.assert_allclose(instance.points["score"], np.nan_to_num(truth[:, 2]), atol=1e-4)
        assert instance.score == pytest.approx(0.9 if name == "person2" else 0.75, abs=1e-4)


def dlc_table(path: Path) -> Any:
    return pytest.importorskip("pandas").read_csv(path, header=[0, 1, 2, 3], index_col=0)


def test_pandas_reads_deeplabcuts_four_levels(tmp_path: Path) -> None:
    table = dlc_table(export(tmp_path, "o.csv", "dlc")[0])
    assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    assert table.index.tolist() == list(range(7))
    for frame in range(7):
        for person in (2, 7):
            values = table.loc[frame, ("kprtrack", f"person{person}")].to_numpy(float).reshape(17, 3)
            np.testing.assert_allclose(values, known(person, frame), atol=0.006)


@pytest.mark.slow
def test_movement_reads_deeplabcuts_file(tmp_path: Path) -> None:
    load_poses = pytest.importorskip("movement.io.load_poses")
    data = load_poses.from_dlc_file(export(tmp_path, "o.csv", "dlc")[0], fps=FPS)
    assert data.individuals.values.tolist() == ["person2", "person7"]
    assert data.keypoints.values.tolist() == list(KEYPOINTS)
    np.testing.assert_allclose(data.position.sel(individuals="person7").values[4], np.full((2, 17), np.nan))
    np.testing.assert_allclose(
        data.position.sel(individuals="person2").values[4], known(2, 4)[:, :2].T, atol=0.006
    )


def test_single_animal_tables_of_deeplabcut_are_read(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    columns = pandas.MultiIndex.from_product(
        [["DLC_resnet50"], KEYPOINTS, ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
    )
    values = np.stack([keypoints_of(2, frame).ravel() for frame in range(3)])
    pandas.DataFrame(values, columns=columns).to_csv(tmp_path / "DLC.csv")
    frames = read_tracks(tmp_path / "DLC.csv").frames
    assert [tracks.ids.tolist() for tracks in frames] == [[1]] * 3
    np.testing.assert_allclose(frames[2].keypoints[0], keypoints_of(2, 2), atol=1e-4)


def test_keypoints_of_another_skeleton_are_named_in_the_error(tmp_path: Path) -> None:
    path = export(tmp_path, "o.csv", "dlc")[0]
    path.write_text(path.read_text().replace("left_knee", "tail_base"))
    with pytest.raises(InputError, match=r"has no keypoint 'left_knee'\. It has: nose, "):
        read_tracks(path)


@pytest.mark.slow
def test_pynwb_reads_and_validates_the_poses(tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    path = export(tmp_path, "o.nwb")[0]
    assert not pynwb.validate(path=str(path))
    with pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True) as source:
        nwb = source.read()
        assert nwb.acquisition["video"].external_file[0] == "clip.mp4"
        assert nwb.acquisition["video"].dimension[:].tolist() == [640, 480]
        for person in (2, 7):
            pose = nwb.processing["behavior"][f"person{person}"]
            assert pose.skeleton.nodes[:].tolist() == list(KEYPOINTS)
            for row, name in enumerate(KEYPOINTS):
                series = pose[name]
                assert series.unit == "pixels"
                np.testing.assert_allclose(series.timestamps[:], np.arange(7) / FPS, atol=1e-6)
                truth = np.stack([known(person, frame)[row] for frame in range(7)])
                np.testing.assert_allclose(series.data[:], truth[:, :2], atol=0.006)
                np.testing.assert_allclose(series.confidence[:], np.nan_to_num(truth[:, 2]), atol=1e-4)


@pytest.mark.slow
def test_movement_reads_a_person_of_the_nwb_file(tmp_path: Path) -> None:
    load_poses = pytest.importorskip("movement.io.load_poses")
    data = load_poses.from_nwb_file(export(tmp_path, "o.nwb")[0], pose_estimation_key="person7")
    assert data.fps == pytest.approx(FPS)
    data = data.sel(keypoints=list(KEYPOINTS))
    np.testing.assert_allclose(data.position.values[6, :, :, 0], known(7, 6)[:, :2].T, atol=0.006)


@pytest.mark.slow
def test_the_data_set_of_movement_is_valid(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    datasets = pytest.importorskip("movement.validators.datasets")
    data = xarray.load_dataset(export(tmp_path, "o.nc")[0])
    datasets.ValidPosesInputs.validate(data)
    assert data.attrs["time_unit"] == "seconds"
    assert data.attrs["fps"] == FPS
    np.testing.assert_allclose(data.time, np.arange(7) / FPS, atol=1e-9)
    for person in (2, 7):
        one = data.sel(individuals=f"person{person}")
        for frame in range(7):
            np.testing.assert_allclose(one.position.values[frame].T, known(person, frame)[:, :2], atol=0.006)
            np.testing.assert_allclose(one.confidence.values[frame], known(person, frame)[:, 2], atol=1e-4)


@pytest.mark.slow
def test_movement_needs_a_frame_rate(tmp_path: Path) -> None:
    pytest.importorskip("movement")
    with pytest.raises(
        UserError, match=r"frame rate .* is not known, and movement needs it\. Set it: --fps 25"
    ):
        export(tmp_path, "o.nc", frames=without_times(), header=without("fps"))


# --- OpenPose and AlphaPose, by the documents of their formats


def test_openpose_has_a_file_a_frame_with_25_keypoints(tmp_path: Path) -> None:
    (folder,) = export(tmp_path, "pose", "openpose")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"pose_{frame:012d}_keypoints.json" for frame in PRESENT
    ]
    people = json.loads((folder / "pose_000000000001_keypoints.json").read_text())["people"]
    assert [person["person_id"] for person in people] == [[2], [7]]
    points = np.array(people[0]["pose_keypoints_2d"]).reshape(25, 3)
    truth = keypoints_of(2, 1)
    order = {
        0: "nose",
        2: "right_shoulder",
        7: "left_wrist",
        9: "right_hip",
        14: "left_ankle",
        18: "left_ear",
    }
    for row, name in order.items():
        np.testing.assert_allclose(points[row], truth[KEYPOINTS.index(name)], atol=0.006)
    shoulders = truth[[KEYPOINTS.index("left_shoulder"), KEYPOINTS.index("right_shoulder")]]
    np.testing.assert_allclose(points[1, :2], shoulders[:, :2].mean(axis=0), atol=0.006)
    assert points[1, 2] == pytest.approx(shoulders[:, 2].min())
    assert not points[19:].any()  # no feet


def test_an_existing_folder_is_not_replaced(tmp_path: Path) -> None:
    export(tmp_path, "pose", "openpose")
    with pytest.raises(OutputError, match=r"it exists\. Remove it"):
        export(tmp_path, "pose", "openpose")
    assert not list(tmp_path.glob(".export*"))


def test_openposes_18_keypoints_are_read_without_track_ids(tmp_path: Path) -> None:
    points = np.arange(54, dtype=float).reshape(18, 3) + 1
    people = [{"person_id": [-1], "pose_keypoints_2d": points.ravel().tolist()}]
    (tmp_path / "v_000000000003_keypoints.json").write_text(json.dumps({"people": people}))
    with pytest.raises(InputError, match="no track id"):
        read_tracks(tmp_path)
    people[0]["person_id"] = [4]
    (tmp_path / "v_000000000003_keypoints.json").write_text(json.dumps({"people": people}))
    tracks = read_tracks(tmp_path).frames[0]
    assert (tracks.frame_number, tracks.ids.tolist()) == (3, [4])
    np.testing.assert_allclose(tracks.keypoints[0, KEYPOINTS.index("left_ankle")], points[13])
    np.testing.assert_allclose(tracks.keypoints[0, KEYPOINTS.index("left_ear")], points[17])


@pytest.mark.parametrize("format", ["openpose", "alphapose"])
def test_posetracks_skeleton_has_no_eyes_for_openpose_and_alphapose(tmp_path: Path, format: str) -> None:
    with pytest.raises(UserError, match="has PoseTrack's skeleton"):
        export(tmp_path, "o.json", format, header=replace(HEADER, skeleton=POSETRACK_SKELETON))


def test_alphapose_entries_name_image_box_and_identity(tmp_path: Path) -> None:
    entries = json.loads(export(tmp_path, "o.json", "alphapose")[0].read_text())
    assert len(entries) == sum(map(len, PRESENT.values()))
    first = entries[0]
    assert (first["image_id"], first["category_id"], first["idx"]) == ("0.jpg", 1, 2)
    box = box_of(2, 0)
    np.testing.assert_allclose(first["box"], [*box[:2], *(box[2:] - box[:2])], atol=0.01)
    np.testing.assert_allclose(np.array(first["keypoints"]).reshape(17, 3), keypoints_of(2, 0), atol=0.006)


def test_alphaposes_images_by_name_are_numbered_by_their_place(tmp_path: Path) -> None:
    entry = {"category_id": 1, "keypoints": keypoints_of(2, 0).ravel().tolist(), "score": 2.7, "idx": [[3.0]]}
    entries = [entry | {"image_id": name} for name in ("a/first.png", "a/second.png")]
    (tmp_path / "alphapose-results.json").write_text(json.dumps(entries))
    frames = read_tracks(tmp_path / "alphapose-results.json").frames
    assert [(tracks.frame_number, tracks.ids.tolist()) for tracks in frames] == [(0, [3]), (1, [3])]
    assert frames[0].scores.tolist() == [1.0]  # its score of a pose may exceed 1


# --- convert


def test_only_the_chosen_people_are_kept(tmp_path: Path) -> None:
    export(tmp_path, "o.csv", options=ConvertOptions(PeopleSelection(only=(7,))))
    assert {each for tracks in read_tracks(tmp_path / "o.csv").frames for each in tracks.ids} == {7}
    with pytest.raises(UserError, match=r"no person 3 in .*tracks.json. Its IDs are: 2, 7"):
        export(tmp_path, "o.csv", options=ConvertOptions(PeopleSelection(only=(7, 3))))


def test_poses_of_another_file_go_to_the_boxes_they_belong_to(tmp_path: Path) -> None:
    source = write_source(tmp_path)
    corrected = [
        replace(tracks, ids=tracks.ids + 10, keypoints=np.zeros_like(tracks.keypoints)) for tracks in FRAMES
    ]
    (tmp_path / "other").mkdir()
    mot = export(tmp_path / "other", "corrected.txt", frames=corrected)[0]
    convert(mot, tmp_path / "whole.json", options=ConvertOptions(poses=source))
    file: TrackFile = read_tracks(tmp_path / "whole.json")
    assert file.header.video["fps"] == FPS
    for tracks in file.frames:
        assert tracks.time_s == pytest.approx(tracks.frame_number / FPS)
        for row, track_id in enumerate(tracks.ids.tolist()):
            truth = keypoints_of(track_id - 10, tracks.frame_number)
            np.testing.assert_allclose(tracks.keypoints[row], truth, atol=0.006)


def test_a_run_does_not_write_exports(tmp_path: Path) -> None:
    from kprtrack.io import open_writer, validate_output

    for start in (
        lambda: open_writer(tmp_path / "o.trc", HEADER),
        lambda: validate_output(tmp_path / "o.trc"),
    ):
        with pytest.raises(UserError, match=r"`kprtrack convert tracks.json o.trc --to trc`"):
            start()


def test_the_unknown_keypoint_is_unknown_in_every_format(tmp_path: Path) -> None:
    assert not keypoints_of(7, 0)[UNKNOWN].any()
    tracks = read_tracks(export(tmp_path, "o.csv", "dlc")[0]).frames[0]
    assert not tracks.keypoints[tracks.ids.tolist().index(7), UNKNOWN].any()


def test_what_is_only_written_says_so_when_read(tmp_path: Path) -> None:
    path = export(tmp_path, "o.trc", options=ConvertOptions(PeopleSelection(only=(2,))))[0]
    with pytest.raises(InputError, match="files of the format trc are written, but not read"):
        read_tracks(path)
