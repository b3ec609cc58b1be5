"""Part distance and moving average against the official programs' numbers and against what they mean."""

import gzip
import json

import numpy as np
import pytest
from support import paths

from kprtrack.core.appearance import Appearance, Metric, blend, empty_appearance, part_distance

GOLDEN = paths.GOLDEN / "tracklab_units.json.gz"
UNITS = json.loads(gzip.decompress(GOLDEN.read_bytes()))
METRICS: tuple[Metric, ...] = ("cosine", "euclidean")


def unit(features: np.ndarray) -> np.ndarray:
    return (features / np.linalg.norm(features, axis=-1, keepdims=True)).astype(np.float32)


def embeddings(features: object, visible: object) -> Appearance:
    features = np.array(features, np.float32)
    return Appearance(features, np.array(visible, bool), np.ones(len(features), bool))


def random_appearance(seed: int, count: int, parts: int = 6, dimensions: int = 16) -> Appearance:
    rng = np.random.default_rng(seed)
    visible = rng.random((count, parts)) < 0.7
    return embeddings(unit(rng.normal(size=(count, parts, dimensions))), visible)


def degrees(*angles: float) -> np.ndarray:
    """[P, 2] unit vectors, one part each."""
    return np.stack((np.cos(np.radians(angles)), np.sin(np.radians(angles))), 1)


# Distance


@pytest.mark.parametrize("case", UNITS["distance"])
@pytest.mark.parametrize(
    ("metric", "official", "scale"),
    [("cosine", "cosine", 1), ("euclidean", "euclidean", 1), ("euclidean", "tracklab_nn_part_based", 0.5)],
)
def test_part_distance_equals_the_official_one(
    case: dict, metric: Metric, official: str, scale: float
) -> None:
    a = embeddings(unit(np.array(case["query"])), case["vis_query"])
    b = embeddings(unit(np.array(case["gallery"])), case["vis_gallery"])
    shared = (a.visible[:, None] & b.visible).any(2)
    distance = part_distance(a, b, metric)
    assert shared.any()
    np.testing.assert_allclose(scale * distance[shared], np.array(case[official])[shared], rtol=0, atol=1e-5)
    assert np.isposinf(distance[~shared]).all()


