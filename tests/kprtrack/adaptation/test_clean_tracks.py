"""Which tracks and frames are taken for crops, on boxes whose answer is plain to see."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from support.tracks_cases import tracks_of

from kprtrack.adaptation.clean_tracks import CleanTrackConfig, CleanTracks, choose_clean_tracks
from kprtrack.core.errors import UserError

FPS = 10
LEFT, RIGHT = (0, 0, 40, 100), (200, 0, 240, 100)
CONFIG = CleanTrackConfig(min_crops=3)


def choose(people: Sequence[Mapping[int, Sequence[float]]], config: CleanTrackConfig = CONFIG) -> CleanTracks:
    frames = [tracks_of(found, number=row, time_s=row / FPS) for row, found in enumerate(people)]
    return choose_clean_tracks(frames, config)


def test_two_people_apart_are_two_people_in_all_their_frames() -> None:
    chosen = choose([{1: LEFT, 2: RIGHT}] * 8)
    assert chosen.frames == {1: tuple(range(8)), 2: tuple(range(8))}
    assert chosen.seen_at_once == {(1, 2)}
    assert chosen.left_out == {}


def test_frames_are_evenly_spaced_from_the_first_to_the_last() -> None:
    chosen = choose([{1: LEFT}] * 11, replace(CONFIG, max_crops=3))
    assert chosen.frames == {1: (0, 5, 10)}


def test_only_the_longest_stretch_without_a_gap_is_taken() -> None:
    people = [{1: LEFT}] * 4 + [{}] * 6 + [{1: LEFT}] * 5
    assert choose(people).frames == {1: tuple(range(10, 15))}


def test_a_short_gap_does_not_end_a_stretch() -> None:
    people = [{1: LEFT}] * 4 + [{}] * 4 + [{1: LEFT}] * 4
    assert choose(people).frames == {1: (0, 1, 2, 3, 8, 9, 10, 11)}


def test_a_close_encounter_ends_the_stretch_of_both() -> None:
    meeting = {1: LEFT, 2: (5, 0, 45, 100)}
    chosen = choose([{1: LEFT, 2: RIGHT}] * 4 + [meeting] * 8 + [{1: LEFT, 2: RIGHT}] * 5)
    assert chosen.frames == {1: tuple(range(12, 17)), 2: tuple(range(12, 17))}


def test_low_boxes_and_short_tracks_are_left_out() -> None:
    chosen = choose([{1: LEFT, 2: (200, 0, 220, 40), 3: RIGHT}] * 2 + [{1: LEFT, 2: (200, 0, 220, 40)}] * 6)
    assert list(chosen.frames) == [1]
    assert chosen.left_out == {2: "0 clean frames in a row", 3: "2 clean frames in a row"}


def test_two_boxes_on_one_person_are_not_two_people() -> None:
    chosen = choose([{1: LEFT}] * 5 + [{1: LEFT, 2: LEFT}] * 5 + [{2: LEFT}] * 5)
    assert chosen.seen_at_once == frozenset()


def test_a_track_counts_as_seen_only_while_it_is_clean() -> None:
    """Track 2 continues on another person, and its former person gets the ID 3."""
    apart = {1: RIGHT, 2: LEFT}
    people = [apart] * 9 + [{}] * 8 + [{1: RIGHT, 2: (90, 0, 130, 100), 3: LEFT}] * 5
    chosen = choose(people)
    assert chosen.frames[2] == tuple(range(9))
    assert chosen.seen_at_once == {(1, 2)}


def test_people_who_are_never_seen_at_once_are_no_pair() -> None:
    assert choose([{1: LEFT}] * 5 + [{2: RIGHT}] * 5).seen_at_once == frozenset()


def test_a_track_that_resembles_another_one_more_is_left_out() -> None:
    frames = [tracks_of({1: LEFT, 2: RIGHT}, number=row, time_s=row / FPS) for row in range(5)]
    frames = [replace(each, margins=np.array([-0.2, 0.3], np.float32)) for each in frames]
    chosen = choose_clean_tracks(frames, CONFIG)
    assert list(chosen.frames) == [2]
    assert chosen.left_out == {1: "appearance closer to another track"}


def test_a_result_without_people_gives_none() -> None:
    assert choose([{}] * 3) == CleanTracks({}, {}, frozenset())
    assert choose([]) == CleanTracks({}, {}, frozenset())


@pytest.mark.parametrize("wrong", [{"min_height_px": 0}, {"min_crops": 1}, {"max_crops": 2}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        CleanTrackConfig(**wrong)  # type: ignore[arg-type]
