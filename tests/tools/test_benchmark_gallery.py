"""The benchmark of large galleries: what it draws, and that its nearest prototypes are those of all."""

import argparse
from pathlib import Path

import numpy as np
import pytest
from support import paths

from kprtrack.core.appearance import part_distance
from kprtrack.gallery import Gallery


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(paths.ROOT / "tools")
        import benchmark_gallery

        yield benchmark_gallery


def test_its_nearest_prototypes_are_those_of_all_distances(benchmark, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    spread = benchmark.made_spread(random)
    latent = random.standard_normal((20, len(spread.between))).astype(np.float32)
    path = tmp_path / "people.kprdb"
    benchmark.make(path, spread, latent, argparse.Namespace(tracks=2), random)
    with Gallery.open(path) as gallery:
        (video,) = gallery.videos()
        assert len(video) == 40 and len(video.frames) == 40 * benchmark.PER_TRACK
        assert len(gallery.persons()) == 40  # tracks are not linked here
    for hidden in (0, 3, -1):
        query = benchmark.queries(spread, latent, 5, hidden, random)
        assert (query.visible.sum(1) == (6, 3, 1)[(0, 3, -1).index(hidden)]).all()
        expected = np.sort(part_distance(query, video.embeddings), axis=1)[:, :10]
        np.testing.assert_allclose(benchmark.nearest_distances(path, query, 10), expected, atol=1e-5)


def test_all_people_have_two_fifths_in_common(benchmark) -> None:
    """As in CUHK03 with the package's encoder: 0.4 of the squared length is the mean of all."""
    random = np.random.default_rng(1)
    spread = benchmark.made_spread(random)
    latent = random.standard_normal((300, len(spread.between))).astype(np.float32)
    noise = random.standard_normal((300, len(spread.within))).astype(np.float32)
    features = benchmark.drawn(spread, latent, noise).reshape(300, -1)
    assert abs((features.mean(0) ** 2).sum() / 6 - 0.4) < 0.05
