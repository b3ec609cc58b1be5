"""Corrections of earlier frames: who was a person after all, and who it was."""

from dataclasses import replace

import numpy as np
import pytest

from kprtrack.core.datatypes import Tracks
from kprtrack.trackers.retroactive import RetroactiveCorrector


def tracks(number: int, *ids: int, fps: float = 10) -> Tracks:
    """The people `ids`; everything else in the row is told by the id."""
    values = np.array(ids, np.float32)
    count = len(ids)
    return Tracks(
        number,
        number / fps,
        np.array(ids, np.int64),
        np.repeat(values[:, None], 4, 1),
        values,
        np.broadcast_to(values[:, None, None], (count, 17, 3)),
        values,
        values,
        np.ones((count, 2), bool),
        np.ones(count, bool),
    )


def settled(hindsight: RetroactiveCorrector, said: Tracks) -> list[int]:
    return hindsight.apply(said).ids.tolist()


def test_tracks_nobody_corrected_come_out_as_they_went_in() -> None:
    said = tracks(0, 3, 1, 2)
    out = RetroactiveCorrector(2.0).apply(said)
    assert out.ids.tolist() == [3, 1, 2]
    assert np.array_equal(out.boxes, said.boxes)
    assert (out.frame_number, out.time_s) == (0, 0.0)


def test_an_empty_frame_stays_empty() -> None:
    assert len(RetroactiveCorrector(2.0).apply(tracks(0))) == 0


def test_who_proves_to_be_a_person_is_added_to_its_earlier_frames() -> None:
    hindsight = RetroactiveCorrector(2.0)
    hindsight.add_tentative(tracks(0, -1))
    hindsight.rename(-1, 5, 0.1)
    out = hindsight.apply(tracks(0, 2))
    assert out.ids.tolist() == [2, 5]
    assert out.boxes[:, 0].tolist() == [2, -1]
    assert out.keypoints[:, 0, 0].tolist() == [2, -1]


def test_who_never_proves_to_be_a_person_is_left_out() -> None:
    hindsight = RetroactiveCorrector(2.0)
    hindsight.add_tentative(tracks(0, -1, -2, -3))
    hindsight.rename(-2, 5, 0.1)
    assert settled(hindsight, tracks(0, 2)) == [2, 5]


def test_a_frame_in_which_nobody_was_sure_is_corrected() -> None:
    hindsight = RetroactiveCorrector(2.0)
    hindsight.add_tentative(tracks(0, -1))
    hindsight.rename(-1, 5, 0.1)
    assert settled(hindsight, tracks(0)) == [5]


def test_doubts_about_nobody_are_allowed() -> None:
    hindsight = RetroactiveCorrector(2.0)
    hindsight.add_tentative(tracks(0))
    assert settled(hindsight, tracks(0, 1)) == [1]


def test_a_recognised_newcomer_has_its_old_id_from_its_first_sight_on() -> None:
    hindsight = RetroactiveCorrector(2.0)
    hindsight.add_tentative(tracks(0, -1))
    hindsight.rename(-1, 5, 0.1)
    hindsight.rename(5, 2, 0.3)
    assert [settled(hindsight, one) for one in (tracks(0), tracks(1, 5), tracks(2, 5))] == [[2]] * 3


def test_a_row_of_two_that_turn_out_to_be_one_person_is_said_once() -> None:
    """The sure one stays, the one that was in doubt gives way."""
    hindsight = RetroactiveCorrector(2.0)
    hindsight.add_tentative(tracks(0, -1))
    hindsight.rename(-1, 5, 0.1)
    hindsight.rename(5, 2, 0.3)
    out = hindsight.apply(tracks(0, 7, 2))
    assert out.ids.tolist() == [7, 2]
    assert out.boxes[:, 0].tolist() == [7, 2]


def test_corrections_do_not_change_the_tracks_handed_in() -> None:
    hindsight = RetroactiveCorrector(2.0)
    hindsight.rename(5, 2, 0.3)
    said = tracks(0, 5)
    hindsight.apply(said)
    assert said.ids.tolist() == [5]


def test_only_the_frame_in_doubt_is_corrected() -> None:
    hindsight = RetroactiveCorrector(2.0)
    hindsight.add_tentative(tracks(1, -1))
    hindsight.rename(-1, 5, 0.2)
    assert [settled(hindsight, tracks(number)) for number in range(3)] == [[], [5], []]


@pytest.mark.parametrize("fps", [1, 10, 30])
def test_everything_of_the_last_seconds_is_remembered(fps: float) -> None:
    hindsight = RetroactiveCorrector(2.0)
    count = round(2 * fps) + 1
    for number in range(count):
        hindsight.add_tentative(tracks(number, -1, fps=fps))
    hindsight.rename(-1, 5, count / fps)
    assert [settled(hindsight, tracks(number, fps=fps)) for number in range(count)] == [[5]] * count


def test_frames_before_a_jump_in_time_are_still_corrected() -> None:
    hindsight = RetroactiveCorrector(2.0)
    hindsight.add_tentative(tracks(0, -1))
    hindsight.rename(-1, 5, 0.1)
    hindsight.add_tentative(replace(tracks(2, -2), time_s=100.0))
    hindsight.rename(-2, 6, 100.0)
    assert [settled(hindsight, one) for one in (tracks(0), tracks(1, 5))] == [[5], [5]]


@pytest.mark.parametrize("settles", [True, False])
def test_memory_does_not_grow_with_the_video(settles: bool) -> None:
    hindsight = RetroactiveCorrector(2.0)
    for number in range(1000):
        hindsight.add_tentative(tracks(number, -number - 1))
        hindsight.rename(-number - 1, number + 1, number / 10)
        if settles:
            hindsight.apply(tracks(number))
        assert len(hindsight._names) <= 43 and len(hindsight._tentative) <= 43
    assert len(hindsight._names) >= 20


def test_doubts_alone_do_not_grow_with_the_video() -> None:
    """Something that never proves to be a person flickers all the time."""
    hindsight = RetroactiveCorrector(2.0)
    for number in range(1000):
        hindsight.add_tentative(tracks(number, -number - 1))
        assert len(hindsight._tentative) <= 43


def test_names_alone_do_not_grow_with_the_video() -> None:
    """A tracker that names everybody at once has no doubts that could make it forget."""
    hindsight = RetroactiveCorrector(0.0)
    for number in range(1000):
        hindsight.rename(-number - 1, number + 1, number / 10)
    assert len(hindsight._names) <= 3
