"""What the command line prints about damaged inputs: one line, and nothing of other libraries."""

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
