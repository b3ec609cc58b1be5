"""Tracks matched to people over time."""

import numpy as np
import pytest
from support.box_cases import golden_case, golden_sequences, sequence, still

from eval.datatypes import ABSENT, MISSED
from eval.metrics.boxes import box_scores
from eval.metrics.timeline import timeline


def test_a_row_has_matched_missed_and_absent_frames() -> None:
    line = timeline(sequence(still(0, 5, 5, 5, 0), still(7, 7, 0, 9, 9), 5))
    assert line.gt_ids.tolist() == [5]
    assert line.track_ids.tolist() == [[ABSENT, 7, MISSED, 9, ABSENT]]


def test_a_track_stays_with_its_person_though_another_fits_better() -> None:
    tracks = sorted([*still(7), (1, 7, 2, 0, 10, 20), (1, 8, 0, 0, 10, 20)])
    assert timeline(sequence(still(1, 1), tracks, 2)).track_ids.tolist() == [[7, 7]]


def test_boxes_below_half_overlap_do_not_match() -> None:
    assert timeline(sequence(still(1), still(7, x=5), 1)).track_ids.tolist() == [[MISSED]]


@pytest.mark.parametrize("tracker", ["perfect", "noisy", "awful"])
def test_matches_and_switches_are_those_of_clear(tracker: str) -> None:
    for one in golden_sequences(golden_case("basic"), tracker).values():
        clear = box_scores(one, clean=False)["box_clear"]
        rows = [row[row >= 0] for row in timeline(one).track_ids]
        assert sum(map(len, rows)) == clear["CLR_TP"]
        assert sum(np.count_nonzero(np.diff(row)) for row in rows) == clear["IDSW"]


def test_no_people_give_no_rows() -> None:
    assert timeline(sequence([], still(7, 7), 2)).track_ids.shape == (0, 2)
