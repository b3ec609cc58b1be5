"""The manifest: what an earlier call has done counts, half a line does not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kprtrack.core.errors import OutputError
from kprtrack.scale.manifest import MANIFEST, Manifest, Record
from kprtrack.scale.storage import LocalFolder

RECORD = Record("a", None, "done", "12-34", "settings", "a.json", frames=7)


def test_the_last_line_of_a_video_counts(tmp_path: Path) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "settings")
    manifest.add(replace(RECORD, state="failed", reason="no space"))
    manifest.add(replace(RECORD, chunk=3))
    manifest.add(RECORD)
    again = Manifest(LocalFolder(tmp_path), "settings")
    assert again.find("a", "12-34") == RECORD
    assert again.find("a", None) == RECORD  # the video is no longer there
    assert again.find("a", "12-34", 3) == replace(RECORD, chunk=3)
    assert again.find("a", "12-35") is None  # it is another video now
    assert Manifest(LocalFolder(tmp_path), "others").find("a", "12-34") is None
    lines = (tmp_path / MANIFEST).read_text().splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["failed", "done", "done"]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_is_cut_is_left_out(tmp_path: Path, cut: int) -> None:
    manifest = Manifest(LocalFolder(tmp_path), "settings")
    manifest.add(RECORD)
    manifest.add(replace(RECORD, video="b"))
    file = tmp_path / MANIFEST
    file.write_bytes(file.read_bytes()[:-cut])
    again = Manifest(LocalFolder(tmp_path), "settings")
    assert again.find("a", "12-34") == RECORD
    again.add(replace(RECORD, video="c"))
    last = Manifest(LocalFolder(tmp_path), "settings")
    assert last.find("a", "12-34") and last.find("c", "12-34")
    assert (last.find("b", "12-34") is not None) == (cut == 1)  # only the end of the line is missing


def test_lines_that_cannot_be_written_are_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = LocalFolder(tmp_path)
    manifest = Manifest(folder, "settings")
    with monkeypatch.context() as full:
        full.setattr(folder, "append", _full)
        manifest.add(RECORD)
    assert str(manifest.problem) == "no space"
    manifest.add(replace(RECORD, video="b"))
    assert manifest.problem is None
    again = Manifest(folder, "settings")
    assert again.find("a", "12-34") and again.find("b", "12-34")


def _full(name: str, data: bytes) -> None:
    raise OutputError("no space")
