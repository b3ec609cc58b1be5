"""Part distances against the official program's numbers, in chunks and for pairs that share nothing."""

import json
import tracemalloc
import warnings

import numpy as np
import pytest
from support import paths

from kprtrack.core.part_distance import (
    Parts,
    compare,
    distance_matrix,
    distance_rows,
    part_distances,
    prepare,
)

GOLDEN = np.load(paths.GOLDEN / "kpr_distances.npz")
CASES = sorted({name.partition("/")[0] for name in GOLDEN.files} - {"rerank"})
NEAR_ZERO = 1e-2  # there the official numbers are the rounding of a difference (fixtures/kpr/README.md)


def settings(case: str) -> dict:
    return json.loads(str(GOLDEN[f"{case}/params"]))


def sides(case: str) -> list[Parts]:
    """Query and gallery; everything is visible where the case has no visibility."""
    prepared = []
    for side in "qg":
        features = GOLDEN[f"{case}/{side}f"]
        name = f"{case}/{side}v"
        visible = GOLDEN[name] if name in GOLDEN.files else np.ones(features.shape[:2], bool)
        prepared.append(prepare(features, visible, settings(case)["metric"]))
    return prepared


def random_parts(count: int, seed: int = 0, parts: int = 4) -> Parts:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((count, parts, 8), dtype=np.float32)
    return prepare(features, rng.random((count, parts)) < 0.6, "euclidean")


def one(vectors: list, visible: list) -> Parts:
    return prepare(np.array([vectors], np.float32), np.array([visible]), "euclidean")


def assert_official(actual: np.ndarray, expected: np.ndarray) -> None:
    near = expected < NEAR_ZERO
    np.testing.assert_allclose(actual[near], expected[near], rtol=0, atol=1e-3)
    np.testing.assert_allclose(actual[~near], expected[~near], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("chunk", [3, 500])
@pytest.mark.parametrize("case", CASES)
def test_distances_are_the_official_ones(case: str, chunk: int) -> None:
    ask = settings(case)
    found = distance_matrix(*sides(case), metric=ask["metric"], combine=ask["strategy"], chunk=chunk)
    assert_official(found, GOLDEN[f"{case}/dist"])


@pytest.mark.parametrize("case", CASES)
def test_distances_of_single_parts_are_the_official_ones(case: str) -> None:
    query, gallery = sides(case)
    expected = GOLDEN[f"{case}/parts"]
    valid = np.ones(expected.shape, bool)
    if settings(case)["visibility"].startswith("bool"):
        valid = (query.weights[:, None] * gallery.weights > 0).transpose(2, 0, 1)
    assert_official(part_distances(query, gallery, settings(case)["metric"])[valid], expected[valid])


def test_the_golden_cases_hold_every_kind() -> None:
    kinds = {tuple(settings(case)[key] for key in ("visibility", "strategy", "metric")) for case in CASES}
    assert kinds == {
        ("bool", "mean", "euclidean"),
        ("bool_fg", "mean", "euclidean"),
        ("cont", "mean", "euclidean"),
        ("none", "mean", "euclidean"),
        ("bool", "max", "euclidean"),
        ("bool", "mean", "cosine"),
    }


def test_the_mean_is_weighted_by_the_root_of_both_visibilities() -> None:
    a, b = one([[0, 0], [0, 0]], [1.0, 0.25]), one([[3, 4], [0, 1]], [0.25, 1.0])
    np.testing.assert_allclose(compare(a, b, metric="euclidean"), [[(0.5 * 5 + 0.5 * 1) / 1]])
    np.testing.assert_allclose(
        compare(one([[0, 0], [0, 0]], [1.0, 0.0625]), b, metric="euclidean"), [[(0.5 * 5 + 0.25) / 0.75]]
    )


def test_the_worst_part_counts_only_where_both_show_it() -> None:
    a = one([[0, 0], [0, 0], [0, 0]], [True, True, False])
    b = one([[3, 4], [0, 1], [9, 9]], [True, True, True])
    assert compare(a, b, metric="euclidean", combine="max") == 5
    hidden = one([[3, 4], [0, 1], [9, 9]], [False, True, True])
    assert compare(a, hidden, metric="euclidean", combine="max") == 1


@pytest.mark.parametrize("combine", ["mean", "max"])
def test_pairs_without_a_shared_part_are_infinitely_far_or_1_beyond_the_farthest_part(combine) -> None:
    a = prepare(np.zeros((2, 2, 2), np.float32), np.array([[True, False], [False, True]]), "euclidean")
    b = one([[3, 4], [60, 80]], [True, False])
    assert compare(a, b, metric="euclidean", combine=combine).tolist() == [[5], [np.inf]]
    assert distance_matrix(a, b, metric="euclidean", combine=combine).tolist() == [[5], [6]]


def test_if_no_pair_shares_a_part_all_are_equally_far() -> None:
    a, b = one([[0, 0], [0, 0]], [True, False]), one([[3, 4], [0, 0]], [False, True])
    assert distance_matrix(a, b, metric="euclidean").tolist() == [[1]]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("combine", ["mean", "max"])
def test_tiles_do_not_change_a_distance(metric, combine) -> None:
    query, gallery = random_parts(7), random_parts(2500, seed=1)
    whole = compare(query, gallery, metric=metric, combine=combine)
    rows = distance_rows(query, gallery, slice(2, 5), metric=metric, combine=combine)
    np.testing.assert_allclose(rows, whole[2:5], rtol=1e-6, atol=1e-6)


def test_memory_is_that_of_the_answer_not_of_every_part() -> None:
    query, gallery = random_parts(300, parts=16), random_parts(5000, seed=1, parts=16)
    tracemalloc.start()
    rows = distance_rows(query, gallery, slice(0, 64), metric="euclidean")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2 * rows.nbytes


@pytest.mark.parametrize("counts", [(0, 3), (3, 0), (0, 0)])
def test_nobody_has_no_distances(counts: tuple[int, int]) -> None:
    found = distance_matrix(random_parts(counts[0]), random_parts(counts[1]), metric="euclidean")
    assert found.shape == counts


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_mean_is_that_of_the_single_parts_weighted(metric) -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((9, 5, 8))
    features = (features / np.linalg.norm(features, axis=2, keepdims=True)).astype(np.float32)
    visible = rng.choice([0, 0.2, 0.7, 1], (9, 5), p=[0.2, 0.3, 0.3, 0.2])
    a, b = prepare(features[:4], visible[:4], metric), prepare(features[4:], visible[4:], metric)
    weights = np.sqrt(visible[:4, None] * visible[4:])
    expected = np.average(part_distances(a, b, metric).transpose(1, 2, 0), axis=2, weights=weights)
    np.testing.assert_allclose(compare(a, b, metric=metric), expected, atol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("combine", ["mean", "max"])
def test_false_alarms_of_a_blas_library_are_no_warnings(monkeypatch, metric, combine) -> None:
    matmul = np.matmul

    def alarming_matmul(*matrices: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        np.subtract(np.inf, np.inf)  # an invalid value
        np.divide(1.0, 0.0)
        np.multiply(np.float32(1e38), np.float32(1e38))
        return matmul(*matrices, out=out)

    query, gallery = random_parts(7), random_parts(9, seed=1)
    expected = distance_matrix(query, gallery, metric=metric, combine=combine)
    monkeypatch.setattr(np, "matmul", alarming_matmul)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found = distance_matrix(query, gallery, metric=metric, combine=combine, chunk=3)
    assert not seen
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
