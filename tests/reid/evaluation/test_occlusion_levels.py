"""Occlusion of queries (eq. 3), scores by occlusion, and the official report with its lost queries."""

import numpy as np
import pytest
from support import paths

from kprtrack.core.errors import UserError
from reid.evaluation.metrics import Labels, RankScores, rank
from reid.evaluation.occlusion_levels import (
    decile_report,
    multi_person_occlusion,
    official_decile_report,
    scores_per_level,
)

GOLDEN = np.load(paths.GOLDEN / "kpr_ranking.npz")
LEVEL = GOLDEN["occ/occ_level"]


def official_scores() -> RankScores:
    query = Labels(GOLDEN["occ/q_pids"], GOLDEN["q_camids"], GOLDEN["q_camids"])
    gallery = Labels(GOLDEN["g_pids"], GOLDEN["g_camids"], GOLDEN["g_camids"])
    return rank(GOLDEN["distmat"], query, gallery, protocol="mot_inter_intra_video")


def scores(precision: list[float], first: list[int]) -> RankScores:
    return RankScores(0.0, np.zeros(20), np.array(precision), np.array(first))


def test_official_report_is_reproduced_with_the_queries_it_loses() -> None:
    found = official_scores()
    lines = official_decile_report(found, LEVEL)
    assert found.map == pytest.approx(float(GOLDEN["occ/mAP"]), abs=1e-7)
    assert [line.count for line in lines] == GOLDEN["occ/count_per_vis"].tolist()
    np.testing.assert_allclose([line.map for line in lines], GOLDEN["occ/mAP_per_vis"], rtol=0, atol=1e-7)
    np.testing.assert_allclose([line.rank1 for line in lines], GOLDEN["occ/cmc_per_vis"], rtol=0, atol=1e-7)
    assert sum(line.count for line in lines) == 52


def test_mended_report_has_every_query_once() -> None:
    found = official_scores()
    lines = decile_report(found, LEVEL)
    assert [line.count for line in lines] == [6] * 10
    assert np.mean([line.map for line in lines]) == pytest.approx(found.map)
    assert np.mean([line.rank1 for line in lines]) == pytest.approx(found.cmc[0])
    assert lines[0].high == LEVEL.max()
    assert lines[-1].low == LEVEL.min()


def test_report_of_fewer_queries_than_lines_has_no_empty_line() -> None:
    lines = decile_report(scores([0.5, 0.1, 0.9], [1, 3, 0]), np.array([0.2, 0.9, 0.4]))
    assert [line.map for line in lines] == [0.1, 0.9, 0.5]


def test_occlusion_is_the_excess_of_negative_keypoints_scaled_to_the_queries() -> None:
    found = multi_person_occlusion(np.array([0, 10, 3]), np.array([15, 5, 8]))
    np.testing.assert_allclose(found, [0, 1, 0.5])


def test_equally_occluded_queries_have_no_occlusion() -> None:
    assert multi_person_occlusion(np.array([3, 5]), np.array([1, 3])).tolist() == [0, 0]


def test_every_query_falls_into_one_level_and_those_without_a_match_into_none() -> None:
    level = np.array([0.0, 0.1, 0.5, 1.0, 0.55])
    found = scores([0.2, 0.4, 0.6, 0.8, np.nan], [4, 0, 0, 1, -1])
    lines = scores_per_level(found, level, bounds=(0.0, 0.1, 0.5, 0.7, 1.0))
    assert [line.count for line in lines] == [1, 1, 1, 1]
    assert [line.map for line in lines] == [0.2, 0.4, 0.6, 0.8]
    assert [line.rank1 for line in lines] == [0, 1, 1, 0]
    assert [(line.low, line.high) for line in lines] == [(0, 0.1), (0.1, 0.5), (0.5, 0.7), (0.7, 1)]


def test_a_level_without_queries_has_no_score() -> None:
    lines = scores_per_level(scores([0.2], [4]), np.array([0.05]))
    assert [line.count for line in lines] == [1] + [0] * 9
    assert np.isnan([line.map for line in lines[1:]]).all()


@pytest.mark.parametrize("report", [scores_per_level, decile_report, official_decile_report])
def test_levels_that_fit_no_queries_are_refused(report) -> None:
    with pytest.raises(UserError, match="2 occlusion levels for 3 queries"):
        report(scores([0.1] * 3, [0] * 3), np.zeros(2))
    with pytest.raises(UserError, match="query 1 is nan"):
        report(scores([0.1] * 2, [0] * 2), np.array([0, np.nan]))


@pytest.mark.parametrize("counts", [(2, 3), (0, 0)])
def test_counts_of_keypoints_that_do_not_align_are_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="counts"):
        multi_person_occlusion(np.zeros(counts[0]), np.zeros(counts[1]))
