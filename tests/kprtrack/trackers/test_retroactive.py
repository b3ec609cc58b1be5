"""Corrections of earlier frames by confirmed and re-identified tracks."""

from dataclasses import replace

import numpy as np
import pytest

from kprtrack.core.datatypes import Tracks
from kprtrack.trackers.retroactive import RetroactiveCorrector


def tracks(number: int, *ids: int, fps: float = 10) -> Tracks:
    """The tracks `ids`; all other values of a row follow from its ID."""
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


def finalized(corrector: RetroactiveCorrector, tracks_out: Tracks) -> list[int]:
    return corrector.apply(tracks_out).ids.tolist()


def test_tracks_without_corrections_are_unchanged() -> None:
    tracks_out = tracks(0, 3, 1, 2)
    out = RetroactiveCorrector(2.0).apply(tracks_out)
    assert out.ids.tolist() == [3, 1, 2]
    assert np.array_equal(out.boxes, tracks_out.boxes)
    assert (out.frame_number, out.time_s) == (0, 0.0)


def test_an_empty_frame_stays_empty() -> None:
    assert len(RetroactiveCorrector(2.0).apply(tracks(0))) == 0


def test_a_confirmed_track_is_added_to_its_earlier_frames() -> None:
    corrector = RetroactiveCorrector(2.0)
    corrector.add_tentative(tracks(0, -1))
    corrector.rename(-1, 5, 0.1)
    out = corrector.apply(tracks(0, 2))
    assert out.ids.tolist() == [2, 5]
    assert out.boxes[:, 0].tolist() == [2, -1]
    assert out.keypoints[:, 0, 0].tolist() == [2, -1]


def test_a_track_never_confirmed_is_left_out() -> None:
    corrector = RetroactiveCorrector(2.0)
    corrector.add_tentative(tracks(0, -1, -2, -3))
    corrector.rename(-2, 5, 0.1)
    assert finalized(corrector, tracks(0, 2)) == [2, 5]


def test_a_frame_with_tentative_tracks_only_is_corrected() -> None:
    corrector = RetroactiveCorrector(2.0)
    corrector.add_tentative(tracks(0, -1))
    corrector.rename(-1, 5, 0.1)
    assert finalized(corrector, tracks(0)) == [5]


def test_a_frame_without_tentative_tracks_is_allowed() -> None:
    corrector = RetroactiveCorrector(2.0)
    corrector.add_tentative(tracks(0))
    assert finalized(corrector, tracks(0, 1)) == [1]


def test_a_reidentified_track_has_its_former_id_from_its_first_detection_on() -> None:
    corrector = RetroactiveCorrector(2.0)
    corrector.add_tentative(tracks(0, -1))
    corrector.rename(-1, 5, 0.1)
    corrector.rename(5, 2, 0.3)
    assert [finalized(corrector, one) for one in (tracks(0), tracks(1, 5), tracks(2, 5))] == [[2]] * 3


def test_two_rows_with_one_id_become_one() -> None:
    """The confirmed row stays, the tentative one is dropped."""
    corrector = RetroactiveCorrector(2.0)
    corrector.add_tentative(tracks(0, -1))
    corrector.rename(-1, 5, 0.1)
    corrector.rename(5, 2, 0.3)
    out = corrector.apply(tracks(0, 7, 2))
    assert out.ids.tolist() == [7, 2]
    assert out.boxes[:, 0].tolist() == [7, 2]


def test_corrections_do_not_change_their_input() -> None:
    corrector = RetroactiveCorrector(2.0)
    corrector.rename(5, 2, 0.3)
    tracks_out = tracks(0, 5)
    corrector.apply(tracks_out)
    assert tracks_out.ids.tolist() == [5]


def test_only_the_frame_of_the_tentative_track_is_corrected() -> None:
    corrector = RetroactiveCorrector(2.0)
    corrector.add_tentative(tracks(1, -1))
    corrector.rename(-1, 5, 0.2)
    assert [finalized(corrector, tracks(number)) for number in range(3)] == [[], [5], []]


@pytest.mark.parametrize("fps", [1, 10, 30])
def test_corrections_of_the_last_seconds_are_remembered(fps: float) -> None:
    corrector = RetroactiveCorrector(2.0)
    count = round(2 * fps) + 1
    for number in range(count):
        corrector.add_tentative(tracks(number, -1, fps=fps))
    corrector.rename(-1, 5, count / fps)
    assert [finalized(corrector, tracks(number, fps=fps)) for number in range(count)] == [[5]] * count


def test_frames_before_a_jump_in_time_are_still_corrected() -> None:
    corrector = RetroactiveCorrector(2.0)
    corrector.add_tentative(tracks(0, -1))
    corrector.rename(-1, 5, 0.1)
    corrector.add_tentative(replace(tracks(2, -2), time_s=100.0))
    corrector.rename(-2, 6, 100.0)
    assert [finalized(corrector, one) for one in (tracks(0), tracks(1, 5))] == [[5], [5]]


@pytest.mark.parametrize("finalizes", [True, False])
def test_memory_does_not_grow_with_the_video(finalizes: bool) -> None:
    corrector = RetroactiveCorrector(2.0)
    for number in range(1000):
        corrector.add_tentative(tracks(number, -number - 1))
        corrector.rename(-number - 1, number + 1, number / 10)
        if finalizes:
            corrector.apply(tracks(number))
        assert len(corrector._names) <= 43 and len(corrector._tentative) <= 43
    assert len(corrector._names) >= 20


def test_memory_of_tentative_tracks_does_not_grow_with_the_video() -> None:
    """A detection flickers all the time and is never confirmed."""
    corrector = RetroactiveCorrector(2.0)
    for number in range(1000):
        corrector.add_tentative(tracks(number, -number - 1))
        assert len(corrector._tentative) <= 43


def test_memory_of_renamed_ids_does_not_grow_with_the_video() -> None:
    """A tracker that confirms at once adds no tentative tracks that would bound the memory."""
    corrector = RetroactiveCorrector(0.0)
    for number in range(1000):
        corrector.rename(-number - 1, number + 1, number / 10)
    assert len(corrector._names) <= 3
