"""Pairs of tracks across videos, and names, by numbers worked out by hand."""

import numpy as np
import pytest

from eval.metrics.links import UNMATCHED, LinkedTracks, link_scores, name_scores

A, B, C = 1, 2, 3


def test_links_are_counted_as_pairs_of_tracks_of_different_videos() -> None:
    """A is in three videos, B in two, C in one; a track of A is linked with B, one of no person with A."""
    scores = link_scores(
        LinkedTracks(
            videos=np.array([0, 0, 1, 1, 2, 2, 2]),
            persons=np.array([1, 2, 2, 1, 2, 6, 1]),
            gt_persons=np.array([A, B, B, A, A, C, UNMATCHED]),
        )
    )
    assert (scores["right_links"], scores["wrong_links"], scores["missed_links"]) == (2, 4, 2)
    assert scores["precision"] == pytest.approx(2 / 6)
    assert scores["recall"] == pytest.approx(2 / 4)
    assert scores["F1"] == pytest.approx(4 / 10)
    assert (scores["unknown"], scores["FPIR"]) == (1, 0)


def test_two_tracks_of_a_person_in_one_video_are_no_link() -> None:
    scores = link_scores(LinkedTracks(np.array([0, 0, 1]), np.array([4, 4, 4]), np.array([A, A, A])))
    assert (scores["right_links"], scores["wrong_links"], scores["missed_links"]) == (2, 0, 0)
    scores = link_scores(LinkedTracks(np.array([0, 0, 1]), np.array([4, 5, 4]), np.array([A, A, A])))
    assert (scores["right_links"], scores["missed_links"]) == (1, 1)


def test_a_person_of_one_video_who_is_linked_counts() -> None:
    scores = link_scores(LinkedTracks(np.array([0, 1, 1]), np.array([1, 1, 2]), np.array([A, B, C])))
    assert (scores["unknown"], scores["FPIR"]) == (3, pytest.approx(2 / 3))
    assert scores["precision"] == 0 and np.isnan(scores["recall"])


def test_a_link_of_two_tracks_without_ground_truth_is_not_counted() -> None:
    gt_persons = np.array([UNMATCHED, UNMATCHED, A])
    scores = link_scores(LinkedTracks(np.arange(3), np.array([4, 4, 5]), gt_persons))
    assert scores["wrong_links"] == 0
    scores = link_scores(LinkedTracks(np.arange(3), np.array([4, 4, 4]), gt_persons))
    assert scores["wrong_links"] == 2


def test_without_tracks_nothing_is_divided() -> None:
    none = np.zeros(0, np.int64)
    scores = link_scores(LinkedTracks(none, none, none))
    assert scores["right_links"] == 0 and np.isnan([scores["precision"], scores["FPIR"]]).all()


@pytest.mark.parametrize("seed", range(3))
def test_pairs_equal_those_of_two_loops(seed: int) -> None:
    random = np.random.default_rng(seed)
    videos, persons, gt = (random.integers(low, 6, 40) for low in (0, 0, UNMATCHED))
    said = right = true = 0
    for i in range(40):
        for j in range(i):
            if videos[i] != videos[j]:
                one = gt[i] == gt[j] != UNMATCHED
                said += persons[i] == persons[j] and max(gt[i], gt[j]) != UNMATCHED
                true += one
                right += one and persons[i] == persons[j]
    scores = link_scores(LinkedTracks(videos, persons, gt))
    assert scores["precision"] == pytest.approx(right / said)
    assert scores["recall"] == pytest.approx(right / true)


def test_wrong_and_missed_names_and_names_of_unknown_persons() -> None:
    scores = name_scores(["Anna", "Ben", None, "Anna", None], ["Anna", "Anna", "Ben", None, None])
    assert (scores["right_names"], scores["wrong_names"], scores["missed_names"]) == (1 / 3, 1 / 3, 1 / 3)
    assert scores["FPIR"] == 1 / 2
    assert np.isnan(name_scores(["Anna"], [None])["right_names"])
