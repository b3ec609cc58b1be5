"""The line of the summary about footage that is beyond the networks of the default preset."""

from pathlib import Path

import numpy as np
import pytest
from support import fake_run

from kprtrack import Summary, TrackConfig, empty_poses
from kprtrack.cli.main import main
from kprtrack.cli.output import log_observations, log_tracks
from kprtrack.config import PRESETS, ComponentConfig
from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Observation
from kprtrack.core.errors import WeightsError
from kprtrack.pipeline import Networks

FRAMES = 20
COMMAND = "kprtrack VIDEO --preset accurate"


def observation(number: int, heights: list[float], scores: list[float]) -> Observation:
    """People of these heights in pixels and these scores, side by side."""
    count = len(heights)
    left = 50 * np.arange(count, dtype=np.float32)
    boxes = np.stack((left, left * 0 + 5, left + 20, np.float32(heights) + 5), axis=1)
    embeddings = Appearance(
        np.zeros((count, 1, 4), np.float32), np.ones((count, 1), bool), np.zeros(count, bool)
    )
    detections = Detections(boxes.astype(np.float32), np.float32(scores))
    return Observation(number, number / 25, detections, empty_poses(count), embeddings)


def summary_of(*frames: tuple[list[float], list[float]]) -> Summary:
    """The summary of a run with these heights and scores frame by frame."""
    summary = Summary(Path("tracks.json"))
    for number, (heights, scores) in enumerate(frames):
        summary.count(observation(number, heights, scores))
    return summary


ORDINARY = ([200.0, 180.0, 35.0], [0.9, 0.8, 0.7])
SMALL = ([39.0, 25.0, 120.0], [0.9, 0.8, 0.7])
CROWD = ([90.0] * 31, [0.6] * 31)
UNCERTAIN = ([90.0, 80.0], [0.49, 0.31])


def logged(summary: Summary, capsys: pytest.CaptureFixture[str], config: TrackConfig | None = None) -> str:
    log_tracks(summary, config or TrackConfig(), quiet=False)
    text = capsys.readouterr().err
    log_observations(summary, config or TrackConfig(), quiet=False)
    assert (COMMAND in text) == (COMMAND in capsys.readouterr().err)
    return text


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (SMALL, "most people are lower than 40 pixels"),
        (CROWD, "there are more than 30 people per frame"),
        (UNCERTAIN, "the detection scores are low throughout"),
    ],
)
def test_footage_beyond_the_default_networks_is_one_line_with_preset_and_command(
    frame: tuple[list[float], list[float]], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = logged(summary_of(*[frame] * FRAMES), capsys)
    (line,) = [each for each in text.splitlines() if COMMAND in each]
    assert reason in line and "'accurate'" in line
    assert "accurate" in PRESETS


def test_several_reasons_share_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    crowd = ([20.0] * 40, [0.4] * 40)
    text = logged(summary_of(*[crowd] * FRAMES), capsys)
    assert text.count(COMMAND) == 1
    assert all(reason in text for reason in ("lower than 40", "more than 30", "scores are low"))


@pytest.mark.parametrize(
    "frames",
    [
        [ORDINARY] * FRAMES,
        [([40.0], [0.9])] * FRAMES,  # exactly at the limit
        [([90.0] * 30, [0.6] * 30)] * FRAMES,
        [([200.0], [0.9]), UNCERTAIN] * 10,  # low scores in half of the frames only
        [([200.0, *[20.0] * 50], [0.9, *[0.15] * 50])] * FRAMES,  # detections of low score are not people
        [([], [])] * FRAMES,
        [SMALL] * 3,  # too few frames
    ],
)
def test_other_footage_has_no_such_line(
    frames: list[tuple[list[float], list[float]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMMAND not in logged(summary_of(*frames), capsys)


@pytest.mark.parametrize(
    "config",
    [
        PRESETS["accurate"],
        PRESETS["balanced"],
        TrackConfig(ComponentConfig("file", "boxes.txt")),
        TrackConfig(ComponentConfig("small", options={"input_height": 1280, "input_width": 1280})),
    ],
)
def test_it_is_about_the_default_detector_alone(
    config: TrackConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMMAND not in logged(summary_of(*[SMALL] * FRAMES), capsys, config)


def test_frames_without_people_change_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    frames = [SMALL] * FRAMES + [([], [])] * 500
    assert COMMAND in logged(summary_of(*frames), capsys)


@pytest.mark.parametrize(("height", "told"), [(30.0, True), (41.0, False)])
def test_the_line_of_a_run_from_video_to_summary(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    height: float,
    told: bool,
) -> None:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    fake_run.make_video(tmp_path / "a.mp4", 12)

    def detect(batch):  # type: ignore[no-untyped-def]
        boxes = np.float32([[5, 2, 20, 2 + height]])
        return [Detections(boxes, np.float32([0.9])) for _ in batch]

    networks = Networks(detect, fake_run.estimate_poses, fake_run.embed, fake_run.FACTS)
    monkeypatch.setattr("kprtrack.run.build_networks", lambda _: networks)
    assert main(["a.mp4", "--out", "tracks.json", "--device", "cpu"]) == 0
    assert (COMMAND in capsys.readouterr().err) == told


def test_the_command_it_names_runs_or_says_what_to_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    video = str(fake_run.make_video(tmp_path / "a.mp4", 12))
    assert main([video, *COMMAND.split()[2:]]) == WeightsError.exit_code
    assert "kprtrack models get yolox-x-coco" in capsys.readouterr().err


def test_quiet_has_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_tracks(summary_of(*[SMALL] * FRAMES), TrackConfig(), quiet=True)
    assert capsys.readouterr().err == ""
