"""Re-identification of people who leave and return."""

from collections.abc import Iterator

import numpy as np
import pytest
from support import scenes
from support.scenes import (
    Actor,
    Film,
    Way,
    film,
    first_visible,
    random_embeddings,
    similar_embedding,
    track_ids,
    walk,
)

from kprtrack.core.datatypes import Observation
from kprtrack.trackers.kpr import KprTracker, KprTrackerConfig

EMBEDDINGS = random_embeddings(80)
ALWAYS = Actor(EMBEDDINGS[9], walk(1200))


def returns(after_s: float, left: float = 700, start_s: float = 3) -> Way:
    """Visible for 3 s, away for after_s seconds, then visible elsewhere until the end."""
    return first_visible(walk(100, end_s=start_s), walk(left, 300, start_s=start_s + after_s))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_return_elsewhere_after_20_s_is_reidentified_from_its_first_frame_on(metric: str) -> None:
    scene = film([Actor(EMBEDDINGS[0], returns(20)), ALWAYS], 27)
    assert track_ids(scene, KprTrackerConfig(metric=metric)) == {0: [1] * 70, 1: [2] * 270}


@pytest.mark.parametrize("fps", [5, 30])
def test_a_return_is_reidentified_at_any_frame_rate(fps: float) -> None:
    ids = track_ids(film([Actor(EMBEDDINGS[0], returns(6)), ALWAYS], 12, fps))
    assert set(ids[0]) == {1}


def test_without_output_delay_a_return_is_reidentified_after_three_detections() -> None:
    scene = film([Actor(EMBEDDINGS[0], returns(6)), ALWAYS], 12)
    assert track_ids(scene, KprTrackerConfig(output_delay_s=0.0))[0] == [1] * 30 + [0, 0] + [1] * 28


@pytest.mark.slow
def test_a_return_after_an_hour_is_reidentified() -> None:
    """Only the first and the last seconds of the hour."""
    scene = film([Actor(EMBEDDINGS[0], returns(3600)), ALWAYS], 3606, fps=4)
    kept = [row for row, one in enumerate(scene.frames) if not 4 < one.time_s < 3602]
    cut = Film([scene.frames[row] for row in kept], [scene.actors[row] for row in kept])
    assert set(track_ids(cut)[0]) == {1}


def test_tracks_removed_after_max_lost_s_are_not_reidentified() -> None:
    scene = film([Actor(EMBEDDINGS[0], returns(6)), ALWAYS], 12)
    assert set(track_ids(scene, KprTrackerConfig(max_lost_s=5.0))[0][30:]) == {3}


def test_re_identification_can_be_switched_off() -> None:
    scene = film([Actor(EMBEDDINGS[0], returns(6)), ALWAYS], 12)
    assert set(track_ids(scene, KprTrackerConfig(reid_max_distance=None))[0][30:]) == {3}


def test_another_person_is_not_reidentified() -> None:
    other = Actor(EMBEDDINGS[2], walk(700, start_s=8))
    ids = track_ids(film([Actor(EMBEDDINGS[0], walk(100, end_s=3)), other, ALWAYS], 12))
    assert set(ids[1]) == {3}


@pytest.mark.parametrize(
    ("at_first", "later", "ids"),
    [(0.36, 0.8, {4}), (0.4, 0.8, {4}), (0.5, 0.9, {4}), (0.05, 0.4, {1})],
)
def test_a_body_cut_by_the_edge_of_the_image_is_reidentified_only_if_very_near(
    at_first: float, later: float, ids: set[int]
) -> None:
    """One of three leaves; another person enters, whose distance to that grows after 0.4 s."""
    actors = [
        Actor(EMBEDDINGS[0], walk(100, end_s=3)),
        Actor(similar_embedding(EMBEDDINGS[0], later), walk(700, start_s=8)),
        ALWAYS,
        Actor(EMBEDDINGS[8], walk(1500)),
    ]
    scene = film(actors, 12)
    for one, cast in zip(scene.frames, scene.actors, strict=True):
        if 1 in cast and one.time_s < 8.35:
            one.embeddings.features[cast.index(1)] = similar_embedding(EMBEDDINGS[0], at_first)
    assert set(track_ids(scene)[1]) == ids


