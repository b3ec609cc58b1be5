"""Boxes and poses from files instead of networks."""

import json
from pathlib import Path

import numpy as np
import pytest
from support import paths

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS, POSETRACK_SKELETON
from kprtrack.detectors.file import FileConfig, FileDetector
from kprtrack.poses.file import FilePose

SHARED = paths.SHARED
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared fixtures are not here")


def boxes_in(path: Path) -> FileDetector:
    return FileDetector(FileConfig(), path)


def poses_in(path: Path) -> FilePose:
    return FilePose(FileConfig(), path)


def frames(numbers: list[int]) -> list[Frame]:
    return [Frame(number, number / 25, np.zeros((1, 1, 3), np.uint8)) for number in numbers]


def person(left: float, score: float | None = None, **more: object) -> dict[str, object]:
    keypoints = [number for row in range(17) for number in (left + row, 50.0 + row, 0.9)]
    return {"bbox": [left, 40, 20, 60], "score": score, "keypoints": keypoints} | more


def json_file(folder: Path, *people: dict[str, object], names: tuple[str, ...] = KEYPOINTS) -> Path:
    path = folder / "people.json"
    frames = [{"frame": 2, "people": list(people)}]
    path.write_text(
        json.dumps({"format": "kprtrack", "version": 1, "skeleton": {"names": names}, "frames": frames})
    )
    return path


def test_boxes_are_returned_by_frame_number_and_sorted_by_score(tmp_path: Path) -> None:
    stored = boxes_in(json_file(tmp_path, person(5, 0.4), person(100, 0.8)))
    no_people, found = stored(frames([0, 2]))
    assert len(no_people) == 0
    np.testing.assert_allclose(found.boxes, [[100, 40, 120, 100], [5, 40, 25, 100]])
    np.testing.assert_allclose(found.scores, [0.8, 0.4])


def test_a_missing_score_is_one(tmp_path: Path) -> None:
    stored = boxes_in(json_file(tmp_path, person(5)))
    assert stored(frames([2]))[0].scores.tolist() == [1]


