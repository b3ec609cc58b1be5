"""Which queries a ranking shows, and whom it shows for them."""

import numpy as np
import pytest

from kprtrack.core.errors import UserError
from reid.evaluation.metrics import Embedded, Labels, RankScores, evaluate
from reid.evaluation.ranking import choose_queries, given_queries, rank_gallery

SCORES = RankScores(
    map=0.5,
    cmc=np.ones(20),
    average_precision=np.array([0.9, 0.1, np.nan, 0.4]),
    first_match=np.array([0, 8, -1, 1]),
)


def on_a_line(places: list[float], identities: list[int], *, camera: int, shows: object = None) -> Embedded:
    """One number per person and part; two parts, both seen unless said."""
    features = np.repeat(np.array(places, np.float32)[:, None, None], 2, axis=1)
    visible = np.ones(features.shape[:2], bool) if shows is None else np.array(shows, bool)
    cameras = np.full(len(places), camera)
    return Embedded(features, visible, Labels(np.array(identities), cameras, cameras))


def test_the_worst_queries_come_first_and_those_without_a_match_never() -> None:
    assert choose_queries(SCORES, "worst", 9).tolist() == [1, 3, 0]


def test_random_queries_are_the_same_for_a_seed() -> None:
    drawn = [choose_queries(SCORES, "random", 2, seed=seed).tolist() for seed in (5, 5)]
    assert drawn[0] == drawn[1]
    assert 2 not in choose_queries(SCORES, "random", 9)


def test_queries_are_found_by_name_in_the_order_asked_for() -> None:
    assert given_queries(["c", "a"], ["a", "b", "c"]).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("names", "says"), [(["b1.jpg"], "Did you mean .*b.jpg"), (["a.jpg"], "2 queries are called")]
)
def test_a_name_that_says_no_single_query_is_refused(names: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        given_queries(names, ["a.jpg", "b.jpg", "a.jpg"])


@pytest.mark.parametrize(("how", "count"), [("wurst", 1), ("worst", 0)])
def test_an_impossible_choice_is_refused(how: str, count: int) -> None:
    with pytest.raises(UserError):
        choose_queries(SCORES, how, count)


def test_the_nearest_come_first_and_the_last_match_is_added() -> None:
    query = on_a_line([0.0], [7], camera=0)
    gallery = on_a_line([5.0, 1.0, 3.0, 2.0, 9.0], [7, 7, 8, 9, 7], camera=1)
    scores = evaluate(query, gallery)
    (ranking,) = rank_gallery(query, gallery, np.array([0]), scores, protocol="default", columns=2)
    assert ranking.gallery.tolist() == [1, 3, 4]
    assert ranking.places.tolist() == [0, 1, 4]
    assert ranking.match.tolist() == [True, False, True]
    assert ranking.distances.tolist() == [1, 2, 9]
    assert (ranking.matches, ranking.candidates, ranking.first_match) == (3, 5, 0)


def test_the_rule_of_the_protocol_holds_for_rankings_too() -> None:
    query = on_a_line([0.0], [7], camera=0)
    gallery = on_a_line([0.5, 1.0], [7, 8], camera=0)
    other = on_a_line([2.0], [7], camera=1)
    both = Embedded(
        *(
            np.concatenate([getattr(one, name) for one in (gallery, other)])
            for name in ("features", "visible")
        ),
        Labels(np.array([7, 8, 7]), np.array([0, 0, 1]), np.zeros(3)),
    )
    (ranking,) = rank_gallery(query, both, np.array([0]), evaluate(query, both), protocol="default")
    assert ranking.gallery.tolist() == [1, 2]  # not the same person seen by the same camera


def test_only_parts_that_both_show_are_shared() -> None:
    query = on_a_line([0.0], [7], camera=0, shows=[[True, False]])
    gallery = on_a_line([1.0, 2.0], [7, 8], camera=1, shows=[[True, True], [False, True]])
    (ranking,) = rank_gallery(query, gallery, np.array([0]), SCORES, protocol="default")
    assert ranking.shared.tolist() == [[True, False], [False, False]]
    assert ranking.distances.tolist() == [1, np.inf]
    assert ranking.visible.tolist() == [True, False]
