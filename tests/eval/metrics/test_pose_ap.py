"""Pose AP against the official kit, and its answers where the kit has none."""

import numpy as np
import pytest
from support.ap_cases import golden_cases, people, sequence_of

from eval.datatypes import POSETRACK_JOINTS, People, Sequence
from eval.metrics.pose_ap import pose_ap, pose_ap_parts

CASES = golden_cases()
RUNS = [(case, tracker) for case in CASES for tracker in CASES[case]["expected"]]
# The kit prints means of joints, in PoseTrack21's order without ears.
GROUPS = {"Head": (0, 1, 2), "Shou": (3, 4), "Elb": (5, 6), "Wri": (7, 8), "Hip": (9, 10), "Knee": (11, 12)}
GROUPS |= {"Ankl": (13, 14), "Total": (15,)}
HEAD_PX = 10.0
LEFT, RIGHT = 100.0, 300.0


def standing(x: float, y: float = 200.0) -> np.ndarray:
    """[17, 2] all joints at one place: AP knows no limbs."""
    return np.tile((x, y), (POSETRACK_JOINTS, 1))


def side(*points: np.ndarray, scores: tuple[float, ...] = (), frames: tuple[int, ...] = ()) -> People:
    count = len(points)
    return people(
        np.array(frames or [0] * count),
        np.array(points),
        np.repeat(scores or [1.0] * count, POSETRACK_JOINTS),
        np.full(count, HEAD_PX),
    )


def sequence(ground_truth: People, tracks: People, frames: int = 1) -> Sequence:
    return Sequence("made", np.ones(frames, bool), ((),) * frames, ground_truth, tracks)


def score(ground_truth: People, tracks: People, frames: int = 1) -> dict:
    return dict(pose_ap([pose_ap_parts(sequence(ground_truth, tracks, frames))]))


@pytest.mark.parametrize(("case", "tracker"), RUNS)
def test_all_numbers_of_the_official_kit(case: str, tracker: str):
    expected = dict(CASES[case]["expected"][tracker])
    parts = {
        name: pose_ap_parts(sequence_of(CASES[case], name, tracker)) for name in CASES[case]["sequences"]
    }
    scores = {name: pose_ap([part]) for name, part in parts.items()}
    scores["COMBINED_SEQ"] = pose_ap(parts.values())
    assert scores.keys() == expected.keys()
    for name, fields in expected.items():
        for field, ours in (("map", "AP"), ("precision", "precision"), ("recall", "recall")):
            means = {group: scores[name][ours][list(joints)].mean() for group, joints in GROUPS.items()}
            assert means == pytest.approx(fields[field], abs=1e-9)


def test_ground_truth_as_tracks_scores_100():
    ground_truth = side(standing(LEFT), standing(RIGHT))
    assert all((values == 100).all() for values in score(ground_truth, ground_truth).values())


def test_half_a_head_away_is_right_and_more_is_wrong():
    ground_truth = side(standing(LEFT))
    assert score(ground_truth, side(standing(LEFT + HEAD_PX / 2)))["AP"][-1] == 100
    assert score(ground_truth, side(standing(LEFT + HEAD_PX / 2 + 0.01)))["AP"][-1] == 0


def test_the_second_pose_on_one_person_is_wrong():
    scores = score(side(standing(LEFT)), side(standing(LEFT), standing(LEFT + 1)))
    assert scores["precision"][-1] == 50
    assert scores["recall"][-1] == 100


def test_a_pose_is_assigned_to_the_person_of_whom_it_finds_the_larger_share():
    cut_off, whole, pose = standing(LEFT), standing(RIGHT), standing(LEFT)
    cut_off[2:] = 0
    pose[[2, 5, 6]] = standing(RIGHT)[[2, 5, 6]]  # 3 of 15 joints of the one, 2 of 2 of the other
    recall = score(side(whole, cut_off), side(pose))["recall"]
    assert recall[:3].tolist() == [50, 50, 0]


def test_a_wrong_pose_hurts_only_before_a_right_one():
    ground_truth, poses = side(standing(LEFT)), (standing(RIGHT), standing(LEFT))
    assert score(ground_truth, side(*poses, scores=(0.1, 0.9)))["AP"][-1] == 100
    assert score(ground_truth, side(*poses, scores=(0.9, 0.1)))["AP"][-1] == 50


def test_a_pose_in_another_frame_matches_no_one():
    ground_truth, tracks = side(standing(LEFT), frames=(0,)), side(standing(LEFT), frames=(1,))
    assert score(ground_truth, tracks, frames=2)["recall"][-1] == 0


def test_frames_without_annotated_poses_do_not_count():
    both = side(standing(LEFT), standing(RIGHT), frames=(0, 1))
    ground_truth = side(standing(LEFT))
    judged = Sequence("made", np.array([True, False]), ((), ()), ground_truth, both)
    assert pose_ap([pose_ap_parts(judged)])["precision"][-1] == 100


def test_ears_are_not_scored():
    ground_truth, deaf = standing(LEFT), standing(LEFT)
    deaf[3:5] = 0
    assert score(side(ground_truth), side(deaf))["recall"][-1] == 100


def test_without_predictions_everything_is_0():
    scores = score(side(standing(LEFT)), side())
    assert all((values == 0).all() for values in scores.values())


def test_a_joint_without_ground_truth_is_nan_and_left_out_of_the_mean():
    ground_truth = standing(LEFT)
    ground_truth[0] = 0
    scores = score(side(ground_truth), side(standing(LEFT)))
    assert np.isnan(scores["AP"][0])
    assert scores["AP"][-1] == 100


def test_without_ground_truth_everything_is_nan():
    scores = score(side(), side(standing(LEFT)))
    assert all(np.isnan(values).all() for values in scores.values())


def test_empty_sequences_give_nan():
    assert np.isnan(pose_ap([])["AP"]).all()


def test_sequences_are_pooled_before_sorting():
    good = pose_ap_parts(sequence(side(standing(LEFT)), side(standing(LEFT), scores=(0.4,))))
    bad = pose_ap_parts(sequence(side(standing(LEFT)), side(standing(RIGHT), scores=(0.9,))))
    assert pose_ap([good, bad])["AP"][-1] == 25
