"""`kprtrack VIDEOS --workers N`: what is rejected before Ray starts, and the report."""

import json
from pathlib import Path

import pytest

from kprtrack.cli.main import main
from kprtrack.cli.tracking import many
from kprtrack.scale.manifest import Record
from kprtrack.scale.many import ManySummary


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, with two videos of the same name and one of another."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "sub/a.mp4", "b.mp4"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("a.mp4 --out r/ --split 60", "--split needs --workers N."),
        ("a.mp4 --out r/ --json r.json", "--json needs --workers N."),
        ("a.mp4 --workers 2", "Missing folder of the results: add --out results/."),
        ("a.mp4 --workers 2 --out r.json", "--out is 'r.json'. With --workers give a folder, e.g. results/."),
        ("a.mp4 --workers 2 --out -", "--out is '-'. With --workers give a folder, e.g. results/."),
        ("- --workers 2 --out r/", "Standard input does not go with --workers. Give a file."),
        ("7 --workers 2 --out r/", "Camera 7 does not go with --workers. Give files."),
        ("a.mp4 --workers 2 --out r/ --split 0", "--split is 0. Give the length of a chunk, such as 10:00."),
        ("a.mp4 --workers 0 --out r/", "--workers is 0. Give 1 or more."),
        (
            "a.mp4 --workers 2 --out r/ --video v/",
            "--video does not go with --workers. Use: kprtrack draw VIDEO RESULT --out FILE.",
        ),
        (
            "a.mp4 sub/a.mp4 --workers 2 --out r/",
            "'a.mp4' and 'sub/a.mp4' would have the same result a. Run them with different --out folders.",
        ),
        (
            "a.mp4 --out r/ --ray here",
            "--ray is 'here'. Give HOST:PORT as `ray start --head` shows it, or auto.",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray") if "--ray" in words else None
    assert main(words.split()) == 2
    assert capsys.readouterr().err == f"kprtrack: {message}\n"


def test_without_ray_the_line_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    assert main(["a.mp4", "--workers", "2", "--out", "r/"]) == 2
    error = capsys.readouterr().err
    assert error.endswith('which is not installed: pip install "kprtrack[ray]".\n') and error.count("\n") == 1


SUMMARY = ManySummary(
    [
        Record("v1", None, "done", "1-1", "s", "v1.json", frames=10, people=2, seconds=1.25),
        Record("v2", None, "failed", "1-1", "s", "v2.json", tries=3, reason="it is gone", exit_code=3),
        Record(
            "v3", None, "done", "1-1", "s", "v3.json", frames=8, reason="2 frames are damaged", exit_code=3
        ),
    ],
    earlier=1,
    frames=8,
    seconds=6.0,
    working_s=4.0,
)


def test_the_report_has_each_problem_in_one_line_and_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kprtrack.scale.track_many", lambda *_, **__: SUMMARY)
    assert main(["b.mp4", "--workers", "2", "--out", "r/", "--json", "r.json"]) == 3
    assert capsys.readouterr().err.splitlines() == [
        "kprtrack: v2: it is gone",
        "kprtrack: v3: 2 frames are damaged",
        "video  state    frames  people  seconds  tries",
        "v1     done     10      2       1.2      1",
        "v2     failed   0       0       0.0      3",
        "v3     damaged  8       0       0.0      1",
        "r/: 2 of 3 videos done (1 by an earlier run), 8 frames, 2.0 frames/s",
    ]
    document = json.loads(Path("r.json").read_text())
    assert {key: document[key] for key in ("videos", "done", "failed", "earlier", "frames")} == {
        "videos": 3,
        "done": 2,
        "failed": 1,
        "earlier": 1,
        "frames": 8,
    }
    assert [one["reason"] for one in document["results"]] == [None, "it is gone", "2 frames are damaged"]


def test_an_interrupt_says_how_to_continue(capsys: pytest.CaptureFixture[str]) -> None:
    assert many._report(ManySummary(SUMMARY.records, interrupted=True), "r/", quiet=True) == 130
    assert capsys.readouterr().err.splitlines()[-1] == (
        "kprtrack: interrupted; 2 of 3 videos are done. The same command does the others."
    )
