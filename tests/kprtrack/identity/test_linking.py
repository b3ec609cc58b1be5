"""Linking: probabilities against plain loops, the user's decisions, and people that are found again."""

from dataclasses import replace

import numpy as np
import pytest

from kprtrack.core.appearance import Appearance, empty_appearance
from kprtrack.core.errors import InputError
from kprtrack.identity import TrackPrototypes, nodes
from kprtrack.identity.calibration import DistanceCalibration, calibration_for
from kprtrack.identity.clustering import agglomerate, components, match_probability
from kprtrack.identity.linking import link
from kprtrack.identity.persons import Constraints, KnownPersons

PARTS, LENGTH = 3, 32


def unit(features: np.ndarray) -> np.ndarray:
    return (features / np.linalg.norm(features, axis=-1, keepdims=True)).astype(np.float32)


def people_of(rng: np.random.Generator, count: int) -> np.ndarray:
    """Embeddings of people whose mean distance is about 0.5."""
    return unit(rng.normal(size=(PARTS, LENGTH)) + rng.normal(size=(count, PARTS, LENGTH)))


def video(features: np.ndarray, name: str, together: tuple[tuple[int, int], ...] = ()) -> TrackPrototypes:
    count = len(features)
    zeros, times = np.zeros(count, np.int64), np.arange(count, dtype=np.float64)
    seen = Appearance(unit(features), np.ones((count, PARTS), bool), np.ones(count, bool))
    return TrackPrototypes(
        header={"video": {"name": name, "sha256": name}, "reid": {}},
        track_ids=np.arange(1, count + 1),
        first_s=times,
        last_s=times + 1,
        first_frame=zeros,
        last_frame=zeros,
        boxes_seen=zeros + 1,
        means=seen,
        weights=zeros + 10,
        track_row=np.arange(count),
        embeddings=seen,
        frames=zeros,
        times_s=times,
        boxes=np.zeros((count, 4), np.float32),
        keypoints=np.zeros((count, 17, 3), np.float32),
        quality=np.ones(count, np.float32),
        together=np.array(together, np.int64).reshape(-1, 2),
    )


def seen(rng: np.random.Generator, people: np.ndarray, noise: float = 0.06) -> np.ndarray:
    return people + noise * rng.normal(size=people.shape)


def test_match_probability_is_that_of_plain_loops() -> None:
    rng = np.random.default_rng(1)
    odds = np.exp(rng.normal(0, 3, (7, 7)))
    np.fill_diagonal(odds, 0)
    outside = rng.random(7)
    expected = np.zeros((7, 7))
    for a in range(7):
        for b in range(7):
            sides = []
            for one, other in ((a, b), (b, a)):
                rivals = outside[one]
                for c in range(7):
                    if c not in (one, other):
                        alone = min(
                            odds[c, other] / (1 + odds[c, other]), odds[other, c] / (1 + odds[other, c])
                        )
                        rivals += odds[one, c] * (1 - alone)
                sides.append(odds[one, other] / (1 + odds[one, other] + rivals))
            expected[a, b] = min(sides)
    np.testing.assert_allclose(match_probability(odds, outside), expected, rtol=1e-12)


def test_groups_are_as_near_as_their_most_distant_tracks() -> None:
    odds = np.full((3, 3), 1000.0)
    odds[0, 2] = odds[2, 0] = 1e-4  # 1 is near both, but they are two people
    assert agglomerate(odds, np.zeros(3), 0.6) == []  # it may be either one
    odds[0, 1] = odds[1, 0] = 1e6
    assert [(merge.first, merge.second) for merge in agglomerate(odds, np.zeros(3), 0.6)] == [((0,), (1,))]


