"""Keypoint HOTA against the official program, and by hand where that has a fault or stops."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.posetrack21_cases import (
    ANSWERED,
    BASIC,
    CRASHES,
    IMAGE,
    SHARED,
    assert_scores,
    made,
    official,
    spoil,
    unpack,
)

from eval.benchmarks.posetrack21 import read_sequence, read_sequences
from eval.datatypes import Sequence
from eval.metrics.ignore_regions import without_ignored
from eval.metrics.keypoint_hota import KeypointHota, combine_keypoint_hota, keypoint_hota

JOINTS = 15
HALF = 9  # row of alpha 0.5


def poses_of(ground_truth: Path, results: Path) -> dict[str, Sequence]:
    return {
        files.name: without_ignored(read_sequence(files).poses)
        for files in read_sequences(ground_truth, results)
    }


def made_hota(ground_truth: Path, results: Path) -> KeypointHota:
    (poses,) = poses_of(ground_truth, results).values()
    return keypoint_hota(poses)


def keep(results: Path, wanted) -> None:
    """Leave only the wanted annotations in the results."""
    (path,) = results.iterdir()
    spoil(path, lambda file: file.update(annotations=[one for one in file["annotations"] if wanted(one)]))


def assert_official(poses: dict[str, Sequence], expected: dict) -> None:
    hota = {name: keypoint_hota(one) for name, one in poses.items()}
    for name, scores in hota.items():
        counts = expected[name]["Count"]
        assert len(poses[name].tracks) == counts["Dets"]
        assert len(poses[name].ground_truth) == counts["GT_Dets"]
        assert len(poses[name].labelled) == counts["Frames"]
        assert_scores(scores.official, expected[name]["HOTAeypoints"])
    assert_scores(
        combine_keypoint_hota(list(hota.values())).official, expected["COMBINED_SEQ"]["HOTAeypoints"]
    )


@pytest.mark.parametrize("case", [BASIC, *ANSWERED])
def test_every_field_is_the_official_programs(case: str, tmp_path: Path) -> None:
    root = unpack(case, tmp_path)
    assert_official(poses_of(root, root / "trackers/noisy/pose"), official(case)["pose"])


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the reference cases beside the clone")
@pytest.mark.parametrize("tracker", ["perfect", "noisy", "awful"])
def test_every_field_of_every_tracker_is_the_official_programs(tracker: str) -> None:
    root = SHARED / BASIC
    expected = json.loads((root / "expected/official_kit.json").read_text())[tracker]["pose"]
    assert_official(poses_of(root, root / "trackers" / tracker / "pose"), expected)


@pytest.mark.parametrize("case", CRASHES)
def test_predicted_joints_without_ground_truth_are_false_positives_where_the_official_program_crashes(
    case: str, tmp_path: Path
) -> None:
    root = unpack(case, tmp_path)
    (poses,) = poses_of(root, root / "trackers/noisy/pose").values()
    scores = keypoint_hota(poses).fixed
    present = (np.delete(poses.tracks.keypoints, [3, 4], 1) > 0).all(2).sum(0)
    wanted = (np.delete(poses.ground_truth.keypoints, [3, 4], 1) > 0).all(2).sum(0)
    assert len(np.unique(poses.ground_truth.frames)) < len(poses.labelled)
    np.testing.assert_array_equal(
        (scores["HOTA_TP"] + scores["HOTA_FP"])[:, :JOINTS], np.tile(present, (19, 1))
    )
    np.testing.assert_array_equal(
        (scores["HOTA_TP"] + scores["HOTA_FN"])[:, :JOINTS], np.tile(wanted, (19, 1))
    )


def test_perfect_tracks_have_hota_1_at_every_joint_and_in_total(tmp_path: Path) -> None:
    scores = made_hota(*made(tmp_path))
    assert scores.official["HOTA"] == pytest.approx(np.ones((19, JOINTS + 1)))
    assert scores.fixed["HOTA"] == pytest.approx(np.ones((19, JOINTS + 1)))


def test_without_ground_truth_and_tracks_all_scores_are_0_except_localisation(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    for path in [*results.iterdir(), *(ground_truth / "posetrack_data/val").iterdir()]:
        spoil(path, lambda file: file.update(annotations=[]))
    scores = made_hota(ground_truth, results)
    assert not scores.official["HOTA"].any()
    assert (scores.official["LocA"] == 1).all()


def test_official_mode_counts_the_joints_of_the_whole_sequence_in_a_frame_without_tracks(
    tmp_path: Path,
) -> None:
    ground_truth, results = made(tmp_path)  # 2 people in each of 3 labelled frames
    keep(results, lambda one: one["image_id"] != IMAGE + 1)
    scores = made_hota(ground_truth, results)
    assert scores.fixed["HOTA_FN"][0, 0] == 2
    assert scores.official["HOTA_FN"][0, 0] == 6
    assert scores.official["HOTA_FN"][0, JOINTS] == 6 * JOINTS
    assert scores.fixed["HOTA_TP"][0, 0] == scores.official["HOTA_TP"][0, 0] == 4
    assert (scores.fixed["HOTA"] > scores.official["HOTA"]).all()


def test_a_frame_that_is_not_labelled_counts_nowhere(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    keep(results, lambda one: one["image_id"] != IMAGE + 3)
    assert made_hota(ground_truth, results).official["HOTA"].min() == 1


def test_one_missing_person_of_two_halves_the_recall(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    keep(results, lambda one: one["track_id"] == 1)
    scores = made_hota(ground_truth, results).fixed
    assert scores["DetRe"] == pytest.approx(np.full((19, JOINTS + 1), 0.5))
    assert scores["DetPr"] == pytest.approx(np.ones((19, JOINTS + 1)))
    assert scores["AssA"] == pytest.approx(np.ones((19, JOINTS + 1)))


def test_a_switch_of_identity_costs_association_and_fragments(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    (path,) = results.iterdir()

    def change(file: dict) -> None:
        for one in file["annotations"]:
            if one["image_id"] == IMAGE + 1:
                one["track_id"] += 5

    spoil(path, change)
    scores = made_hota(ground_truth, results).fixed
    # Of 3 frames the first and the last have one track (A = 2 / 3), the other has another (A = 1 / 3).
    assert scores["AssA"][HALF, 0] == pytest.approx((2 * 2 / 3 + 1 / 3) / 3)
    # Three runs of one frame each: 1 / 3, 1 / 3 and 1 / 3 of the joined length.
    assert scores["FragA"][HALF, 0] == pytest.approx((1 / 3 + 1 / 3 + 1 / 3) / 3)


def test_a_joint_a_quarter_of_a_head_away_is_a_hit_below_one_half_only(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    (path,) = results.iterdir()

    def change(file: dict) -> None:
        for one in file["annotations"]:
            one["keypoints"][0] += 0.2505 * 6.0  # similarity 1 - 0.2505 / 0.5001, just below one half

    spoil(path, change)
    hits = made_hota(ground_truth, results).fixed["HOTA_TP"]
    assert hits[HALF - 1, 0] == 6
    assert hits[HALF, 0] == 0
    assert (hits[:, 1] == 6).all()


def test_two_tracks_near_one_person_give_one_hit(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    (path,) = results.iterdir()
    spoil(
        path,
        lambda file: file["annotations"].append(file["annotations"][0] | {"track_id": 7, "person_id": 7}),
    )
    scores = made_hota(ground_truth, results).fixed
    assert scores["HOTA_TP"][0, 0] == 6
    assert scores["HOTA_FP"][0, 0] == 1


def test_the_combined_total_pools_joints_and_is_not_the_mean(tmp_path: Path) -> None:
    root = unpack("16_pred_empty_frames", tmp_path)
    (poses,) = poses_of(root, root / "trackers/noisy/pose").values()
    alone = keypoint_hota(poses)
    combined = combine_keypoint_hota([alone])
    assert combined.official["HOTA"][:, :JOINTS] == pytest.approx(alone.official["HOTA"][:, :JOINTS])
    assert 100 * alone.official["HOTA"][:, JOINTS].mean() == pytest.approx(12.323, abs=1e-3)
    assert 100 * combined.official["HOTA"][:, JOINTS].mean() == pytest.approx(12.340, abs=1e-3)
