"""The steps of an adaptation, resumed wherever they stop, with functions in place of networks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support import fake_run
from support.dataset_trees import write_pictures
from support.tracks_cases import tracks_of

from kprtrack.adaptation import run
from kprtrack.adaptation.clean_tracks import CleanTrackConfig
from kprtrack.adaptation.scores import HeldOutScores
from kprtrack.adaptation.settings import AdaptConfig
from kprtrack.adaptation.sources import find_sources
from kprtrack.cli.main import main
from kprtrack.config import TrackConfig
from kprtrack.core.errors import InputError, UserError
from kprtrack.io import RunHeader, open_writer
from reid.evaluation.embed import labels_of
from reid.evaluation.metrics import Embedded

PEOPLE = [f"p{number}" for number in range(8)]
CONFIG = AdaptConfig(networks=TrackConfig(device="cpu", threads=1))


class Steps:
    """Functions in place of networks and training; `stop_at` interrupts one of them once."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.stop_at = ""
        self.gain = 0.2

    def call(self, name: str) -> None:
        self.calls.append(name)
        if self.stop_at == name:
            self.stop_at = ""
            raise KeyboardInterrupt

    def crop_networks(self, config: TrackConfig, *, detects: bool) -> tuple[object, object]:
        def estimate_poses(frames, detections):  # type: ignore[no-untyped-def]
            self.call("keypoints")
            return fake_run.estimate_poses(frames, detections)

        return estimate_poses, fake_run.detect_nobody if detects else None

    def train(self, config: Any, *, quiet: bool) -> Path:
        self.call("training")
        assert config.data.options == {"sets": "sets.json"} and config.sampler.identities == 6
        folder = Path(config.out)
        folder.mkdir(exist_ok=True)
        (folder / "weights.safetensors").write_text(f"seed {config.seed}")
        return folder

    def write_mean(self, start: Path, trained: Path, out: Path) -> None:
        assert start.name == "small-kpr.safetensors"
        out.write_text(f"mean of {trained.read_text()}")

    def score(self, weights: Path | None, data: Any, protocol: str, *rest: object) -> HeldOutScores:
        self.call("before" if weights is None else "after")
        value = 0.5 if weights is None else 0.5 + self.gain
        return HeldOutScores(value, value, value, (value,) * 4, (0, 0, 1, 1))

    def open_encoder(self, *words: object) -> "Steps":
        return self

    def encode(self, samples: Any, on_crops: Callable[[int], None]) -> Embedded:
        """A corner of a cube for each person."""
        self.call("encode")
        features = np.eye(16, dtype=np.float32)[[each.identity for each in samples]][:, None]
        return Embedded(features, np.ones(features.shape[:2], bool), labels_of(samples))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    found = Steps()
    for name, work in (
        ("crop_networks", found.crop_networks),
        ("train_reid", found.train),
        ("write_mean_weights", found.write_mean),
        ("score_held_out", found.score),
        ("open_encoder", found.open_encoder),
    ):
        monkeypatch.setattr(run, name, work)
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of eight people, and one person with one image."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "own", [f"{who}/{row}.jpg" for who in PEOPLE for row in range(3)])
    write_pictures(tmp_path / "own", ["alone/0.jpg"])
    return tmp_path


def adapt(out: str = "out", config: AdaptConfig = CONFIG) -> run.Adaptation:
    return run.adapt(find_sources(["own"]), Path(out), config)


