"""PoseTrack21's folders as arrays, and errors with the place of the fault."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.posetrack21_cases import (
    BASIC,
    FRAMES,
    HEAD_PX,
    IMAGE,
    NAME,
    gt_file,
    keypoints,
    made,
    spoil,
    unpack,
)

from eval.benchmarks.posetrack21 import SequencePair, read_sequence, read_sequences
from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS

Document = dict[str, Any]


def read(ground_truth: Path, results: Path, **options: Any) -> SequencePair:
    (files,) = read_sequences(ground_truth, results, **options)
    return read_sequence(files)


# What is read


def test_rows_are_people_frame_after_frame(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    spoil(results / f"{NAME}.json", lambda file: file["annotations"].reverse())
    poses = read(ground_truth, results).poses
    assert poses.name == NAME
    assert poses.labelled.tolist() == [True, True, True, False]
    assert poses.ground_truth.frames.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert poses.ground_truth.ids.tolist() == [1, 2] * 4
    assert poses.tracks.frames.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert poses.tracks.ids.tolist() == [2, 1] * 4
    assert poses.tracks.person_ids.tolist() == [12, 11] * 4
    assert poses.ground_truth.boxes[1].tolist() == [200, 50, 20, 40]
    assert poses.ground_truth.keypoints[1, 0].tolist() == [200, 60]
    assert poses.ground_truth.keypoints[1, 3].tolist() == [0, 0]


def test_head_sizes_are_known_in_labelled_frames_only(tmp_path: Path) -> None:
    heads = read(*made(tmp_path)).poses.ground_truth.head_sizes
    assert heads[:6] == pytest.approx(np.full(6, HEAD_PX))
    assert np.isnan(heads[6:]).all()


def test_joint_scores_are_minus_9999_where_a_person_has_none(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    spoil(results / f"{NAME}.json", lambda file: file["annotations"][0].update(scores=[0.25] * 17))
    scores = read(ground_truth, results).poses.tracks.joint_scores
    assert (scores[0] == 0.25).all()
    assert (scores[1:] == -9999).all()


def test_unlabelled_ground_truth_needs_no_joints_and_no_head_box(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)

    def strip(file: Document) -> None:
        for one in file["annotations"][-2:]:
            del one["keypoints"], one["bbox_head"]

    spoil(gt_file(ground_truth), strip)
    assert not read(ground_truth, results).poses.ground_truth.keypoints[-2:].any()


def test_one_ignored_region_may_be_a_flat_list(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)

    def flat(file: Document) -> None:
        file["images"][0] |= {"ignore_regions_x": [1, 5, 5], "ignore_regions_y": [2, 2, 9]}
        file["images"][1] |= {
            "ignore_regions_x": [[1, 5, 5], [0, 1]],
            "ignore_regions_y": [[2, 2, 9], [0, 1]],
        }

    spoil(gt_file(ground_truth), flat)
    regions = read(ground_truth, results).poses.ignore_regions
    assert [[polygon.tolist() for polygon in frame] for frame in regions[:3]] == [
        [[[1, 2], [5, 2], [5, 9]]],
        [[[1, 2], [5, 2], [5, 9]]],
        [],
    ]


def test_boxes_come_from_posetrack_mot_and_the_text_files_where_they_are_there(tmp_path: Path) -> None:
    root = unpack(BASIC, tmp_path)
    files = read_sequences(root, root / "trackers/noisy/pose", box_results=root / "trackers/noisy/mot")
    boxes = read_sequence(files[0]).boxes
    assert boxes is not None
    assert boxes.labelled.all()
    assert len(boxes.ignore_regions) == 24
    assert boxes.ground_truth.boxes[0].tolist() == [221.16, 66.13, 45.66, 109.87]
    assert (boxes.tracks.frames[0], boxes.tracks.ids[0], boxes.tracks.scores[0]) == (0, 101, 0.75)


def test_boxes_of_pose_files_take_the_place_of_missing_text(tmp_path: Path) -> None:
    root = unpack(BASIC, tmp_path)
    pair = read_sequence(read_sequences(root, root / "trackers/noisy/pose")[0])
    assert pair.boxes is not None
    np.testing.assert_array_equal(pair.boxes.tracks.boxes, pair.poses.tracks.boxes)


def test_without_any_box_in_the_results_there_is_no_box_side(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    spoil(results / f"{NAME}.json", lambda file: [one.pop("bbox") for one in file["annotations"]])
    assert read(ground_truth, results).boxes is None


def test_person_ids_are_optional(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    spoil(results / f"{NAME}.json", lambda file: file["annotations"][3].pop("person_id"))
    pair = read(ground_truth, results)
    assert pair.gt_has_person_ids and not pair.tracks_have_person_ids
    assert (pair.poses.tracks.person_ids == -1).all()


@pytest.mark.parametrize("inside", ["sequences", "mine/sequences"])
def test_results_may_be_in_the_folders_of_the_official_program(tmp_path: Path, inside: str) -> None:
    ground_truth, results = made(tmp_path)
    (tmp_path / "given" / inside).parent.mkdir(parents=True)
    results.rename(tmp_path / "given" / inside)
    assert len(read(ground_truth, tmp_path / "given").poses.tracks) == 8


def test_hidden_files_are_no_sequences(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    (gt_file(ground_truth).parent / "._x.json").write_bytes(b"\0")
    assert len(read_sequences(ground_truth, results)) == 1


def test_joints_named_as_posetracks_may_lie_in_any_pose(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    as_coco(results)
    spoil(
        results / f"{NAME}.json",
        lambda file: file.update(categories=[{"name": "person", "keypoints": list(POSETRACK_KEYPOINTS)}]),
    )
    assert len(read(ground_truth, results).poses.tracks)


# Invalid results: a change of the result file, and parts of the message


def first(**values: object) -> Callable[[Document], object]:
    return lambda file: file["annotations"][2].update(values)  # frame 1, track 1


def swap_images(file: Document) -> None:
    file["images"][1], file["images"][2] = file["images"][2], file["images"][1]


def name_joints(names: list[str]) -> Callable[[Document], object]:
    return lambda file: file.update(categories=[{"name": "person", "keypoints": names}])


PLACE = f"frame 1 (image_id {IMAGE + 1}), track_id"
POINTS = keypoints(1.0, 1.0)
FAULTS: dict[str, tuple[Callable[[Document], object], tuple[str, ...]]] = {
    "a missing image": (
        lambda file: file["images"].pop(),
        (f"has {FRAMES - 1} images, the ground truth has {FRAMES}", str(IMAGE + 3)),
    ),
    "an image too many": (lambda file: file["images"].append({"id": 5}), ("has 5 images", "same order")),
    "images in another order": (swap_images, ("frame 1", str(IMAGE + 2), "another order", "same order")),
    "images of another video": (lambda file: file["images"][2].update(id=7), ("frame 2: image id 7",)),
    "an image twice": (lambda file: file["images"][2].update(id=IMAGE), ("image 2", "is repeated")),
    "no images": (lambda file: file.pop("images"), ('"images" must be a list',)),
    "no annotations": (lambda file: file.pop("annotations"), ('"annotations" must be a list',)),
    "an image that is not there": (first(image_id=9), ("annotation 2", "image_id 9")),
    "an image id that is a list": (first(image_id=[9]), ("annotation 2", "image_id [9]")),
    "an id twice": (first(track_id=2), (PLACE, "track_id 2 occurs twice")),
    "a person twice": (first(person_id=12), (PLACE, "person_id 12 occurs twice")),
    "a negative id": (first(track_id=-1), (PLACE, "-1 must be a non-negative integer")),
    "an id that is a fraction": (first(track_id=1.5), (PLACE, "1.5 must be a non-negative integer")),
    "an id that is text": (first(track_id="1"), (PLACE, "'1' must be a non-negative integer")),
    "no id": (
        lambda file: file["annotations"][2].pop("track_id"),
        ("frame 1 (image_id", "track_id None must be a non-negative integer"),
    ),
    "15 joints": (first(keypoints=POINTS[:45]), (PLACE, "51 numbers", "45 numbers", "15 joints", "0 0 0")),
    "joints without a third number": (first(keypoints=POINTS[:34]), (PLACE, "34 numbers", "third number")),
    "no keypoints": (lambda file: file["annotations"][2].pop("keypoints"), (PLACE, "has no keypoints")),
    "empty keypoints": (first(keypoints=[]), (PLACE, "has no keypoints")),
    "a joint beyond all numbers": (first(keypoints=[10**400, *POINTS[1:]]), (PLACE, "at index 0")),
    "a joint that is text": (first(keypoints=["a", *POINTS[1:]]), (PLACE, "'a' at index 0")),
    "a joint that is null": (first(keypoints=[1, None, *POINTS[2:]]), (PLACE, "None at index 1")),
    "a joint that is NaN": (first(keypoints=[1, float("nan"), *POINTS[2:]]), (PLACE, "nan at index 1", "0")),
    "an infinite joint": (first(keypoints=[float("inf"), *POINTS[1:]]), (PLACE, "inf at index 0")),
    "15 scores": (first(scores=[1] * 15), (PLACE, "scores must be 17 numbers")),
    "a box that is NaN": (first(bbox=[0, 0, float("nan"), 1]), (PLACE, "bbox has nan at index 2")),
    "a box of negative size": (first(bbox=[0, 0, -2, 1]), (PLACE, "negative size")),
    "one box missing": (lambda file: file["annotations"][2].pop("bbox"), (PLACE, "bbox must be 4 numbers")),
    "joints named in COCO's order": (name_joints(list(KEYPOINTS)), ("COCO's", "kprtrack convert")),
    "joints of another skeleton": (name_joints(["nose", "tail"]), ("not PoseTrack21's", "head_bottom")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_invalid_result_is_rejected(fault: str, tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    change, parts = FAULTS[fault]
    spoil(results / f"{NAME}.json", change)
    with pytest.raises(InputError) as caught:
        read(ground_truth, results)
    for part in (str(results / f"{NAME}.json"), *parts):
        assert part in str(caught.value)


def as_coco(results: Path) -> None:
    """24 people with ears, and eyes where PoseTrack has neck and top of the head."""

    def change(file: Document) -> None:
        points = [50.0, 50.0, 1.0, 51.0, 49.0, 1.0, 49.0, 49.0, 1.0] + [50.0, 49.5, 1.0] * 14
        file["annotations"] = [
            {"image_id": IMAGE + i // 10, "track_id": i, "keypoints": points} for i in range(24)
        ]

    spoil(results / f"{NAME}.json", change)


def test_cocos_order_is_recognised_by_the_poses(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    as_coco(results)
    with pytest.raises(InputError, match="seem to be in COCO's order"):
        read(ground_truth, results)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": 3}', '{"images": []}', "{" * 5000])
def test_a_file_in_another_format_is_rejected(text: str, tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    (results / f"{NAME}.json").write_text(text)
    with pytest.raises(InputError, match=NAME):
        read(ground_truth, results)


def test_ground_truth_without_a_head_box_is_rejected(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    spoil(gt_file(ground_truth), lambda file: file["annotations"][2].pop("bbox_head"))
    with pytest.raises(InputError, match=r"frame 1 .*track_id 1 has no bbox_head"):
        read(ground_truth, results)


def test_swapped_results_and_ground_truth_are_rejected(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    spoil(gt_file(ground_truth), lambda file: [image.pop("is_labeled") for image in file["images"]])
    with pytest.raises(InputError, match="swapped"):
        read(ground_truth, results)


@pytest.mark.parametrize(
    "region",
    [{"ignore_regions_x": [[1, 2, 3]], "ignore_regions_y": [[1, 2]]}, {"ignore_regions_x": [[1, "a"]]}],
)
def test_an_invalid_region_is_rejected(region: Document, tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    spoil(gt_file(ground_truth), lambda file: file["images"][1].update(region))
    with pytest.raises(InputError, match="frame 1: ignore_regions"):
        read(ground_truth, results)
