"""`kprtrack gallery`: what its actions print, write and ask."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest
from support.gallery_cases import sha, write_result

from kprtrack.cli.main import main
from kprtrack.gallery import Gallery
from kprtrack.io import TrackFile, read_tracks, write_tracks

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with results of two videos: a.mp4 with two tracks, b.mp4 with one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    write_result(Path("a.json"), "a.mp4", {1: 1, 2: 2}, together=[(1, 2)])
    write_result(Path("b.json"), "b.mp4", {5: 2})
    return tmp_path


def listed(capsys: Capture) -> list[list[str]]:
    capsys.readouterr()
    assert main(["gallery", "list", "people.kprdb"]) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()[1:]]


def test_results_are_added_listed_named_shown_and_exported(capsys: Capture) -> None:
    assert main(["gallery", "add", "people.kprdb", "a.json", "b.json"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "a.json: 2 tracks, 2 persons (2 new, 0 known)",
        "b.json: 1 track, 1 person (1 new, 0 known)",
    ]
    assert main(["gallery", "name", "people.kprdb", "3", "Keeper"]) == 0
    assert main(["gallery", "note", "people.kprdb", "Keeper", "number 9"]) == 0
    assert listed(capsys) == [
        ["1", "-", "1", "1", "3"],
        ["2", "-", "1", "1", "3"],
        ["3", "Keeper", "1", "1", "3", "number", "9"],
    ]
    assert main(["gallery", "show", "people.kprdb", "Keeper"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "person 3, Keeper",
        "notes: number 9",
        "VIDEO  TRACK  FROM  TO      PROTOTYPES  SHA256",
        f"b.mp4  5      0:05  0:05.2  3           {sha('b.mp4')[:12]}",
    ]
    assert main(["gallery", "export", "people.kprdb", "out.csv"]) == 0
    rows = list(csv.DictReader(Path("out.csv").read_text("utf-8").splitlines()))
    assert [(row["person"], row["name"], row["video"], row["track"]) for row in rows] == [
        ("1", "", "a.mp4", "1"),
        ("2", "", "a.mp4", "2"),
        ("3", "Keeper", "b.mp4", "5"),
    ]
    assert main(["gallery", "export", "people.kprdb", "out.json"]) == 0
    exported = json.loads(Path("out.json").read_text("utf-8"))
    assert exported[2]["tracks"] == [
        {
            "video": "b.mp4",
            "sha256": sha("b.mp4"),
            "track": 5,
            "first_s": 5.0,
            "last_s": 5.2,
            "prototypes": 3,
        }
    ]
    capsys.readouterr()
    assert main(["gallery", "list", "people.kprdb", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == exported


def test_merges_and_splits_are_shown_and_need_a_yes(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    main(["gallery", "add", "people.kprdb", "a.json", "b.json"])
    before = listed(capsys)
    merge = ["gallery", "merge", "people.kprdb", "2", "3"]
    shown = ["persons 2 and 3 become person 2", "  b.mp4:5: person 3 becomes 2"]
    assert main([*merge, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == shown
    assert main(merge) == 2
    assert "no terminal to ask in. Add --yes" in capsys.readouterr().err
    for answer in ("", "n\n", "what\n"):
        stdin = io.StringIO(answer)
        stdin.isatty = lambda: True  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(merge) == 0
        assert "nothing is changed" in capsys.readouterr().err
    assert listed(capsys) == before
    stdin = io.StringIO("y\n")
    stdin.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(merge) == 0
    assert [row[0] for row in listed(capsys)] == ["1", "2"]
    assert main(["gallery", "split", "people.kprdb", "2", "b.mp4:5", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a new person gets 1 track of person 2",
        "  b.mp4:5: person 2 becomes 4",
    ]
    assert main(["gallery", "merge", "people.kprdb", "1", "2", "--yes"]) == 2
    assert "seen at once in a.mp4 (tracks 1 and 2)" in capsys.readouterr().err
    assert main(["gallery", "remove", "people.kprdb", "1", "4", "--yes"]) == 0
    assert [row[0] for row in listed(capsys)] == ["2"]
    assert main(["gallery", "remove", "people.kprdb", "--video", "a.mp4", "--yes"]) == 0
    assert capsys.readouterr().out == "all tracks of a.mp4 and their prototypes are removed\n"
    assert listed(capsys) == []
    assert main(["gallery", "remove", "people.kprdb", "--yes"]) == 2
    assert "Name what is removed" in capsys.readouterr().err


def test_all_results_are_added_or_none(capsys: Capture) -> None:
    assert main(["gallery", "add", "people.kprdb", "a.json", "missing.json"]) == 3
    capsys.readouterr()
    assert listed(capsys) == []
    main(["gallery", "add", "people.kprdb", "b.json"])
    assert main(["gallery", "remove", "people.kprdb", "1", "9", "--yes"]) == 2
    assert len(listed(capsys)) == 1


def test_corrected_results_are_added_as_corrected_with_their_names(capsys: Capture) -> None:
    main(["edit", "a.json", "delete 2", "name 1 Anna", "--quiet"])
    main(["gallery", "add", "people.kprdb", "a.json", "b.json"])
    assert "a.json: 1 track, 1 person (1 new, 0 known)" in capsys.readouterr().err
    assert [row[1] for row in listed(capsys)] == ["Anna", "-"]
    main(["edit", "a.json", "undo 1", "--quiet"])
    main(["edit", "b.json", "name 5 Anna", "--quiet"])
    capsys.readouterr()
    main(["gallery", "add", "people.kprdb", "a.json", "b.json"])
    assert "note: track 5 is named Anna, and so is person 1, not 2" in capsys.readouterr().err
    assert [row[:2] for row in listed(capsys)] == [["1", "Anna"], ["2", "-"], ["3", "-"]]


def test_persons_of_linked_results_are_taken_over(capsys: Capture) -> None:
    main(["gallery", "add", "people.kprdb", "a.json"])
    file = read_tracks("b.json")
    header = type(file.header)(**{**vars(file.header), "persons": {5: 2}})
    write_tracks(TrackFile(header, file.frames, True), Path("linked.json"))
    assert main(["gallery", "add", "people.kprdb", "b.json", "--persons-from", "linked.json"]) == 0
    assert "b.json: 1 track, 1 person (0 new, 1 known)" in capsys.readouterr().err
    assert [row[0] for row in listed(capsys)] == ["1", "2"]
    assert main(["gallery", "add", "people.kprdb", "a.json", "--persons-from", "linked.json"]) == 2
    assert "--persons-from has no result of the video of a.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "none.kprdb"], "There is no gallery none.kprdb"),
        (["show", "people.kprdb", "9"], "There is no person 9"),
        (["show", "people.kprdb", "Zoe"], "There is no person named 'Zoe'"),
        (["show", "people.kprdb", "9" * 400], "There is no person"),
        (["split", "people.kprdb", "1", "a.mp4"], "'a.mp4' names no track"),
        (["split", "people.kprdb", "1", "c.mp4:1"], "has no video 'c.mp4'"),
        (["split", "people.kprdb", "1", "a.mp4:9"], "has no track 9"),
        (["split", "people.kprdb", "1", "a.mp4:1"], "Choose some of the 1 tracks"),
        (["name", "people.kprdb", "1", "a\nb"], "a name has 1 to 100"),
        (["export", "people.kprdb", "out.xls"], "exported as .csv or .json"),
        (["list", "a.json"], "a.json is not a gallery of kprtrack"),
    ],
)
def test_errors_are_one_line(capsys: Capture, words: list[str], message: str) -> None:
    with Gallery.open("people.kprdb", create=True):
        main(["gallery", "add", "people.kprdb", "a.json", "--quiet"])
    capsys.readouterr()
    assert main(["gallery", *words]) in (2, 3)
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and "bug" not in captured.err
