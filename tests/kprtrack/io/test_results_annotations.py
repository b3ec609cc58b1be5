"""COCO and PoseTrack21 as other programs write and expect them."""

import json
from pathlib import Path

import numpy as np
import pytest
from support import paths

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import OutputError, UserError
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS, POSETRACK_SKELETON
from kprtrack.io import RunHeader, open_writer, read_people, read_tracks
from kprtrack.io.posetrack import to_posetrack

SHARED = paths.SHARED
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared fixtures are not here")


def standing_person() -> np.ndarray:
    """[1, 17, 3] COCO: nose at (100, 50), shoulders at (120, 80) and (80, 80), everything known."""
    keypoints = np.full((1, 17, 3), 0.9, np.float32)
    keypoints[0, :, :2] = np.arange(34).reshape(17, 2) + 200
    keypoints[0, KEYPOINTS.index("nose")] = 100, 50, 0.8
    keypoints[0, KEYPOINTS.index("left_shoulder")] = 120, 80, 0.7
    keypoints[0, KEYPOINTS.index("right_shoulder")] = 80, 80, 0.6
    return keypoints


def tracks_of(keypoints: np.ndarray, frame: int = 0) -> Tracks:
    count = len(keypoints)
    return Tracks(
        frame_number=frame,
        time_s=0.0,
        ids=np.arange(1, count + 1),
        boxes=np.tile(np.array([10, 20, 110, 220], np.float32), (count, 1)),
        scores=np.full(count, 0.5, np.float32),
        keypoints=keypoints,
        distances=np.zeros(count, np.float32),
        margins=np.zeros(count, np.float32),
        visible=np.zeros((count, 0), bool),
        prompted=np.zeros(count, bool),
    )


def written(path: Path, tracks: Tracks, format: str, **options: object) -> dict[str, list[dict[str, object]]]:
    header = options.pop("header", RunHeader())
    with open_writer(path, header, format, **options) as writer:  # type: ignore[arg-type]
        writer.write(tracks)
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def head_joint(name: str, **known: tuple[float, float, float]) -> np.ndarray:
    """That joint of the standing person, with other nose or ears."""
    keypoints = standing_person()
    for keypoint, value in known.items():
        keypoints[0, KEYPOINTS.index(keypoint)] = value
    return to_posetrack(keypoints)[0, POSETRACK_KEYPOINTS.index(name)]  # type: ignore[no-any-return]


def test_the_neck_lies_above_the_shoulders_towards_the_nose() -> None:
    np.testing.assert_allclose(head_joint("head_bottom"), [100, 80 - 0.28 * 30, 0.6])


def test_from_behind_the_neck_lies_towards_the_ears_or_between_the_shoulders() -> None:
    behind = {"left_ear": (110, 50, 0.5), "right_ear": (90, 50, 0.5), "nose": (0, 0, 0)}
    np.testing.assert_allclose(head_joint("head_bottom", **behind), [100, 80 - 0.28 * 30, 0.5], rtol=1e-6)
    nothing = dict.fromkeys(("left_ear", "right_ear", "nose"), (0.0, 0.0, 0.0))
    np.testing.assert_allclose(head_joint("head_bottom", **nothing), [100, 80, 0.6])


def test_the_top_of_the_head_lies_beyond_the_ears_and_the_surer_ear_weighs_more() -> None:
    ears = {"left_ear": (104, 50, 0.2), "right_ear": (94, 50, 0.8)}
    np.testing.assert_allclose(
        head_joint("head_top", **ears), [100 - 1.66 * 4, 80 - 1.66 * 30, 0.6], rtol=1e-6
    )


def test_without_ears_the_top_of_the_head_lies_beyond_the_nose() -> None:
    ears = dict.fromkeys(("left_ear", "right_ear"), (0.0, 0.0, 0.0))
    np.testing.assert_allclose(head_joint("head_top", **ears), [100, 80 - 1.40 * 30, 0.6], rtol=1e-6)


def test_joints_of_the_same_name_stay_and_ears_become_placeholders() -> None:
    coco = standing_person()
    posetrack = to_posetrack(coco)
    for row, name in enumerate(POSETRACK_KEYPOINTS):
        if name in ("left_ear", "right_ear"):
            assert not posetrack[0, row].any()
        elif name in KEYPOINTS:
            np.testing.assert_array_equal(posetrack[0, row], coco[0, KEYPOINTS.index(name)])


@pytest.mark.parametrize(
    ("unknown", "lost"),
    [
        (["nose"], {"nose"}),
        (["nose", "left_ear", "right_ear"], {"nose", "head_top"}),
        (["left_shoulder"], {"left_shoulder", "head_bottom", "head_top"}),
    ],
)
def test_head_joints_of_unknown_keypoints_are_unknown(unknown: list[str], lost: set[str]) -> None:
    keypoints = standing_person()
    keypoints[0, [KEYPOINTS.index(name) for name in unknown], 2] = 0
    zero = {
        name
        for name, joint in zip(POSETRACK_KEYPOINTS, to_posetrack(keypoints)[0], strict=True)
        if not joint.any()
    }
    assert zero == lost | {"left_ear", "right_ear"}


def test_read_back_the_eyes_are_unknown_and_the_body_is_the_same() -> None:
    coco = standing_person()
    back = POSETRACK_SKELETON.to_coco(to_posetrack(coco))
    assert not back[0, 1:5].any()
    np.testing.assert_array_equal(back[0, 5:], coco[0, 5:])
    np.testing.assert_array_equal(back[0, 0], coco[0, 0])


