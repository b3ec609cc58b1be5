"""Scores on held-out sources, against values that follow from how the made images and results were built."""

import cv2
import numpy as np
import orjson
import pytest
from support import paths

from kprtrack.core.datatypes import Detections
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.skeleton import KEYPOINTS

SIDE = 200
BOXES = ([20, 30, 60, 150], [90, 20, 70, 160])  # x y width height of the two people in each image


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    monkeypatch.syspath_prepend(paths.ROOT / "tools")


def annotation(number, image, box, **changes):
    x, y, width, height = box
    joints = np.linspace([x + 10, y + 10, 2], [x + width - 10, y + height - 10, 2], len(KEYPOINTS))
    entry = {"id": number, "image_id": image, "category_id": 1, "bbox": list(box), "iscrowd": 0}
    entry |= {"area": width * height, "keypoints": joints.ravel().tolist(), "num_keypoints": len(KEYPOINTS)}
    return entry | changes


def write(folder, name, images, people):
    category = {"id": 1, "name": "person", "keypoints": list(KEYPOINTS), "skeleton": []}
    content = {"images": images, "annotations": people, "categories": [category]}
    (folder / name).write_bytes(orjson.dumps(content))


@pytest.fixture
def data(tmp_path):
    """Write two images with two people each, and one without, as tools/make_person_data.py does."""
    rng = np.random.default_rng(0)
    (tmp_path / "images/mmpose").mkdir(parents=True)
    images = []
    for number in (1, 2, 3):
        name = f"mmpose/{number}.jpg"
        cv2.imwrite(str(tmp_path / "images" / name), rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8))
        entry = {"id": number, "file_name": name, "width": SIDE, "height": SIDE, "source": "mmpose"}
        images.append(entry | {"labels": "true", "joints": "true"})
    people = [annotation(2 * image + row, image, BOXES[row]) for image in (1, 2) for row in (0, 1)]
    write(tmp_path, "honest.json", images[:2], people)
    write(tmp_path, "pose_honest.json", images[:2], people)
    write(tmp_path, "background_honest.json", images[2:], [])
    (tmp_path / "honest_cutouts").mkdir()
    white = {"image": np.full((90, 30, 3), 255, np.uint8), "alpha": np.ones((90, 30), np.float32)}
    np.savez(tmp_path / "honest_cutouts/0000.npz", **white)
    return tmp_path


def listed(data, name="honest.json"):
    from honest.lists import read_list

    return read_list(data / name)


def detections(*boxes):
    rows = np.float32([[x, y, x + width, y + height] for x, y, width, height in boxes]).reshape(-1, 4)
    return Detections(rows, np.full(len(rows), 0.9, np.float32))


def test_ground_truth_boxes_have_ap_1_and_half_of_them_51_of_101_recalls(data):
    from honest.scores import box_ap

    images = listed(data)
    assert box_ap(images, [detections(*BOXES)] * 2) == pytest.approx((1, 1))
    # Recall 0.5 is reached without a false positive: 51 of COCO's 101 recall thresholds, 0 to 0.5.
    assert box_ap(images, [detections(BOXES[0])] * 2) == pytest.approx((51 / 101, 51 / 101))
    assert box_ap(images, [detections()] * 2) == (0, 0)


