"""Every set of keypoints goes through results, exports, observations, drawing and tracking."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.export_cases import FPS, HEADER

from kprtrack import Networks, TrackConfig, Tracker, read_observations, read_tracks
from kprtrack.core.appearance import empty_appearance
from kprtrack.core.datatypes import Detections, Frame, Observation, Poses, Tracks
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.skeleton import COCO_SKELETON, Skeleton
from kprtrack.core.skeletons import SKELETONS, skeleton_of_count
from kprtrack.io import ConvertOptions, RunHeader, convert, open_writer, write_observations
from kprtrack.io.posetrack import to_posetrack
from kprtrack.pipeline import observe
from kprtrack.rendering.draw import colour_of, draw_tracks
from kprtrack.trackers.kpr import KprTracker

LARGER = [skeleton for skeleton in SKELETONS.values() if len(skeleton) > 17]
ALL = pytest.mark.parametrize(
    "skeleton", [*SKELETONS.values(), skeleton_of_count(21)], ids=lambda skeleton: skeleton.name
)
EACH_LARGER = pytest.mark.parametrize("skeleton", LARGER, ids=lambda skeleton: skeleton.name)
WHOLE = {"kprtrack": "o.json", "jsonl": "o.jsonl", "csv": "o.csv", "parquet": "o.parquet", "dlc": "o.csv"}
LIBRARY = {
    "parquet": "pyarrow",
    "slp": "sleap_io",
    "nwb": "pynwb",
    "movement": "movement",
    "xlsx": "openpyxl",
}
HEAVY = {"slp": "o.slp", "nwb": "o.nwb", "movement": "o.nc", "xlsx": "o.xlsx"}
FORMATS = [*WHOLE.items(), *(pytest.param(*each, marks=pytest.mark.slow) for each in HEAVY.items())]
ALONE = TrackConfig(reid="none")


def points_of(skeleton: Skeleton, people: int, frame: int = 0) -> np.ndarray:
    """[N, K, 3] float32, other numbers for each person, keypoint and frame; an unknown wrist."""
    rows = np.arange(len(skeleton))
    points = np.stack([100 + rows + frame, 50 + 2.0 * rows, 0.4 + rows / 300], axis=1)
    points = points + 150 * np.arange(people)[:, None, None] * np.array([1, 0, 0])
    points[:, skeleton.names.index("left_wrist") if "left_wrist" in skeleton.names else 9] = 0
    return points.astype(np.float32)


def tracks_of(skeleton: Skeleton, people: int, frame: int = 0) -> Tracks:
    points = points_of(skeleton, people, frame)
    known = points[..., 2:] > 0
    low = np.where(known, points[..., :2], np.inf).min(axis=1, initial=np.inf)
    high = np.where(known, points[..., :2], 0).max(axis=1, initial=0)
    boxes = np.concatenate([low, high], axis=1).reshape(people, 4).astype(np.float32)
    nan = np.full(people, np.nan, np.float32)
    return Tracks(
        *(frame, frame / FPS, np.arange(1, people + 1), boxes, np.full(people, 0.9, np.float32), points),
        *(nan, nan, np.zeros((people, 0), bool), np.zeros(people, bool)),
        skeleton=skeleton,
    )


def written(folder: Path, skeleton: Skeleton, name: str = "tracks.json", format: str | None = None) -> Path:
    with open_writer(folder / name, replace(HEADER, skeleton=skeleton), format) as writer:
        for frame, people in enumerate((2, 2, 0, 1)):
            writer.write(tracks_of(skeleton, people, frame))
    return folder / name


def exported(folder: Path, skeleton: Skeleton, format: str, name: str) -> Path:
    if format in LIBRARY:
        pytest.importorskip(LIBRARY[format])
    source = written(folder, skeleton)
    convert(source, folder / "out" / name, target_format=format)
    return folder / "out" / name


@ALL
@pytest.mark.parametrize(("format", "name"), FORMATS)
def test_all_keypoints_and_the_name_of_the_set_come_back(
    tmp_path: Path, skeleton: Skeleton, format: str, name: str
) -> None:
    (tmp_path / "out").mkdir()
    file = read_tracks(exported(tmp_path, skeleton, format, name))
    assert file.header.skeleton == skeleton
    frames = [tracks for tracks in file.frames if len(tracks)]
    assert [len(tracks) for tracks in frames] == [2, 2, 1]
    for tracks in frames:
        assert tracks.skeleton == skeleton
        expected = points_of(skeleton, len(tracks), tracks.frame_number)
        np.testing.assert_allclose(tracks.keypoints, expected, atol=0.006)


@EACH_LARGER
def test_coco_names_the_keypoints_in_its_category_and_they_come_back(
    tmp_path: Path, skeleton: Skeleton
) -> None:
    path = written(tmp_path, skeleton, format="coco")
    data = json.loads(path.read_text())
    assert data["categories"][0]["keypoints"] == list(skeleton.names)
    assert len(data["annotations"][0]["keypoints"]) == 3 * len(skeleton)
    file = read_tracks(path)
    assert file.header.skeleton == skeleton
    np.testing.assert_allclose(file.frames[0].keypoints, points_of(skeleton, 2), atol=0.006)
    del data["images"], data["info"], data["categories"]  # a list of results names no keypoints
    path.write_text(json.dumps(data["annotations"]))
    assert read_tracks(path).header.skeleton == skeleton


@EACH_LARGER
def test_posetrack21_is_made_of_cocos_keypoints(tmp_path: Path, skeleton: Skeleton) -> None:
    path = written(tmp_path, skeleton, format="posetrack21")
    flat = json.loads(path.read_text())["annotations"][0]["keypoints"]
    expected = to_posetrack(skeleton.to_coco(points_of(skeleton, 2)))[0]
    known = expected[:, 2] > 0
    found = np.array(flat).reshape(17, 3)
    np.testing.assert_allclose(found[known, :2], expected[known, :2], atol=0.006)
    assert not found[~known].any()


@EACH_LARGER
def test_openpose_has_the_feet_of_the_set_and_alphapose_halpe_or_cocos_keypoints(
    tmp_path: Path, skeleton: Skeleton
) -> None:
    (tmp_path / "out").mkdir()
    path = exported(tmp_path, skeleton, "openpose", "o")
    person = json.loads(next(iter(sorted(path.iterdir()))).read_text())["people"][0]
    body_25 = np.array(person["pose_keypoints_2d"]).reshape(25, 3)
    own = points_of(skeleton, 1)[0]
    rows = {0: "nose", 11: "right_ankle", 15: "right_eye", 19: "left_big_toe", 20: "left_small_toe"}
    rows |= {21: "left_heel", 22: "right_big_toe", 23: "right_small_toe", 24: "right_heel"}
    for row, name in rows.items():
        expected = own[skeleton.names.index(name)] if name in skeleton.names else np.zeros(3)
        np.testing.assert_allclose(body_25[row], expected, atol=0.001)
    convert(written(tmp_path, skeleton), tmp_path / "a.json", target_format="alphapose")
    file = read_tracks(tmp_path / "a.json")
    halpe = skeleton.name == "halpe26"
    assert file.header.skeleton == (skeleton if halpe else COCO_SKELETON)
    np.testing.assert_allclose(
        file.frames[0].keypoints[0], own if halpe else skeleton.to_coco(own), atol=0.001
    )


@EACH_LARGER
def test_marker_files_have_a_marker_for_every_keypoint(tmp_path: Path, skeleton: Skeleton) -> None:
    (tmp_path / "out").mkdir()
    exported(tmp_path, skeleton, "trc", "o.trc")
    lines = (tmp_path / "out" / "o_person1.trc").read_text().splitlines()
    markers = [cell for cell in lines[3].split("\t")[2:] if cell]
    assert len(markers) == len(set(markers)) == len(skeleton)
    assert {"Nose", "RKnee"} <= set(markers)
    if skeleton.name == "halpe26":  # as Pose2Sim's marker sets have them
        assert markers[17:] == [
            *("Head", "Neck", "Hip", "LBigToe", "RBigToe", "LSmallToe", "RSmallToe", "LHeel", "RHeel")
        ]


def test_a_file_without_the_name_or_without_a_skeleton_has_cocos_keypoints(tmp_path: Path) -> None:
    path = written(tmp_path, COCO_SKELETON)
    assert json.loads(path.read_text())["skeleton"]["name"] == "coco17"
    for keys in ({"name"}, {"name", "names", "edges"}):
        data = json.loads(path.read_text())
        data["skeleton"] = {key: value for key, value in data["skeleton"].items() if key not in keys}
        path.write_text(json.dumps(data))
        assert read_tracks(path).header.skeleton == COCO_SKELETON


def test_a_file_with_the_name_of_a_set_alone_has_its_keypoints(tmp_path: Path) -> None:
    path = written(tmp_path, SKELETONS["halpe26"])
    data = json.loads(path.read_text())
    data["skeleton"] = {"name": "halpe26"}
    path.write_text(json.dumps(data))
    assert read_tracks(path).header.skeleton == SKELETONS["halpe26"]


def test_wrong_numbers_of_keypoints_are_one_line_that_names_the_set(tmp_path: Path) -> None:
    path = written(tmp_path, SKELETONS["halpe26"])
    data = json.loads(path.read_text())
    data["frames"][0]["people"][0]["keypoints"] = [0.0] * 51
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"has 51 numbers \(17 keypoints\), expected 78") as caught:
        read_tracks(path)
    assert "\n" not in str(caught.value)
    data["skeleton"]["names"] = data["skeleton"]["names"][:21]
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"a skeleton of 21 keypoints. Known numbers are 17 \(coco17\), 26"):
        read_tracks(path)
    data["skeleton"]["names"] = [*SKELETONS["halpe26"].names[:25], "tail"]
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match="keypoint 25 is called 'tail', but in the order of halpe26 it is"):
        read_tracks(path)


@pytest.mark.parametrize("format", ["kprtrack", "csv", "coco"])
def test_a_writer_whose_header_names_another_set_is_an_error(tmp_path: Path, format: str) -> None:
    with (
        pytest.raises(ValueError, match="give RunHeader the skeleton of the tracks"),
        open_writer(tmp_path / "o.x", RunHeader(), format) as writer,
    ):
        writer.write(tracks_of(SKELETONS["halpe26"], 1))


@EACH_LARGER
def test_keypoints_of_another_set_can_be_added_to_corrected_identities(
    tmp_path: Path, skeleton: Skeleton
) -> None:
    poses = written(tmp_path, skeleton)
    convert(poses, tmp_path / "boxes.txt")
    convert(tmp_path / "boxes.txt", tmp_path / "both.json", options=ConvertOptions(poses=poses))
    file = read_tracks(tmp_path / "both.json")
    assert file.header.skeleton == skeleton
    np.testing.assert_allclose(file.frames[0].keypoints, points_of(skeleton, 2), atol=0.006)


def observation(skeleton: Skeleton, frame: int, people: int) -> Observation:
    tracks = tracks_of(skeleton, people, frame)
    detections = Detections(tracks.boxes, tracks.scores)
    return Observation(
        frame, frame / FPS, detections, Poses(tracks.keypoints, skeleton), empty_appearance(people)
    )


@ALL
def test_observations_of_any_set_are_stored_and_tracked(tmp_path: Path, skeleton: Skeleton) -> None:
    path = tmp_path / "o.npz"
    frames = [observation(skeleton, frame, people) for frame, people in enumerate((0, 2, 2, 0, 2))]
    write_observations(path, replace(HEADER, skeleton=skeleton), frames)
    file = read_observations(path)
    assert file.header.skeleton == skeleton
    tracker = KprTracker()
    for stored, original in zip(file, frames, strict=True):
        assert stored.poses.skeleton == skeleton
        np.testing.assert_array_equal(stored.poses.keypoints, original.poses.keypoints)
        tracks = tracker.update(stored)
        assert tracks.skeleton == skeleton
        np.testing.assert_array_equal(tracks.keypoints, original.poses.keypoints[: len(tracks)])


def test_stored_observations_of_another_set_than_the_header_names_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "o.npz"
    with pytest.raises(ValueError, match="give RunHeader the skeleton of the poses"):
        write_observations(path, HEADER, [observation(SKELETONS["halpe26"], 0, 1)])


@ALL
def test_a_limb_is_drawn_between_its_keypoints(skeleton: Skeleton) -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    for a, b in skeleton.edges:
        tracks = tracks_of(skeleton, 1)
        tracks.keypoints[:] = 0
        tracks.keypoints[0, a], tracks.keypoints[0, b] = (100, 300, 0.9), (300, 100, 0.9)
        tracks.boxes[:] = (10, 10, 390, 390)
        drawn = draw_tracks(image, tracks)
        assert tuple(drawn[200, 200]) == colour_of(1)


def test_points_of_the_face_are_drawn_small_and_those_of_the_body_with_a_light_dot() -> None:
    skeleton = SKELETONS["wholebody133"]
    image = np.zeros((1200, 1200, 3), np.uint8)
    sizes = {}
    for name in ("nose", "face-30"):
        tracks = tracks_of(skeleton, 1)
        tracks.keypoints[:] = 0
        tracks.keypoints[0, skeleton.names.index(name)] = (600, 600, 0.9)
        tracks.boxes[:] = (100, 100, 1100, 1100)
        sizes[name] = np.count_nonzero(draw_tracks(image, tracks)[550:650, 550:650].any(axis=2))
    assert 0 < sizes["face-30"] < sizes["nose"] / 2


@EACH_LARGER
@pytest.mark.parametrize("poses", [True, False])
def test_the_online_tracker_takes_any_set(skeleton: Skeleton, poses: bool) -> None:
    tracker = Tracker(ALONE, fps=FPS, poses=poses)
    for frame, people in enumerate((0, 2, 0, 2, 2)):
        given = tracks_of(skeleton, people, frame)
        keypoints = given.keypoints if people else np.zeros((0, len(skeleton), 3))
        tracks = tracker.update(boxes=given.boxes, scores=given.scores, keypoints=keypoints)
    assert tracks.skeleton == skeleton
    np.testing.assert_array_equal(tracks.keypoints, given.keypoints[tracks.rows])


def test_the_online_tracker_takes_one_set_for_a_video() -> None:
    tracker = Tracker(ALONE, fps=FPS, poses=False)
    for skeleton in (SKELETONS["halpe26"], COCO_SKELETON, SKELETONS["halpe26"]):
        given = tracks_of(skeleton, 2)
        if skeleton == COCO_SKELETON:
            with pytest.raises(
                UserError, match="Frame 1 has 17 keypoints for each person, the frames before 26"
            ):
                tracker.update(boxes=given.boxes, keypoints=given.keypoints)
        else:
            tracks = tracker.update(boxes=given.boxes, keypoints=given.keypoints)
    assert tracks.frame_number == 1
    assert len(tracker.update(boxes=given.boxes)) == 2  # without keypoints for once


def test_poses_of_another_set_than_the_networks_declare_are_an_error() -> None:
    skeleton = SKELETONS["halpe26"]
    frames = [Frame(number, number / FPS, np.zeros((40, 60, 3), np.uint8)) for number in range(3)]
    seen = []
    networks = Networks(
        detect=lambda some: [Detections(tracks_of(skeleton, 2).boxes, np.ones(2, np.float32)) for _ in some],
        estimate_poses=lambda some, _: [Poses(points_of(skeleton, 2), skeleton) for _ in some],
        embed=lambda some, found, poses: seen.extend(poses) or [empty_appearance(2) for _ in some],
        skeleton=skeleton,
    )
    for tracker in (None, KprTracker()):
        for each in observe(frames[:1], networks, tracker=tracker):
            assert each.poses.skeleton == skeleton
    assert all(pose.skeleton == skeleton for pose in seen)
    with pytest.raises(UserError, match="frame 0 have the keypoints of halpe26, not of coco17"):
        list(observe(frames, replace(networks, skeleton=COCO_SKELETON)))


@ALL
def test_data_frames_have_columns_of_the_keypoints(skeleton: Skeleton) -> None:
    pytest.importorskip("pandas")
    names = tracks_of(skeleton, 1).to_dataframe().columns
    assert [name.removesuffix("_score") for name in names if name.endswith("_score")][1:] == list(
        skeleton.names
    )
