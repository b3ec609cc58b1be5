"""Bodies drawn from keypoints."""

import numpy as np
import pytest

from reid.parts.shapes import LABELS, part_labels_of

HEIGHT, WIDTH = 200, 80


def _standing() -> np.ndarray:
    """Somebody 190 pixels high who looks at the camera: the left side is on the right."""
    points = {
        **{0: (40, 20), 1: (43, 17), 2: (37, 17), 3: (47, 19), 4: (33, 19)},
        **{5: (57, 40), 6: (23, 40), 7: (64, 72), 8: (16, 72), 9: (66, 100), 10: (14, 100)},
        **{11: (50, 95), 12: (30, 95), 13: (51, 142), 14: (29, 142), 15: (51, 188), 16: (29, 188)},
    }
    return np.array([(*points[row], 1.0) for row in range(17)], np.float32)


def _at(labels: np.ndarray, x: float, y: float) -> str:
    return LABELS[labels[int(y), int(x)]]


@pytest.mark.parametrize(
    ("place", "label"),
    [
        ((40, 12), "head"),
        ((40, 50), "torso"),
        ((40, 90), "hips"),
        ((61, 55), "left_upper_arm"),
        ((19, 55), "right_upper_arm"),
        ((65, 88), "left_forearm"),
        ((15, 88), "right_forearm"),
        ((51, 125), "left_thigh"),
        ((29, 125), "right_thigh"),
        ((51, 165), "left_shank"),
        ((29, 165), "right_shank"),
        ((51, 192), "left_foot"),
        ((29, 192), "right_foot"),
        ((40, 170), "background"),
        ((4, 30), "background"),
    ],
)
def test_every_part_is_where_it_belongs(place: tuple[int, int], label: str) -> None:
    assert _at(part_labels_of(_standing(), HEIGHT, WIDTH), *place) == label


def test_the_body_is_filled_without_holes() -> None:
    labels = part_labels_of(_standing(), HEIGHT, WIDTH)

    assert (labels[30:130, 36:45] > 0).mean() > 0.8
    assert (labels[40:95, 30:50] > 0).all()


def test_hidden_keypoints_leave_their_limbs_out() -> None:
    keypoints = _standing()
    keypoints[13:, 2] = 0.3

    shown = {LABELS[label] for label in np.unique(part_labels_of(keypoints, HEIGHT, WIDTH))}

    assert not shown & {"left_thigh", "right_shank", "left_foot"}
    assert {"head", "torso", "hips"} <= shown


def test_nobody_gives_background_alone() -> None:
    assert not part_labels_of(np.zeros((17, 3)), HEIGHT, WIDTH).any()


def test_one_keypoint_alone_is_taken_by_the_pictures_height() -> None:
    keypoints = np.zeros((17, 3))
    keypoints[16] = (40, 150, 1)

    labels = part_labels_of(keypoints, HEIGHT, WIDTH)

    assert np.unique(labels).tolist() == [0, LABELS.index("right_foot")]
    assert (labels > 0).sum() < 0.02 * HEIGHT * WIDTH


def test_limbs_grow_with_the_person() -> None:
    small = part_labels_of(_standing(), HEIGHT, WIDTH)
    large = part_labels_of(_standing() * (2, 2, 1), 2 * HEIGHT, 2 * WIDTH)

    assert (large > 0).sum() / (small > 0).sum() == pytest.approx(4, rel=0.05)
    assert (large[::2, ::2] == small).mean() > 0.95


def test_who_faces_right_hides_the_left_arm() -> None:
    keypoints = _standing()
    keypoints[[5, 7, 9, 6, 8, 10], 0] = (41, 39, 45, 40, 40, 44)
    keypoints[[0, 1, 2, 3, 4], 0] = (52, 49, 49, 40, 40)

    labels = part_labels_of(keypoints, HEIGHT, WIDTH)

    assert _at(labels, 40, 58) == "right_upper_arm"
    keypoints[[0, 1, 2], 0] = (28, 31, 31)
    assert _at(part_labels_of(keypoints, HEIGHT, WIDTH), 40, 58) == "left_upper_arm"


def test_forearms_crossed_in_front_are_seen_from_there_alone() -> None:
    keypoints = _standing()
    keypoints[9, :2] = 38, 76
    assert _at(part_labels_of(keypoints, HEIGHT, WIDTH), 46, 75) == "left_forearm"

    keypoints[[5, 7, 6, 8], 0] = keypoints[[6, 8, 5, 7], 0]

    assert _at(part_labels_of(keypoints, HEIGHT, WIDTH), 34, 75) == "torso"


def test_posetracks_head_reaches_from_its_bottom_to_its_top() -> None:
    keypoints = _standing()
    keypoints[1:5] = ((40, 36, 1), (40, 8, 1), (0, 0, 0), (0, 0, 0))

    labels = part_labels_of(keypoints, HEIGHT, WIDTH, posetrack=True)

    assert _at(labels, 40, 12) == _at(labels, 40, 30) == "head"
    keypoints[2] = 0
    assert _at(part_labels_of(keypoints, HEIGHT, WIDTH, posetrack=True), 40, 14) == "head"


def test_a_person_mask_cuts_and_fills() -> None:
    person = np.zeros((HEIGHT, WIDTH), bool)
    person[5:100, 20:60] = True
    person[60:90, 60:79] = True

    labels = part_labels_of(_standing(), HEIGHT, WIDTH, person=person)

    assert not labels[~person].any()
    assert labels[person].all()
    assert _at(labels, 77, 85) == "left_forearm"


def test_a_mask_of_somebody_else_leaves_nothing() -> None:
    person = np.zeros((HEIGHT, WIDTH), bool)
    person[:5, :5] = True

    assert not part_labels_of(_standing(), HEIGHT, WIDTH, person=person).any()


def test_keypoints_far_outside_do_no_harm() -> None:
    keypoints = _standing()
    keypoints[15, :2] = 1e7, -1e7

    assert part_labels_of(keypoints, HEIGHT, WIDTH).shape == (HEIGHT, WIDTH)
