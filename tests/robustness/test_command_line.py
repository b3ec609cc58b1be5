"""What the command line prints about damaged inputs: one line, and nothing of other libraries."""

import json
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import fake_run

from kprtrack.cli.main import main


def test_warnings_of_pillow_are_not_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A TIFF whose tags claim a million values each, which Pillow warns about."""
    path = tmp_path / "in.tiff"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    data = bytearray(path.read_bytes())
    (table,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack("<H", data[table : table + 2])
    for row in range(count):  # of each entry: tag, type, number of values, place
        start = table + 2 + 12 * row + 4
        data[start : start + 4] = struct.pack("<I", 1_000_000)
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="Tag data"), pytest.raises(OSError):
        Image.open(path).load()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        words = (
            f"{path} --detector file --detector-weights {tmp_path} --reid none --out {tmp_path / 'o.json'}"
        )
        assert main(words.split()) == 3
    assert not caught
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_task_that_is_no_name_is_rejected_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text('{"task": {"reid": 1}}')
    assert main(["train", str(tmp_path / "config.json"), "--print-config"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        "~.mp4 --out o.json",
        "~no_such_user/v.mp4 --out o.json",
        "eval mot --ground-truth ~.txt --results ~.txt",
        "data check folder --root ~.d",
        "train reid/cuhk03_small data.root=~.d out=~.r",
        "v.mp4 --detector yolox-nano --detector-weights ~.pth --out o.json",
    ],
)
def test_a_name_that_begins_with_a_tilde_may_name_no_user(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) in (2, 3, 4)
    assert len(capsys.readouterr().err.splitlines()) == 1


LOOPS = {  # of links that lead to themselves
    "track": "v.mp4 BOXES --out loop.json",
    "jsonl": "v.mp4 BOXES --out loop.jsonl",
    "annotated video": "v.mp4 BOXES --video loop.mp4",
    "resume": "v.mp4 BOXES --out loop.json --resume",
    "observe": "observe v.mp4 BOXES --out loop.npz",
    "input": "loop.mp4 BOXES --out o.json",
    "boxes": "v.mp4 --detector file --detector-weights loop.json --reid none --out o.json",
    "config": "v.mp4 BOXES --config loop.json --out o.json",
    "convert": "convert b.json loop.csv",
    "convert from": "convert loop.csv o.json",
    "exports": "convert b.json loop.xlsx",
    "scores": "eval tracks b.json b.json --json loop.json",
    "truth": "eval mot --ground-truth loop.txt --results loop.txt",
    "tune": "tune loop.npz --ground-truth b.json --trials 1 --out loop.json",
    "weights": "v.mp4 --detector yolox-nano --detector-weights loop.pth --reid none --out o.json",
    "onnx": "v.mp4 --detector yolox-onnx --detector-weights loop.onnx --reid none --out o.json",
    "train": "train pose/small data.train=b.json out=loop",
    "data": "data paste folder --root loop --out loop",
    "recover": "recover loop.json.part",
    "import": "models import loop.pth --name mine",
}


@pytest.mark.parametrize("words", LOOPS.values(), ids=LOOPS)
def test_links_that_lead_to_themselves_are_rejected_and_stay(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    fake_run.make_video(tmp_path / "v.mp4", 2)
    document = {
        "images": [{"id": 1, "file_name": "1.png", "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "track_id": 1, "bbox": [2, 4, 12, 30]}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "b.json").write_text(json.dumps(document))
    kinds = ("", ".json", ".jsonl", ".mp4", ".npz", ".csv", ".xlsx", ".txt", ".pth", ".onnx", ".json.part")
    loops = [tmp_path / f"loop{kind}" for kind in kinds]
    for loop in loops:
        loop.symlink_to(loop)
    boxes = "--detector file --detector-weights b.json --pose file --pose-weights b.json --reid none"
    assert main([*words.replace("BOXES", boxes).split(), *(["--quiet"] if "BOXES" in words else [])]) in (
        2,
        3,
        4,
        5,
    )
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert all(loop.is_symlink() for loop in loops)


def test_a_tiff_page_without_a_width_is_rejected_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pillow raises TypeError for it."""
    path = tmp_path / "in.tiff"
    page = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    page.save(path, save_all=True, append_images=[page])
    data = bytearray(path.read_bytes())
    (table,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack("<H", data[table : table + 2])
    end = table + 2 + 12 * count
    (second,) = struct.unpack("<I", data[end : end + 4])
    assert data[second + 2 : second + 4] == struct.pack("<H", 256)  # the tag of the width is the first
    data[second + 2 : second + 4] = struct.pack("<H", 255)
    path.write_bytes(data)
    with Image.open(path) as image, pytest.raises(TypeError, match="Missing dimensions"):
        image.seek(1)
    assert main([str(path), "--reid", "none", "--out", str(tmp_path / "o.json")]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1
