"""MOTA and IDF1 in the kit's convention, against its numbers, py-motmetrics' and hand-made ones."""

import json

import numpy as np
import pytest
from support.box_cases import MOT15, assert_equal, golden_case, golden_sequences, sequence, still

from eval.benchmarks.mot import find_mot_sequences, read_mot_sequence
from eval.metrics.kit_mota import combine_kit_mota, kit_mota, motmetrics_scores

CASES = (
    *(("basic", name) for name in ("perfect", "noisy", "awful")),
    ("11_gt_empty_frames", "noisy"),
    ("12_pred_empty_sequence", "noisy"),
    ("13_gt_empty_sequence", "noisy"),
    ("14_bowtie_ignore", "noisy"),
    ("15_all_gt_ignored_frame", "noisy"),
    ("16_pred_empty_frames", "noisy"),
)


@pytest.mark.parametrize("regions", ["plain", "ignore_regions"])
@pytest.mark.parametrize(("case", "tracker"), CASES)
def test_all_fields_are_the_official_kits(case: str, tracker: str, regions: str) -> None:
    stored = golden_case(case)
    expected = stored["kit_mota"][tracker][regions]
    sequences = golden_sequences(stored, tracker)
    scores = {
        name: kit_mota(one, ignore_regions=regions == "ignore_regions") for name, one in sequences.items()
    }
    assert_equal(combine_kit_mota(scores), expected.pop("OVERALL"))
    assert scores.keys() == expected.keys()
    for name in scores:
        assert_equal(scores[name], expected[name])


@pytest.mark.parametrize("tracker", ["perfect", "noisy", "awful"])
def test_scores_of_unmodified_boxes_equal_py_motmetrics(tracker: str) -> None:
    stored = golden_case("basic")
    expected = stored["motmetrics"][tracker]
    scores = {name: motmetrics_scores(one) for name, one in golden_sequences(stored, tracker).items()}
    assert_equal(combine_kit_mota(scores), expected.pop("OVERALL"))
    assert scores.keys() == expected.keys()
    for name in scores:
        assert_equal(scores[name], expected[name])


@pytest.mark.skipif(not MOT15.exists(), reason="needs ../shared")
def test_on_real_tracks_they_are_py_motmetrics() -> None:
    expected = json.loads((MOT15 / "expected" / "motmetrics_mm_test.json").read_text())
    files, _ = find_mot_sequences(MOT15 / "gt", MOT15 / "trackers" / "mm_test")
    scores = {one.name: motmetrics_scores(read_mot_sequence(one).sequence) for one in files}
    assert_equal(combine_kit_mota(scores), expected.pop("OVERALL"))
    for name in scores:
        assert_equal(scores[name], expected[name])


def test_the_last_partner_is_kept_over_a_gap_though_another_fits_better() -> None:
    ground_truth = still(1, 0, 0, 1)
    tracks = sorted([*still(7), (3, 7, 2, 0, 10, 20), (3, 8, 0, 0, 10, 20)])
    scores = motmetrics_scores(sequence(ground_truth, tracks, 4))
    assert scores["num_switches"] == 0
    assert scores["motp"] == pytest.approx((0 + 1 - 8 / 12) / 2)


def test_switches_distinguish_tracks_and_people_matched_before() -> None:
    scores = motmetrics_scores(sequence(still(1, 1), still(7, 8), 2))
    assert (scores["num_switches"], scores["num_ascend"]) == (1, 1)
    assert (scores["num_transfer"], scores["num_migrate"]) == (0, 0)
    # A track continues with a person who was not matched before.
    scores = motmetrics_scores(sequence(still(1, 2), still(7, 7), 2))
    assert (scores["num_switches"], scores["num_ascend"]) == (0, 0)
    assert (scores["num_transfer"], scores["num_migrate"]) == (1, 1)


def test_a_person_who_returns_to_its_last_track_does_not_take_it_from_the_other() -> None:
    # Track 7 goes from 1 to 2, back to 1, again to 2: only the first of these counts, as in py-motmetrics.
    scores = motmetrics_scores(sequence(still(1, 2, 2, 1, 2), still(7, 7, 8, 7, 7), 5))
    assert (scores["num_transfer"], scores["num_switches"]) == (1, 2)


def test_true_boxes_lose_their_fractions_and_predictions_a_pixel() -> None:
    scores = kit_mota(sequence([(0, 1, 10.9, 10.9, 20.9, 40.9)], [(0, 1, 11, 11, 21, 41)], 1))
    assert scores["motp"] == pytest.approx(0)


REGION = [[0, 0], [100, 0], [100, 100], [0, 100]]


def test_ignored_predictions_are_neither_false_nor_predicted() -> None:
    ghost = sequence(
        [(0, 1, 300, 0, 10, 20)], [(0, 7, 0, 0, 60, 60), (0, 8, 500, 0, 60, 60)], 1, region=REGION
    )
    assert kit_mota(ghost)["num_false_positives"] == 1
    assert kit_mota(ghost, ignore_regions=False)["num_false_positives"] == 2


def test_idp_still_counts_an_ignored_prediction_that_could_have_been_matched() -> None:
    person, twin = (0, 1, 0, 0, 60, 60), (0, 8, 2, 2, 61, 61)
    scores = kit_mota(sequence([person], [(0, 7, 1, 1, 61, 61), twin], 1, region=REGION))
    assert scores["idf1"] == pytest.approx(1)
    assert scores["idp"] == pytest.approx(0.5)


def test_a_sequence_without_any_match_makes_the_combined_motp_nan() -> None:
    scores = {"a": kit_mota(sequence(still(1), still(1), 1)), "b": kit_mota(sequence(still(1), [], 1))}
    combined = combine_kit_mota(scores)
    assert np.isnan(combined["motp"])
    assert combined["mota"] == pytest.approx(0.5)
