"""People are chosen by ID, click, place and size; what cannot be chosen is a clear error."""

from dataclasses import replace

import numpy as np
import pytest
from support.tracks_cases import tracks_of

from kprtrack.core.errors import UserError
from kprtrack.selection import Click, PeopleSelection, select_people

FPS = 10.0
# Person 1 walks to the right; 2 is small and stands still; 3 is large and there for 5 frames only.
FRAMES = [
    tracks_of(
        {1: (10 + i, 20, 30 + i, 80), 2: (200, 40, 210, 70)} | ({3: (100, 10, 180, 170)} if i < 5 else {}),
        number=i,
        time_s=i / FPS,
    )
    for i in range(40)
]


def ids(frames):
    return sorted({track_id for tracks in frames for track_id in tracks.ids.tolist()})


@pytest.mark.parametrize(
    ("people", "kept"),
    [
        (PeopleSelection(), [1, 2, 3]),
        (PeopleSelection(only=(1, 3)), [1, 3]),
        (PeopleSelection(exclude=(2,)), [1, 3]),
        (PeopleSelection(only=(1, 2), exclude=(2,)), [1]),
        (PeopleSelection(at=(Click(0.0, 205, 50),)), [2]),
        (PeopleSelection(at=(Click(0.0, 205, 50), Click(3.0, 45, 50))), [1, 2]),
        (PeopleSelection(only=(3,), at=(Click(0.0, 205, 50),)), [2, 3]),
        (PeopleSelection(at=(Click(0.9, 140, 50),)), [3]),  # it left 0.5 s before
        (PeopleSelection(min_height_px=60), [1, 3]),
        (PeopleSelection(min_height_px=60.5), [3]),
        (PeopleSelection(roi=(190, 0, 300, 100)), [2]),
        (PeopleSelection(roi=(0, 0, 300, 100)), [1, 2]),  # the feet of 3 are lower
        (PeopleSelection(roi=(0, 0, 40.5, 100)), [1]),  # in 21 of 40 frames
        (PeopleSelection(main=1), [3]),  # 5 x 12800 pixels; person 1: 40 x 1200; 2: 40 x 300
        (PeopleSelection(main=2), [1, 3]),
        (PeopleSelection(main=9), [1, 2, 3]),
        (PeopleSelection(main=1, exclude=(3,)), [1]),
    ],
)
def test_people_are_chosen(people, kept):
    chosen = select_people(FRAMES, people)
    assert len(chosen) == len(FRAMES)
    assert ids(chosen) == kept
    for before, after in zip(FRAMES, chosen, strict=True):
        rows = np.isin(before.ids, kept)
        assert np.array_equal(after.boxes, before.boxes[rows])
        assert np.array_equal(after.ids, before.ids[rows])


def test_at_most_some_people_are_in_a_frame():
    chosen = select_people(FRAMES, PeopleSelection(max_people=1))
    assert [tracks.ids.tolist() for tracks in chosen] == [[3]] * 5 + [[1]] * 35


def test_of_overlapping_people_the_one_whose_middle_is_nearest_is_clicked():
    frames = [tracks_of({1: (0, 0, 100, 100), 2: (60, 40, 80, 60)})]
    assert ids(select_people(frames, PeopleSelection(at=(Click(0, 70, 50),)))) == [2]
    assert ids(select_people(frames, PeopleSelection(at=(Click(0, 50, 50),)))) == [1]


def test_a_click_finds_tracks_without_times_by_the_frame_rate():
    frames = [replace(tracks, time_s=float("nan")) for tracks in FRAMES]
    people = PeopleSelection(at=(Click(3.0, 45, 50),))
    assert ids(select_people(frames, people, fps=FPS)) == [1]
    with pytest.raises(UserError, match=r"--at 3s@45,50: t.txt has no times and no frame rate"):
        select_people(frames, people, source="t.txt")


@pytest.mark.parametrize(
    ("people", "message"),
    [
        (PeopleSelection(only=(1, 7)), "There is no person 7 in t.json. Its IDs are: 1, 2, 3."),
        (PeopleSelection(exclude=(7,)), "There is no person 7"),
        (PeopleSelection(exclude=(1, 2, 3)), "No person of t.json is left"),
        (PeopleSelection(at=(Click(99, 1, 1),)), "t.json has tracks from 0.00 to 3.90 s"),
        (
            PeopleSelection(at=(Click(1.0, 240, 50),)),
            "--at 1s@240,50: no person is at this point. The nearest in frame 10 is person 2",
        ),
        (PeopleSelection(min_height_px=500), "person 3 is the highest, 160 pixels"),
        (PeopleSelection(roi=(0, 0, 5, 5)), "person 1 has most, 0%"),
    ],
)
def test_what_is_not_there_is_named(people, message):
    with pytest.raises(UserError) as error:
        select_people(FRAMES, people, source="t.json")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "values",
    [
        {"roi": (5, 0, 5, 9)},
        {"roi": (0, 0, float("nan"), 9)},
        {"min_height_px": 0},
        {"min_height_px": float("inf")},
        {"main": 0},
        {"max_people": -1},
    ],
)
def test_numbers_out_of_range_are_errors(values):
    with pytest.raises(UserError, match="--"):
        PeopleSelection(**values)


def test_a_result_without_people_stays_as_it_is():
    frames = [tracks_of({}, number=i) for i in range(3)]
    for people in (PeopleSelection(main=2), PeopleSelection(min_height_px=9), PeopleSelection(max_people=1)):
        assert [len(tracks) for tracks in select_people(frames, people)] == [0, 0, 0]
    with pytest.raises(UserError, match="Its IDs are: none"):
        select_people(frames, PeopleSelection(only=(1,)))


def test_the_header_gets_what_was_chosen():
    people = PeopleSelection(only=(1,), at=(Click(12.4, 640, 310),), main=2)
    assert people.to_json() == {"only": (1,), "at": ["12.4s@640,310"], "main": 2}
