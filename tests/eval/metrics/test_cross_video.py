"""Cross-video HOTA against the official program, and where that stops."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.posetrack21_cases import ANSWERED, BASIC, SHARED, assert_scores, made, official, spoil, unpack

from eval.benchmarks.posetrack21 import read_sequence, read_sequences
from eval.metrics.cross_video import cross_video_hota, cross_video_parts, solve_each_threshold
from eval.metrics.ignore_regions import without_ignored
from eval.metrics.keypoint_hota import KeypointHota

PAIR = ("000001_made_test", "000002_made_test")


def hota(ground_truth: Path, results: Path) -> KeypointHota:
    files = read_sequences(ground_truth, results)
    return cross_video_hota([cross_video_parts(without_ignored(read_sequence(one).poses)) for one in files])


@pytest.mark.parametrize("case", [BASIC, *ANSWERED[1:]])
def test_every_field_is_the_official_programs(case: str, tmp_path: Path) -> None:
    root = unpack(case, tmp_path)
    expected = official(case)["reid"]["COMBINED_SEQ"]["HOTAReidKeypoints"]
    assert_scores(hota(root, root / "trackers/noisy/pose").official, expected)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the reference cases beside the clone")
@pytest.mark.parametrize("tracker", ["perfect", "noisy", "awful"])
def test_every_field_of_every_tracker_is_the_official_programs(tracker: str) -> None:
    root = SHARED / BASIC
    expected = json.loads((root / "expected/official_kit.json").read_text())[tracker]["reid"]
    ours = hota(root, root / "trackers" / tracker / "pose").official
    assert_scores(ours, expected["COMBINED_SEQ"]["HOTAReidKeypoints"])


def test_a_person_who_changes_identity_between_videos_loses_association(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path, names=PAIR)
    assert hota(ground_truth, results).fixed["HOTA"].min() == 1

    def rename(file: dict) -> None:
        for one in file["annotations"]:
            one["person_id"] += 50

    spoil(results / f"{PAIR[1]}.json", rename)
    scores = hota(ground_truth, results).fixed
    assert scores["DetA"].min() == 1
    assert scores["AssA"] == pytest.approx(np.full((19, 16), 0.5))  # 3 frames of 6 with each identity


def test_a_run_continues_from_one_video_to_the_next(tmp_path: Path) -> None:
    scores = hota(*made(tmp_path, names=PAIR)).fixed
    # For each person one run of 6 hits: 6² / 6; two runs of 3 would be 2 x 3² / 6.
    assert scores["FragA"] == pytest.approx(np.ones((19, 16)))


def test_the_joints_of_a_sequence_without_tracks_are_missed_once_in_both_modes(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path, names=PAIR)
    spoil(results / f"{PAIR[1]}.json", lambda file: file.update(annotations=[]))
    scores = hota(ground_truth, results)
    assert scores.fixed["HOTA_FN"][0, 0] == scores.official["HOTA_FN"][0, 0] == 6
    assert scores.fixed["DetRe"][0, 0] == 0.5


def test_most_hits_come_before_the_greatest_similarity() -> None:
    similarity = np.array([[0.9, 0.52], [0.55, 0.0]])
    hits = solve_each_threshold(similarity)
    assert hits[:, :, 9].tolist() == [[False, True], [True, False]]  # at 0.5 two hits
    assert hits[:, :, 13].tolist() == [[True, False], [False, False]]  # at 0.7 one
