"""Person IDs of linked videos: which formats keep them, how tables and annotated videos show them."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kprtrack.core.errors import InputError
from kprtrack.core.tables.names import drawn_label
from kprtrack.edits import Edits
from kprtrack.io import RunHeader, TrackFile, convert, read_tracks, write_tracks
from tests.support.export_cases import tracks_of

LINKED = RunHeader(video={"path": "videos/door.mp4", "fps": 25.0}, names={5: "Zoë"}, persons={1: 7, 5: 2})
FRAMES = [tracks_of(0, (1, 5)), tracks_of(1, (5, 6))]


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    write_tracks(TrackFile(LINKED, FRAMES, complete=True), tmp_path / "door.tracks.json")
    return tmp_path / "door.tracks.json"


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".parquet", ".xlsx"])
def test_persons_and_the_name_of_the_video_are_in_every_format_with_a_place_for_them(
    linked: Path, suffix: str
) -> None:
    if suffix in (".parquet", ".xlsx"):
        pytest.importorskip({".parquet": "pyarrow", ".xlsx": "openpyxl"}[suffix])
    convert(linked, linked.with_name(f"copy{suffix}"))
    header = read_tracks(linked.with_name(f"copy{suffix}")).header
    assert (header.persons, header.names) == (LINKED.persons, LINKED.names)
    assert header.labels.video == "door.mp4"


def test_each_person_of_a_frame_has_the_person_id(linked: Path) -> None:
    data = json.loads(linked.read_bytes())
    assert data["persons"] == {"1": 7, "5": 2}
    people = [person for frame in data["frames"] for person in frame["people"]]
    assert [person.get("person") for person in people] == [7, 2, 2, None]


def test_csv_has_the_columns_video_and_person_of_a_linked_result(linked: Path) -> None:
    target = linked.with_suffix(".csv")
    convert(linked, target)
    rows = list(csv.DictReader(target.read_text("utf-8").splitlines()))
    assert [(row["video"], row["track_id"], row["person"], row["name"]) for row in rows] == [
        ("door.mp4", "1", "7", ""),
        ("door.mp4", "5", "2", "Zoë"),
        ("door.mp4", "5", "2", "Zoë"),
        ("door.mp4", "6", "", ""),
    ]
    write_tracks(TrackFile(RunHeader(), FRAMES, complete=True), target)
    assert not {"video", "person"} & set(target.read_text().splitlines()[0].split(","))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_of_several_videos_join_by_person(library: str) -> None:
    module = pytest.importorskip(library)
    other = replace(LINKED, video={"path": "yard.mp4"}, names={}, persons={1: 2, 5: 3, 6: 9})
    tables = [
        TrackFile(header, FRAMES, complete=True).to_dataframe(library)[["video", "person"]]
        for header in (LINKED, other)
    ]
    table = module.concat(tables)
    assert set(table["video"].to_list()) == {"door.mp4", "yard.mp4"}
    assert set(tables[1]["person"].to_list()) == {2, 3, 9}
    rows = zip(table["video"].to_list(), table["person"].to_list(), strict=True)
    assert [video for video, person in rows if person == 2] == ["door.mp4"] * 2 + ["yard.mp4"]


def test_parquet_has_whole_person_ids(linked: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    convert(linked, linked.with_suffix(".parquet"))
    table = parquet.read_table(linked.with_suffix(".parquet"))
    assert table.column("person").to_pylist() == [7, 2, 2, None]
    assert str(table.schema.field("person").type) == "int64"


@pytest.mark.parametrize(
    "persons",
    [
        '{"1":0}',
        '{"1":-3}',
        '{"1":1.5}',
        '{"1":true}',
        '{"1":"2"}',
        '{"x":2}',
        '{"1":9007199254740993}',
        "[3]",
    ],
)
def test_wrong_persons_in_a_header_are_one_line(linked: Path, persons: str) -> None:
    text = linked.read_text("utf-8").replace('"persons":{"1":7,"5":2}', f'"persons":{persons}')
    linked.write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"^[^\n]*\"persons\"[^\n]*$"):
        read_tracks(linked)


@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        ("person", ["3", "3"]),  # no column "video"
        ("video,person", ["a.mp4,3", "b.mp4,3"]),  # several videos
        ("video,person", ["a.mp4,3", "a.mp4,4"]),  # one track, two persons
        ("video,person", ["a.mp4,Anna", "a.mp4,Anna"]),
        ("video,person", [f"a.mp4,{'9' * 5000}"] * 2),
    ],
)
def test_a_column_of_another_program_called_person_is_no_person_id(
    tmp_path: Path, columns: str, cells: list[str]
) -> None:
    rows = "".join(f"{number},1,0,0,9,9,{cell}\n" for number, cell in enumerate(cells))
    (tmp_path / "t.csv").write_text(f"frame,track_id,x,y,width,height,{columns}\n{rows}")
    header = read_tracks(tmp_path / "t.csv").header
    assert header.persons == {} and header.video == {}


def test_a_track_id_of_many_digits_beside_a_name_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"frame,track_id,x,y,width,height,name\n0,{'9' * 5000},0,0,9,9,Anna\n")
    with pytest.raises(InputError):
        read_tracks(tmp_path / "t.csv")


def test_people_without_name_are_drawn_by_their_person_id() -> None:
    labels = LINKED.labels.drawn()
    assert [drawn_label(track_id, labels) for track_id in (1, 5, 6)] == ["P7", "Zoe", "6"]


def test_subtitles_number_people_by_person(linked: Path) -> None:
    convert(linked, linked.with_suffix(".srt"))
    assert "Person 7, Zoë\n" in linked.with_suffix(".srt").read_text("utf-8")


def test_a_merge_keeps_the_person_and_a_split_makes_an_unlinked_track(linked: Path) -> None:
    edits = Edits(linked.with_name("door.edits.jsonl"), ())
    file = read_tracks(linked)
    assert edits.preview(file, "6 = 1").apply(file).tracks.header.persons == LINKED.persons
    apart = edits.preview(file, "split 5 at frame 1").apply(file).tracks
    assert apart.header.persons == LINKED.persons
    assert np.setdiff1d(apart.frames[1].ids, [5, 6]).tolist() == [7]
    lost = edits.preview(file, "1 = 6").apply(file).tracks
    assert lost.header.persons == {5: 2, 6: 7}