def test_mot_detections_need_no_track_ids(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("3,-1,10,20,30,40,0.5\n1,-1,1,2,3,4,1\n")
    found = boxes_in(tmp_path / "det.txt")(frames([0, 1, 2]))
    assert [len(people) for people in found] == [1, 0, 1]
    np.testing.assert_allclose(found[2].boxes, [[10, 20, 40, 60]])


def test_a_plain_table_of_boxes_is_enough(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("frame,x,y,width,height\n0,10,20,30,40\n")
    np.testing.assert_allclose(boxes_in(tmp_path / "boxes.csv")(frames([0]))[0].boxes, [[10, 20, 40, 60]])


def test_the_image_id_of_coco_results_is_the_frame_number(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(
        '[{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]'
    )
    assert len(boxes_in(tmp_path / "t.json")(frames([7]))[0]) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,-1,10,20,0,40,1", "line 2: a box without area"),
        ("1,-1,10,20,-5,40,1", "line 2: a box without area"),
        ("1,-1,inf,20,5,40,1", "line 2: a box that is missing or not finite"),
        ("1,-1,10,20,nan,40,1", "line 2: a box that is missing or not finite"),
        ("1,-1,10,20,5,40,37.5", "line 2: a score outside 0 to 1"),
        ("1,-1,10,20,5,40,-0.1", "line 2: a score outside 0 to 1"),
    ],
)
def test_invalid_boxes_are_errors(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "det.txt").write_text(f"1,-1,1,2,3,4,1\n{line}\n")
    with pytest.raises(InputError, match=message):
        boxes_in(tmp_path / "det.txt")


def test_poses_and_boxes_of_one_file_are_matched_by_row(tmp_path: Path) -> None:
    path = json_file(tmp_path, person(5, 0.4), person(5, 0.8, keypoints=[7.0] * 51))  # two people, one box
    people = boxes_in(path)(frames([2]))
    poses = poses_in(path)(frames([2]), people)[0]
    np.testing.assert_allclose(poses.keypoints[0], 7)
    np.testing.assert_allclose(poses.keypoints[1, 0], [5, 50, 0.9])


def test_poses_are_matched_to_the_box_they_overlap_most(tmp_path: Path) -> None:
    stored = poses_in(json_file(tmp_path, person(5), person(100)))
    boxes = np.array([[101, 42, 121, 101], [300, 40, 320, 100], [4, 40, 24, 100]], np.float32)
    poses = stored(frames([2]), [Detections(boxes, np.ones(3, np.float32))])[0]
    np.testing.assert_allclose(poses.keypoints[:, 0, 0], [100, 0, 5])
    assert not poses.keypoints[1].any()


def test_an_overlap_of_exactly_half_is_enough(tmp_path: Path) -> None:
    stored = poses_in(json_file(tmp_path, person(0)))
    boxes = np.array([[0, 40, 40, 100]], np.float32)
    assert stored(frames([2]), [Detections(boxes, np.ones(1, np.float32))])[0].keypoints.any()


def test_a_frame_without_stored_poses_has_unknown_keypoints(tmp_path: Path) -> None:
    stored = poses_in(json_file(tmp_path, person(5)))
    people = Detections(np.array([[5, 40, 25, 100]], np.float32), np.ones(1, np.float32))
    assert not stored(frames([0]), [people])[0].keypoints.any()


def test_poses_without_boxes_get_the_extent_of_their_keypoints(tmp_path: Path) -> None:
    stored = poses_in(json_file(tmp_path, person(5, bbox=None)))
    np.testing.assert_allclose(stored.boxes, [[5, 50, 21, 66]])


def test_head_joints_of_posetracks_skeleton_are_kept_and_are_no_eyes(tmp_path: Path) -> None:
    stored = poses_in(json_file(tmp_path, person(5), names=POSETRACK_KEYPOINTS))
    assert stored.skeleton == POSETRACK_SKELETON
    assert stored.keypoints[0].all()
    in_coco = stored.skeleton.to_coco(stored.keypoints)
    assert not in_coco[0, 1:3].any()
    assert in_coco[0, 3:].all()


def test_another_number_of_keypoints_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"frame 2, person 0.*15 keypoints"):
        poses_in(json_file(tmp_path, person(5, keypoints=[1.0] * 45)))


def test_another_order_of_keypoints_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="keypoint 1 is called 'right_eye'"):
        poses_in(json_file(tmp_path, person(5), names=("nose", "right_eye", "left_eye", *KEYPOINTS[3:])))


def test_a_file_without_keypoints_is_an_error_for_poses(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,2,3,4,1\n")
    with pytest.raises(InputError, match="no keypoints"):
        poses_in(tmp_path / "det.txt")


def test_a_negative_keypoint_score_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="negative score"):
        poses_in(json_file(tmp_path, person(5, keypoints=[1.0, 1.0, -1.0] * 17)))


def test_a_hundred_thousand_boxes_are_read(tmp_path: Path) -> None:
    lines = [f"{row // 10 + 1},-1,{row % 10 * 30},20.5,25,80,0.75" for row in range(100_000)]
    (tmp_path / "det.txt").write_text("\n".join(lines))
    stored = boxes_in(tmp_path / "det.txt")
    assert len(stored(frames([9_999]))[0]) == 10


@needs_shared
def test_real_mot17_detections_and_ground_truth_are_read() -> None:
    for folder in sorted((SHARED / "real" / "tracking" / "MOT17-mini" / "train").iterdir()):
        for name in ("det/det.txt", "gt/gt.txt"):
            lines = [line for line in (folder / name).read_text().splitlines() if line]
            found = boxes_in(folder / name)(frames(list(range(2000))))
            assert sum(map(len, found)) == len(lines)
