"""PCKh and keypoint similarity on cases that can be reckoned by hand."""

import numpy as np
import pytest

from kprtrack.core.skeleton import KEYPOINTS, OKS_SIGMAS, POSETRACK_KEYPOINTS
from kprtrack.training.pose.scores import head_sizes, score_poses

ROW = {name: row for row, name in enumerate(KEYPOINTS)}


def person(**places: tuple[float, float]) -> np.ndarray:
    """[1, 17, 3], only the named keypoints known."""
    keypoints = np.zeros((1, 17, 3))
    for name, place in places.items():
        keypoints[0, ROW[name]] = (*place, 1)
    return keypoints


def upright() -> np.ndarray:
    """Shoulders at y 100, ears 50 above them, hips 100 below."""
    return person(
        left_shoulder=(120, 100),
        right_shoulder=(80, 100),
        left_ear=(110, 50),
        right_ear=(90, 50),
        nose=(100, 50),
        left_hip=(115, 200),
        right_hip=(85, 200),
    )


def test_a_heads_size_is_from_neck_to_top():
    # The neck at 0.28 of the way from mid-shoulders to the nose, the top at 1.66 of that to the ears.
    assert head_sizes(upright()).tolist() == pytest.approx([50 * (1.66 - 0.28)])


def test_without_a_head_it_is_reckoned_from_the_torso():
    keypoints = upright()
    keypoints[0, :5] = 0
    assert head_sizes(keypoints).tolist() == pytest.approx([51])


def test_without_either_nobody_knows():
    keypoints = upright()
    keypoints[0, [0, 3, 4, 11]] = 0
    assert np.isnan(head_sizes(keypoints)).all()


def test_an_ear_that_is_not_to_be_seen_moves_no_head():
    keypoints = upright()
    keypoints[0, ROW["left_ear"], 2] = -1
    assert head_sizes(keypoints).tolist() == pytest.approx([np.hypot(10 * 1.66, 50 * (1.66 - 0.28))])
    assert keypoints[0, ROW["left_ear"], 2] == -1


def test_posetrack_tells_both_ends():
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, POSETRACK_KEYPOINTS.index("head_bottom")] = (10, 60, 1)
    keypoints[0, POSETRACK_KEYPOINTS.index("head_top")] = (10, 20, 1)
    assert head_sizes(keypoints, "posetrack18").tolist() == [40]


def test_a_joint_is_found_within_half_a_head():
    ground_truth = np.concatenate((upright(), upright()))
    found = ground_truth.copy()
    found[0, ROW["left_hip"], 0] += 34  # half a head is 34.5
    found[1, ROW["left_hip"], 0] += 35
    scores = score_poses(found, ground_truth, np.full(2, 1e4))
    assert scores.pckh_joints["left_hip"] == 0.5
    assert scores.pckh_joints["right_hip"] == 1
    assert np.isnan(scores.pckh_joints["left_wrist"])
    assert scores.pckh == pytest.approx(6.5 / 7)
    assert (scores.people, scores.keypoints) == (2, 14)


def test_similarity_falls_with_distance_as_cocos():
    ground_truth, areas = upright(), np.array([6400.0])
    found = ground_truth.copy()
    # exp(-1/2) where the error is 2 sigma times the root of the area.
    found[0, ROW["nose"], 1] += 2 * OKS_SIGMAS[0] * 80
    found[0, ROW["left_hip"], 1] += 3 * 2 * OKS_SIGMAS[ROW["left_hip"]] * 80
    scores = score_poses(found, ground_truth, areas)
    assert scores.oks == pytest.approx((5 + np.exp(-0.5) + np.exp(-4.5)) / 7)
    assert scores.pck_oks == pytest.approx(6 / 7)


def test_keypoints_that_the_truth_lacks_are_not_asked_for():
    ground_truth = upright()
    found = np.random.default_rng(0).uniform(0, 300, (1, 17, 3))
    known = ground_truth[0, :, 2] > 0
    found[0, known] = ground_truth[0, known]
    ground_truth[0, ROW["left_knee"], 2] = -1
    scores = score_poses(found, ground_truth, np.array([1e4]))
    assert scores.pckh == scores.pck_oks == scores.oks == 1


def test_unsure_keypoints_count_as_well():
    ground_truth = upright()
    found = ground_truth.copy()
    found[..., 2] = 0
    assert score_poses(found, ground_truth, np.array([1e4])).pckh == 1


def test_people_without_a_measure_are_left_out_of_pckh_alone():
    ground_truth = upright()
    ground_truth[0, [0, 3, 4, 11]] = 0
    scores = score_poses(ground_truth, ground_truth, np.array([1e4]))
    assert np.isnan(scores.pckh)
    assert scores.keypoints == 0
    assert scores.oks == 1