@pytest.mark.parametrize("distance", [0.35, 0.5])
def test_a_somewhat_similar_track_is_reidentified_at_the_end_of_the_window(distance: float) -> None:
    actors = [
        Actor(EMBEDDINGS[0], walk(100, end_s=3)),
        Actor(similar_embedding(EMBEDDINGS[0], distance), walk(700, start_s=8)),
        ALWAYS,
        Actor(EMBEDDINGS[8], walk(1500)),
    ]
    assert set(track_ids(film(actors, 12))[1]) == {1}


def two_lost_and_one_newcomer(difference: float) -> Film:
    """The new track equals the first lost one, and the second lost one is `difference` away."""
    actors = [
        Actor(EMBEDDINGS[0], walk(100, end_s=3)),
        Actor(similar_embedding(EMBEDDINGS[0], difference), walk(300, end_s=3)),
        Actor(EMBEDDINGS[0], walk(700, start_s=8)),
        ALWAYS,
        Actor(EMBEDDINGS[8], walk(1500)),
    ]
    return film(actors, 12)


def test_a_new_track_similar_to_two_lost_ones_is_neither() -> None:
    assert set(track_ids(two_lost_and_one_newcomer(0.03))[2]) == {5}


def test_a_new_track_nearer_to_one_lost_track_by_the_margin_is_that_one() -> None:
    assert set(track_ids(two_lost_and_one_newcomer(0.3))[2]) == {1}


def test_two_similar_new_tracks_are_both_not_reidentified() -> None:
    actors = [
        Actor(EMBEDDINGS[0], walk(100, end_s=3)),
        Actor(EMBEDDINGS[0], walk(700, start_s=8)),
        Actor(similar_embedding(EMBEDDINGS[0], 0.03), walk(900, start_s=8)),
        ALWAYS,
    ]
    ids = track_ids(film(actors, 12))
    assert {*ids[1], *ids[2]} == {3, 4}


def test_two_people_who_leave_together_are_both_reidentified() -> None:
    elsewhere = first_visible(walk(300, end_s=3), walk(900, 300, start_s=8))
    actors = [Actor(EMBEDDINGS[0], returns(5)), Actor(EMBEDDINGS[1], elsewhere), ALWAYS]
    ids = track_ids(film(actors, 12))
    assert [set(numbers) for numbers in ids.values()] == [{1}, {2}, {3}]


def test_a_track_visible_beside_a_new_one_is_not_reidentified_as_that() -> None:
    """The first track ends one frame after the similar one is confirmed."""
    actors = [
        Actor(EMBEDDINGS[0], walk(100, end_s=3.3)),
        Actor(EMBEDDINGS[0], walk(700, start_s=3)),
        ALWAYS,
    ]
    assert set(track_ids(film(actors, 8))[1]) == {3}


@pytest.mark.parametrize("start_s", np.arange(2.6, 3.6, 0.1).round(1).tolist())
def test_a_track_that_ends_when_a_new_one_is_confirmed_is_not_reidentified_as_that(start_s: float) -> None:
    """At any rounding of the times."""
    actors = [
        Actor(EMBEDDINGS[0], walk(100, end_s=round(start_s + 0.3, 1))),
        Actor(EMBEDDINGS[0], walk(700, start_s=start_s)),
        ALWAYS,
    ]
    assert set(track_ids(film(actors, 7))[1]) == {3}


def test_a_track_older_than_reid_window_s_is_not_reidentified() -> None:
    """It resembles the lost track only after reid_window_s."""
    actors = [Actor(EMBEDDINGS[0], walk(100, end_s=3)), Actor(EMBEDDINGS[1], walk(700, start_s=4)), ALWAYS]
    actors.append(Actor(EMBEDDINGS[2], walk(900, start_s=7)))  # a new person meanwhile
    scene = film(actors, 12)

    def changed(one: Observation) -> np.ndarray:
        features = one.embeddings.features.copy()
        if one.time_s > 6.5:
            features[0] = EMBEDDINGS[0]
        return features

    ids = track_ids(scene.with_features(changed), KprTrackerConfig(gating_distance=None))
    assert set(ids[1]) == {3}


def test_the_former_id_of_a_reidentified_track_is_not_reused() -> None:
    other = Actor(EMBEDDINGS[2], walk(900, start_s=10))
    ids = track_ids(film([Actor(EMBEDDINGS[0], returns(4)), ALWAYS, other], 13))
    assert [set(numbers) for numbers in ids.values()] == [{1}, {2}, {4}]


