"""Box HOTA, CLEAR and Identity against the official kit's, TrackEval's and hand-made numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.box_cases import assert_equal, golden_case, golden_sequences, random_sequence, sequence, still

from eval.datatypes import Scores, Sequence
from eval.metrics.boxes import box_pairs, box_scores, combine_boxes
from eval.metrics.person_hota import person_hota
from eval.metrics.similarity import pose_similarities
from kprtrack.core.geometry import iou

QUIRKS = (
    "11_gt_empty_frames",
    "12_pred_empty_sequence",
    "13_gt_empty_sequence",
    "14_bowtie_ignore",
    "15_all_gt_ignored_frame",
    "16_pred_empty_frames",
)
TRACKERS = ("perfect", "noisy", "awful")


def hota(one: Sequence) -> Scores:
    return box_scores(one, clean=False)["box_hota"]


@pytest.mark.parametrize(
    ("case", "tracker"), [*(("basic", name) for name in TRACKERS), *((quirk, "noisy") for quirk in QUIRKS)]
)
def test_cleaned_hota_is_the_official_kits_in_all_fields(case: str, tracker: str) -> None:
    stored = golden_case(case)
    scores = {name: box_scores(one, clean=True) for name, one in golden_sequences(stored, tracker).items()}
    ours = {**scores, "COMBINED_SEQ": combine_boxes(scores)}
    assert ours.keys() == stored["kit_hota"][tracker].keys()
    for name, expected in stored["kit_hota"][tracker].items():
        assert_equal(ours[name]["box_hota"], expected)


@pytest.mark.parametrize("tracker", TRACKERS)
def test_uncleaned_scores_are_those_of_trackeval(tracker: str) -> None:
    stored = golden_case("basic")
    scores = {name: box_scores(one, clean=False) for name, one in golden_sequences(stored, tracker).items()}
    ours = {**scores, "COMBINED_SEQ": combine_boxes(scores)}
    assert ours.keys() == stored["trackeval"][tracker].keys()
    for name, expected in stored["trackeval"][tracker].items():
        for metric in ("HOTA", "CLEAR", "Identity"):
            assert_equal(ours[name][f"box_{metric.lower()}"], expected[metric])


@pytest.mark.parametrize("step", [0, 1, 10])  # pixels; on a coarse grid most boxes tie with another
def test_hota_equals_trackevals_class(step: int) -> None:
    from trackeval.metrics import HOTA

    for seed in range(60):
        pairs = box_pairs(random_sequence(seed, step=step), clean=False)
        frames = range(pairs.frame_count)
        expected = HOTA().eval_sequence(
            {
                "num_timesteps": pairs.frame_count,
                "num_gt_ids": len(np.unique(pairs.gt_ids)),
                "num_tracker_ids": len(np.unique(pairs.track_ids)),
                "num_gt_dets": len(pairs.gt_ids),
                "num_tracker_dets": len(pairs.track_ids),
                "gt_ids": [pairs.gt_in(frame) for frame in frames],
                "tracker_ids": [pairs.tracks_in(frame) for frame in frames],
                "similarity_scores": [pairs.matrix(frame) for frame in frames],
            }
        )
        assert_equal(person_hota(pairs), expected, tolerance=1e-12)


def test_a_new_id_halfway_halves_the_association() -> None:
    scores = hota(sequence(still(1, 1, 1, 1), still(7, 7, 8, 8), 4))
    assert scores["DetA"] == pytest.approx(np.ones(19))
    assert scores["AssA"] == pytest.approx(np.full(19, 0.5))
    assert scores["HOTA"] == pytest.approx(np.full(19, np.sqrt(0.5)))
    assert scores["FragA"] == pytest.approx(np.full(19, 0.5))


def test_two_tracks_in_turn_are_worse_for_fraga_than_for_assa() -> None:
    scores = hota(sequence(still(1, 1, 1, 1), still(7, 8, 7, 8), 4))
    assert scores["AssA"] == pytest.approx(np.full(19, 0.5))
    assert scores["FragA"] == pytest.approx(np.full(19, 0.25))


def test_a_miss_in_between_does_not_end_a_run() -> None:
    scores = hota(sequence(still(1, 1, 1), still(7, 0, 7), 3))
    assert scores["FragA"] == pytest.approx(scores["AssA"])


def test_two_sequences_weigh_as_much_as_they_have_boxes() -> None:
    good, bad = sequence(still(1, 1, 1), still(7, 7, 7), 3), sequence(still(1), still(7, x=5), 1)
    scores = {name: box_scores(one, clean=False) for name, one in (("good", good), ("bad", bad))}
    combined = combine_boxes(scores)
    assert combined["box_hota"]["HOTA_TP"][0] == 4
    assert combined["box_hota"]["LocA"][0] == pytest.approx((3 + 1 / 3) / 4)
    assert combined["box_clear"]["MOTA"] == pytest.approx(2 / 4)  # IoU 1/3 misses and is a false alarm


def test_counts_are_python_numbers() -> None:
    scores = box_scores(sequence(still(1, 1), still(7, 8), 2), clean=False)
    assert type(scores["box_clear"]["IDSW"]) is type(combine_boxes({"a": scores})["box_clear"]["IDSW"]) is int


def test_empty_sides_can_be_scored() -> None:
    scores = box_scores(sequence([], [], 3), clean=True)
    assert scores["box_hota"]["HOTA"] == pytest.approx(np.zeros(19))
    assert scores["box_clear"]["CLR_FP"] == scores["box_identity"]["IDFN"] == 0


REGION = [[90, -10], [200, -10], [200, 40], [90, 40]]


@pytest.mark.parametrize(
    ("ground_truth", "false_alarms"),
    [
        pytest.param(still(1, 1), 0, id="frames with ground truth are cleaned"),
        pytest.param(still(1, 0), 1, id="a frame without ground truth is not"),
    ],
)
def test_a_free_track_in_an_ignored_region_is_no_false_alarm(ground_truth: list, false_alarms: int) -> None:
    ghosts = [(frame, 9, 100, 0, 40, 20) for frame in (0, 1)]
    scores = box_scores(sequence(ground_truth, ghosts, 2, region=REGION), clean=True)
    assert scores["box_hota"]["HOTA_FP(0)"] == false_alarms
    assert scores["box_clear"]["CLR_FP"] == false_alarms
    assert scores["box_identity"]["IDFP"] == false_alarms


def test_a_matched_track_in_an_ignored_region_stays() -> None:
    person = [(0, 1, 100, 0, 40, 20)]
    assert box_scores(sequence(person, person, 1, region=REGION), clean=True)["box_clear"]["CLR_TP"] == 1


def test_scoring_prints_and_writes_nothing(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    combine_boxes({"a": box_scores(random_sequence(3), clean=True)})
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


# Overlap


def test_a_crowd_of_more_pairs_than_fit_at_once_is_compared_in_full() -> None:
    rng = np.random.default_rng(0)
    ground_truth, tracks = (
        [(frame, person, *rng.uniform(0, 500, 2), 40, 80) for frame in (0, 2, 3) for person in range(150)]
        for _ in range(2)
    )
    one = sequence(ground_truth, tracks, 5)
    pairs = box_pairs(one, clean=False)
    for frame in range(5):
        boxes = [side.at(side.frames == frame).boxes for side in (one.ground_truth, one.tracks)]
        corners = [np.hstack([box[:, :2], box[:, :2] + box[:, 2:]]) for box in boxes]
        np.testing.assert_allclose(pairs.matrix(frame), iou(*corners), rtol=0, atol=1e-12)


# Poses


def posed(keypoints: np.ndarray, tracked: np.ndarray) -> Sequence:
    """One person of 100 x 100 pixels in one frame."""
    one = sequence([(0, 1, 0, 0, 100, 100)], [(0, 1, 0, 0, 100, 100)], 1)
    ground_truth, tracks = (
        replace(one.ground_truth, keypoints=keypoints[None]),
        replace(one.tracks, keypoints=tracked[None]),
    )
    return replace(one, ground_truth=ground_truth, tracks=tracks)


POSE = np.stack((np.linspace(5, 95, 17), np.linspace(95, 5, 17)), axis=1)


def test_equal_poses_have_similarity_1() -> None:
    assert pose_similarities(posed(POSE, POSE)).matrix(0) == pytest.approx(1)


def test_a_keypoint_that_the_track_lacks_counts_as_wrong() -> None:
    tracked = POSE.copy()
    tracked[:9] = 0
    assert pose_similarities(posed(POSE, tracked)).matrix(0) == pytest.approx(8 / 17)


def test_a_keypoint_without_ground_truth_does_not_count() -> None:
    ground_truth = POSE.copy()
    ground_truth[:9] = 0
    assert pose_similarities(posed(ground_truth, POSE)).matrix(0) == pytest.approx(1)


def test_ground_truth_without_keypoints_has_no_pairs() -> None:
    assert pose_similarities(posed(np.zeros((17, 2)), POSE)).matrix(0) == pytest.approx(0)
