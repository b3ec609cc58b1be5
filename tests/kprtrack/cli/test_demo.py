"""`kprtrack demo`: what it writes and prints, and the clip it tracks."""

import gzip
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kprtrack.cli.demo import CLIP, GROUND_TRUTH, IMAGE_FRAME
from kprtrack.cli.main import main
from kprtrack.config import TrackConfig
from kprtrack.io import read_tracks

SHIPPED_BYTES = 2_000_000
FILES = ["frame.png", "tracks.json", "tracks.mp4", "ground_truth.json"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder with an empty model store."""
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def file_options(folder: Path) -> list[str]:
    """Options that use the ground truth instead of the networks."""
    file = folder / "people.json"
    file.write_bytes(gzip.decompress(GROUND_TRUTH.read_bytes()))
    boxes, poses = (("--" + role, "file", f"--{role}-weights", str(file)) for role in ("detector", "pose"))
    return [*boxes, *poses, "--reid", "none", "--device", "cpu"]


@pytest.mark.slow
def test_the_demo_tracks_draws_scores_and_leaves_other_files_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "demo").mkdir()
    (folder / "demo" / "mine.txt").write_text("mine")
    (folder / "demo" / "frame.png").write_text("of an earlier run")
    assert main(["demo", *file_options(folder)]) == 0
    printed = capsys.readouterr().out
    assert sorted(path.name for path in (folder / "demo").iterdir()) == sorted([*FILES, "mine.txt"])
    assert re.search(r"\d+ found, 6 in the clip", printed)
    scores = dict(re.findall(r"(IDF1|HOTA|HOTA of poses) (\d+\.\d)(?:,|\n)", printed))
    assert len(scores) == 3 and all(80 < float(score) <= 100 for score in scores.values())
    assert (folder / "demo" / "frame.png").read_bytes().startswith(b"\x89PNG")
    assert len(read_tracks(folder / "demo" / "tracks.json").frames) == 300
    again = re.search(r"kprtrack (eval tracks .*)", printed)
    assert again and main(again[1].split()) == 0


@pytest.mark.slow
def test_a_demo_without_detections_scores_zero(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = file_options(folder)
    (folder / "people.json").write_text("[]")
    assert main(["demo", *words]) == 0
    printed = capsys.readouterr().out
    assert "0 found, 6 in the clip" in printed and "IDF1 0.0" in printed


def test_settings_are_shown_without_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--print-config"]) == 0
    assert f'"name": "{TrackConfig().detector.name}"' in capsys.readouterr().out
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "words", "message"),
    [
        (5, "demo --out people.json", "people.json is a file, not a folder"),
        (2, "demo --tracker kprr", "Did you mean 'kpr'?"),
        (2, "demo --presett small", "Did you mean '--preset'?"),
        (4, "demo --preset balanced", "kprtrack models get yolox-m-coco"),
    ],
)
def test_a_failed_demo_is_one_error_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], code: int, words: str, message: str
) -> None:
    (folder / "people.json").write_text("{}")
    assert main(words.split()) == code
    assert message in capsys.readouterr().err
    assert not (folder / "demo").exists()


def test_clip_and_ground_truth_are_small() -> None:
    assert CLIP.stat().st_size + GROUND_TRUTH.stat().st_size < SHIPPED_BYTES


def test_people_are_about_200_pixels_tall_and_two_at_a_time_overlap(folder: Path) -> None:
    (folder / "ground_truth.json").write_bytes(gzip.decompress(GROUND_TRUTH.read_bytes()))
    frames = read_tracks(folder / "ground_truth.json").frames
    boxes = np.concatenate([frame.boxes for frame in frames])
    assert 170 < np.median(boxes[:, 3] - boxes[:, 1]) < 230
    overlapping = [len(frame.ids) > 1 and _largest_iou(frame.boxes) > 0.2 for frame in frames]
    assert 60 < sum(overlapping) < 200


def _largest_iou(boxes: np.ndarray) -> float:
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    shared = np.clip(np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - low, 0, None).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    found = shared / (areas[:, None] + areas[None] - shared)
    np.fill_diagonal(found, 0)
    return float(found.max())


def test_three_people_are_gone_for_half_a_second_or_more_and_come_back(folder: Path) -> None:
    (folder / "ground_truth.json").write_bytes(gzip.decompress(GROUND_TRUTH.read_bytes()))
    frames = read_tracks(folder / "ground_truth.json").frames
    frames_of = {identity: [f.frame_number for f in frames if identity in f.ids] for identity in range(1, 7)}
    gaps = [max(b - a for a, b in pairwise(at)) for at in frames_of.values()]
    assert sum(gap > 12 for gap in gaps) == 3
    assert len(frames[IMAGE_FRAME].ids) >= 5
