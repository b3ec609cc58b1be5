"""Many videos on Ray: the bytes of a single process, whatever is killed, and failures that stay alone."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import fake_run
from support.many_cases import BY_BATCH, CONFIG, ENDS_WORKER_ONCE, build_deadly, run, videos_of

from kprtrack.core.errors import UserError, WeightsError
from kprtrack.identity import prototypes_path
from kprtrack.io import read_observations
from kprtrack.run import observe_video, track_observations, track_video
from kprtrack.scale import ManySettings, track_many
from kprtrack.scale.manifest import MANIFEST
from kprtrack.scale.many import ManySummary
from kprtrack.scale.session import ray_session

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs signals that end a process"),
]
NAMES = [f"v{index}.mp4" for index in range(5)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Ray, started once for all tests; its address."""
    with ray_session(2) as ray:
        yield ray.get_runtime_context().gcs_address


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: str) -> Path:
    """The present folder, with five videos of different length and their results in `one`."""
    monkeypatch.chdir(tmp_path)
    Path("one").mkdir()
    for index, name in enumerate(NAMES):
        fake_run.make_video(Path(name), 9 + 5 * index)
        track_video(name, f"one/v{index}.json", CONFIG, networks=BY_BATCH)
    return tmp_path


def _states(summary: object) -> dict[str, str]:
    assert isinstance(summary, ManySummary)
    return {record.video: record.state for record in summary.records}


def _assert_equal(names: list[str], out: str = "many", single: str = "one") -> None:
    """The results and the prototypes have the bytes of the single process."""
    for name in names:
        result = Path(single, name).with_suffix(".json")
        for file in (result, prototypes_path(result)):
            assert Path(out, file.name).read_bytes() == file.read_bytes()


def test_results_have_the_bytes_of_a_single_process(folder: Path) -> None:
    """One worker is killed on the way; a split video has the result of observe and follow."""
    fake_run.make_video(Path("long.mp4"), 61)
    observe_video("long.mp4", "long.npz", CONFIG, networks=BY_BATCH)
    track_observations(read_observations("long.npz"), "one/long.json", CONFIG)
    names = [*NAMES, "long.mp4"]
    Path(ENDS_WORKER_ONCE).touch()
    first = run(names, split_s=3)
    assert _states(first) == {Path(name).stem: "done" for name in names}
    assert isinstance(first, ManySummary)
    assert sorted(record.tries for record in first.records) == [1, 1, 1, 1, 1, 2]
    _assert_equal(names)
    log = Path("many/logs/long.log").read_text()
    assert "split into 2 chunks" in log and log.count("observe chunk") == 2
    assert not Path("many/parts").exists()
    lines = Path("many", MANIFEST).read_bytes()
    assert len(lines.splitlines()) == 8

    second = run(names, split_s=3)
    assert isinstance(second, ManySummary) and (second.earlier, second.frames) == (6, 0)
    assert Path("many", MANIFEST).read_bytes() == lines
    Path("many/v2.json").unlink()
    third = run(names, split_s=3)
    assert isinstance(third, ManySummary) and (third.earlier, third.frames) == (5, 19)
    _assert_equal(names)


def test_failures_stay_alone(folder: Path) -> None:
    """A file that is no video, one that is gone, one that crashes its worker, one that meets a bug, and one
    whose result cannot get its name, as there is a folder of that name.
    """
    Path("many/v1.json/inside").mkdir(parents=True)
    Path("text.mp4").write_text("no video")
    fake_run.make_video(Path("deadly.mp4"), 9, fps=15)
    fake_run.make_video(Path("bug.mp4"), 9, fps=20)
    names = ["text.mp4", "gone.mp4", "deadly.mp4", "bug.mp4", *NAMES]
    summary = run(names, build=build_deadly)
    assert isinstance(summary, ManySummary)
    records = {record.video: record for record in summary.records}
    assert [record.video for record in summary.failed] == ["text", "gone", "deadly", "bug", "v1"]
    assert "'text.mp4'" in (records["text"].reason or "")
    assert str(records["gone"].reason).startswith("'gone.mp4' does not exist.")
    assert (
        str(records["v1"].reason).startswith("Cannot write many/v1.json: ") and records["v1"].exit_code == 5
    )
    assert records["deadly"].reason == (
        "it has ended its worker 3 times, as a crash of a decoder or a lack of memory does"
    )
    assert records["bug"].reason == "this is a bug: ZeroDivisionError: made by a test. See its log."
    assert "many_cases.py" in Path("many/logs/bug.log").read_text()
    assert [records[name].tries for name in ("text", "gone", "deadly", "bug", "v0")] == [1, 1, 3, 1, 1]
    assert all("\n" not in (record.reason or "") for record in summary.records)
    shutil.rmtree("many/v1.json")
    fake_run.make_video(Path("text.mp4"), 9)
    repaired = run(["text.mp4", *NAMES])
    assert isinstance(repaired, ManySummary) and repaired.earlier == 4
    assert set(_states(repaired).values()) == {"done"}
    _assert_equal(NAMES)


def test_a_call_that_is_killed_is_continued(folder: Path, cluster: str) -> None:
    """SIGKILL as soon as the first line is in the manifest; the same call then gives all results."""
    program = subprocess.Popen(
        [sys.executable, "-m", "support.many_cases", *NAMES], env={**os.environ, "RAY_ADDRESS": cluster}
    )
    manifest = Path("many", MANIFEST)
    while not (manifest.exists() and manifest.read_bytes().count(b"\n")):
        assert program.poll() is None
        time.sleep(0.01)
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert set(_states(run(NAMES)).values()) == {"done"}
    _assert_equal(NAMES)
    videos = [line.split(b'"video": "')[1].split(b'"')[0] for line in manifest.read_bytes().splitlines()]
    assert sorted(videos) == [b"v0", b"v1", b"v2", b"v3", b"v4"]


def test_wrong_settings_are_told_before_ray_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ManySettings("many", CONFIG)
    video = videos_of(["a.mp4"])
    with pytest.raises(UserError, match=r"^--workers is 0\. Give 1 or more\.$"):
        track_many(video, settings, 0)
    with pytest.raises(UserError, match=r"^--ray is '10\.0\.0\.1'\. Give HOST:PORT"):
        track_many(video, settings, 1, address="10.0.0.1")
    with pytest.raises(UserError, match=r"^There is no Ray cluster at 127\.0\.0\.1:1: "):
        track_many(video, settings, 1, address="127.0.0.1:1")
    config = replace(CONFIG, detector=replace(CONFIG.detector, weights="missing.onnx"))
    with pytest.raises(WeightsError):
        track_many(video, replace(settings, config=config), 1)