def test_ious_of_matched_boxes_are_those_of_the_shifted_boxes(data):
    from honest.scores import matched_ious

    x, y, width, height = BOXES[0]
    shifted, elsewhere = (x + width // 4, y, width, height), (BOXES[1][0] + 60, *BOXES[1][1:])
    found = matched_ious(listed(data), [detections(shifted), detections(elsewhere)])
    np.testing.assert_allclose(found, [0.75 / 1.25])  # three quarters shared; the other one is no match


@pytest.mark.parametrize("shift", [0, 3])
def test_oks_of_a_person_moved_sideways_is_cocos_formula(data, shift):
    from honest.lists import has_joints
    from honest.scores import coco_ap, keypoint_results, person_oks

    # Values of cocoapi's COCOeval.setDetParams, times 10.
    sigmas = (
        np.array([0.26, 0.25, 0.25, 0.35, 0.35, *np.repeat([0.79, 0.72, 0.62, 1.07, 0.87, 0.89], 2)]) / 10
    )
    images = listed(data, "pose_honest.json")
    assert all(map(has_joints, images.people))
    skeletons = [np.array(each["keypoints"], float).reshape(-1, 3) for each in images.people]
    skeletons = [np.column_stack((each[:, 0] + shift, each[:, 1], np.full(17, 0.9))) for each in skeletons]
    width, height = BOXES[0][2:]
    expected = np.exp(-(shift**2) / (2 * 0.53 * width * height * (2 * sigmas) ** 2)).mean()
    assert person_oks(images.people[0], skeletons[0]) == pytest.approx(expected, abs=1e-6)
    if not shift:
        results = []
        for row, image in enumerate(images.images):
            results += keypoint_results(image, np.ones(2), np.stack(skeletons[2 * row : 2 * row + 2]))
        assert coco_ap(images, results, "keypoints") == pytest.approx((1, 1))
        assert results[0]["score"] == pytest.approx(0.9)


def test_only_people_with_another_one_in_the_crop_are_neighbours(data):
    from honest.lists import with_neighbours

    # The crops are 141 and 150 px wide about x = 50 and 125: each contains 30 px of the other box, over 0.1.
    assert len(with_neighbours(listed(data)).people) == 4
    images = [{"id": 1, "file_name": "mmpose/1.jpg", "width": 900, "height": 900}]
    write(data, "far.json", images, [annotation(1, 1, BOXES[0]), annotation(2, 1, [600, 500, 60, 150])])
    assert not with_neighbours(listed(data, "far.json")).images


def test_joints_under_a_pasted_person_are_not_scored(data):
    from honest.pasting import pasted, read_cutouts

    images = listed(data, "pose_honest.json")
    made = pasted(images, read_cutouts(data / "honest_cutouts"))
    again = pasted(images, read_cutouts(data / "honest_cutouts"))
    assert len(made.images) == len(made.people) == 4 * 4
    hidden = 0
    for image, person in zip(made.images, made.people, strict=True):
        pixels = made.read(image)
        np.testing.assert_array_equal(pixels, again.read(image))
        for x, y, state in np.array(person["keypoints"]).reshape(-1, 3):
            if 0 <= x < SIDE and 0 <= y < SIDE:
                white = bool((pixels[int(y), int(x)] == 255).all())
                assert white == (state == 0)
                hidden += white
    assert hidden > 0


def test_networks_are_named_with_weights_and_options():
    from score_honest import components

    found = components(["a=small", "b=heatmap:tiny.onnx,flip_test=false,box_padding=1.15"])
    assert (found["a"].name, found["a"].weights, dict(found["a"].options)) == ("small", None, {})
    assert (found["b"].name, found["b"].weights) == ("heatmap", "tiny.onnx")
    assert dict(found["b"].options) == {"flip_test": False, "box_padding": 1.15}
    for wrong in ("small", "=small", "a="):
        with pytest.raises(UserError, match="NAME=COMPONENT"):
            components([wrong])


def test_a_list_that_is_missing_or_of_another_format_is_named(tmp_path):
    with pytest.raises(InputError, match=r"honest\.json"):
        listed(tmp_path)
    (tmp_path / "honest.json").write_text("[]")
    with pytest.raises(InputError, match="COCO"):
        listed(tmp_path)


@pytest.mark.slow
def test_a_second_run_prints_the_same_numbers(data, capsys):
    from score_honest import main

    rows = {"boxes": 1, "poses": 1, "both": 1}
    for kind, count in rows.items():
        texts = []
        for _ in range(2):
            main(
                [
                    kind,
                    "--data",
                    str(data),
                    "--canvas",
                    "128",
                    "--detector",
                    "one=small",
                    "--pose",
                    "two=small",
                ]
            )
            texts.append(capsys.readouterr().out)
        assert texts[0] == texts[1]
        header, line, *body = [each for each in texts[0].splitlines() if each.startswith("|")]
        assert len(body) == count
        assert header.count("|") == line.count("|") == body[0].count("|")
