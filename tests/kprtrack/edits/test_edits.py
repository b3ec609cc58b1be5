"""Edits do what a table of frames and IDs says, never change the original, can be undone and survive tracking
again."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.edit_cases import FALSE_LANE, FPS, FRAMES, box_in_lane, ids_in_lane, result, tracked
from support.tracks_cases import tracks_of

from kprtrack.core.errors import UserError
from kprtrack.edits import EditResult, Edits, parse_edit
from kprtrack.io import RunHeader, TrackFile, read_tracks, write_tracks
from kprtrack.trackers.bytetrack import ByteTrackConfig

NOWHERE = Path("none.edits.jsonl")
Ids = list[list[int]]


def ids_of(file: TrackFile) -> Ids:
    return [sorted(tracks.ids.tolist()) for tracks in file.frames]


def edited(file: TrackFile, *texts: str) -> TrackFile:
    return Edits(NOWHERE).preview(file, *texts).apply(file).tracks


# What edits mean, on sets of IDs in lanes: {frame: {lane: ID}}.
Table = dict[int, dict[int, int]]


def expected(table: Table, text: str) -> Table | None:
    """The table after an edit by frame numbers; None: it is not allowed."""
    words = text.replace("=", " = ").split()
    spans = {"from": 0, "at": 0, "to": max(table)}
    for word in [word for word in ("from", "at", "to") if word in words]:
        spans[word] = int(words[words.index(word) + 2])
    first, last = max(spans["from"], spans["at"]), spans["to"]
    if first > max(table) or first > last:
        return None
    ids = [int(words[0]), int(words[2])] if "=" in words else [int(words[1])]
    if words[0] == "swap":
        ids.append(int(words[2]))
    present = {track_id for people in table.values() for track_id in people.values()}
    if len(set(ids)) < len(ids) or not set(ids) <= present:
        return None
    change = {
        "swap": {ids[0]: ids[-1], ids[-1]: ids[0]},
        "split": {ids[0]: max(present) + 1},
        "delete": {ids[0]: 0},
    }.get(words[0], {ids[0]: ids[-1]})
    inside = [people for frame, people in table.items() if first <= frame <= last]
    if not any(track_id in people.values() for people in inside for track_id in change):
        return None
    if words[0] in ("swap", "split"):
        before = [people for frame, people in table.items() if frame < first]
        if not any(track_id in people.values() for people in before for track_id in change):
            return None
    if "=" in words and any(set(ids) <= set(people.values()) for people in inside):
        return None
    changed = {}
    for frame, people in table.items():
        new = change if first <= frame <= last else {}
        lanes = {lane: new.get(track_id, track_id) for lane, track_id in people.items()}
        changed[frame] = {lane: track_id for lane, track_id in lanes.items() if track_id}
    return changed


NUMBERS = st.sampled_from([1, 2, 3, 4, 4])
FRAME = st.integers(0, 8)
TEXTS = st.one_of(
    st.builds("{} = {}".format, NUMBERS, NUMBERS),
    st.builds("{} = {} from frame {}".format, NUMBERS, NUMBERS, FRAME),
    st.builds("{} = {} from frame {} to frame {}".format, NUMBERS, NUMBERS, FRAME, FRAME),
    st.builds("swap {} {} at frame {}".format, NUMBERS, NUMBERS, FRAME),
    st.builds("split {} at frame {}".format, NUMBERS, FRAME),
    st.builds("delete {}".format, NUMBERS),
    st.builds("delete {} to frame {}".format, NUMBERS, FRAME),
)
PEOPLE = st.lists(st.lists(st.sampled_from([1, 2, 3, 4, 5]), unique=True), min_size=1, max_size=8).map(
    lambda people: people if len(people) > 2 else people * 4
)


@settings(max_examples=150, deadline=None)
@given(PEOPLE, TEXTS)
def test_an_edit_does_what_a_table_of_frames_says(people: Ids, text: str) -> None:
    file = result(people)
    wanted = expected({frame: {each: each for each in ids} for frame, ids in enumerate(people)}, text)
    if wanted is None:
        with pytest.raises(UserError):
            edited(file, text)
    else:
        assert ids_of(edited(file, text)) == [sorted(wanted[frame].values()) for frame in range(len(people))]


@settings(max_examples=40, deadline=None)
@given(people=PEOPLE, texts=st.lists(TEXTS, max_size=5), overlap=st.booleans())
def test_replay_is_the_same_each_time_and_undo_restores_everything(
    people: Ids, texts: list[str], overlap: bool
) -> None:
    file = result(people)
    if overlap:  # all people of a frame have equal boxes
        frames = [
            tracks_of(dict.fromkeys(ids, (5, 5, 45, 105)), number=number, time_s=number / 10)
            for number, ids in enumerate(people)
        ]
        file = TrackFile(RunHeader(video={"fps": 10.0}), frames, True)
    before = [tracks.ids.copy() for tracks in file.frames]
    edits = Edits(NOWHERE)
    for text in texts:
        try:
            edits = edits.preview(file, text)
        except UserError:
            continue
        assert str(edits.apply(file).report[-1].status) in ("applied", "already so")
    first, second = edits.apply(file), edits.apply(file)
    assert ids_of(first.tracks) == ids_of(second.tracks)
    assert [each.status for each in first.report].count("does not apply") == 0
    assert all(np.array_equal(tracks.ids, ids) for tracks, ids in zip(file.frames, before, strict=True))
    for _ in edits.edits:
        edits = edits.preview(file, "undo")
    restored = edits.apply(file).tracks
    assert all(a is b for a, b in zip(restored.frames, file.frames, strict=True))
    assert restored.header == file.header


@pytest.mark.parametrize("text", ["2 = 1", "swap 1 3 at 0:01", "split 3 at 8s", "delete 3", "name 1 Anna"])
def test_an_edit_changes_a_corrected_result_no_more(text: str) -> None:
    file = result([[1, 3]] * 10 + [[2, 3]] * 10)
    edits = Edits(NOWHERE).preview(file, text.replace("8s", "0.8s"))
    corrected = edits.apply(file).tracks
    again = edits.apply(corrected)
    assert ids_of(again.tracks) == ids_of(corrected)
    assert again.report[0].status == ("does not apply" if text == "delete 3" else "already so")


def test_a_written_corrected_file_is_that_of_the_original_after_undo(tmp_path: Path) -> None:
    file = tracked(ByteTrackConfig(max_lost_s=0.3))
    edits = Edits(NOWHERE).preview(file, "swap 6 7 at 0:05", "delete 9", "undo 2", "undo")
    write_tracks(file, tmp_path / "a.json")
    write_tracks(edits.apply(file).tracks, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_nine_of_ten_edits_survive_tracking_with_other_settings(tmp_path: Path) -> None:
    """The tenth deletes what the other settings do not track."""
    file = tracked(ByteTrackConfig(max_lost_s=0.3))
    parts = {lane: ids_in_lane(file, lane) for lane in range(9)}
    assert [len(parts[lane]) for lane in range(9)] == [2, 2, 2, 2, 2, 1, 1, 1, 1]
    merges = [f"{parts[lane][1]} = {parts[lane][0]}" for lane in range(5)]
    (five,), (six,), (seven,), (false,) = (parts[lane] for lane in (5, 6, 7, FALSE_LANE))
    texts = [
        *merges,
        f"swap {six} {seven} at 0:05",
        f"split {five} at 0:08",
        f"name {parts[3][0]} Anna",
        f"name {six} Ben",
        f"delete {false}",
    ]
    edits = Edits(tmp_path / "t.edits.jsonl").append(file, *texts)
    # Another memory, other scores, boxes that differ by up to 8 pixels, and IDs that are in another order.
    other = tracked(ByteTrackConfig(max_lost_s=1.0, track_thresh=0.7), noise_px=4.0)
    assert [len(ids_in_lane(other, lane)) for lane in range(9)] == [1, 1, 1, 2, 2, 1, 1, 1, 0]
    shuffled = TrackFile(
        other.header,
        [
            tracks_of(
                {100 - track_id: box for track_id, box in zip(t.ids.tolist(), t.boxes.tolist(), strict=True)},
                number=t.frame_number,
                time_s=t.time_s,
            )
            for t in other.frames
        ],
        True,
    )
    after = Edits.read(tmp_path / "t.edits.jsonl").apply(shuffled)
    assert [each.status for each in after.report] == [
        *["already so"] * 3,
        *["applied"] * 6,
        "does not apply",
    ]
    assert after.report == edits.apply(shuffled).report
    tracks = after.tracks
    assert [len(ids_in_lane(tracks, lane)) for lane in range(5)] == [1] * 5
    early, late = range(0, 50), range(50, FRAMES)
    assert ids_in_lane(tracks, 6, early) == ids_in_lane(tracks, 7, late)
    assert ids_in_lane(tracks, 7, early) == ids_in_lane(tracks, 6, late)
    assert len(ids_in_lane(tracks, 5)) == 2
    assert after.names == {ids_in_lane(tracks, 3)[0]: "Anna", ids_in_lane(tracks, 6, early)[0]: "Ben"}


@pytest.mark.parametrize("second", [2, 3])
def test_people_are_exchanged_where_another_tracker_starts_a_new_track(second: int) -> None:
    """In the other result person 2 has track 5 at first, and then `second`."""
    file = result([[1, 2]] * 20)
    frames = [
        tracks_of(
            {7: box_in_lane(1, number), 5 if number < 12 else second: box_in_lane(2, number)},
            number=number,
            time_s=number / FPS,
        )
        for number in range(20)
    ]
    edits = Edits(NOWHERE).preview(file, "swap 1 2 at 0:01.2")
    after = edits.apply(TrackFile(file.header, frames, True)).tracks
    early, late = range(12), range(12, 20)
    assert ids_in_lane(after, 1, early) == ids_in_lane(after, 2, late) == [7]
    assert ids_in_lane(after, 2, early) == ids_in_lane(after, 1, late) == [5]


def test_a_deleted_duplicate_does_not_delete_the_person_whose_duplicate_it_was() -> None:
    frames = [tracks_of({1: (0, 0, 40, 100), 2: (6, 0, 46, 100)}, number=n, time_s=n / 10) for n in range(10)]
    file = TrackFile(RunHeader(), frames, True)
    alone = [tracks_of({1: (1, 0, 41, 100)}, number=n, time_s=n / 10) for n in range(10)]
    (report,) = Edits(NOWHERE).preview(file, "delete 2").apply(TrackFile(RunHeader(), alone, True)).report
    assert report.status == "does not apply"


def test_a_deleted_part_does_not_delete_a_long_track() -> None:
    file = result([[1]] * 3 + [[]] * 30)
    (report,) = Edits(NOWHERE).preview(file, "delete 1").apply(result([[1]] * 33)).report
    assert report.status == "does not apply" and "longer" in report.details


def test_edits_of_a_result_without_times_count_frames() -> None:
    frames = [tracks_of({1: (0, 0, 9, 9)}, number=number, time_s=float("nan")) for number in range(4)]
    file = TrackFile(RunHeader(), frames, True)
    assert ids_of(edited(file, "split 1 at frame 2")) == [[1], [1], [2], [2]]
    with pytest.raises(UserError, match="frame 120"):
        edited(file, "split 1 at 0:01")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["1 = 3"], r"tracks 1 and 3 are both seen at 0:00 \(frame 0\) and in 10 frames"),
        (["8 = 1"], r"there is no track 8. The track IDs are: 1, 2, 3"),
        (["split 1 at 9:00"], r"9:00 is outside the result, which has frames from 0:00 to 0:01.9"),
        (["split 1 at 0:01"], "track 1 has no boxes from 0:01 on"),
        (["delete 1 from 0:01 to 0:00.5"], "earlier time first"),
        (["name 1 Anna", "name 3 Anna"], 'track 1 is named Anna; if they are one person, write "3 = 1"'),
        (["name 1 Anna", "name 2 Ben", "2 = 1"], "track 2 is named Ben and track 1 Anna"),
        (["undo"], "no edit to undo"),
        (["delete 1", "undo 1", "undo 1"], "Edit 1 is undone already"),
        (["merge 1 2"], "is no edit. Write"),
        (["1 = 1"], "names track 1 twice"),
        (["split 1 at 0:75"], "seconds stay below 60"),
        (["delete 0"], "from 1 on"),
        (["name 1 a\x07b"], "printable"),
    ],
)
def test_wrong_edits_are_one_line_and_none_is_kept(texts: list[str], message: str, tmp_path: Path) -> None:
    file = result([[1, 3]] * 10 + [[2, 3]] * 10)
    path = tmp_path / "t.edits.jsonl"
    with pytest.raises(UserError, match=message) as caught:
        Edits(path).append(file, *texts)
    assert "\n" not in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize(
    "text", ["7=3 from 41s", "7 = 3 from 0:41", " 7 = 3 FROM 41.0 ", "7 = 3 from 00:00:41"]
)
def test_times_can_be_written_in_several_ways(text: str) -> None:
    command = parse_edit(text)
    assert (command.kind, command.ids) == ("merge", (7, 3))
    assert command.start is not None and command.start.time_s == 41


def test_names_follow_merges_and_go_with_deleted_tracks(tmp_path: Path) -> None:
    file = result([[1, 3]] * 10 + [[2, 3]] * 10)
    corrected = edited(file, "name 2 Zoë", "name 3 Ben", "2 = 1", "delete 3")
    assert corrected.header.names == {1: "Zoë"}
    write_tracks(corrected, tmp_path / "t.json")
    assert read_tracks(tmp_path / "t.json").header.names == {1: "Zoë"}


def test_a_result_says_what_it_changed() -> None:
    file = result([[1]] * 10)
    (report,) = Edits(NOWHERE).preview(file, "split 1 at 0:00.5").apply(file).report
    assert isinstance(report, EditResult)
    assert str(report) == (
        "1  split 1 at 0:00.5: applied, 5 boxes (0:00.5 to 0:00.9) of track 1 become the new track 2"
    )
