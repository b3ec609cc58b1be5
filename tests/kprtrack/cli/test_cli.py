"""The program from the command line: help, exit codes, errors and interrupts."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import fake_run, paths

from kprtrack.cli.main import INTERRUPTED, SUBCOMMANDS, main
from kprtrack.core.errors import UserError, WeightsError

SHARED = paths.SHARED
WEIGHTS = SHARED / "real" / "weights"
PROGRAM = [sys.executable, "-c", "import sys; from kprtrack.cli.main import main; sys.exit(main())"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def program(*words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own; `before` is Python run first."""
    code = f"import sys\n{before}\nfrom kprtrack.cli.main import main\nsys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command_and_exit_code(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {subcommand} " in text for subcommand in SUBCOMMANDS)
    assert all(f"{code} " in text for code in (0, 1, 2, 3, 4, 5, 130))


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_every_command_explains_itself_and_every_option(
    subcommand: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([subcommand, "--help"])
    assert ended.value.code == 0
    assert f"usage: kprtrack {subcommand}" in capsys.readouterr().out
    unexplained = [
        a.dest
        for a in SUBCOMMANDS[subcommand][0]()._actions
        if not a.help and not a.dest.endswith("_weights")
    ]
    assert unexplained in ([], ["action"])


def test_help_loads_nothing_heavy() -> None:
    heavy = "('torch', 'cv2', 'av', 'numpy', 'mmengine')"
    done = program(
        "--help",
        before=f"import atexit; atexit.register(lambda: print([m for m in {heavy} if m in sys.modules]))",
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_follow_loads_no_torch(tmp_path: Path) -> None:
    from kprtrack.run import observe_video

    observe_video(fake_run.make_video(tmp_path / "a.mp4", 3), tmp_path / "o.npz", networks=fake_run.NETWORKS)
    done = program(
        "follow",
        "o.npz",
        "--out",
        "t.json",
        before="import atexit; atexit.register(lambda: print('torch' in sys.modules))",
    )
    assert (done.returncode, done.stdout) == (0, "False\n")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("kprtrack 0.")


def test_a_misspelt_option_gives_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a.mp4", "--precison", "fp16"]) == 2
    assert "Unknown option '--precison'. Did you mean '--precision'?" in capsys.readouterr().err


def test_options_are_never_guessed_from_their_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a.mp4", "--o", "t.json"]) == 2
    assert "Unknown option '--o'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["a.mp4", "--batch", "x"], ["models"], ["models", "frob"], ["convert", "a.json"]]
)
def test_a_wrong_use_points_to_the_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "--help` lists the options." in capsys.readouterr().err


def test_videos_may_stand_before_and_after_options(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = []
    replace_track(monkeypatch, lambda options: sources.append(options.sources) or 0)
    assert main(["a.mp4", "--out", "t", "b.mp4", "--quiet", "c.mp4"]) == 0
    assert sources == [["a.mp4", "b.mp4", "c.mp4"]]


def replace_track(monkeypatch: pytest.MonkeyPatch, run: Callable[[argparse.Namespace], int]) -> None:
    """Let the subcommand `track` run another function."""
    make_parser, _ = SUBCOMMANDS["track"]
    monkeypatch.setitem(SUBCOMMANDS, "track", (make_parser, run))


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("wrong."), 2, "kprtrack: wrong.\n"),
        (WeightsError("none."), 4, "kprtrack: none.\n"),
        (KeyboardInterrupt(), 130, "kprtrack: interrupted\n"),
        (
            ZeroDivisionError("oh"),
            1,
            "kprtrack: this is a bug: ZeroDivisionError: oh. Run again with --debug to see where.\n",
        ),
    ],
)
def test_every_error_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    message: str,
) -> None:
    replace_track(monkeypatch, raising(error))
    assert main(["a.mp4", "--out", "t.json"]) == code
    assert capsys.readouterr() == ("", message)


def test_debug_shows_where_an_error_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_track(monkeypatch, raising(ZeroDivisionError("oh")))
    with pytest.raises(ZeroDivisionError):
        main(["a.mp4", "--out", "t.json", "--debug"])


