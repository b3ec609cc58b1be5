"""Points of masks: inside the right mask, at the height of their part, the same every time."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import KEYPOINTS
from reid import prompts_from_mask, read_mask

Y = {name: row for row, name in enumerate(KEYPOINTS)}


def person(
    height: int = 400, width: int = 300, left: int = 100, top: int = 20, tall: int = 360
) -> np.ndarray:
    """A hand-made figure: head, trunk with arms hanging apart from it, two legs."""
    mask = np.zeros((height, width), bool)
    unit = tall // 10
    mask[top : top + unit, left + unit : left + 2 * unit] = True  # head
    mask[top + unit : top + 5 * unit, left + unit // 2 : left + 5 * unit // 2] = True  # trunk
    mask[top + unit : top + 5 * unit, left : left + unit // 4] = True  # arms
    mask[top + unit : top + 5 * unit, left + 11 * unit // 4 : left + 3 * unit] = True
    mask[top + 5 * unit : top + tall, left + unit // 2 : left + 4 * unit // 3] = True  # legs
    mask[top + 5 * unit : top + tall, left + 5 * unit // 3 : left + 5 * unit // 2] = True
    return mask


def inside(points: np.ndarray, mask: np.ndarray) -> bool:
    x, y = points[points[:, 2] > 0, :2].astype(int).T
    return bool(mask[y, x].all())


def test_points_of_each_are_inside_the_mask_and_outside_all_others() -> None:
    first, second = person(left=20), person(left=80, top=30)
    only_first = first & ~second
    points = prompts_from_mask(second, [first])
    assert points.shape == (2, 17, 3)
    assert points.dtype == np.float32
    assert inside(points[0], second)
    assert inside(points[1], only_first)
    assert set(points[..., 2].ravel().tolist()) == {1.0}


def test_the_order_from_head_to_foot_and_the_sides_are_those_of_a_person_who_faces_the_camera() -> None:
    points = prompts_from_mask(person())[0]
    y = [points[Y[f"left_{name}"], 1] for name in ("eye", "shoulder", "elbow", "hip", "knee", "ankle")]
    assert y == sorted(y)
    assert all(points[Y[f"left_{one}"], 0] > points[Y[f"right_{one}"], 0] for one in ("hip", "knee", "elbow"))
    assert abs(points[Y["nose"], 1] - (20 + 0.09 * 360)) < 0.06 * 360


def test_legs_are_both_found_and_no_point_is_between_them() -> None:
    mask = person()
    points = prompts_from_mask(mask)[0]
    ankles = points[[Y["left_ankle"], Y["right_ankle"]], 0]
    assert ankles[0] > 100 + 5 * 36 / 3
    assert ankles[1] < 100 + 4 * 36 / 3


def test_points_are_well_inside() -> None:
    mask = np.zeros((300, 200), bool)
    mask[10:290, 50:150] = True
    x, y = prompts_from_mask(mask)[0, :, :2].T
    assert (np.minimum(x - 50, 150 - x) >= 10).all()
    assert (np.minimum(y - 10, 290 - y) >= 5).all()


def test_the_box_of_the_whole_person_says_which_parts_the_mask_shows() -> None:
    whole = person()
    upper = whole.copy()
    upper[200:] = False  # the legs are hidden
    points = prompts_from_mask(upper, box=[100, 20, 208, 380])[0]
    assert inside(points, upper)
    assert not points[[Y["left_ankle"], Y["right_ankle"], Y["left_knee"]], 2].any()
    assert points[[Y["nose"], Y["left_shoulder"], Y["right_hip"]], 2].all()


def test_a_box_elsewhere_still_gives_a_point_inside() -> None:
    mask = person()
    points = prompts_from_mask(mask, box=[0, 2000, 50, 2100])
    assert points[0, :, 2].any()
    assert inside(points[0], mask)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2000, 1500)])
def test_masks_of_any_size_have_points(size: tuple[int, int]) -> None:
    mask = np.ones(size, np.uint8)
    points = prompts_from_mask(mask)[0]
    assert points[:, 2].any()
    assert inside(points, mask.astype(bool))


def test_scattered_pixels_are_enough() -> None:
    mask = np.random.default_rng(5).random((400, 400)) < 0.001
    assert inside(prompts_from_mask(mask)[0], mask)


def test_it_is_deterministic_and_leaves_the_masks_alone() -> None:
    mask, other = person(), person(left=40)
    before = mask.copy(), other.copy()
    assert (prompts_from_mask(mask, [other]) == prompts_from_mask(mask, [other])).all()
    assert (mask == before[0]).all()
    assert (other == before[1]).all()


def test_a_person_behind_the_mask_has_no_points() -> None:
    points = prompts_from_mask(person(), [person(), np.zeros((400, 300), bool)])
    assert not points[1:].any()


def test_points_move_with_the_mask() -> None:
    moved = prompts_from_mask(np.roll(person(), (15, -30), axis=(0, 1)))[0] - prompts_from_mask(person())[0]
    assert (moved == np.float32([-30, 15, 0])).all()


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        ((np.zeros((9, 9), bool), []), "empty"),
        ((np.ones((9, 9), bool), [np.ones((9, 8), bool)]), "size"),
        ((np.ones(9, bool), []), "shape"),
        ((np.ones((9, 9, 3), bool), []), "shape"),
    ],
)
def test_bad_masks_are_value_errors(masks: tuple[np.ndarray, list[np.ndarray]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        prompts_from_mask(*masks)


def test_masks_are_read_from_images_and_run_lengths(tmp_path: Path) -> None:
    mask = person()
    grey, colours, cut_out = (mask.astype(np.uint8) * value for value in (255, 1, 200))
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    cv2.imwrite(str(tmp_path / "labels.png"), np.stack([0 * colours, colours, 0 * colours], axis=2))
    cv2.imwrite(str(tmp_path / "cut_out.png"), np.dstack([np.full((400, 300, 3), 90, np.uint8), cut_out]))
    runs = np.diff(np.flatnonzero(np.diff(mask.T.ravel(), prepend=False)), prepend=0).tolist()
    rle = {"size": [400, 300], "counts": [*runs, mask.size - sum(runs)]}
    (tmp_path / "rle.json").write_text(json.dumps(rle))
    (tmp_path / "annotation.json").write_text(json.dumps({"id": 3, "segmentation": rle}))
    for name in ("grey.png", "labels.png", "cut_out.png", "rle.json", "annotation.json"):
        assert (read_mask(tmp_path / name) == mask).all(), name


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("missing.png", None, "No such file"),
        ("text.png", b"no image", "is no image"),
        ("empty.png", cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes(), "is empty"),
        ("broken.json", b"{", "not valid JSON"),
        ("list.json", b"[1]", "run lengths"),
        ("polygon.json", b'{"segmentation": [[1, 2, 3, 4, 5, 6]]}', "run lengths"),
        ("nan.json", b'{"size": [2, NaN], "counts": [4]}', "no mask of COCO"),
        ("short.json", b'{"size": [2, 2], "counts": [1, 1]}', "2 pixels, not 2 x 2"),
        ("none.json", b'{"size": [2, 2], "counts": [4]}', "is empty"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str, data: bytes | None, reason: str) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=reason) as caught:
        read_mask(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
