"""eval, bench and tune from the command line; the scoring itself is replaced."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import paths
from support.report_cases import boxes_only, posetrack21

from kprtrack.cli.main import SUBCOMMANDS, main

ACTIONS = [
    ("eval", "posetrack21"),
    ("eval", "mot"),
    ("eval", "tracks"),
    ("bench", "posetrack21"),
    ("bench", "synthetic"),
]


class Calls(list):  # type: ignore[type-arg]
    """Records the arguments of a function and returns a given value."""

    def gives(self, value: object) -> object:
        def function(*arguments: object, **options: object) -> object:
            self.append((arguments, options))
            return value

        return function


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """A folder with gt/, results/ and two files; scoring is replaced by functions that record their call."""
    monkeypatch.chdir(tmp_path)
    for folder in ("gt", "results", "boxes"):
        (tmp_path / folder).mkdir()
    for file in ("a.json", "b.json"):
        (tmp_path / file).write_text("{}")
    noted = Calls()
    evaluation = posetrack21()
    runs = {"default": evaluation, "prompts": posetrack21(differ=False)}
    for module, names in {
        "eval.benchmarks.score_posetrack21": {"score_posetrack21": noted.gives(evaluation)},
        "eval.benchmarks.score_mot": {"score_mot": noted.gives(boxes_only())},
        "eval.benchmarks.score_tracks": {"score_tracks": noted.gives(boxes_only())},
        "eval.bench.run": {"run_bench": noted.gives(runs), "MIN_JOINT_SCORE": 0.3},
        "eval.tune.search": {"run_tune": noted.gives(SimpleNamespace(table="the best"))},
        "eval.synthetic.benchmark": {
            "write_benchmark": noted.gives(None),
            "SyntheticConfig": lambda **fields: fields,
        },
    }.items():
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(**names))
    return noted


EVAL = ["eval", "posetrack21", "--ground-truth", "gt", "--results", "results"]
BENCH = ["bench", "posetrack21", "--root", "gt", "--out", "run"]
TUNE = ["tune", "results", "--ground-truth", "gt", "--out", "best.json"]


@pytest.mark.parametrize(("subcommand", "action"), ACTIONS)
def test_every_action_explains_every_option(
    subcommand: str, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([subcommand, action, "--help"])
    assert ended.value.code == 0
    assert f"usage: kprtrack {subcommand} {action}" in capsys.readouterr().out
    parser = next(a for a in SUBCOMMANDS[subcommand][0]()._actions if a.dest == "action").choices[action]  # type: ignore[index]
    assert not [a.dest for a in parser._actions if not a.help and not a.dest.endswith("_weights")]


def test_posetrack21_gets_every_option(calls: Calls) -> None:
    assert main([*EVAL, "--box-results", "boxes", "--split", "train", "--processes", "3", "-q"]) == 0
    ((arguments, options),) = calls
    assert arguments == (Path("gt"), Path("results"))
    assert options == {"split": "train", "box_results": Path("boxes"), "processes": 3, "on_sequence": None}


def test_the_table_is_printed(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(EVAL) == 0
    message = capsys.readouterr()
    assert message.out.startswith("ground truth  data/posetrack21\ntracks        runs/kpr\n\nTracking\n")
    assert message.err == ""


def test_a_terminal_shows_the_sequence_at_work(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(EVAL) == 0
    calls[0][1]["on_sequence"]("000001_a_test")
    assert capsys.readouterr().err.endswith("000001_a_test\r")


@pytest.mark.parametrize(
    "words",
    [
        ["eval", "mot", "--ground-truth", "gt", "--results", "results"],
        ["eval", "tracks", "a.json", "b.json"],
    ],
)
def test_other_files_are_scored(words: list[str], calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert len(calls) == 1
    assert "COMBINED | 40.00  45.00  35.00    7" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("words", [EVAL, BENCH])
def test_reports_are_written(words: list[str], calls: Calls, tmp_path: Path) -> None:
    assert main([*words, "--json", "s.json", "--html", "s.html", "--plots", "new/plots", "-q"]) == 0
    assert json.loads((tmp_path / "s.json").read_bytes())["version"] == 1
    assert (tmp_path / "s.html").read_text("utf-8").count("data:image/png;base64,") == 3
    plots = sorted(file.name for file in (tmp_path / "new/plots").iterdir())
    assert plots == ["identities.png", "sequences.png", "thresholds.png"]
    assert not list(tmp_path.rglob("*.part"))


def test_json_may_go_to_standard_output_in_place_of_the_table(
    calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*EVAL, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "kprtrack-evaluation"


@pytest.mark.parametrize("subcommand", [EVAL, BENCH])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--json", "no/s.json"], "--json no/s.json: there is no folder no."),
        (["--html", "no/s.html"], "--html no/s.html: there is no folder no."),
        (["--html", "gt"], "--html gt is a folder."),
        (["--plots", "a.json"], "--plots a.json: a.json is a file, not a folder."),
        (["--plots", "a.json/x"], "is a file, not a folder."),
    ],
)
def test_a_report_that_cannot_be_written_is_reported_before_the_work(
    subcommand: list[str], words: list[str], message: str, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*subcommand, *words]) == 5
    assert message in capsys.readouterr().err
    assert not calls


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ["eval", "posetrack21", "--results", "results"],
            2,
            "Missing ground truth: add --ground-truth PATH.",
        ),
        (["eval", "mot", "--ground-truth", "gt"], 2, "Missing tracks to score: add --results PATH."),
        ([*EVAL[:-1], "a.json"], 3, "a.json is a file. Name the folder"),
        (["eval", "mot", "--ground-truth", "no", "--results", "results"], 3, "There is no no."),
        (["eval", "tracks", "a.json", "no.json"], 3, "There is no no.json."),
        ([*EVAL, "--box-results", "a.json"], 3, "a.json is a file."),
        ([*EVAL, "--processes", "0"], 2, "--processes is 0. Give 1 or more."),
        ([*EVAL, "--json", "s", "--html", "s"], 2, "--html s is also the file of --json."),
        (["eval", "tracks", "a.json", "b.json", "--json", "b.json"], 2, "--json b.json is an input."),
        (["bench", "posetrack21", "--root", "gt"], 2, "Missing output folder: add --out DIR."),
        (["bench", "posetrack21", "--out", "o"], 2, "Missing folder of the benchmark: add --root DIR."),
        ([*BENCH, "--tracker", "kpr", "--set", "colour=1"], 2, "Unknown setting 'colour'."),
        ([*TUNE, "--processes", "0"], 2, "--processes is 0."),
        (["tune", "results", "--out", "best.json"], 2, "Missing ground truth: add --ground-truth PATH."),
        (["tune", "no", "--ground-truth", "gt", "--out", "b"], 3, "There is no no."),
        (["eval"], 2, "`kprtrack eval --help` lists the options."),
        (["eval", "mott"], 2, "`kprtrack eval --help` lists the options."),
    ],
)
def test_wrong_use_is_one_line_before_the_work(
    words: list[str], code: int, message: str, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not calls


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["eval", "posetrack21", "--thruth", "gt"], "--ground-truth"),
        (["eval", "mot", "--jsn", "x"], "--json"),
        (["bench", "posetrack21", "--ablat", "prompts"], "--ablate"),
        (["bench", "synthetic", "--sequence", "3"], "--sequences"),
        (["tune", "results", "--trails", "3"], "--trials"),
        (["models", "get", "a", "--quite"], "--quiet"),
    ],
)
def test_a_misspelt_option_gives_the_nearest_one(
    words: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert f"Did you mean '{nearest}'?" in capsys.readouterr().err


def test_an_option_of_another_action_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "mot", "--box-results", "x"]) == 2
    assert "Unknown option '--box-results'." in capsys.readouterr().err


def test_debug_may_stand_anywhere(calls: Calls) -> None:
    assert main([*EVAL, "--debug", "-q"]) == 0


def test_bench_gets_the_settings_of_track(calls: Calls) -> None:
    words = [
        "--ablate",
        "prompts, parts",
        "--processes",
        "2",
        "--detector",
        "file",
        "--set",
        "tracker.high_score=0.5",
    ]
    assert main([*BENCH, *words, "--quiet"]) == 0
    ((arguments, options),) = calls
    assert arguments[:2] == (Path("gt"), Path("run"))
    assert arguments[2].detector.name == "file" and arguments[2].tracker.options == {"high_score": 0.5}
    assert options == {
        "split": "val",
        "ablate": ("prompts", "parts"),
        "processes": 2,
        "quiet": True,
        "min_joint_score": 0.3,
    }


def test_bench_prints_one_row_a_run(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(BENCH) == 0
    out = capsys.readouterr().out
    assert "\ndefault         | 50.00          55.00" in out
    assert "\nwithout prompts | 50.00 (+0.00)  55.00 (+0.00)" in out


def test_the_synthetic_benchmark_is_rendered_and_then_tracked(calls: Calls) -> None:
    assert main(["bench", "synthetic", "--out", "run", "--sequences", "2", "--seed", "7", "-q"]) == 0
    (rendered, _), (tracked, _) = calls
    assert rendered == (Path("run/benchmark"), {"sequences": 2, "seed": 7})
    assert tracked[:2] == (Path("run/benchmark"), Path("run"))


def test_tune_searches_and_prints_the_table(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TUNE, "--trials", "9", "--seed", "4", "--metric", "idf1", "--tracker", "bytetrack"]) == 0
    ((arguments, options),) = calls
    assert arguments[:2] == (Path("results"), Path("gt"))
    assert arguments[2].tracker.name == "bytetrack"
    assert options == {
        "trials": 9,
        "seed": 4,
        "metric": "idf1",
        "out": Path("best.json"),
        "quiet": False,
        "processes": 1,
    }
    assert capsys.readouterr().out == "the best\n"


@pytest.mark.parametrize("words", [["bench", "posetrack21"], ["tune", "results"]])
def test_the_settings_in_force_can_be_shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--print-config", "--tracker", "bytetrack"]) == 0
    assert json.loads(capsys.readouterr().out)["tracker"]["name"] == "bytetrack"


def test_files_are_scored_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gt/walk/gt").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    line = "{},{},{},10,20,40,1,-1,-1,-1\n"
    ground_truth = [line.format(frame, person, 100 * person) for frame in range(1, 9) for person in (1, 2)]
    # The first person's track changes its name in the middle; the second person is never found.
    tracks = [line.format(frame, 7 if frame < 5 else 8, 100) for frame in range(1, 9)]
    (tmp_path / "gt/walk/gt/gt.txt").write_text("".join(ground_truth))
    (tmp_path / "results/walk.txt").write_text("".join(tracks))
    assert main(["eval", "mot", "--ground-truth", "gt", "--results", "results", "--html", "s.html"]) == 0
    # DetA 8 / 16, AssA 4 / 8; MOTA 1 - (8 misses + 1 switch) / 16
    out = capsys.readouterr().out
    assert "\nCOMBINED | 50.00  50.00  50.00    1\n" in out
    assert "\nCOMBINED | 43.75  33.33   8   0   1   1     0\n" in out
    assert (tmp_path / "s.html").read_text("utf-8").count("data:image/png;base64,") == 3


PT21 = paths.SHARED / "fixtures" / "eval" / "pt21_basic"


@pytest.mark.skipif(not PT21.exists(), reason="needs the official numbers")
def test_the_table_shows_the_official_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    tracker = PT21 / "trackers" / "noisy"
    words = [
        "--ground-truth",
        str(PT21),
        "--results",
        str(tracker / "pose"),
        "--box-results",
        str(tracker / "mot"),
    ]
    assert main(["eval", "posetrack21", *words]) == 0
    expected = json.loads((PT21.parent / "summary.json").read_text("utf-8"))["pt21_basic"]["noisy"]
    pose, box = (expected[kind]["COMBINED_SEQ"] for kind in ("pose", "mot"))
    switches = expected["mota_idf1"]["ignore_regions"]["OVERALL"]["num_switches"]
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("COMBINED"))
    _, official, fixed, boxes = row.split("|")
    assert official.split() == [f"{pose[name]:.2f}" for name in ("HOTA", "DetA", "AssA")]
    assert boxes.split() == [*(f"{box[name]:.2f}" for name in ("HOTA", "DetA", "AssA")), f"{switches:.0f}"]
    assert float(fixed.split()[0]) > float(official.split()[0])
