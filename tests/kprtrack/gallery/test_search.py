"""Search: exact part distances, compared with a loop over all pairs."""

from pathlib import Path

import numpy as np
import pytest
from support.gallery_cases import DIMENSIONS, PARTS, person_embedding, video_prototypes

from kprtrack.core.appearance import Appearance
from kprtrack.core.errors import UserError
from kprtrack.gallery import Gallery


def brute_force(query: Appearance, others: Appearance) -> np.ndarray:
    """[N] distance to the nearest of the query, by the definition: mean of 1 - cosine over shared parts."""
    out = np.full(len(others), np.inf)
    for i in range(len(query)):
        for j in range(len(others)):
            shared = query.visible[i] & others.visible[j]
            if shared.any():
                cosine = (query.features[i][shared] * others.features[j][shared]).sum(1)
                out[j] = min(out[j], (1 - cosine).mean())
    return out


def query_of(*persons: int, invisible: tuple[int, ...] = ()) -> Appearance:
    features = np.array([person_embedding(person) for person in persons], np.float32)
    visible = np.ones(features.shape[:2], bool)
    visible[:, list(invisible)] = False
    features[~visible] = np.nan  # never read
    return Appearance(np.nan_to_num(features, nan=7.0), visible, np.zeros(len(persons), bool))


@pytest.mark.parametrize("invisible", [(), (0,), (1, 2), (0, 2)])
@pytest.mark.parametrize("persons", [(3,), (3, 4)])
def test_hits_are_those_of_a_comparison_with_all(
    tmp_path: Path, invisible: tuple[int, ...], persons: tuple[int, ...]
) -> None:
    videos = [video_prototypes(f"{seed}.mp4", {1: 3, 2: 4, 3: seed}, seed=seed) for seed in range(5, 9)]
    with Gallery.open(tmp_path / "people.kprdb", create=True) as gallery:
        for prototypes in videos:
            gallery.add(prototypes)
        query = query_of(*persons, invisible=invisible)
        hits = gallery.search(query, 20)
        every = gallery.search(query, 1000)
    expected = np.concatenate([brute_force(query, one.embeddings) for one in videos])
    order = np.argsort(expected, kind="stable")
    order = order[np.isfinite(expected[order])]
    np.testing.assert_allclose([hit.distance for hit in every], expected[order], atol=1e-6)
    assert hits == every[:20]
    where = [
        (f"{seed}.mp4", int(one.track_ids[row]), int(frame))
        for seed, one in zip(range(5, 9), videos, strict=True)
        for row, frame in zip(one.track_row, one.frames, strict=True)
    ]
    assert {(hit.video, hit.track_id, hit.frame) for hit in every} == {where[at] for at in order}
    by_distance = {(hit.video, hit.track_id, hit.frame): hit.distance for hit in every}
    for at in order:
        assert abs(by_distance[where[at]] - expected[at]) < 1e-6


def test_an_empty_gallery_has_no_hits(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "people.kprdb", create=True) as gallery:
        assert gallery.search(query_of(1)) == []
        gallery.add(video_prototypes("a.mp4", {1: 1}))
        assert gallery.search(query_of(1, invisible=tuple(range(PARTS)))) == []
        assert gallery.search(query_of(1), 0) == []


def test_a_query_of_another_shape_is_one_line(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "people.kprdb", create=True) as gallery:
        gallery.add(video_prototypes("a.mp4", {1: 1}))
        query = Appearance(np.ones((1, 1, DIMENSIONS), np.float32), np.ones((1, 1), bool), np.ones(1, bool))
        with pytest.raises(UserError, match=f"1 x {DIMENSIONS}, the gallery of {PARTS} x {DIMENSIONS}"):
            gallery.search(query)
