"""k-reciprocal re-ranking against the official program's numbers and on a case made for it."""

import numpy as np
import pytest
from support import paths

from kprtrack.core.errors import UserError
from reid.evaluation.rerank import Reranking, rerank

GOLDEN = np.load(paths.GOLDEN / "kpr_distances.npz")


def between(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.abs(points[:, None] - others).astype(np.float32)


def reranked(query: list[float], gallery: list[float], config: Reranking) -> np.ndarray:
    a, b = np.array(query), np.array(gallery)
    return rerank(between(a, b), between(a, a), between(b, b), config=config)


@pytest.mark.parametrize(
    ("name", "config"),
    [("k1_20_k2_6_l0.3", Reranking()), ("k1_8_k2_3_l0.5", Reranking(8, 3, 0.5))],
)
def test_new_distances_are_the_official_ones(name: str, config: Reranking) -> None:
    found = rerank(*(GOLDEN[f"rerank/{pair}"] for pair in ("qg", "qq", "gg")), config=config)
    np.testing.assert_allclose(found, GOLDEN[f"rerank/out_{name}"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("expansion", [1, 2])
def test_sharing_neighbours_counts_more_than_being_near(expansion: int) -> None:
    # The query at 0 belongs to the crowd on its left; the one on its right is nearer but of another crowd.
    gallery = [-1.0, -1.1, -1.2, 0.9, 1.5, 1.6, 1.7]
    near = between(np.array([0.0]), np.array(gallery))[0]
    found = reranked([0.0, -0.6], gallery, Reranking(3, expansion, 0.0))[0]
    assert near.argmin() == 3
    assert found.argmin() != 3
    assert found.min() >= 0
    assert found.max() <= 1


def test_with_all_weight_on_the_original_distance_its_order_stays() -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.random(5).tolist(), rng.random(30).tolist()
    found = reranked(query, gallery, Reranking(distance_weight=1.0))
    assert (found.argsort(axis=1) == between(np.array(query), np.array(gallery)).argsort(axis=1)).all()


def test_fewer_images_than_neighbours_are_enough() -> None:
    found = reranked([0.0], [0.1, 5.0], Reranking(20, 6, 0.3))
    assert found[0, 0] < found[0, 1]


def test_images_that_are_all_the_same_stay_equally_far() -> None:
    assert np.ptp(reranked([1.0], [1.0] * 4, Reranking(20, 6))) == 0


def test_inputs_are_left_as_they_were() -> None:
    pairs = [np.array(GOLDEN[f"rerank/{pair}"]) for pair in ("qg", "qq", "gg")]
    before = [pair.copy() for pair in pairs]
    rerank(*pairs)
    assert all((old == new).all() for old, new in zip(before, pairs, strict=True))


@pytest.mark.parametrize("settings", [(0, 6, 0.3), (20, 0, 0.3), (20, 6, -0.1), (20, 6, 1.1)])
def test_settings_out_of_range_are_refused(settings: tuple[int, int, float]) -> None:
    with pytest.raises(UserError, match="must"):
        Reranking(*settings)
