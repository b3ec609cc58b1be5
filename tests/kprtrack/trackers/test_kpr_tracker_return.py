"""People who leave and return: recognised by their looks, only if nobody else may be meant."""

from collections.abc import Iterator

import numpy as np
import pytest
from support import scenes
from support.scenes import Actor, Film, Way, film, lookalike, one_after_another, strangers, walk, who

from kprtrack.core.datatypes import Observation
from kprtrack.trackers.kpr import KprTracker, KprTrackerConfig

LOOKS = strangers(80)
ALWAYS = Actor(LOOKS[9], walk(1200))


def returns(after_s: float, left: float = 700, start_s: float = 3) -> Way:
    """In sight for 3 s, away for after_s seconds, then for good somewhere else."""
    return one_after_another(walk(100, end_s=start_s), walk(left, 300, start_s=start_s + after_s))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_who_returns_elsewhere_after_20_s_is_known_from_the_first_frame_on(metric: str) -> None:
    scene = film([Actor(LOOKS[0], returns(20)), ALWAYS], 27)
    assert who(scene, KprTrackerConfig(metric=metric)) == {0: [1] * 70, 1: [2] * 270}


@pytest.mark.parametrize("fps", [5, 30])
def test_who_returns_is_known_at_any_frame_rate(fps: float) -> None:
    ids = who(film([Actor(LOOKS[0], returns(6)), ALWAYS], 12, fps))
    assert set(ids[0]) == {1}


def test_without_holding_tracks_back_the_return_is_known_after_three_sights() -> None:
    scene = film([Actor(LOOKS[0], returns(6)), ALWAYS], 12)
    assert who(scene, KprTrackerConfig(output_delay_s=0.0))[0] == [1] * 30 + [0, 0] + [1] * 28


def test_who_returns_after_an_hour_is_known() -> None:
    """A stride of nothing but the first and the last seconds of the hour."""
    scene = film([Actor(LOOKS[0], returns(3600)), ALWAYS], 3606, fps=4)
    kept = [row for row, one in enumerate(scene.frames) if not 4 < one.time_s < 3602]
    cut = Film([scene.frames[row] for row in kept], [scene.actors[row] for row in kept])
    assert set(who(cut)[0]) == {1}


def test_who_is_forgotten_after_max_lost_s_is_not_recognised() -> None:
    scene = film([Actor(LOOKS[0], returns(6)), ALWAYS], 12)
    assert set(who(scene, KprTrackerConfig(max_lost_s=5.0))[0][30:]) == {3}


def test_nobody_is_recognised_if_the_settings_say_so() -> None:
    scene = film([Actor(LOOKS[0], returns(6)), ALWAYS], 12)
    assert set(who(scene, KprTrackerConfig(reid_max_distance=None))[0][30:]) == {3}


def test_a_stranger_is_not_recognised() -> None:
    stranger = Actor(LOOKS[2], walk(700, start_s=8))
    ids = who(film([Actor(LOOKS[0], walk(100, end_s=3)), stranger, ALWAYS], 12))
    assert set(ids[1]) == {3}


def two_lost_and_one_newcomer(difference: float) -> Film:
    """The newcomer is like the first of the lost, and the second is `difference` away from it."""
    actors = [
        Actor(LOOKS[0], walk(100, end_s=3)),
        Actor(lookalike(LOOKS[0], difference), walk(300, end_s=3)),
        Actor(LOOKS[0], walk(700, start_s=8)),
        ALWAYS,
        Actor(LOOKS[8], walk(1500)),
    ]
    return film(actors, 12)


def test_a_newcomer_like_two_of_the_lost_is_neither() -> None:
    assert set(who(two_lost_and_one_newcomer(0.03))[2]) == {5}


def test_a_newcomer_like_one_of_the_lost_by_a_margin_is_that_one() -> None:
    assert set(who(two_lost_and_one_newcomer(0.3))[2]) == {1}


def test_two_newcomers_who_look_alike_are_both_not_the_one_they_resemble() -> None:
    actors = [
        Actor(LOOKS[0], walk(100, end_s=3)),
        Actor(LOOKS[0], walk(700, start_s=8)),
        Actor(lookalike(LOOKS[0], 0.03), walk(900, start_s=8)),
        ALWAYS,
    ]
    ids = who(film(actors, 12))
    assert {*ids[1], *ids[2]} == {3, 4}


def test_two_people_who_leave_together_return_as_themselves() -> None:
    elsewhere = one_after_another(walk(300, end_s=3), walk(900, 300, start_s=8))
    actors = [Actor(LOOKS[0], returns(5)), Actor(LOOKS[1], elsewhere), ALWAYS]
    ids = who(film(actors, 12))
    assert [set(numbers) for numbers in ids.values()] == [{1}, {2}, {3}]


def test_who_is_still_in_sight_beside_a_newcomer_is_not_that_newcomer() -> None:
    """The first leaves one frame after its double has surely become a person."""
    actors = [
        Actor(LOOKS[0], walk(100, end_s=3.3)),
        Actor(LOOKS[0], walk(700, start_s=3)),
        ALWAYS,
    ]
    assert set(who(film(actors, 8))[1]) == {3}


