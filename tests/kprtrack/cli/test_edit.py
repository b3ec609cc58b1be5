"""`kprtrack edit` and the option --edits: what they print and write."""

import csv
from pathlib import Path

import numpy as np
import pytest
from support.edit_cases import result

from kprtrack.cli.main import main
from kprtrack.core.tables.names import drawn_label
from kprtrack.io import TrackFile, convert, read_tracks, write_tracks
from kprtrack.rendering.draw import draw_tracks


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tracks.json: person 1 becomes track 2 at one second."""
    monkeypatch.chdir(tmp_path)
    write_tracks(result([[1, 3]] * 10 + [[2, 3]] * 10), Path("tracks.json"))
    return tmp_path


def ids(path: str) -> set[int]:
    return {track_id for tracks in read_tracks(path).frames for track_id in tracks.ids.tolist()}


def test_edits_are_kept_beside_the_result_listed_and_undone(capsys: pytest.CaptureFixture[str]) -> None:
    original = Path("tracks.json").read_bytes()
    assert main(["edit", "tracks.json"]) == 0
    assert "no edits of tracks.json" in capsys.readouterr().out
    assert main(["edit", "tracks.json", "2 = 1", "name 1 Anna", "--out", "a.json"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "1  2 = 1: applied, 10 boxes (0:01 to 0:01.9) of track 2 become track 1"
    assert second == "2  name 1 Anna: applied, track 1 is Anna"
    assert ids("a.json") == {1, 3} and read_tracks("a.json").header.names == {1: "Anna"}
    assert main(["edit", "tracks.json", "undo", "delete 3", "--out", "b.json"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "2  name 1 Anna: undone"
    assert ids("b.json") == {1} and not read_tracks("b.json").header.names
    assert main(["edit", "tracks.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["1  2 = 1", "2  name 1 Anna", "3  delete 3"]
    assert Path("tracks.json").read_bytes() == original


def test_a_dry_run_shows_what_would_change_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edit", "tracks.json", "delete 3", "--dry-run", "--out", "a.json"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "1  delete 3: applied, 20 boxes (0:00 to 0:01.9) of track 3 are deleted\n"
    assert "nothing is written" in captured.err
    assert [path.name for path in Path().iterdir()] == ["tracks.json"]


def test_other_commands_apply_a_file_of_edits_and_say_what_does_not_apply(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["edit", "tracks.json", "2 = 1", "delete 3", "--quiet"]) == 0
    write_tracks(result([[1]] * 10 + [[2]] * 10), Path("again.csv"))
    capsys.readouterr()
    words = ["convert", "again.csv", "out.csv", "--edits", "tracks.edits.jsonl", "--only", "1"]
    assert main(words) == 0
    log = capsys.readouterr().err
    assert "edit 2  delete 3: does not apply, no track is at most of the" in log
    assert "tracks.edits.jsonl: 1 of 2 edits apply" in log
    with Path("out.csv").open(newline="") as file:
        assert [row["track_id"] for row in csv.DictReader(file)] == ["1"] * 20
    assert main(["edit", "again.csv", "--edits", "tracks.edits.jsonl", "--out", "more.txt"]) == 0
    assert ids("more.txt") == {1}


def test_kinematics_are_those_of_the_corrected_people(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("scipy")
    file = read_tracks("tracks.json")
    for tracks in file.frames:
        tracks.keypoints[..., :2] = tracks.boxes[:, None, :2] + np.arange(17)[None, :, None]
        tracks.keypoints[..., 2] = 1
    write_tracks(file, Path("poses.json"))
    assert main(["edit", "poses.json", "2 = 1"]) == 0
    words = ["kinematics", "poses.json", "--out", "k.csv", "--edits", "poses.edits.jsonl", "--cutoff", "4"]
    assert main(words) == 0
    assert "person 1: 20 frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["edit", "tracks.json", "delete", "3"], "'delete' is no edit. Write"),
        (["edit", "tracks.json", "--out", "out.json"], "no edits file tracks.edits.jsonl"),
        (["edit", "tracks.json", "delete 3", "--out", "tracks.json"], "it is an input"),
        (["edit", "tracks.json", "--format", "csv"], "--format is the format of --out"),
        (["edit", "missing.json"], "There is no file missing.json"),
        (["convert", "tracks.json", "t.csv", "--edits", "no.jsonl"], "no edits file no.jsonl"),
        (["convert", "tracks.json", "t.csv", "--edits", "tracks.json"], "tracks.json, line 1"),
    ],
)
def test_wrong_input_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) in (2, 3)
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert {path.name for path in Path().iterdir()} == {"tracks.json"}


def with_names() -> TrackFile:
    assert main(["edit", "tracks.json", "name 1 Zoë, the keeper", "--out", "named.json", "--quiet"]) == 0
    return read_tracks("named.json")


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".parquet", ".xlsx"])
def test_names_are_in_every_format_that_has_a_place_for_them(suffix: str) -> None:
    if suffix in (".parquet", ".xlsx"):
        pytest.importorskip({".parquet": "pyarrow", ".xlsx": "openpyxl"}[suffix])
    file = with_names()
    convert(Path("named.json"), Path(f"copy{suffix}"))
    copy = read_tracks(f"copy{suffix}")
    assert copy.header.names == file.header.names == {1: "Zoë, the keeper"}
    assert [tracks.ids.tolist() for tracks in copy.frames] == [tracks.ids.tolist() for tracks in file.frames]


def test_subtitles_have_names() -> None:
    with_names()
    convert(Path("named.json"), Path("t.srt"))
    assert "Zoë, the keeper, Person 3\n" in Path("t.srt").read_text("utf-8")


def test_tables_have_names_only_where_there_are_some() -> None:
    pytest.importorskip("pandas")
    assert "name" not in read_tracks("tracks.json").to_dataframe().columns
    table = with_names().to_dataframe()
    assert set(table.name[table.track_id == 1]) == {"Zoë, the keeper"}
    assert set(table.name[table.track_id != 1]) == {""}
    convert(Path("tracks.json"), Path("t.csv"))
    assert "name" not in Path("t.csv").read_text().splitlines()[0].split(",")


def test_a_column_of_another_program_called_name_is_no_name_of_people() -> None:
    Path("t.csv").write_text("frame,track_id,name,x,y,width,height\n0,1,a.png,0,0,9,9\n1,1,b.png,0,0,9,9\n")
    assert read_tracks("t.csv").header.names == {}


def test_wrong_names_in_a_header_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with_names()
    text = Path("named.json").read_text("utf-8").replace('"names":{"1":', '"names":{"x":')
    Path("named.json").write_text(text, "utf-8")
    assert main(["convert", "named.json", "t.csv"]) == 3
    assert '"names" has x:' in capsys.readouterr().err


def test_names_are_drawn_instead_of_ids() -> None:
    tracks = read_tracks("tracks.json").frames[0]
    image = np.zeros((700, 300, 3), np.uint8)
    plain, named, accented, other = (
        draw_tracks(image, tracks, names=names) for names in (None, {1: "Zoe"}, {1: "Zoë"}, {1: "安娜"})
    )
    assert not np.array_equal(plain, named)
    assert np.array_equal(named, accented)
    assert np.array_equal(plain, other)
    assert drawn_label(1, {1: "x" * 100}) == f"{'x' * 22}.."