def test_a_posetrack_result_has_what_the_official_evaluation_reads(tmp_path: Path) -> None:
    data = written(tmp_path / "000016_mpii_test.json", tracks_of(standing_person(), 3), "posetrack21")
    assert data["images"][0]["id"] == data["images"][0]["frame_id"] == 10000160003
    annotation = data["annotations"][0]
    assert annotation["image_id"] == 10000160003
    assert annotation["track_id"] == annotation["person_id"] == 1
    assert annotation["bbox"] == [10, 20, 100, 200]
    assert len(annotation["keypoints"]) == 51  # type: ignore[arg-type]
    assert annotation["scores"][:5] == [0.8, 0.6, 0.6, 0, 0]  # type: ignore[index]
    assert data["categories"][0]["keypoints"] == list(POSETRACK_KEYPOINTS)


def test_a_run_with_posetracks_skeleton_keeps_its_rows(tmp_path: Path) -> None:
    header = RunHeader(skeleton=POSETRACK_SKELETON)
    data = written(tmp_path / "t.json", tracks_of(standing_person()), "posetrack21", header=header)
    assert data["annotations"][0]["keypoints"][3:5] == [202, 203]  # type: ignore[index]


def test_a_result_takes_ids_and_order_of_the_ground_truths_images(tmp_path: Path) -> None:
    images = [{"id": 10000010000 + step, "file_name": f"{step}.jpg"} for step in (4, 5, 9)]
    data = written(tmp_path / "t.json", tracks_of(standing_person(), 1), "posetrack21", images=images)
    assert data["images"] == images
    assert data["annotations"][0]["image_id"] == 10000010005


def test_a_frame_without_an_image_in_the_ground_truth_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="frame 1 has no image"):
        written(tmp_path / "t.json", tracks_of(standing_person(), 1), "posetrack21", images=[{"id": 7}])


def test_images_are_for_posetrack_only(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="posetrack21"):
        open_writer(tmp_path / "t.json", RunHeader(), images=[{"id": 7}])


def test_coco_marks_low_confidence_as_hidden_and_counts_known_keypoints(tmp_path: Path) -> None:
    keypoints = standing_person()
    keypoints[0, :4, 2] = 0, 0.1, 0.3, 0.9
    annotation = written(tmp_path / "t.json", tracks_of(keypoints), "coco")["annotations"][0]
    assert annotation["keypoints"][2:12:3] == [0, 1, 2, 2]  # type: ignore[index]
    assert annotation["keypoints"][:2] == [0, 0]  # type: ignore[index]
    assert annotation["num_keypoints"] == 16


def test_coco_counts_the_skeleton_from_one(tmp_path: Path) -> None:
    category = written(tmp_path / "t.json", tracks_of(standing_person()), "coco")["categories"][0]
    assert category["skeleton"][0] == [1, 2]  # type: ignore[index]
    assert category["keypoints"] == list(KEYPOINTS)


def test_identities_that_count_from_zero_are_raised_by_one(tmp_path: Path) -> None:
    people = [{"image_id": 1, "track_id": track_id, "bbox": [1, 2, 3, 4]} for track_id in (0, 4)]
    (tmp_path / "t.json").write_text(json.dumps({"images": [{"id": 1}], "annotations": people}))
    assert read_tracks(tmp_path / "t.json").frames[0].ids.tolist() == [1, 5]


def test_other_categories_and_crowds_are_left_out(tmp_path: Path) -> None:
    people = [{"image_id": 2, "category_id": 1, "track_id": 1, "bbox": [1, 2, 3, 4]}]
    others = [people[0] | {"category_id": 3}, people[0] | {"iscrowd": 1}]
    (tmp_path / "t.json").write_text(json.dumps({"images": [{"id": 2}], "annotations": others + people}))
    assert len(read_tracks(tmp_path / "t.json").frames[0]) == 1


@needs_shared
@pytest.mark.parametrize("sequence", ["000001", "000002", "000003"])
def test_pose_and_box_results_of_the_official_layout_agree(sequence: str) -> None:
    folder = SHARED / "fixtures" / "eval" / "pt21_basic" / "trackers" / "noisy"
    poses = read_tracks(folder / "pose" / f"{sequence}_synth_val.json")
    boxes = read_tracks(folder / "mot" / f"{sequence}_synth_val.txt")
    for frame in boxes.frames:
        other = poses.frames[frame.frame_number]
        order, other_order = np.argsort(frame.ids), np.argsort(other.ids)
        np.testing.assert_array_equal(frame.ids[order], other.ids[other_order])
        np.testing.assert_allclose(frame.boxes[order], other.boxes[other_order], atol=1e-3)


@needs_shared
@pytest.mark.parametrize("name", ["003418_mpii_test", "009473_mpii_test", "012834_mpii_test"])
def test_official_posetrack18_annotations_are_read(name: str) -> None:
    path = SHARED / "real" / "tracking" / "mmpose_posetrack18" / "annotations" / "val" / f"{name}.json"
    ground_truth = json.loads(path.read_text())["annotations"]
    frame = read_tracks(path).frames[0]
    assert sorted(frame.ids) == sorted(entry["track_id"] + 1 for entry in ground_truth)
    assert (frame.keypoints[..., 2] > 0).sum() == sum(
        entry["keypoints"][3 * row] > 0 for entry in ground_truth for row in range(17) if row not in (1, 2)
    )


@needs_shared
def test_official_coco_annotations_and_detections_are_read() -> None:
    folder = SHARED / "real" / "pose" / "mmpose_samples" / "coco"
    people = read_people(folder / "test_coco.json")
    detections = read_people(folder / "test_coco_det_AP_H_56.json")
    assert people.has_keypoints
    assert set(np.unique(people.people.keypoints[..., 2])) == {0, 0.5, 1}
    assert len(detections.people) == 118
