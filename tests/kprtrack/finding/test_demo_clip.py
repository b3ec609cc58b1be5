"""The networks of the package find the people of the demo clip again, later in it, by its ground truth."""

import gzip
import json
from pathlib import Path

import cv2
import pytest
from support.paths import ROOT

from kprtrack.cli.demo import CLIP
from kprtrack.cli.main import main
from kprtrack.video.source import open_source

TRACKED_S, LATER_S = 0.5, 11.2


def boxes_of(frame: int) -> dict[int, tuple[float, float, float, float]]:
    """x y width height of the people in a frame, by the ground truth."""
    path = ROOT / "kprtrack" / "demo" / "ground_truth.json.gz"
    document = json.loads(gzip.decompress(path.read_bytes()))
    found = next(each for each in document["frames"] if each["frame"] == frame)
    return {person["track_id"]: tuple(person["bbox"]) for person in found["people"]}


@pytest.mark.slow
def test_people_of_a_later_frame_are_found_in_the_first_half_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(CLIP), "--end", str(TRACKED_S), "--out", "tracks.json", "--quiet"]) == 0
    with open_source(CLIP, start_s=LATER_S) as clip:
        later = next(iter(clip))
    cv2.imwrite("later.png", later.image[..., ::-1])
    first, now = boxes_of(0), boxes_of(later.number)
    assert len(set(first) & set(now)) >= 3
    for person in sorted(set(first) & set(now)):
        x, y, width, height = now[person]
        click = f"{x + width / 2:.0f},{y + 0.3 * height:.0f}"
        capsys.readouterr()
        words = ["find", "tracks.json", "--image", "later.png", "--click", click, "--top", "1", "--json", "-"]
        assert main([*words, "--quiet"]) == 0
        (match,) = json.loads(capsys.readouterr().out)["matches"]
        x, y, width, height = boxes_of(match["frame"])[person]
        x1, _, x2, _ = match["box"]
        assert abs((x1 + x2) / 2 - (x + width / 2)) < width / 2, person
