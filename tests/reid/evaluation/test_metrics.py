"""mAP and CMC against the official program's numbers, and where the answer is plain to see."""

from dataclasses import replace

import numpy as np
import pytest
from support import paths

from kprtrack.core.errors import UserError
from reid.evaluation.metrics import PROTOCOLS, Embedded, Labels, RankScores, evaluate, rank
from reid.evaluation.rerank import Reranking

GOLDEN = np.load(paths.GOLDEN / "kpr_ranking.npz")
DISTANCE = GOLDEN["distmat"]


def official_labels(side: str) -> Labels:
    # The official code keeps camera, video and action in one column.
    seen_by = GOLDEN[f"{side}_camids"]
    return Labels(GOLDEN[f"{side}_pids"], seen_by, seen_by)


def labels(
    identities: list[int], cameras: list[int] | None = None, videos: list[int] | None = None
) -> Labels:
    zeros = [0] * len(identities)
    return Labels(*(np.array(column) for column in (identities, cameras or zeros, videos or zeros)))


def scored(distance: list, gallery: list[int], protocol: str = "mot_inter_intra_video") -> RankScores:
    """Scores of one query of person 1."""
    return rank(np.array([distance], np.float32), labels([1]), labels(gallery), protocol=protocol)


def embedded(count: int, seed: int, people: int = 8, parts: int = 5) -> Embedded:
    rng = np.random.default_rng(seed)
    identities = rng.integers(0, people, count)
    features = np.random.default_rng(0).standard_normal((people, parts, 16))[identities]
    features = features + 2 * rng.standard_normal(features.shape)
    features /= np.linalg.norm(features, axis=2, keepdims=True)
    cameras = rng.integers(0, 3, count)
    return Embedded(
        features.astype(np.float32), rng.random((count, parts)) < 0.7, Labels(identities, cameras, cameras)
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scores_are_the_official_ones(protocol: str) -> None:
    scores = rank(DISTANCE, official_labels("q"), official_labels("g"), protocol=protocol)
    assert scores.map == pytest.approx(float(GOLDEN[f"{protocol}/mAP"]), abs=1e-7)
    np.testing.assert_allclose(scores.cmc, GOLDEN[f"{protocol}/cmc"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(
        scores.average_precision[scores.scored], GOLDEN[f"{protocol}/all_AP"], rtol=0, atol=1e-7
    )


def test_a_query_without_a_match_keeps_its_row_but_counts_nowhere() -> None:
    scores = rank(DISTANCE, official_labels("q"), official_labels("g"))
    assert np.flatnonzero(~scores.scored).tolist() == [3]
    assert scores.first_match[3] == -1
    assert np.isnan(scores.average_precision[3])
    assert scores.map == pytest.approx(np.nanmean(scores.average_precision))


def test_rows_in_chunks_give_the_scores_of_the_whole_matrix() -> None:
    chunks = iter(np.array_split(DISTANCE, 7))
    found = rank(chunks, official_labels("q"), official_labels("g"))
    whole = rank(DISTANCE, official_labels("q"), official_labels("g"))
    assert found.map == whole.map
    assert (found.first_match == whole.first_match).all()


def test_average_precision_is_the_mean_precision_at_every_match() -> None:
    scores = scored([0.1, 0.2, 0.3, 0.4], [2, 1, 3, 1])
    assert scores.map == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert scores.first_match.tolist() == [1]
    assert scores.cmc.tolist() == [0] + [1] * 19


@pytest.mark.parametrize("shift", [0, np.inf])
def test_of_equally_far_images_the_earlier_in_the_gallery_comes_first(shift: float) -> None:
    scores = scored([0.5 + shift, 0.5 + shift, 0.2, 0.5 + shift], [2, 1, 2, 1])
    assert scores.map == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_ties_are_ranked_as_a_stable_sort_ranks_them() -> None:
    rng = np.random.default_rng(0)
    distance = rng.integers(0, 12, (40, 90)).astype(np.float32)
    query, gallery = labels(rng.integers(0, 9, 40).tolist()), labels(rng.integers(0, 9, 90).tolist())
    scores = rank(distance, query, gallery, protocol="mot_inter_intra_video")
    for row, identity in enumerate(query.identities):
        hits = np.flatnonzero(gallery.identities[np.argsort(distance[row], kind="stable")] == identity)
        expected = np.mean([(place + 1) / (hit + 1) for place, hit in enumerate(hits)])
        assert scores.average_precision[row] == pytest.approx(expected)


def test_a_match_beyond_the_curve_is_in_no_rank() -> None:
    assert scored([*range(25), 30], [2] * 25 + [1]).cmc.tolist() == [0] * 20


@pytest.mark.parametrize(
    ("protocol", "first"),
    [
        ("default", 2),  # 0 shows person 1 in the same camera
        ("motchallenge", 2),
        ("mot_intra_video", 0),
        ("soccernetv3", 0),
        ("mot_inter_video", 1),
        ("mot_inter_intra_video", 0),
    ],
)
def test_a_protocol_says_who_is_ranked(protocol: str, first: int) -> None:
    query = labels([1], [0], [0])
    gallery = labels([1, 2, 2, 1, 1], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0])
    distance = np.arange(5, dtype=np.float32)[None]
    assert rank(distance, query, gallery, protocol=protocol).first_match.tolist() == [first]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("combine", ["mean", "max"])
def test_chunks_do_not_change_the_scores(metric, combine) -> None:
    query, gallery = embedded(50, 1), embedded(120, 2)
    found = [evaluate(query, gallery, metric=metric, combine=combine, chunk=chunk) for chunk in (7, 500)]
    assert (found[0].first_match == found[1].first_match).all()
    assert found[0].map == found[1].map
    assert 0.2 < found[0].map < 0.9


def test_visibility_decides_which_parts_are_compared() -> None:
    features = np.eye(3, dtype=np.float32)[[[0, 0], [1, 1]]]  # two people, two parts
    gallery = Embedded(features, np.ones((2, 2), bool), labels([1, 2]))
    fooled = Embedded(features[[[0, 1]], [[0, 1]]], np.ones((1, 2), bool), labels([1]))
    seen = replace(fooled, visible=np.array([[False, True]]))
    for query, first in ((fooled, 0), (seen, 1)):
        assert evaluate(query, gallery, protocol="mot_inter_intra_video").first_match.tolist() == [first]


def test_reranking_changes_the_order_only_when_asked() -> None:
    query, gallery = embedded(30, 1, people=12), embedded(150, 2, people=12)
    plain, changed = evaluate(query, gallery), evaluate(query, gallery, reranking=Reranking())
    same = evaluate(query, gallery, reranking=Reranking(distance_weight=1.0))
    assert changed.map != plain.map
    assert same.map == pytest.approx(plain.map, abs=1e-6)  # squares and a scale of each row keep its order


def test_no_match_at_all_is_said_with_counts() -> None:
    message = "None of 2 queries .* 3 gallery images .* 'default': 0 of 1 identities"
    with pytest.raises(UserError, match=message):
        rank(np.zeros((2, 3), np.float32), labels([1, 1]), labels([2, 3, 4]))


@pytest.mark.parametrize("counts", [(0, 4), (4, 0)])
def test_nobody_to_compare_is_no_match(counts: tuple[int, int]) -> None:
    with pytest.raises(UserError, match=f"None of {counts[0]} queries"):
        evaluate(embedded(counts[0], 1), embedded(counts[1], 2))


@pytest.mark.parametrize("side", ["query", "gallery"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_counted_and_located(side: str, value: float) -> None:
    both = {"query": embedded(5, 1), "gallery": embedded(6, 2)}
    both[side].features[[2, 4], [3, 1], 0] = value
    with pytest.raises(UserError, match=f"2 {side} features of 2 images .* part 3 of image 2"):
        evaluate(**both)


def test_encoders_with_other_parts_are_not_compared() -> None:
    with pytest.raises(UserError, match="5 parts of 16 numbers, gallery images 6 parts"):
        evaluate(embedded(5, 1), embedded(5, 1, parts=6))


def test_cosine_takes_no_features_of_another_length() -> None:
    query, gallery = embedded(5, 1), embedded(9, 2)
    long = replace(gallery, features=2 * gallery.features)
    with pytest.raises(UserError, match=r"of the gallery have another, first part . of image 0 with 2"):
        evaluate(query, long, metric="cosine")
    evaluate(query, long, metric="euclidean")


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan])
def test_visibility_lies_between_0_and_1(value: float) -> None:
    query = embedded(5, 1)
    with pytest.raises(UserError, match="Visibility of the query images"):
        evaluate(replace(query, visible=np.full((5, 5), value)), embedded(9, 2))


def test_a_misspelt_protocol_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'mot_intra_video'"):
        evaluate(embedded(5, 1), embedded(9, 2), protocol="mot_intra_vido")


def test_distances_that_are_no_numbers_are_refused() -> None:
    distance = np.zeros((4, 3), np.float32)
    distance[3, 1] = np.nan
    with pytest.raises(UserError, match=r"1 distances .* query 3 and gallery image 1"):
        rank(np.array_split(distance, 2), labels([1] * 4), labels([1] * 3))


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (4, 2), (4,)])
def test_distances_that_fit_no_labels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="queries"):
        rank(np.zeros(shape, np.float32), labels([1] * 4), labels([1] * 3))


def test_misaligned_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="do not align"):
        Labels(np.zeros(3), np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="do not align"):
        Embedded(np.zeros((3, 2, 4)), np.ones((3, 1), bool), labels([1, 2, 3]))
    with pytest.raises(ValueError, match="do not align"):
        Embedded(np.zeros((3, 2, 4)), np.ones((3, 2), bool), labels([1, 2]))