def content(out: str) -> dict[str, bytes]:
    """All files but locks, by name."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(Path(out).rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_better_weights_are_recommended_and_described(steps: Steps) -> None:
    result = adapt()

    assert result.better
    assert list(dict.fromkeys(steps.calls)) == ["keypoints", "before", "training", "after"]
    assert len(result.split.train) == 6 and len(result.split.held_out) == 2
    assert set(result.split.train) | set(result.split.held_out) == set(PEOPLE)
    assert result.split.left_out == {"alone": "one image"}
    assert Path("out/weights.safetensors").read_text() == "mean of seed 0"
    card = Path("out/model_card.md").read_text()
    assert "6 people for training, 2 held out" in card
    assert "before     50.0    50.0" in card and "after      70.0    70.0" in card
    assert "Recommended for this footage" in card
    labels = {path.parent.name for path in Path("out/people/masks").rglob("*.png")}
    assert labels == set(result.split.train)
    assert not [path for path in Path("own").rglob("*") if path.suffix != ".jpg" and path.is_file()]


@pytest.mark.parametrize("gain", [0.0, -0.1])
def test_weights_that_are_no_better_are_not_recommended(steps: Steps, gain: float) -> None:
    steps.gain = gain
    result = adapt()
    assert not result.better
    assert not Path("out/weights.safetensors").exists()
    assert "Not recommended" in Path("out/model_card.md").read_text()


@pytest.mark.parametrize("stop_at", ["keypoints", "before", "training", "after"])
def test_a_stopped_adaptation_is_resumed_with_the_same_result(steps: Steps, stop_at: str) -> None:
    adapt("whole")
    steps.stop_at, steps.calls = stop_at, []
    with pytest.raises(KeyboardInterrupt):
        adapt()
    done = steps.calls[:-1]
    steps.calls = []
    adapt()
    assert not set(steps.calls) & set(done) - {"keypoints"}
    assert content("out") == content("whole")
    steps.calls = []
    adapt()
    assert steps.calls == []


def test_only_the_same_adaptation_is_resumed(steps: Steps) -> None:
    adapt()
    with pytest.raises(UserError, match=r"out holds an adaptation with seed=0, not 1"):
        adapt(config=AdaptConfig(seed=1))
    write_pictures(Path("own"), ["p0/new.jpg"])
    with pytest.raises(UserError, match=r"out holds an adaptation with own="):
        adapt()


def test_folders_of_something_else_stay_as_they_are(steps: Steps) -> None:
    with pytest.raises(UserError, match="lies in the folder of people itself"):
        adapt("own/adapted")
    with pytest.raises(UserError, match=r"p0 holds 0\.jpg, which is no adaptation"):
        run.adapt(find_sources(["own"]), Path("own/p0").rename("p0"), CONFIG)
    assert steps.calls == []


def test_an_image_that_cannot_be_read_is_named(steps: Steps) -> None:
    Path("own/p3/1.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"p3/1\.jpg"):
        adapt()


# Footage


@pytest.fixture
def footage(folder: Path) -> Path:
    """Eight people side by side."""
    fake_run.make_video(folder / "yard.mp4", 12)
    boxes = {number: (7 * number, 4, 7 * number + 6, 44) for number in range(1, 9)}
    header = RunHeader({"width": 64, "height": 48, "fps": 10.0})
    with open_writer(folder / "yard.json", header) as writer:
        for number in range(12):
            keypoints = np.full((8, 17, 3), 0.9, np.float32)
            keypoints[..., :2] = np.array([box[:2] for box in boxes.values()], np.float32)[:, None] + 3
            writer.write(tracks_of(boxes, number=number, time_s=number / 10, keypoints=keypoints))
    return folder / "yard.mp4"


def test_tracks_of_a_video_become_people(steps: Steps, footage: Path) -> None:
    words = [
        "adapt",
        "yard.mp4",
        "--tracks",
        "yard.json",
        "--out",
        "out",
        "--min-height",
        "20",
        "--device",
        "cpu",
    ]
    assert main([*words, "--threads", "1", "-q"]) == 0

    assert steps.calls == ["encode", "before", "training", "after"]
    people = sorted(path.name for path in Path("out/people").iterdir() if path.name.startswith("yard"))
    assert people == [f"yard-{number}" for number in range(1, 9)]
    assert len(list(Path("out/people/yard-1").iterdir())) == 12
    crop = cv2.imread("out/people/yard-8/000003.jpg")
    assert crop.shape == (40, 6, 3)
    assert abs(float(crop.mean()) - 27) < 4  # the grey of frame 3
    split = json.loads(Path("out/steps/split.json").read_text())
    assert split["protocol"] == "mot_inter_intra_video" and len(split["train"]) == 6


def test_a_video_is_tracked_first_where_no_tracks_are_given(
    steps: Steps, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "build_networks", lambda config: fake_run.NETWORKS)
    with pytest.raises(InputError, match="Only 1 pairs of people are seen at once"):
        run.adapt(
            find_sources(["yard.mp4"]), Path("out"), AdaptConfig(crops=CleanTrackConfig(min_height_px=20))
        )
    assert Path("out/tracks/yard.json").is_file()
    assert sorted(path.name for path in Path("out/people").glob("yard*")) == ["yard-1", "yard-2"]


# What is printed


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    footage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapt", "own", "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        "own: 8 people, 24 images; 1 people left out\nabout 6 people for training, 2 held out\n"
        "about 1 min on one CPU core (4 epochs)\n"
    )
    assert main(["adapt", "yard.mp4", "--tracks", "yard.json", "--min-height", "20", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("yard: 8 people, 96 images; 0 tracks left out\n")
    assert main(["adapt", "yard.mp4", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("yard: 12 frames to track; its people are known afterwards\n")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["own"], 2, "--out DIR"),
        (["own", "yard.mp4", "--out", "out"], 2, "own is a folder of people. Name it alone"),
        (["nothing.mp4", "--out", "out"], 3, "'nothing.mp4' does not exist"),
        (["yard.mp4", "yard.mp4", "--tracks", "a", "b", "--out", "o"], 2, "2 files for 1 videos"),
        (["yard.mp4", "--tracks", "a.json", "--out", "out"], 3, "There is no file a.json"),
        (["rtsp://camera/1", "--out", "out"], 2, "cannot be read twice"),
        (["own", "--out", "out", "--epochs", "0"], 2, "--epochs is 0"),
        (["own", "--out", "out", "--held-out", "1"], 2, "--held-out is 1.0"),
        (["own", "--out", "out", "--seed", "-1"], 2, "--seed is -1"),
        (["own", "--out", "out", "--images", "1"], 2, "--images is 1"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str], code: int, message: str, footage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapt", *words]) == code
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not Path("out").exists()
