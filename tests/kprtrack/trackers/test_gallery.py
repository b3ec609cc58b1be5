"""The gallery of lost tracks: distances as by hand, rows used again, only the latest kept."""

import numpy as np
import pytest
from support.scenes import Actor, Film, film, first_visible, random_embeddings, track_ids, walk

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Observation, Poses
from kprtrack.trackers.gallery import Gallery
from kprtrack.trackers.kpr import KprTrackerConfig
from kprtrack.trackers.track_store import TrackStore

PARTS, DIMENSIONS = 3, 4


def people(count: int, seed: int = 0) -> Appearance:
    """Random unit embeddings, some parts invisible."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((count, PARTS, DIMENSIONS), dtype=np.float32)
    features /= np.linalg.norm(features, axis=2, keepdims=True)
    return Appearance(features, rng.random((count, PARTS)) < 0.7, np.ones(count, bool))


def lost(embeddings: Appearance, time_s: float, first_id: int = 1) -> TrackStore:
    """A store of tracks with these embeddings, seen once at time_s."""
    count = len(embeddings)
    boxes = np.tile(np.float32([[0, 0, 10, 20]]), (count, 1))
    observation = Observation(
        0,
        time_s,
        Detections(boxes, np.ones(count, np.float32)),
        Poses(np.zeros((count, 17, 3), np.float32)),
        embeddings,
    )
    store = TrackStore()
    store.add(observation, np.arange(count), np.arange(first_id, first_id + count), np.ones(count, bool))
    return store


def distance_by_hand(a: Appearance, row: int, b: Appearance, column: int, metric: str) -> float:
    """Mean over the parts visible in both, one after the other, in float64."""
    distances = []
    for part in np.flatnonzero(a.visible[row] & b.visible[column]):
        x, y = (np.float64(one) for one in (a.features[row, part], b.features[column, part]))
        distances.append(1 - x @ y if metric == "cosine" else np.linalg.norm(x - y))
    return float(np.mean(distances)) if distances else np.inf


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_distances_are_means_over_the_parts_visible_in_both(metric: str) -> None:
    gallery, past, new = Gallery(metric, None), people(300), people(7, seed=1)
    gallery.add(lost(past, 5.0), np.arange(300))
    distances = gallery.distances(new)
    for row in range(len(new)):
        by_id = dict(zip(gallery.ids.tolist(), distances[row].tolist(), strict=True))
        for column in range(300):
            expected = distance_by_hand(new, row, past, column, metric)
            assert by_id[column + 1] == pytest.approx(expected, abs=2e-4 if metric == "euclidean" else 1e-6)


def test_a_free_row_is_at_no_finite_distance_and_is_used_again() -> None:
    gallery, past = Gallery("cosine", None), people(100)
    past.visible[:] = True
    gallery.add(lost(past, 5.0), np.arange(100))
    rows, memory = len(gallery.ids), gallery.nbytes
    gallery.remove(np.flatnonzero(np.isin(gallery.ids, [3, 50])))
    assert len(gallery) == 98
    distances = gallery.distances(past)
    assert np.isinf(distances[:, ~np.isfinite(gallery.last_seen_s)]).all()
    assert np.isfinite(distances).sum() == 100 * 98
    for turn in range(50):  # 5,000 more in all, of whom 100 stay
        gallery.remove(np.isfinite(gallery.last_seen_s))
        gallery.add(lost(past, 6.0 + turn, first_id=1000 + 100 * turn), np.arange(100))
    assert len(gallery) == 100
    assert (len(gallery.ids), gallery.nbytes) == (rows, memory)
    assert np.isfinite(gallery.distances(past)).sum() == 100 * 100


def test_an_empty_gallery_compares_with_nothing() -> None:
    assert Gallery("cosine", 10).distances(people(3)).shape == (3, 0)


@pytest.mark.parametrize("order", [1, -1])
def test_only_the_tracks_lost_last_are_kept(order: int) -> None:
    gallery, past = Gallery("cosine", 5), people(1)
    for number in range(1, 21)[::order]:
        gallery.add(lost(past, time_s=float(number), first_id=number), np.array([0]))
    assert len(gallery) == 5 == len(gallery.ids)
    # Added in order of time, the first go; a track lost earlier than all others is only kept where it is new.
    assert sorted(gallery.ids.tolist()) == ([16, 17, 18, 19, 20] if order == 1 else [1, 17, 18, 19, 20])


def test_more_tracks_than_there_is_room_for_at_once() -> None:
    gallery = Gallery("cosine", 4)
    gallery.add(lost(people(9), 1.0), np.arange(9))
    assert len(gallery) == 4


def test_a_gallery_of_no_tracks_stays_empty() -> None:
    gallery = Gallery("cosine", 0)
    gallery.add(lost(people(2), 1.0), np.arange(2))
    assert len(gallery) == 0 and gallery.distances(people(1)).shape == (1, 0)


def return_after(others: int) -> Film:
    """The first person leaves, `others` come and go one after the other, then the first returns."""
    embeddings = random_embeddings(others + 2)
    end_s = 3 + 3 * others
    actors = [
        Actor(embeddings[0], first_visible(walk(100, end_s=2), walk(100, 300, start_s=end_s + 3))),
        Actor(embeddings[1], walk(1200)),
    ]
    for row in range(others):
        actors.append(Actor(embeddings[2 + row], walk(600, 300, start_s=3 + 3 * row, end_s=4.5 + 3 * row)))
    return film(actors, end_s + 6, fps=5)


@pytest.mark.parametrize(("max_lost_tracks", "same"), [(None, True), (7, True), (6, False), (0, False)])
def test_a_return_is_reidentified_if_it_is_among_the_max_lost_tracks_lost_last(
    max_lost_tracks: int | None, same: bool
) -> None:
    ids = track_ids(return_after(6), KprTrackerConfig(max_lost_tracks=max_lost_tracks))
    assert set(ids[0]) == ({1} if same else {1, 9})