@pytest.mark.parametrize("start_s", np.arange(2.6, 3.6, 0.1).round(1).tolist())
def test_who_left_with_the_frame_that_made_a_newcomer_sure_is_not_that_newcomer(start_s: float) -> None:
    """Whatever the rounding of the times."""
    actors = [
        Actor(LOOKS[0], walk(100, end_s=round(start_s + 0.3, 1))),
        Actor(LOOKS[0], walk(700, start_s=start_s)),
        ALWAYS,
    ]
    assert set(who(film(actors, 7))[1]) == {3}


def test_long_after_its_birth_a_person_is_not_taken_for_another() -> None:
    """It comes to look like the lost one only when it is no newcomer any more."""
    actors = [Actor(LOOKS[0], walk(100, end_s=3)), Actor(LOOKS[1], walk(700, start_s=4)), ALWAYS]
    actors.append(Actor(LOOKS[2], walk(900, start_s=7)))  # a true newcomer meanwhile
    scene = film(actors, 12)

    def changed(one: Observation) -> np.ndarray:
        features = one.embeddings.features.copy()
        if one.time_s > 6.5:
            features[0] = LOOKS[0]
        return features

    ids = who(scene.with_looks(changed), KprTrackerConfig(gating_distance=None))
    assert set(ids[1]) == {3}


def test_the_id_of_a_recognised_newcomer_is_not_given_again() -> None:
    stranger = Actor(LOOKS[2], walk(900, start_s=10))
    ids = who(film([Actor(LOOKS[0], returns(4)), ALWAYS, stranger], 13))
    assert [set(numbers) for numbers in ids.values()] == [{1}, {2}, {4}]


def test_a_second_return_is_recognised_too() -> None:
    thrice = one_after_another(walk(100, end_s=3), walk(500, 300, start_s=8, end_s=12), walk(900, start_s=18))
    assert set(who(film([Actor(LOOKS[0], thrice), ALWAYS], 22))[0]) == {1}


def test_a_glimpse_is_not_enough_to_recognise_somebody() -> None:
    """Two clear sights before it was lost, where three are asked for."""
    twice = one_after_another(walk(100, end_s=0.2), walk(700, start_s=6))
    assert set(who(film([Actor(LOOKS[0], twice), ALWAYS], 10))[0]) == {1, 3}


def test_a_newcomer_whose_score_rises_is_known_from_its_first_sight_on() -> None:
    rising = Actor(LOOKS[1], walk(400, start_s=2), score=lambda time_s: 0.35 + 0.5 * (time_s - 2))
    scene = film([ALWAYS, rising], 6)
    assert who(scene)[1] == [2] * 40
    assert who(scene, KprTrackerConfig(output_delay_s=0.0))[1] == [0] * 7 + [2] * 33


def test_a_newcomer_begins_with_its_first_score_above_sprout_score() -> None:
    rising = Actor(LOOKS[1], walk(400, start_s=2), score=lambda time_s: 0.15 + 0.5 * (time_s - 2))
    assert who(film([ALWAYS, rising], 6))[1] == [0] * 3 + [2] * 37


def test_corrector_reaches_no_farther_than_settle_s() -> None:
    rising = Actor(LOOKS[1], walk(400, start_s=2), score=lambda time_s: 0.35 if time_s < 5 else 0.9)
    assert who(film([ALWAYS, rising], 8), KprTrackerConfig(output_delay_s=1.05))[1] == [0] * 19 + [2] * 41


def test_tracks_are_held_back_for_settle_s() -> None:
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
    """One after the other, half a second each; nobody returns, and one is always there."""
    actors = [ALWAYS]
    actors += [Actor(LOOKS[10 + row], walk(100, start_s=row, end_s=row + 0.5)) for row in range(count)]
    return film(actors, count, fps=10)


def test_everybody_who_passes_by_is_one_row_of_memory() -> None:
    """Nobody is forgotten, and doubts leave nothing behind."""
    scene = passing_by(60)
    tracker = KprTracker()
    ids: set[int] = set()
    for seen in scene.frames:
        ids |= set(tracker.update(seen).ids.tolist())
        assert len(tracker._tracks) <= len(ids) + len(seen)
    assert len(tracker._tracks) == len(ids) == 61


def test_a_forgetful_tracker_remembers_only_the_last_seconds() -> None:
    tracker = KprTracker(KprTrackerConfig(max_lost_s=3.0))
    for seen in passing_by(60).frames:
        tracker.update(seen)
        assert len(tracker._tracks) <= 6


@pytest.mark.parametrize("settles", [True, False])
def test_corrector_remembers_seconds_however_long_the_video(settles: bool) -> None:
    tracker = KprTracker()
    sizes = []
    for seen in passing_by(60).frames:
        tracks = tracker.update(seen)
        if settles:
            tracker.finalize(tracks)
        sizes.append(len(tracker._corrector._names) + len(tracker._corrector._tentative))
    assert 0 < max(sizes) <= 14