def test_a_second_return_is_reidentified_too() -> None:
    thrice = first_visible(walk(100, end_s=3), walk(500, 300, start_s=8, end_s=12), walk(900, start_s=18))
    assert set(track_ids(film([Actor(EMBEDDINGS[0], thrice), ALWAYS], 22))[0]) == {1}


def test_fewer_than_reid_min_updates_are_not_enough() -> None:
    """Two unoccluded embeddings before it was lost, of three that are needed."""
    twice = first_visible(walk(100, end_s=0.2), walk(700, start_s=6))
    assert set(track_ids(film([Actor(EMBEDDINGS[0], twice), ALWAYS], 10))[0]) == {1, 3}


def test_a_track_whose_score_rises_begins_with_its_first_detection() -> None:
    rising = Actor(EMBEDDINGS[1], walk(400, start_s=2), score=lambda time_s: 0.35 + 0.5 * (time_s - 2))
    scene = film([ALWAYS, rising], 6)
    assert track_ids(scene)[1] == [2] * 40
    assert track_ids(scene, KprTrackerConfig(output_delay_s=0.0))[1] == [0] * 7 + [2] * 33


def test_a_track_begins_with_its_first_score_above_tentative_score() -> None:
    rising = Actor(EMBEDDINGS[1], walk(400, start_s=2), score=lambda time_s: 0.15 + 0.5 * (time_s - 2))
    assert track_ids(film([ALWAYS, rising], 6))[1] == [0] * 3 + [2] * 37


def test_corrections_reach_no_farther_than_output_delay_s() -> None:
    rising = Actor(EMBEDDINGS[1], walk(400, start_s=2), score=lambda time_s: 0.35 if time_s < 5 else 0.9)
    assert (
        track_ids(film([ALWAYS, rising], 8), KprTrackerConfig(output_delay_s=1.05))[1] == [0] * 19 + [2] * 41
    )


def test_tracks_are_held_back_for_output_delay_s() -> None:
    frames = film([ALWAYS], 6).frames
    taken = 0

    def watched() -> Iterator[Observation]:
        nonlocal taken
        for one in frames:
            taken += 1
            yield one

    [first, *_] = ((tracks.frame_number, taken) for tracks in scenes.track(watched(), KprTracker()))
    assert first == (0, 21)


def passing_by(count: int) -> Film:
    """One after the other, half a second each; no one returns, and one is always visible."""
    actors = [ALWAYS]
    actors += [Actor(EMBEDDINGS[10 + row], walk(100, start_s=row, end_s=row + 0.5)) for row in range(count)]
    return film(actors, count, fps=10)


def test_every_track_is_one_row() -> None:
    """Confirmed tracks are kept, tentative ones leave nothing behind."""
    scene = passing_by(60)
    tracker = KprTracker()
    ids: set[int] = set()
    for observation in scene.frames:
        ids |= set(tracker.update(observation).ids.tolist())
        assert len(tracker._tracks) + len(tracker._gallery) <= len(ids) + len(observation)
    assert len(tracker._tracks) + len(tracker._gallery) == len(ids) == 61


def test_only_tracks_lost_for_less_than_recent_s_are_compared_by_position() -> None:
    """The person beside, and those of the last two seconds: one leaves each second."""
    tracker = KprTracker(KprTrackerConfig(recent_s=2.0))
    for observation in passing_by(20).frames:
        tracker.update(observation)
        assert len(tracker._tracks) <= 4


def test_max_lost_s_bounds_the_number_of_rows() -> None:
    tracker = KprTracker(KprTrackerConfig(max_lost_s=3.0))
    for observation in passing_by(60).frames:
        tracker.update(observation)
        assert len(tracker._tracks) <= 6


@pytest.mark.slow
@pytest.mark.parametrize("finalizes", [True, False])
def test_corrector_remembers_seconds_however_long_the_video(finalizes: bool) -> None:
    tracker = KprTracker()
    sizes = []
    for observation in passing_by(60).frames:
        tracks = tracker.update(observation)
        if finalizes:
            tracker.finalize(tracks)
        sizes.append(len(tracker._corrector._names) + len(tracker._corrector._tentative))
    assert 0 < max(sizes) <= 14