def test_components_are_those_of_scipy() -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse")
    from scipy.sparse.csgraph import connected_components

    rng = np.random.default_rng(2)
    pairs = rng.integers(0, 60, (35, 2))
    graph = scipy_sparse.coo_matrix((np.ones(35), pairs.T), shape=(60, 60))
    labels = connected_components(graph, directed=False)[1]
    expected = {tuple(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}
    found = {tuple(rows.tolist()) for rows in components(60, map(tuple, pairs.tolist()))}
    assert found == {rows for rows in expected if len(rows) > 1}


def test_mean_distance_is_that_of_tracks_seen_at_once() -> None:
    rng = np.random.default_rng(3)
    people = people_of(rng, 4)
    one = video(people, "a", ((1, 2), (1, 4)))
    distance = [
        [np.mean([1 - people[a, part] @ people[b, part] for part in range(PARTS)]) for a in range(4)]
        for b in range(4)
    ]
    usual = np.median([distance[a][b] for a in range(4) for b in range(a)])
    usual = (6 * usual + 20 * 0.45) / 26
    calibration = calibration_for([one])
    assert calibration.pairs == 2
    assert calibration.mean_distance == pytest.approx(
        (distance[0][1] + distance[0][3] + 10 * usual) / 12, rel=1e-5
    )


def test_probability_falls_with_distance_and_number_of_candidates() -> None:
    calibration = DistanceCalibration(0.5)
    few = calibration.probability(np.linspace(0, 1, 50))
    assert (np.diff(few) <= 0).all() and few[0] > 0.99 and few[-1] < 0.01
    assert (calibration.probability(np.linspace(0, 1, 50), 20) <= few).all()


def test_people_are_found_again_and_unknown_people_are_new() -> None:
    rng = np.random.default_rng(4)
    people = people_of(rng, 12)
    first = video(seen(rng, people[:8]), "a", tuple((a, b) for a in range(1, 9) for b in range(a + 1, 9)))
    second = video(seen(rng, people[[3, 9, 5, 10]]), "b", ((1, 2), (1, 3), (3, 4)))
    third = video(seen(rng, people[[11, 9]]), "c", ((1, 2),))
    links = link([first, second, third])
    assert dict(links.persons[0]) == {number: number for number in range(1, 9)}
    assert dict(links.persons[1]) == {1: 4, 2: 9, 3: 6, 4: 10}
    assert dict(links.persons[2]) == {1: 11, 2: 9}
    assert links.next_id == 12
    assert links.probability[1][1] > 0.9 and links.probability[0][4] == 1
    assert [(one.person, one.tracks, one.to) for one in sorted(links.links, key=lambda one: one.person)] == [
        (4, ((1, 1),), ((0, 4),)),
        (6, ((1, 3),), ((0, 6),)),
        (9, ((2, 2),), ((1, 2),)),
    ]


def test_links_do_not_depend_on_how_many_are_compared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    people = people_of(rng, 20)
    videos = [video(seen(rng, people[rng.permutation(20)[:9]], 0.15), name) for name in "abcd"]
    must = Constraints(must=((("a", 1), ("b", 2)), (("b", 2), ("c", 3))))
    expected = link(videos, None, must)
    monkeypatch.setattr(nodes, "_CHUNK", 3)
    assert link(videos, None, must) == expected


def test_tracks_seen_at_once_are_never_one_person() -> None:
    rng = np.random.default_rng(6)
    person = people_of(rng, 1)
    twins = video(seen(rng, person[[0, 0]], 0.01), "a", ((1, 2),))
    other = video(seen(rng, person[[0]], 0.01), "b")
    links = link([twins, other])
    assert links.persons[0][1] != links.persons[0][2]
    assert links.persons[1][1] == 3  # it may be either of the two


def test_what_the_user_decides_holds() -> None:
    rng = np.random.default_rng(7)
    people = people_of(rng, 4)
    first, second = video(people[:2], "a", ((1, 2),)), video(people[:2], "b", ((1, 2),))
    crossed = Constraints(must=((("a", 1), ("b", 2)),), cannot=((("a", 2), ("b", 1)),))
    links = link([first, second], None, crossed)
    assert links.persons[0][1] == links.persons[1][2] and links.persons[0][2] != links.persons[1][1]
    assert links.links[0].decided and links.probability[1][2] == 1


def test_known_persons_keep_their_ids_and_stay_two() -> None:
    rng = np.random.default_rng(8)
    people = people_of(rng, 3)
    known = KnownPersons(
        np.array([4, 7]),
        Appearance(unit(people[[0, 0]]), np.ones((2, PARTS), bool), np.ones(2, bool)),
        np.array([5, 5]),
        next_id=9,
    )
    told = Constraints(persons={("b", 2): 7})
    links = link([video(people[[1, 2]], "a", ((1, 2),)), video(people[[1, 2]], "b", ((1, 2),))], known, told)
    assert dict(links.persons[0]) == dict(links.persons[1]) == {1: 9, 2: 7}
    one = KnownPersons(known.ids[:1], known.means[np.array([0])], known.weights[:1], next_id=9)
    assert link([video(people[[2, 0]], "a", ((1, 2),))], one).persons[0] == {1: 9, 2: 4}


def test_tracks_without_embeddings_are_persons_of_their_own() -> None:
    rng = np.random.default_rng(9)
    people = people_of(rng, 2)
    unseen = video(people, "b")
    unseen = replace(unseen, means=empty_appearance(2), embeddings=empty_appearance(2))
    links = link([video(people, "a"), unseen, replace(unseen, header={"video": {"sha256": "c"}, "reid": {}})])
    assert [dict(one) for one in links.persons] == [{1: 1, 2: 2}, {1: 3, 2: 4}, {1: 5, 2: 6}]


def test_embeddings_of_two_encoders_are_an_error() -> None:
    one = video(people_of(np.random.default_rng(10), 2), "a")
    other = replace(
        one, means=Appearance(np.ones((2, 1, 8), np.float32), np.ones((2, 1), bool), np.ones(2, bool))
    )
    with pytest.raises(InputError, match="different encoders"):
        link([one, other])


def test_nothing_to_link() -> None:
    assert link([]).persons == ()
    assert dict(link([video(np.ones((0, PARTS, LENGTH)), "a")]).persons[0]) == {}
