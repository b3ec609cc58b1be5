"""Annotations are read as arrays; what is wrong in a file is said with its place."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.detector_cases import person

from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import POSETRACK_KEYPOINTS
from kprtrack.training.annotations import read_annotations

IMAGE = {"id": 7, "file_name": "a.png", "width": 60, "height": 40}
JOINTS = [5.0, 6.0, 2] * 17


def write(folder: Path, **changes: Any) -> Path:
    cv2.imwrite(str(folder / "a.png"), np.zeros((40, 60, 3), np.uint8))
    told = {"images": [IMAGE], "annotations": [], "categories": [{"id": 1, "name": "person"}], **changes}
    (folder / "a.json").write_text(json.dumps(told))
    return folder / "a.json"


def test_people_scores_keypoints_and_crowds_are_read(tmp_path: Path) -> None:
    annotations = [
        person(1, 7, (1, 2, 10, 20), keypoints=JOINTS, keypoint_scores=[0.5] * 17, score=0.75),
        person(2, 7, (5, 5, 10, 10)),
        person(3, 7, (0, 0, 30, 40), iscrowd=1),
        person(4, 7, (0, 0, 3, 4)) | {"category_id": 2},
    ]
    categories = [{"id": 2, "name": "dog"}, {"id": 1, "name": "person"}]
    (image,) = read_annotations(write(tmp_path, annotations=annotations, categories=categories))
    assert image.path == tmp_path / "a.png" and (image.width, image.height) == (60, 40)
    assert image.boxes.tolist() == [[1, 2, 11, 22], [5, 5, 15, 15]]
    assert image.scores.tolist() == [0.75, 1.0]
    assert image.keypoints[:, 0].tolist() == [[5, 6, 2], [0, 0, 0]]
    assert image.keypoint_scores[:, 0].tolist() == [0.5, 0.0]
    assert [region.tolist() for region in image.ignore] == [[[0, 0], [30, 0], [30, 40], [0, 40]]]
    assert image.skeleton == "coco"


def test_pictures_without_people_are_background(tmp_path: Path) -> None:
    (image,) = read_annotations(write(tmp_path))
    assert image.boxes.shape == (0, 4) and image.keypoints.shape == (0, 17, 3) and image.ignore == ()


def test_a_folder_of_posetrack21_is_read_with_its_regions(tmp_path: Path) -> None:
    folder = tmp_path / "posetrack_data" / "val"
    folder.mkdir(parents=True)
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "0.jpg"), np.zeros((40, 60, 3), np.uint8))
    images = [
        {
            "id": 10,
            "file_name": "images/0.jpg",
            "is_labeled": True,
            "ignore_regions_x": [[0, 9, 9], [1, 2]],
            "ignore_regions_y": [[0, 0, 9], [1, 2]],
        },
        {"id": 11, "file_name": "images/1.jpg", "is_labeled": False},
    ]
    told = {
        "images": images,
        "annotations": [person(1, 10, (1, 2, 10, 20), keypoints=JOINTS)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(POSETRACK_KEYPOINTS)}],
    }
    (folder / "0.json").write_text(json.dumps(told))
    (image,) = read_annotations(folder)
    assert image.path == tmp_path / "images" / "0.jpg" and (image.width, image.height) == (60, 40)
    assert [region.tolist() for region in image.ignore] == [[[0, 0], [9, 0], [9, 9]]]
    assert image.skeleton == "posetrack" and len(image.boxes) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "it is empty"),
        ({"images": 3}, '"images" must be a list of objects'),
        ({"images": [IMAGE, IMAGE]}, "image 1: id 7 is repeated"),
        (
            {"images": [IMAGE | {"file_name": "b.png"}]},
            r"1 of the 1 images .* are missing, first .*b\.png",
        ),
        ({"images": [IMAGE | {"width": -3}]}, r"image 0 \(a\.png\): width is -3"),
        ({"images": [{"id": 7}]}, "image 0: file_name is None"),
        (
            {"annotations": [person(3, 8, (0, 0, 1, 1))]},
            "annotation 0 .*: image_id 8 is not one of the 1 images",
        ),
        (
            {"annotations": [person(3, 7, (0, 0, 1))]},
            r"annotation 0 \(id 3\), frame 0 \(image_id 7\): bbox must be 4 numbers, not 3",
        ),
        (
            {"annotations": [person(3, 7, (0, 0, -1, 5))]},
            r"bbox \[0\.0, 0\.0, -1\.0, 5\.0\] has a negative size",
        ),
        ({"annotations": [person(3, 7, (0, 0, float("nan"), 5))]}, "bbox has nan at index 2"),
        ({"annotations": [person(3, 7, (0, 0, 1, 5), score=2)]}, "score 2 must be between 0 and 1"),
        (
            {"annotations": [person(3, 7, (0, 0, 1, 5), keypoints=[1])]},
            "keypoints must be 51 numbers, .* not 1 numbers",
        ),
        (
            {"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]},
            "called person: cat, dog. Choose one with category=NAME beside annotations",
        ),
        (
            {"categories": [{"id": 1, "name": "person", "keypoints": ["toe"]}]},
            "skeleton of 1 keypoints. Known numbers are 17",
        ),
        ({"images": [IMAGE | {"ignore_regions_x": [[1, 2, 3]]}]}, "ignore_regions_x and _y must be"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_annotations(write(tmp_path, **changes))


def test_a_file_cut_off_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no json file"):
        read_annotations(tmp_path)
    (tmp_path / "a.json").write_text('{"images": [')
    with pytest.raises(InputError, match="this is not valid JSON"):
        read_annotations(tmp_path / "a.json")
