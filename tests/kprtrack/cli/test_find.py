"""`kprtrack find`: what it prints and writes, and what is one line."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.finding_cases import BOXES, ColourEncoder, FakePose, coloured, detector_of, mask_of, scene
from support.finding_cases import write_coloured as write

import kprtrack.build
from kprtrack.cli.main import main
from kprtrack.core.datatypes import Frame
from kprtrack.gallery import Gallery
from reid.datasets.keypoint_files import keypoints_json

Capture = pytest.CaptureFixture[str]
RESULTS = ("a.json", "b.json")


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An image of three people, results of two videos in which they are, a gallery; networks see colours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("find"))
        patch.setattr(kprtrack.build, "build_detector", lambda *_: detector_of([*BOXES.values()]))
        patch.setattr(kprtrack.build, "build_pose_estimator", lambda *_: FakePose())
        patch.setattr(kprtrack.build, "build_reid_encoder", lambda *_: ColourEncoder())
        _write_inputs()
        yield


def _write_inputs() -> None:
    cv2.imwrite("scene.png", scene()[..., ::-1])
    for name, person in (("mask.png", 1), ("other.png", 2)):
        cv2.imwrite(name, mask_of(person).astype(np.uint8))
    write(Path("a.json"), coloured("a.mp4", {1: 1, 2: 2, 7: 3}, ((1, 2),)))
    write(Path("b.json"), coloured("b.mp4", {3: 2, 4: 4, 5: 5}, ((3, 4),), seed=5))
    assert main(["gallery", "add", "people.kprdb", *RESULTS]) == 0
    assert main(["gallery", "name", "people.kprdb", "2", "Keeper"]) == 0
    with Gallery.open("empty.kprdb", create=True):
        pass
    cv2.imwrite("small.png", np.ones((8, 9), np.uint8))
    Path("alone.json").write_bytes(Path("a.json").read_bytes())
    for name, reid in (
        ("other", {"name": "small", "weights": "small-kpr", "sha256": "ab" * 32}),
        ("onnx", {"name": "onnx", "file": "osnet.onnx", "sha256": "cd" * 32}),
    ):
        made = coloured("d.mp4", {1: 1})
        write(Path(f"{name}.json"), replace(made, header={**made.header, "reid": reid}))


def rows(capsys: Capture, *words: str) -> list[list[str]]:
    assert main(["find", *words]) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_a_click_finds_the_person_in_both_videos(capsys: Capture) -> None:
    found = rows(capsys, *RESULTS, "--image", "scene.png", "--click", "100,100", "--top", "2")
    assert found[0] == ["PERSON", "NAME", "VIDEO", "TRACK", "TIME", "DISTANCE", "PROBABILITY"]
    assert {tuple(row[:4]) for row in found[1:]} == {("-", "-", "a.mp4", "2"), ("-", "-", "b.mp4", "3")}
    assert all(float(row[5]) < 0.05 and float(row[6]) > 0.9 for row in found[1:])
    assert {row[2]: row[4][:4] for row in found[1:]} == {"a.mp4": "0:02", "b.mp4": "0:03"}


def test_a_gallery_knows_the_names(capsys: Capture) -> None:
    found = rows(capsys, "people.kprdb", "--image", "scene.png", "--click", "100,100", "--top", "2")
    assert {tuple(row[:4]) for row in found[1:]} == {("2", "Keeper", "a.mp4", "2"), ("4", "-", "b.mp4", "3")}


@pytest.mark.parametrize(
    ("words", "track"),
    [
        (("--box", "20,20,80,190"), "1"),
        (("--mask", "mask.png"), "1"),
        (("--mask", "other.png", "--not-mask", "mask.png"), "2"),
        (("--mask", "rle.json"), "1"),
        (("--keypoints", "keypoints.json"), "7"),
        (("--click", "70,100", "--not-click", "110,100"), "1"),
    ],
)
def test_boxes_masks_and_keypoints_say_who_is_meant(
    words: tuple[str, ...], track: str, capsys: Capture
) -> None:
    runs = np.diff(np.flatnonzero(np.diff(mask_of(1).T.ravel(), prepend=False)), prepend=0).tolist()
    size = mask_of(1).size
    rle = {"size": [200, 320], "counts": [*runs, size - sum(runs)]}
    Path("rle.json").write_text(json.dumps(rle))
    box = np.array([BOXES[3]], np.float32)
    people = detector_of([BOXES[3]])([Frame(0, 0.0, scene())])
    assert (people[0].boxes == box).all()
    pose = FakePose()([Frame(0, 0.0, scene())], people)[0].keypoints
    Path("keypoints.json").write_bytes(keypoints_json(pose))
    assert rows(capsys, "a.json", "--image", "scene.png", *words)[1][3] == track


def test_a_person_of_the_gallery_is_found_elsewhere_and_in_results(capsys: Capture) -> None:
    elsewhere = rows(capsys, "people.kprdb", "--person", "Keeper")
    assert elsewhere[1][:4] == ["4", "-", "b.mp4", "3"]
    assert ["a.mp4", "2"] not in [row[2:4] for row in elsewhere]
    within = rows(capsys, "people.kprdb", "--person", "2", "--in", "a.json", "--top", "1")
    assert within[1][2:4] == ["a.mp4", "2"]


def test_the_list_of_links_among_linked_results_is_left_out(capsys: Capture) -> None:
    assert main(["link", *RESULTS, "--out", "linked", "--quiet"]) == 0
    capsys.readouterr()
    paths = [str(path) for path in sorted(Path("linked").glob("*.json"))]
    assert "linked/links.json" in paths
    found = rows(capsys, *paths, "--image", "scene.png", "--click", "100,100", "--top", "2")
    assert len({row[0] for row in found[1:]} - {"-"}) == 1  # one person, by the links
    assert main(["find", "linked/links.json", "--image", "scene.png", "--click", "100,100"]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_json_has_what_the_table_has_and_more(capsys: Capture) -> None:
    words = [*RESULTS, "--image", "scene.png", "--click", "250,50"]
    table = rows(capsys, *words)[1:]
    assert main(["find", *words, "--json", "-"]) == 0
    matches = json.loads(capsys.readouterr().out)["matches"]
    assert [[match["video"], str(match["track_id"])] for match in matches] == [row[2:4] for row in table]
    assert matches[0]["track_id"] == 7
    assert matches[0]["box"] == [700, 0, 750, 150]
    assert len(matches[0]["sha256"]) == 64
    assert main(["find", *words, "--json", "found.json", "--quiet"]) == 0
    assert json.loads(Path("found.json").read_text())["matches"] == matches


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("a.json",), 2, "--image FILE or --person"),
        (("a.json", "--image", "scene.png", "--person", "1"), 2, "one of them"),
        (("a.json", "--person", "1"), 2, "needs a gallery"),
        (("a.json", "--image", "scene.png", "--in", "b.json"), 2, "--in is for a gallery"),
        (("a.json", "people.kprdb", "--image", "scene.png"), 2, "one gallery or several results"),
        (("people.kprdb", "--person", "9"), 2, "9"),
        (("people.kprdb", "--person", "2", "--click", "1,1"), 2, "are for --image"),
        (("a.json", "--image", "scene.png"), 2, "shows 3 people"),
        (("a.json", "--image", "scene.png", "--click", "300,190"), 2, "no person was detected at 300,190"),
        (("a.json", "--image", "scene.png", "--click", "1;2"), 2, "--click 1;2: give pixels"),
        (("a.json", "--image", "scene.png", "--click", "nan,2"), 2, "--click nan,2: give pixels"),
        (("a.json", "--image", "scene.png", "--box", "1,2,3"), 2, "--box 1,2,3: give pixels"),
        (("a.json", "--image", "scene.png", "--mask", "missing.png"), 3, "missing.png"),
        (("a.json", "--image", "scene.png", "--mask", "small.png"), 2, "--mask has 9 x 8 pixels"),
        (("a.json", "--image", "scene.png", "--keypoints", "missing.json"), 3, "missing.json"),
        (("a.json", "--image", "missing.png"), 3, "missing.png"),
        (("a.json", "--image", "a.json"), 3, "is not an image"),
        (("missing.json", "--image", "scene.png"), 3, "missing.json"),
        (("missing.kprdb", "--image", "scene.png"), 3, "missing.kprdb"),
        (("scene.png", "--image", "scene.png"), 2, "scene.png"),
        (("empty.kprdb", "--image", "scene.png"), 2, "empty.kprdb is empty. Add results"),
        (("empty.kprdb", "--person", "1", "--in", "a.json"), 2, "1"),
        (("a.json", "--image", "scene.png", "--top", "0"), 2, "--top is 0"),
        (("alone.json", "--image", "scene.png", "--click", "30,50"), 3, "alone.tracks.safetensors"),
        (("other.json", "--image", "scene.png", "--click", "30,50"), 4, "has other weights than"),
        (("onnx.json", "--image", "scene.png", "--click", "30,50"), 2, "--reid-weights FILE"),
        (("people.kprdb", "--person", "2", "--in", "onnx.json"), 2, "cannot be compared"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: tuple[str, ...], code: int, reason: str, capsys: Capture
) -> None:
    assert main(["find", *words]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line


def test_weights_are_found_by_name_or_given(capsys: Capture) -> None:
    weights = kprtrack.build.weights_of("reid", kprtrack.build.ComponentConfig("small"))
    assert weights is not None
    words = ("a.json", "--image", "scene.png", "--click", "100,100", "--reid-weights", str(weights.path))
    assert rows(capsys, *words)[1][3] == "2"
