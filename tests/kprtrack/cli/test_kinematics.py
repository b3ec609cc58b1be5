"""`kprtrack kinematics`: what it writes and logs, and one line for every wrong input."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from support.kinematics_cases import Errors, Walker, track_file, write_tracks

pytest.importorskip("scipy")

from kprtrack.cli.main import main

TIMES = np.arange(50) / 50


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tracks.json of two walkers."""
    monkeypatch.chdir(tmp_path)
    poses = {
        1: Errors(jumps={"left_ankle": (25,)}).apply(Walker().points(TIMES)),
        3: Errors(swaps=(20, 21, 22)).apply(Walker(-1).points(TIMES)),
    }
    write_tracks(tmp_path, track_file(poses, TIMES))
    return tmp_path


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def run(*words: str) -> int:
    return main(["kinematics", "tracks.json", *words])


def test_it_writes_table_and_trajectories_and_says_what_it_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--out", "k.csv", "--trc", "k.trc", "--height", "3=1.8") == 0
    assert {row["track_id"] for row in rows("k.csv")} == {"1", "3"}
    assert sorted(path.name for path in Path().glob("*.trc")) == ["k_person1.trc", "k_person3.trc"]
    log = capsys.readouterr().err
    assert "person 1: 50 frames, 1 outliers removed, 1 keypoints filled, left and right" in log
    assert "person 3: 50 frames, 0 outliers removed, 0 keypoints filled, left and right exchanged in 3" in log
    assert "note: people 1 have the scale of person 3" in log


@pytest.mark.slow
def test_plots_of_one_person_are_drawn() -> None:
    pytest.importorskip("matplotlib")
    assert run("--out", "k.csv", "--plots", "plots", "--person", "1", "--quiet") == 0
    assert len(list(Path("plots").glob("person1_*.png"))) == 3


@pytest.mark.parametrize("option", ["--person", "--only"])
def test_one_person_is_one_file_of_that_person(option: str) -> None:
    assert run("--out", "k.csv", "--trc", "athlete3.trc", option, "3", "--quiet") == 0
    assert {row["track_id"] for row in rows("k.csv")} == {"3"}
    assert [path.name for path in Path().glob("*.trc")] == ["athlete3.trc"]


@pytest.mark.parametrize("name", ["butterworth", "one-euro", "kalman", "savitzky-golay", "none"])
def test_every_filter_runs(name: str) -> None:
    assert run("--out", "k.csv", "--filter", name, "--cutoff", "4", "--quiet") == 0
    assert len(rows("k.csv")) == 100


def test_settings_of_every_kind_are_set() -> None:
    settings = ["--set", "order=2", "--set", "outlier_deviation=0", "--max-gap", "0", "--swaps", "mark"]
    assert run("--out", "k.csv", *settings, "--facing", "front", "--min-confidence", "0.2", "--quiet") == 0
    found = rows("k.csv")
    assert {row["facing"] for row in found} == {"front"}
    assert {row["outliers"] for row in found} == {""}
    assert "legs" in {row["swapped"] for row in found}


def test_floor_points_give_places_on_the_floor() -> None:
    points = "100,1000,1800,1000,1500,700,400,700=0,0,5,0,5,6,0,6"
    assert run("--out", "k.csv", "--floor", points, "--quiet") == 0
    assert float(rows("k.csv")[10]["floor_y_m"]) > 0


WRONG = [
    ([], "Missing output file: add --out kinematics.csv."),
    (["--out", "k.xlsx"], "Name it k.csv"),
    (["--out", "k.csv", "--trc", "k.c3d"], "name it k.trc"),
    (["--out", "k.csv", "--person", "9"], "There is no person 9 in tracks.json. Its IDs are: 1, 3."),
    (["--out", "k.csv", "--person", "x"], "name track IDs"),
    (["--out", "k.csv", "--filter", "butter"], "Did you mean 'butterworth'?"),
    (["--out", "k.csv", "--cutoff", "25"], "A cut-off of 25 Hz needs more than 50 frames a second"),
    (["--out", "k.csv", "--cutoff", "-1"], "cutoff_hz must be above 0, not -1"),
    (["--out", "k.csv", "--set", "order=3"], "order must be 2, 4, 6 or 8, not 3"),
    (["--out", "k.csv", "--set", "ordr=4"], "Unknown option 'ordr'"),
    (["--out", "k.csv", "--set", "order"], "not of the form key=value"),
    (["--out", "k.csv", "--facing", "up"], "Unknown value for facing 'up'"),
    (["--out", "k.csv", "--height", "3"], "--height 3: give track ID and metres"),
    (["--out", "k.csv", "--height", "3=182"], "from 0.4 to 2.8 metres, not 182"),
    (["--out", "k.csv", "--height", "3=1.8", "--metres-per-pixel", "0.01"], "not several"),
    (["--out", "k.csv", "--height", "8=1.8"], "no person 8 of known height"),
    (["--out", "k.csv", "--floor", "1,2,3"], "--floor 1,2,3: give points in pixels and the same in metres"),
    (["--out", "k.csv", "--floor", "1,2,3,4,5,6,7=1,2"], "give points in pixels and the same in metres"),
    (["--out", "k.csv", "--floor", "0,0,9,0,9,9=0,0,1,0,1,1"], "needs 4 points or more; there are 3"),
    (["--out", "k.csv", "--floor", "0,0,1,1,2,2,9,0=0,0,1,0,1,1,0,1"], "are on a line"),
    (["--out", "k.csv", "--fps", "0"], "--fps must be a number above 0"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_wrong_options_are_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(Path().glob("k*"))


def test_too_few_frames_and_files_without_poses_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = track_file({1: Errors().apply(Walker().points(TIMES[:1]))}, TIMES[:1])
    write_tracks(folder, few)
    assert run("--out", "k.csv") == 3
    assert "in fewer than 5 frames" in capsys.readouterr().err
    Path("boxes.txt").write_text("1,7,10,20,30,40,0.9,-1,-1,-1\n2,7,10,20,30,40,0.9,-1,-1,-1\n")
    assert main(["kinematics", "boxes.txt", "--out", "k.csv", "--fps", "25"]) == 3
    error = capsys.readouterr().err
    assert "has no keypoints, which kinematics needs" in error and error.count("\n") == 1


def test_the_result_file_itself_is_never_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "tracks.json", "tracks.csv"]) == 0
    before = Path("tracks.csv").read_bytes()
    assert main(["kinematics", "tracks.csv", "--out", "./tracks.csv", "--fps", "50"]) == 2
    assert "is the result file itself" in capsys.readouterr().err
    assert Path("tracks.csv").read_bytes() == before


def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package, words in (("scipy", []), ("matplotlib", ["--plots", "p"])):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            patch.setattr(
                "kprtrack.core.extras.find_spec",
                lambda name, hidden=package: None if name == hidden else object(),
            )
            assert run("--out", "k.csv", *words) == 2
        error = capsys.readouterr().err
        assert 'pip install "kprtrack[kinematics]"' in error and error.count("\n") == 1
