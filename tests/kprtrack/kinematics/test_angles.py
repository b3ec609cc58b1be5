"""Angles of poses whose angles are known: by construction, by hand and by forward kinematics."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support.kinematics_cases import Walker

from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.core.skeletons import SKELETONS
from kprtrack.kinematics import angles_of, measure_angles
from kprtrack.kinematics.angles import find_facing, keypoint

RIGHT, FRONT, LEFT = 1, 0, -1
TIMES = np.arange(100) / 50
# x to the right, y up. A person who faces to the right: the right leg lifted and bent at right angles, the
# left arm forward, the right elbow bent, toes of the left foot 45 degrees up.
POSE = {
    "left_hip": (0, 1.0),
    "right_hip": (0, 1.0),
    "left_shoulder": (0, 1.5),
    "right_shoulder": (0, 1.5),
    "left_knee": (0, 0.5),
    "left_ankle": (0, 0),
    "left_heel": (-0.1, -0.1),
    "left_big_toe": (0.1, 0.1),
    "right_knee": (0.5, 1.0),
    "right_ankle": (0.5, 0.5),
    "right_heel": (0.5, 0.5),
    "right_big_toe": (0.7, 0.5),
    "left_elbow": (0.3, 1.5),
    "left_wrist": (0.6, 1.5),
    "right_elbow": (0, 1.2),
    "right_wrist": (0.3, 1.2),
}
ANGLES = {
    "left_ankle": 45,
    "right_ankle": 0,
    "left_knee": 0,
    "right_knee": 90,
    "left_hip": 0,
    "right_hip": 90,
    "left_shoulder": 90,
    "right_shoulder": 0,
    "left_elbow": 0,
    "right_elbow": 90,
    "left_foot": 45,
    "right_foot": 0,
    "left_shank": -90,
    "right_shank": -90,
    "left_thigh": -90,
    "right_thigh": 0,
    "left_arm": 0,
    "right_arm": -90,
    "left_forearm": 0,
    "right_forearm": 0,
    "trunk": 90,
}
# Halpe's 26 keypoints anywhere, in pixels (y down), and the angles that Pose2Sim 0.10.49 (`fixed_angles`, of
# which Sports2D makes use) finds for a person who faces to the right, and to the left; its Hip and Neck are
# the middles of hips and shoulders.
HALPE_POSE = [
    *([472, 312], [342, 448], [289, 387], [416, 112], [27, 150], [142, 436], [456, 2], [249, 410], [65, 398]),
    *(
        [59, 233],
        [408, 151],
        [170, 139],
        [359, 127],
        [495, 222],
        [239, 252],
        [291, 276],
        [254, 497],
        [403, 396],
    ),
    *([350, 311], [170, 494], [233, 107], [422, 80], [428, 306], [57, 21], [222, 17], [70, 257]),
]
POSE2SIM = {
    "left_ankle": (-7.8582, -172.1418),
    "right_ankle": (23.1916, 156.8084),
    "left_knee": (150.8473, -150.8473),
    "right_knee": (-47.3344, 47.3344),
    "left_hip": (-126.1851, 126.1851),
    "right_hip": (114.3103, -114.3103),
    "left_shoulder": (-98.2012, 98.2012),
    "right_shoulder": (113.5052, -113.5052),
    "left_elbow": (123.3711, -123.3711),
    "right_elbow": (170.3943, -170.3943),
    "left_foot": (-83.0317, -96.9683),
    "right_foot": (26.6951, 153.3049),
    "left_shank": (-165.1735, -14.8265),
    "right_shank": (-86.4965, -93.5035),
    "left_thigh": (-14.3262, -165.6738),
    "right_thigh": (-133.8309, -46.1691),
    "left_arm": (13.6576, 166.3424),
    "right_arm": (-134.6360, -45.3640),
    "left_forearm": (137.0287, 42.9713),
    "right_forearm": (35.7583, 144.2417),
    "pelvis": (3.6330, -3.6330),
    "shoulders": (54.1142, -54.1142),
    "trunk": (-68.1412, -111.8588),
    "head": (-59.5628, -120.4372),
}


def measured(pose: dict[str, tuple[float, float]], facing: int) -> dict[str, float]:
    names = list(pose)
    values = measure_angles(np.array([list(pose.values())], float), names, np.array([facing]))[0]
    return dict(zip([angle.name for angle in angles_of(names)], values.tolist(), strict=True))


def test_a_pose_drawn_by_hand_has_its_angles() -> None:
    found = measured(POSE, RIGHT)
    for name, degrees in ANGLES.items():
        assert found[name] == pytest.approx(degrees, abs=1e-9), name
    assert np.isnan(found["pelvis"])  # both hips in one point have no direction


def test_names_and_signs_are_those_of_sports2d() -> None:
    names = SKELETONS["halpe26"].names
    points = np.array([HALPE_POSE, HALPE_POSE]) * np.array([1.0, -1.0])
    found = measure_angles(points, names, np.array([RIGHT, LEFT]))
    assert [angle.name for angle in angles_of(names)] == list(POSE2SIM)
    assert_allclose(found.T, list(POSE2SIM.values()), atol=1e-4)


def test_the_mirror_image_has_the_same_angles_if_the_person_looks_to_the_left() -> None:
    mirrored = {name: (-x, y) for name, (x, y) in POSE.items()}
    found = measured(mirrored, LEFT)
    for name, degrees in ANGLES.items():
        assert found[name] == pytest.approx(degrees, abs=1e-9), name


def test_a_person_bent_backwards_has_negative_angles() -> None:
    names = ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
    trunk = {name: POSE[name] for name in names}
    back = trunk | {"left_knee": (-0.5, 0.5), "left_ankle": (-0.2, 0.0)}  # thigh behind, knee overstretched
    found = measured(back, RIGHT)
    assert found["left_hip"] == pytest.approx(-45)
    assert found["left_knee"] == pytest.approx(np.degrees(np.arctan2(5, 3)) - 135, abs=1e-9)


def test_in_a_front_view_joints_have_their_size_alone() -> None:
    back = POSE | {"right_knee": (-0.5, 1.0), "right_ankle": (-0.5, 0.5)}
    assert measured(back, RIGHT)["right_hip"] == pytest.approx(-90)
    assert measured(back, FRONT)["right_hip"] == pytest.approx(90)
    assert measured(back, FRONT)["right_knee"] == pytest.approx(90)


def test_pelvis_and_shoulders_have_no_direction() -> None:
    names = ["left_hip", "right_hip", "left_shoulder", "right_shoulder"]
    for left, right in (((1, 1), (0, 0)), ((0, 0), (1, 1))):
        points = np.array([[left, right, right, left]], float)
        found = measure_angles(points, names, np.array([FRONT]))[0]
        assert_allclose(found[:2], [45, 45], atol=1e-9)


def test_a_skeleton_has_the_angles_of_its_keypoints() -> None:
    names = {
        skeleton: [angle.name for angle in angles_of(SKELETONS[skeleton].names)] for skeleton in SKELETONS
    }
    coco = set(names["coco17"])
    feet = {f"{side}_{part}" for side in ("left", "right") for part in ("ankle", "foot")}
    hands = {f"{side}_{part}" for side in ("left", "right") for part in ("wrist", "hand")}
    assert len(coco) == 19
    assert set(names["posetrack17"]) == coco | {"head"}
    assert set(names["halpe26"]) == coco | feet | {"head"}
    assert set(names["blazepose33"]) == set(names["wholebody133"]) == coco | feet | hands
    assert all(len(found) == len(set(found)) for found in names.values())
    assert angles_of(["nose"]) == []


@pytest.mark.parametrize("direction", [1, -1])
def test_a_walker_has_the_angles_that_it_was_made_with(direction: int) -> None:
    walker = Walker(direction=direction)
    found = measure_angles(
        walker.points(TIMES) * np.array([1, -1]), KEYPOINTS, np.full(len(TIMES), direction)
    )
    names = [angle.name for angle in angles_of(KEYPOINTS)]
    for name, degrees in walker.angles(TIMES).items():
        assert_allclose(found[:, names.index(name)], degrees, atol=1e-6, err_msg=name)


def test_an_unknown_keypoint_makes_its_angles_unknown() -> None:
    points = Walker().points(TIMES)
    points[7, KEYPOINTS.index("left_ankle")] = np.nan
    found = measure_angles(points, KEYPOINTS, np.ones(len(TIMES)))
    names = [angle.name for angle in angles_of(KEYPOINTS)]
    unknown = {name for name, column in zip(names, found.T, strict=True) if np.isnan(column).any()}
    assert unknown == {"left_knee", "left_shank"}
    assert np.isnan(found[:, names.index("left_knee")]).sum() == 1


@pytest.mark.parametrize("direction", [1, -1])
def test_the_nose_before_the_ears_shows_where_a_person_looks(direction: int) -> None:
    points = Walker(direction=direction).points(TIMES)
    assert (find_facing(points, KEYPOINTS, TIMES, 130.0) == direction).all()
    points[:, [KEYPOINTS.index(f"{side}_ear") for side in ("left", "right")]] = (
        np.nan
    )  # by the shoulders then
    assert (find_facing(points, KEYPOINTS, TIMES, 130.0) == direction).all()


def test_a_head_seen_from_the_front_or_never_has_no_side() -> None:
    points = Walker().points(TIMES)
    points[:, 0] = keypoint(points, KEYPOINTS, "neck") - np.array([0.0, 50.0])
    for side, offset in (("left", 20.0), ("right", -20.0)):
        points[:, KEYPOINTS.index(f"{side}_ear")] = points[:, 0] + np.array([offset, 0.0])
    assert (find_facing(points, KEYPOINTS, TIMES, 130.0) == FRONT).all()
    points[:, :5] = np.nan
    assert (find_facing(points, KEYPOINTS, TIMES, 130.0) == FRONT).all()


def test_people_seen_from_behind_have_no_side_whatever_the_head_shows() -> None:
    points = Walker().points(TIMES)
    for side, offset in (("left", -45.0), ("right", 45.0)):
        points[:, KEYPOINTS.index(f"{side}_shoulder"), 0] += offset
    assert (find_facing(points, KEYPOINTS, TIMES, 130.0) == FRONT).all()


def test_a_turn_is_found_where_it_happens_and_gaps_take_the_nearest_side() -> None:
    points = np.concatenate([Walker().points(TIMES), Walker(direction=-1).points(TIMES)])
    times = np.arange(200) / 50
    points[:20, :5] = np.nan
    facing = find_facing(points, KEYPOINTS, times, 130.0)
    assert (facing[:90] == RIGHT).all() and (facing[110:] == LEFT).all()
