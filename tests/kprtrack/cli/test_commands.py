"""What each subcommand writes and logs, with boxes and keypoints from a file instead of networks."""

import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from support import fake_run

from kprtrack.cli.main import main
from kprtrack.core import atomic_file
from kprtrack.core.errors import InputError
from kprtrack.io import read_tracks
from kprtrack.outputs import Summary
from kprtrack.video.clip import Clip
from kprtrack.video.source import open_source

FRAMES = 6


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder with an empty model store, a video a.mp4 and people for it in people.json."""
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    fake_run.make_video(tmp_path / "a.mp4", FRAMES)
    people = [
        {
            "image_id": frame,
            "category_id": 1,
            "bbox": [x + frame, 4, 12, 36],
            "score": 0.9,
            "keypoints": [x + 6 + frame, 20, 0.8] * 17,
        }
        for frame in range(FRAMES)
        for x in (2, 32)
    ]
    (tmp_path / "people.json").write_text(json.dumps(people))
    return tmp_path


FILE = [
    *("--detector", "file", "--detector-weights", "people.json"),
    *("--pose", "file", "--pose-weights", "people.json", "--reid", "none", "--device", "cpu"),
]


def run(*words: str) -> int:
    return main([*words, *FILE])


def test_track_writes_tracks_and_video_and_logs_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("a.mp4", "--out", "t.json", "--video", "d.mp4") == 0
    assert "t.json: 6 frames, 2 people, " in capsys.readouterr().err
    assert len(read_tracks(folder / "t.json").frames) == FRAMES
    assert (folder / "d.mp4").exists()


COMPLETE = [
    (["track", "a.mp4", "--out", "t.json", *FILE], 0),
    (["observe", "a.mp4", "--out", "o.npz", *FILE], 0),
    (["track", "a.mp4", "b.mp4", "--out", "results", *FILE], 130),
]


@pytest.mark.parametrize(("words", "code"), COMPLETE)
def test_a_signal_after_the_last_frame_leaves_a_complete_result_and_ends_a_series(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
) -> None:
    fake_run.make_video(folder / "b.mp4", FRAMES)
    rename = atomic_file.rename

    def rename_during_a_signal(part: Path, path: Path) -> None:
        signal.raise_signal(signal.SIGINT)
        rename(part, path)

    monkeypatch.setattr(atomic_file, "rename", rename_during_a_signal)
    assert main(words) == code
    logged = capsys.readouterr().err
    assert ("6 frames" in logged, "interrupted" in logged) == (True, code == 130)
    assert not (folder / "results" / "b.json").exists()
    assert not list(folder.rglob("*.part*"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_line_break_in_a_file_name_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("a.mp4", "--out", "t\nx.json") == 0
    assert main(["eval", "tracks", "t\nx.json", "t\nx.json"]) == 0
    printed = capsys.readouterr()
    assert "\nt\\nx.json: 6 frames" in printed.err
    assert "ground truth  t\\nx.json\n" in printed.out


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("a.mp4", "--out", "t.json", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_observe_and_follow_give_the_tracks_of_track(folder: Path) -> None:
    assert run("a.mp4", "--out", "direct.json") == 0
    assert run("observe", "a.mp4", "--out", "o.npz") == 0
    assert main(["follow", "o.npz", "--out", "halves.json"]) == 0
    assert (folder / "halves.json").read_bytes() == (folder / "direct.json").read_bytes()


def test_observe_counts_detections(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("observe", "a.mp4", "--out", "o.npz") == 0
    assert "o.npz: 6 frames, 12 detections, " in capsys.readouterr().err


def test_draw_counts_frames_only(capsys: pytest.CaptureFixture[str]) -> None:
    run("a.mp4", "--out", "t.json", "-q")
    assert main(["draw", "t.json", "a.mp4", "--out", "d.mp4"]) == 0
    printed = capsys.readouterr().err
    assert "d.mp4: 6 frames, " in printed
    assert "people" not in printed and "person" not in printed


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".txt"])
def test_converting_there_and_back_keeps_the_ids(folder: Path, suffix: str) -> None:
    run("a.mp4", "--out", "t.json", "-q")
    assert main(["convert", "t.json", f"t{suffix}"]) == 0
    assert main(["convert", f"t{suffix}", "back.json"]) == 0
    ids = [frame.ids.tolist() for frame in read_tracks(folder / "back.json").frames]
    assert ids == [frame.ids.tolist() for frame in read_tracks(folder / "t.json").frames]


def test_several_videos_go_into_a_folder_under_their_names(folder: Path) -> None:
    fake_run.make_video(folder / "b.mp4", 2)
    assert run("a.mp4", "b.mp4", "--out", "results", "-q") == 0
    assert sorted(path.name for path in (folder / "results").iterdir()) == ["a.json", "b.json"]


def test_the_format_decides_the_suffix_in_a_folder(folder: Path) -> None:
    assert run("a.mp4", "--out", "results/", "--format", "mot", "-q") == 0
    assert [path.name for path in (folder / "results").iterdir()] == ["a.txt"]


def test_several_videos_can_be_annotated_without_result_files(folder: Path) -> None:
    fake_run.make_video(folder / "b.mp4", 2)
    assert run("a.mp4", "b.mp4", "--video", "annotated", "-q") == 0
    assert sorted(path.name for path in (folder / "annotated").iterdir()) == ["a.mp4", "b.mp4"]


def test_a_damaged_video_does_not_stop_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.mp4").write_text("no video")
    whole = fake_run.make_video(folder / "c.mkv", 60)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    fake_run.make_video(folder / "d.mp4", 2)
    assert run("a.mp4", "b.mp4", "c.mkv", "d.mp4", "--out", "results") == InputError.exit_code
    printed = capsys.readouterr().err
    assert sorted(path.name for path in (folder / "results").iterdir()) == ["a.json", "c.json", "d.json"]
    assert "'b.mp4' is not a video that FFmpeg can read" in printed
    assert "results/d.json: 2 frames, 2 people" in printed
    assert printed.endswith("kprtrack: 2 of 4 videos could not be read completely, see above\n")


def test_an_interrupt_ends_the_run_of_several_videos(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_run.make_video(folder / "b.mp4", 2)
    started = []

    def interrupted(clip: Clip, *arguments: object, **options: object) -> Summary:
        started.append(clip.source)
        return Summary(Path("t.json"), stopped=KeyboardInterrupt())

    monkeypatch.setattr("kprtrack.run.track_video", interrupted)
    assert run("a.mp4", "b.mp4", "--out", "results") == 130
    assert started == ["a.mp4"]


def test_without_out_the_tracks_go_to_the_current_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sub").mkdir()
    (folder / "a.mp4").rename(folder / "sub" / "a.mp4")
    (folder / "a.tracks.json").write_text("an earlier result")
    assert run("sub/a.mp4") == 0
    logged = capsys.readouterr().err
    assert logged.startswith("no --out: writing the tracks to a.tracks.json in the current folder\n")
    assert "a.tracks.json: 6 frames, 2 people, " in logged
    assert len(read_tracks(folder / "a.tracks.json").frames) == FRAMES


def test_without_out_several_videos_and_another_format_keep_their_names(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_run.make_video(folder / "b.mp4", 2)
    assert run("a.mp4", "b.mp4", "--format", "csv", "-q") == 0
    assert sorted(path.name for path in folder.glob("*.tracks.*")) == ["a.tracks.csv", "b.tracks.csv"]
    assert capsys.readouterr() == ("", "")


def test_with_video_alone_no_tracks_are_written(folder: Path) -> None:
    assert run("a.mp4", "--video", "d.mp4", "-q") == 0
    assert not list(folder.glob("*.tracks.*"))


@pytest.mark.parametrize(
    ("word", "nearest"), [("trak", "track"), ("evl", "eval"), ("modles", "models"), ("observ", "observe")]
)
def test_a_misspelt_subcommand_gives_the_nearest_one(
    capsys: pytest.CaptureFixture[str], word: str, nearest: str
) -> None:
    assert main([word, "--quiet"]) == 2
    assert f"Unknown subcommand '{word}'. Did you mean '{nearest}'? Known: " in capsys.readouterr().err


@pytest.mark.parametrize("word", ["trak.mp4", "sub/trak", "rtsp://trak", "trak*", "7"])
def test_a_path_address_pattern_or_camera_is_no_misspelt_subcommand(
    capsys: pytest.CaptureFixture[str], word: str
) -> None:
    main([word, "--start", "no time"])
    assert "Unknown subcommand" not in capsys.readouterr().err


def test_an_existing_folder_or_file_without_suffix_is_a_source(folder: Path) -> None:
    (folder / "eva").mkdir()
    (folder / "a.mp4").rename(folder / "eva" / "a.mp4")
    assert run("eva", "--out", "t.json", "-q") == 0


def rejected(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    """The one line that is logged when the command fails with this exit code."""
    assert main(list(words)) == code
    out, printed = capsys.readouterr()
    assert (
        out == ""
        and printed.startswith("kprtrack: ")
        and printed.count("\n") == 1
        and "Traceback" not in printed
    )
    return printed


@pytest.mark.parametrize(
    ("code", "words", "message"),
    [
        (2, "--out t.json", "Missing video"),
        (2, "observe a.mp4", "Missing output file: add --out obs.npz."),
        (2, "a.mp4 --out t.json --preset balancd", "Did you mean 'balanced'?"),
        (2, "a.mp4 --out t.json --tracker kprr", "Did you mean 'kpr'?"),
        (2, "a.mp4 --out t.jsn", "Did you mean '.json'?"),
        (2, "a.mp4 --out t.json --format coc", "Did you mean 'coco'?"),
        (2, "a.mp4 --out t.json --set trackr.x=1", "Did you mean 'tracker'?"),
        (2, "a.mp4 --out t.json --set tracker.hig_score=1", "Did you mean 'high_score'?"),
        (2, "a.mp4 --out t.json --start abc", "'abc' is not a time."),
        (2, "a.mp4 --out t.json --start -1", "'-1' is not a time."),
        (2, "a.mp4 --out t.json --end 0", "The end (0 s) must be later than the start (0 s)."),
        (2, "a.mp4 --out t.json --stride 0", "The stride must be 1 or more, not 0."),
        (2, "a.mp4 --video a.mp4", "a.mp4 is read by this run"),
        (2, "a.mp4 sub/a.mp4 --out results", "Two videos are called 'a'"),
        (2, "a.mp4 sub/b.mp4 --out t.json", "2 videos need a folder"),
        (2, "convert people.json people.json", "the same file"),
        (3, "b.mp4 --out t.json", "'b.mp4' does not exist. Did you mean 'a.mp4'?"),
        (3, "a.mp4 --out t.json --start 50", "is 0.60 s long; it cannot start at 50 s."),
        (3, "a.mp4 --out t.json --config none.py", "No config file at none.py."),
        (3, "follow none.npz --out t.json", "Cannot read none.npz: No such file or directory."),
        (3, "follow people.json --out t.json", "Cannot read people.json"),
        (3, "draw none.json a.mp4 --out d.mp4", "There is no file none.json."),
        (4, "a.mp4 --out t.json --preset balanced", "kprtrack models get yolox-m-coco"),
        (4, "models get yolox-nano", "No weights named 'yolox-nano'"),
        (5, "a.mp4 --out none/t.json", "there is no folder none"),
        (5, "a.mp4 sub/b.mp4 --out people.json/x", "Cannot make the folder people.json/x"),
    ],
)
def test_an_error_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], code: int, words: str, message: str
) -> None:
    (folder / "sub").mkdir()
    fake_run.make_video(folder / "sub" / "a.mp4", 2)
    fake_run.make_video(folder / "sub" / "b.mp4", 2)
    before = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert message in rejected(capsys, code, *words.split())
    after = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert {path: size for path, size in after.items() if "home" not in path.parts} == before


def test_print_config_shows_what_is_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--preset", "accurate", "--tracker", "bytetrack", "--set", "tracker.track_thresh=0.4"]
    assert main(["--print-config", "--batch", "4", *words]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["detector"]["name"] == "yolox-x"
    assert shown["tracker"] == {"name": "bytetrack", "weights": None, "options": {"track_thresh": 0.4}}
    assert shown["batch"] == 4


def test_the_command_line_wins_over_the_config_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine.json").write_text('{"batch": 2, "threads": 3, "device": "cpu"}')
    assert main(["--print-config", "--config", "mine.json", "--batch", "4", "--set", "threads=5"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["batch"], shown["threads"], shown["device"]) == (4, 5, "cpu")


def test_models_list_where_and_import(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "where"]) == 0
    assert capsys.readouterr().out == f"{folder / 'home' / 'models'}\n"
    (folder / "own.onnx").write_bytes(b"weights")
    assert main(["models", "import", "own.onnx", "--name", "my-own"]) == 0
    assert "your own file" in capsys.readouterr().out
    assert main(["models", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].startswith("NAME")
    assert any(line.startswith("yolox-m-coco ") for line in listed)
    assert any(line.split()[:2] == ["my-own", "yes"] for line in listed)


def test_doctor_assesses_stored_keypoints(capsys: pytest.CaptureFixture[str]) -> None:
    run("observe", "a.mp4", "--out", "o.npz", "-q")
    assert main(["doctor", "o.npz", *FILE]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "rompts" in last and "PromptQuality(" not in last


def ids_in(path: Path) -> list[int]:
    return sorted({track_id for tracks in read_tracks(path).frames for track_id in tracks.ids.tolist()})


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--only", "2"], [2]),
        (["--except", "2"], [1]),
        (["--at", "0.2s@40,20"], [2]),
        (["--main", "1"], [1]),
        (["--roi", "0,0,30,48"], [1]),
        (["--min-height", "30"], [1, 2]),
        (["--max-people", "1"], [1]),
    ],
)
def test_people_are_chosen_alike_by_all_subcommands(folder: Path, words: list[str], kept: list[int]) -> None:
    assert run("a.mp4", "--out", "all.json", "-q") == 0
    assert run("a.mp4", "--out", "some.json", "--video", "some.mp4", *words, "-q") == 0
    assert run("observe", "a.mp4", "--out", "o.npz", "-q") == 0
    assert main(["follow", "o.npz", "--out", "followed.json", *words, "-q"]) == 0
    assert main(["convert", "all.json", "converted.json", *words]) == 0
    for name in ("some", "followed", "converted"):
        file = read_tracks(folder / f"{name}.json")
        assert (ids_in(folder / f"{name}.json"), len(file.frames), file.complete) == (kept, FRAMES, True)
    assert main(["draw", "all.json", "a.mp4", "--out", "drawn.mp4", *words, "-q"]) == 0
    with open_source(folder / "drawn.mp4") as drawn, open_source(folder / "some.mp4") as some:
        for one, other in zip(drawn, some, strict=True):  # a result file has rounded coordinates
            assert np.abs(one.image.astype(int) - other.image).mean() < 1


def test_the_header_of_a_result_says_who_was_chosen(folder: Path) -> None:
    assert run("a.mp4", "--out", "t.json", "--main", "1", "-q") == 0
    assert read_tracks(folder / "t.json").header.config["people"] == {"main": 1}


def test_a_choice_that_is_not_possible_loses_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("a.mp4", "--out", "t.json", "--only", "7", "-q") == 2
    assert ids_in(folder / "t.json") == [1, 2]
    message = "There is no person 7 in the video. Its IDs are: 1, 2. t.json holds all people.\n"
    assert capsys.readouterr().err == f"kprtrack: {message}"


def test_a_choice_and_a_video_need_a_source_that_can_be_read_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Clip, "repeatable", False)
    assert run("a.mp4", "--out", "t.json", "--video", "d.mp4", "--main", "1") == 2
    assert "reads the video twice, which a camera or stream does not allow" in capsys.readouterr().err
    assert not (folder / "t.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "1,x"], "--only 1,x: name track IDs, such as --only 1,3."),
        (["--at", "640,310"], "--at 640,310: give time and point, such as --at 12.4s@640,310."),
        (["--roi", "1,2,3"], "--roi 1,2,3: give left, upper, right and lower edge in pixels"),
        (["--follow", "9"], "There is no person 9 in the result. Its IDs are: 1, 2."),
        (["--follow", "1", "--size", "big"], "--size big: give width and height in pixels"),
        (["--size", "64x64"], "--size is for --follow and --mosaic."),
    ],
)
def test_wrong_choices_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    run("a.mp4", "--out", "t.json", "-q")
    capsys.readouterr()
    assert main(["draw", "t.json", "a.mp4", "--out", "d.mp4", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (folder / "d.mp4").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--follow", "1"],
        ["--mosaic", "--size", "128x96"],
        pytest.param(["--blur", "face"], marks=pytest.mark.slow),  # loads the detector
        pytest.param(["--blur", "body", "--of", "1"], marks=pytest.mark.slow),
    ],
)
def test_draw_makes_videos_of_every_frame(folder: Path, words: list[str]) -> None:
    run("a.mp4", "--out", "t.json", "-q")
    assert main(["draw", "t.json", "a.mp4", "--out", "d.mp4", *words, "-q"]) == 0
    with open_source(folder / "d.mp4") as video:
        assert len(list(video)) == FRAMES
    assert (
        main(["draw", "t.json", "a.mp4", "--out", "p.mp4", "--start", "0.2", "--end", "0.4", *words, "-q"])
        == 0
    )
    with open_source(folder / "p.mp4") as video:
        assert len(list(video)) == 2


def test_a_video_of_chosen_people_needs_no_result_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("a.mp4", "--video", "d.mp4", "--main", "1") == 0
    assert "d.mp4: 6 frames, 1 person" in capsys.readouterr().err
    assert not list(folder.glob("*.json.part")) and not (folder / "a.tracks.json").exists()
    with open_source(folder / "d.mp4") as video:
        assert len(list(video)) == FRAMES