def test_a_closed_pipe_is_no_error() -> None:
    with subprocess.Popen(
        [*PROGRAM, "models", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("hidden", "words", "extra"),
    [
        ("onnxruntime", ["--reid", "onnx", "--reid-weights", "w.onnx"], "pip install onnxruntime"),
        ("pyarrow", ["--out", "t.parquet"], "kprtrack[parquet]"),
    ],
)
def test_a_missing_extra_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    hidden: str,
    words: list[str],
    extra: str,
) -> None:
    fake_run.make_video(tmp_path / "a.mp4", 2)
    (tmp_path / "w.onnx").write_bytes(b"x")
    (tmp_path / "p.json").write_text("[]")
    from_files = [
        "--detector",
        "file",
        "--detector-weights",
        "p.json",
        "--pose",
        "file",
        "--pose-weights",
        "p.json",
    ]
    monkeypatch.setitem(sys.modules, hidden, None)
    everything_else = ["--out", "t.json", *from_files, "--reid", "none", "--device", "cpu"]
    assert main(["a.mp4", *everything_else, *words]) == 2
    error = capsys.readouterr().err
    assert extra in error and error.count("\n") == 1


REAL = [
    *("--detector", "yolox-nano", "--detector-weights", str(WEIGHTS / "yolox_nano_torch_from_onnx.pth")),
    *(
        "--pose",
        "heatmap",
        "--pose-weights",
        str(WEIGHTS / "tinypose_256x192_fp16.xml"),
        "--set",
        "pose.flip_test=false",
    ),
    *("--reid", "onnx", "--reid-weights", str(WEIGHTS / "osnet_x0_25_msmt17.onnx")),
]
CLIP = str(SHARED / "real" / "videos" / "mmaction2_basketball.mp4")
needs_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason="needs the real weights")


@pytest.mark.weights
@pytest.mark.slow
@needs_weights
def test_real_people_are_tracked_the_same_way_twice(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        assert main([CLIP, "--out", name, "--end", "0.2", "--quiet", *REAL]) == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    from kprtrack.io import read_tracks

    tracks = read_tracks(tmp_path / "a.json")
    assert len(tracks.frames) == 6 and all(len(frame) >= 2 for frame in tracks.frames)


@pytest.mark.weights
@pytest.mark.slow
@needs_weights
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_on_a_real_run_leaves_a_valid_result(tmp_path: Path) -> None:
    import signal

    from kprtrack.io import read_tracks

    command = [*PROGRAM, CLIP, "--out", "t.json", "--video", "d.mkv", "--stride", "4", *REAL]
    # A child of a background job would ignore Ctrl-C as its parent does.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, usual)
        part = tmp_path / "d.mkv.part"
        until = time.monotonic() + 600
        # The first drawn frames come two seconds of video after the first observed.
        while not (part.exists() and part.stat().st_size > 4096):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        message = process.stderr.read()
    assert process.returncode == INTERRUPTED
    assert "interrupted" in message and "Traceback" not in message
    tracks = read_tracks(tmp_path / "t.json")
    assert tracks.complete is False and len(tracks.frames) > 0
    left = sorted(path.name for path in tmp_path.iterdir() if path.name != "home")
    assert left == ["d.mkv", "t.json", "t.tracks.safetensors"]


@pytest.mark.slow
@pytest.mark.weights
@needs_weights
def test_weights_of_another_kind_are_rejected_for_every_role(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_run.make_video(tmp_path / "a.mp4", 2)
    for words in (
        ["--detector", "yolox-s"],
        ["--detector-weights", str(WEIGHTS / "osnet_x0_25_msmt17.onnx")],
        ["--reid-weights", str(WEIGHTS / "yolox_nano_coco80_416.onnx")],
        ["--pose-weights", str(WEIGHTS / "osnet_x0_25_msmt17.onnx")],
    ):
        assert main(["a.mp4", "--out", "t.json", *REAL, *words]) == WeightsError.exit_code, words
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "t.json").exists()
