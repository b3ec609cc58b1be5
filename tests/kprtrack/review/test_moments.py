"""Risky moments of made tracks, in which it is known what happens when."""

from dataclasses import replace

import numpy as np
from support.tracks_cases import tracks_of

from kprtrack.core.datatypes import Tracks
from kprtrack.io import RunHeader, TrackFile
from kprtrack.review import risky_moments

Boxes = dict[int, tuple[float, float]]  # track ID -> left and upper edge


def _frame(number: int, people: Boxes, margins: dict[int, float] | None = None) -> Tracks:
    boxes = {track_id: (x, y, x + 40, y + 100) for track_id, (x, y) in people.items()}
    known = np.array([(margins or {}).get(track_id, np.nan) for track_id in people], np.float32)
    return replace(tracks_of(boxes, number=number, time_s=number / 10), margins=known)


def _file(frames: list[Tracks]) -> TrackFile:
    return TrackFile(RunHeader(video={"width": 640, "height": 360, "fps": 10.0}), frames, True)


def test_two_people_who_cross_are_one_moment_at_their_largest_overlap() -> None:
    frames = [_frame(n, {1: (100 + 8 * n, 100), 2: (260 - 8 * n, 100)}) for n in range(21)]
    [moment] = risky_moments(_file(frames))
    assert (moment.kind, moment.track_ids, moment.frame, moment.time_s) == ("overlap", (1, 2), 10, 1.0)
    # 16 pixels apart: 24 of 56 pixels in common, an IoU of 0.43; 32 apart: 8 of 72.
    assert (moment.first_frame, moment.last_frame) == (9, 11)
    assert moment.edit == "swap 1 2 at frame 10"


def test_a_track_that_is_seen_again_after_a_gap() -> None:
    frames = [_frame(n, {4: (300, 100)} if n < 5 or n >= 30 else {}) for n in range(40)]
    [moment] = risky_moments(_file(frames))
    assert (moment.kind, moment.track_ids, moment.frame, moment.first_frame) == ("re-entry", (4,), 30, 4)
    assert moment.edit == "split 4 at frame 30"


def test_a_track_that_begins_where_another_one_ended() -> None:
    frames = [_frame(n, {1: (300, 100)} if n < 10 else {7: (310, 100)} if n >= 14 else {}) for n in range(20)]
    [moment] = risky_moments(_file(frames))
    assert (moment.kind, moment.track_ids, moment.edit) == ("continuation", (7, 1), "7 = 1")


def test_people_who_leave_at_the_border_are_not_continued() -> None:
    frames = [_frame(n, {1: (0, 100)} if n < 10 else {7: (5, 100)}) for n in range(20)]
    assert risky_moments(_file(frames)) == []


def test_a_small_margin_is_found_and_a_usual_one_is_not() -> None:
    margins = [0.2] * 10 + [0.01] + [0.2] * 10
    frames = [_frame(n, {3: (300, 100)}, {3: margin}) for n, margin in enumerate(margins)]
    [moment] = risky_moments(_file(frames))
    assert (moment.kind, moment.track_ids, moment.frame) == ("margin", (3,), 10)


def test_a_jump_of_a_box() -> None:
    frames = [_frame(n, {1: (100 if n < 5 else 400, 100)}) for n in range(10)]
    [moment] = risky_moments(_file(frames))
    assert (moment.kind, moment.frame, moment.edit) == ("jump", 5, "split 1 at frame 5")


def test_a_result_without_people_has_no_moments() -> None:
    assert risky_moments(_file([])) == [] == risky_moments(_file([_frame(0, {})]))


def test_at_one_frame_a_second_the_next_frame_is_no_gap() -> None:
    frames = [replace(_frame(n, {4: (300, 100)} if n != 6 else {}), time_s=float(n)) for n in range(12)]
    [moment] = risky_moments(_file(frames))
    assert (moment.kind, moment.first_frame, moment.frame) == ("re-entry", 5, 7)