def test_distance_is_the_mean_over_parts_seen_on_both_sides() -> None:
    a = embeddings([degrees(0, 0, 0)], [[True, True, False]])
    b = embeddings([degrees(60, 90, 180), degrees(60, 90, 180)], [[True, True, True], [True, False, True]])
    np.testing.assert_allclose(part_distance(a, b), [[0.75, 0.5]], atol=1e-6)
    root_half = np.sqrt(2)
    np.testing.assert_allclose(part_distance(a, b, "euclidean"), [[(1 + root_half) / 2, 1]], atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_hidden_does_not_change_a_distance(metric: Metric) -> None:
    a, b = random_appearance(0, 4), random_appearance(1, 5)
    other = unit(np.random.default_rng(2).normal(size=a.features.shape))
    changed = embeddings(np.where(a.visible[:, :, None], a.features, other), a.visible)
    assert (part_distance(a, b, metric) == part_distance(changed, b, metric)).all()


@pytest.mark.parametrize("metric", METRICS)
def test_distance_is_symmetric_and_between_0_and_2(metric: Metric) -> None:
    a, b = random_appearance(0, 40), random_appearance(1, 50)
    distance = part_distance(a, b, metric)
    known = np.isfinite(distance)
    assert distance.dtype == np.float32
    assert known.mean() > 0.9
    assert distance[known].min() >= 0
    assert distance[known].max() <= 2
    np.testing.assert_allclose(distance, part_distance(b, a, metric).T, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_nobody_is_nearer_than_a_persons_own_looks(seed: int) -> None:
    a = random_appearance(seed, 60, dimensions=512)
    own = part_distance(a, a).diagonal()
    assert own.min() >= 0
    assert own[np.isfinite(own)].max() < 1e-6


def test_opposite_looks_are_no_farther_than_2() -> None:
    a = random_appearance(0, 60, dimensions=512)
    distance = part_distance(a, embeddings(-a.features, a.visible)).diagonal()
    assert distance[np.isfinite(distance)].max() <= 2


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("counts", [(0, 3), (3, 0), (0, 0)])
def test_nobody_has_no_distances(metric: Metric, counts: tuple[int, int]) -> None:
    a, b = random_appearance(0, counts[0]), random_appearance(1, counts[1])
    assert part_distance(a, b, metric).shape == counts


@pytest.mark.parametrize("metric", METRICS)
def test_people_without_looks_are_infinitely_far(metric: Metric) -> None:
    assert np.isposinf(part_distance(empty_appearance(2), empty_appearance(3), metric)).all()


@pytest.mark.parametrize("shape", [(2, 5, 16), (2, 6, 8)])
def test_looks_of_different_encoders_are_not_compared(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        part_distance(random_appearance(0, 2), random_appearance(0, *shape))


# Moving average


@pytest.mark.parametrize("case", UNITS["ema"])
def test_blend_points_where_the_official_average_points(case: dict) -> None:
    # The official average keeps the length of its features; ours is the same direction with length 1.
    for before, step in zip(case["steps"], case["steps"][1:], strict=False):
        old = embeddings([before["feature"]], [before["vis"]])
        new = embeddings([step["det_feature"]], [step["det_vis"]])
        mixed = blend(old, new, case["alpha"])
        known = mixed.visible[0]
        expected = unit(np.array(step["feature"]))
        np.testing.assert_allclose(unit(mixed.features[0])[known], expected[known], rtol=0, atol=1e-5)
        assert known.tolist() == [bool(part) for part in step["vis"]]


def test_blended_parts_have_unit_length() -> None:
    mixed = blend(random_appearance(0, 20), random_appearance(1, 20), 0.9)
    np.testing.assert_allclose(np.linalg.norm(mixed.features, axis=2), 1, atol=1e-6)


def test_a_part_hidden_now_keeps_its_looks_and_a_new_one_is_taken_over() -> None:
    old = embeddings([degrees(0, 0, 0)], [[True, False, False]])
    new = embeddings([degrees(90, 90, 90)], [[False, True, False]])
    mixed = blend(old, new, 0.9)
    np.testing.assert_allclose(mixed.features[0, :2], degrees(0, 90), atol=1e-7)
    assert mixed.visible.tolist() == [[True, True, False]]


@pytest.mark.parametrize(("momentum", "expected"), [(1.0, 0), (0.5, 45), (0.0, 90)])
def test_momentum_is_the_weight_of_the_past(momentum: float, expected: float) -> None:
    mixed = blend(embeddings([degrees(0)], [[True]]), embeddings([degrees(90)], [[True]]), momentum)
    np.testing.assert_allclose(mixed.features[0], degrees(expected), atol=1e-6)


def test_everybody_may_have_a_momentum_of_their_own() -> None:
    old, new = embeddings([degrees(0)] * 2, [[True]] * 2), embeddings([degrees(90)] * 2, [[True]] * 2)
    mixed = blend(old, new, np.array([1.0, 0.0]))
    np.testing.assert_allclose(mixed.features[:, 0], degrees(0, 90), atol=1e-6)


def test_blending_leaves_both_sides_as_they_were() -> None:
    old, new = random_appearance(0, 5), random_appearance(1, 5)
    before = old.features.copy(), new.features.copy()
    blend(old, new, 0.9)
    assert (old.features == before[0]).all()
    assert (new.features == before[1]).all()


def test_whether_keypoints_prompted_is_that_of_the_newest_looks() -> None:
    old, new = random_appearance(0, 1), empty_appearance(1, 6, 16)
    assert blend(old, new, 0.9).prompted.tolist() == [False]


def test_nobody_can_be_blended() -> None:
    assert len(blend(random_appearance(0, 0), random_appearance(1, 0), 0.9)) == 0


# Container


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([True, False, True])])
def test_chosen_rows_stay_one_person(rows: np.ndarray) -> None:
    people = random_appearance(0, 3)
    chosen = people[rows]
    assert (chosen.features == people.features[rows]).all()
    assert (chosen.visible == people.visible[rows]).all()
    assert (chosen.prompted == people.prompted[rows]).all()


@pytest.mark.parametrize("visible, prompted", [((2, 6), (3,)), ((3, 5), (3,)), ((3, 6), (2,))])
def test_misaligned_rows_are_refused(visible: tuple[int, int], prompted: tuple[int]) -> None:
    with pytest.raises(ValueError, match="align"):
        Appearance(np.zeros((3, 6, 4), np.float32), np.zeros(visible, bool), np.zeros(prompted, bool))
