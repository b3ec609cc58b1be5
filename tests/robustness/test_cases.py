"""Inputs of real bug reports, in ../shared/cases: the right values are in the README of each case."""

import csv
import importlib.util
import json
import runpy
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from support import fake_run, paths

from kprtrack.build import build_detector
from kprtrack.cli.main import main
from kprtrack.config import ComponentConfig
from kprtrack.inference.devices import ComputeConfig
from kprtrack.io import read_people, read_tracks
from kprtrack.run import track_video
from kprtrack.video.source import open_source

CASES = paths.SHARED / "cases"
FAR_LEFT = 20.0  # left edge of the first box in all COCO files
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
Copy = Callable[[str], Path]


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """Copy a case into a folder of its own, which becomes the working folder."""

    def copy(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(CASES / name, folder)
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
        monkeypatch.chdir(folder)
        return folder

    return copy


@pytest.fixture(scope="module")
def numbered() -> ModuleType:
    """The module that draws and reads the frames of the case videos, which carry their number."""
    place = importlib.util.spec_from_file_location("numbered_frames", CASES / "numbered_frames.py")
    assert place and place.loader
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def scene(name: str, frames: int, size: tuple[int, int] = (320, 240)) -> list[str]:
    """Options for boxes and poses of one person in every frame, instead of networks."""
    points = [value for row in range(17) for value in (30 + row, 40 + row, 2)]
    one = {"category_id": 1, "track_id": 1, "bbox": [20, 30, 60, 120], "keypoints": points}
    width, height = size
    document = {
        "images": [
            {"id": n, "file_name": f"{n:06}.png", "width": width, "height": height} for n in range(frames)
        ],
        "annotations": [{**one, "id": n, "image_id": n} for n in range(frames)],
        "categories": [{"id": 1, "name": "person"}],
    }
    Path(name).write_text(json.dumps(document))
    return [
        *["--detector", "file", "--pose", "file", "--reid", "none", "--detector-weights"],
        name,
        "--pose-weights",
        name,
    ]


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def errors(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def seen_numbers(path: str, numbered: ModuleType, start_s: float | None = None) -> dict[int, int]:
    """Frame number -> the number that its image shows."""
    with open_source(path, start_s=start_s) as source:
        return {frame.number: numbered.number(frame.image) for frame in source}


def test_empty_list_of_keypoints_is_unknown_keypoints(case: Copy) -> None:
    case("empty-keypoints-list")
    assert main(["convert", "emptykp.json", "o.csv"]) == 0
    assert len(rows("o.csv")) == len(json.loads(Path("emptykp.json").read_text())["annotations"])
    assert not any(tracks.keypoints.any() for tracks in read_tracks("o.csv").frames)


def test_the_only_category_counts_whatever_its_name(case: Copy) -> None:
    case("coco-category-names")
    assert main(["convert", "catped.json", "o.csv"]) == 0
    assert len(rows("o.csv")) == 8
    words = "four.mp4 --detector file --detector-weights catped.json --pose file --pose-weights catped.json"
    assert main([*words.split(), "--reid", "none", "--out", "o.json"]) == 0
    assert sum(len(tracks) for tracks in read_tracks("o.json").frames) == 8


def test_bicycles_are_no_people(case: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    case("coco-category-names")
    for words in ("convert bike_as_person.json o.csv", "eval tracks bike_as_person.json catped.json"):
        assert main(words.split()) in (2, 3)
        message = errors(capsys)
        assert "bicycle" in message and "pedestrian" in message
    assert not Path("o.csv").exists()


def test_folders_named_by_digits_are_folders(case: Copy) -> None:
    case("folder-named-by-digits")
    options = scene("boxes.json", 3, (1920, 1080))
    for number, folder in enumerate(("0001/", "./0001")):
        assert main([folder, *options, "--out", f"{number}.json"]) == 0
        assert len(read_tracks(f"{number}.json").frames) == 3
    assert main(["0001/", "0002/", *options, "--out", "outs"]) == 0
    assert sorted(path.name for path in Path("outs").iterdir()) == ["0001.json", "0002.json"]


def test_restarting_time_stamps_give_the_same_frames_from_any_start(case: Copy, numbered: ModuleType) -> None:
    case("ts-restart-start")
    assert seen_numbers("catd.ts", numbered) == {n: n for n in range(120)}
    assert seen_numbers("catd.ts", numbered, 1.3333) == {n: n for n in range(34, 120)}
    late = seen_numbers("catd.ts", numbered, 3.0)
    assert late and late == {n: n for n in range(min(late), 120)}


def test_hidden_folders_are_no_people(case: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    case("reid-hidden-folders")
    words = "data check folder --root ipynb --option keypoints=none --option masks=none"
    assert main(words.split()) == 0
    report = capsys.readouterr().out
    assert "24 crops" in report
    assert "by 2 cameras" in report
    assert "3 cameras" not in report


def test_an_edit_list_does_not_count_hidden_frames(case: Copy) -> None:
    case("edit-list-frame-count")
    assert main(["edit.mp4", *scene("boxes.json", 60), "--out", "o.json"]) == 0
    file = read_tracks("o.json")
    assert len(file.frames) == 47
    assert file.header.video["frames"] in (47, None)


def test_track_ids_in_attributes_are_read(case: Copy) -> None:
    case("cvat-track-id-in-attributes")
    assert main(["convert", "cvat_attr.json", "o.csv"]) == 0
    inside = [
        one["attributes"]["track_id"] for one in json.loads(Path("cvat_attr.json").read_text())["annotations"]
    ]
    raised = 1 - min(inside)  # ids count from 1
    assert sorted(int(row["track_id"]) for row in rows("o.csv")) == sorted(one + raised for one in inside)


def test_a_ground_truth_that_does_not_count_gets_a_note(
    case: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    case("mot-truth-with-confidences")
    assert main(["eval", "mot", "--ground-truth", "conf.txt", "--results", "ok.txt"]) == 0
    out, err = capsys.readouterr()
    assert "all 3 ground-truth boxes have a flag below 1" in out + err


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("name", ["mm_ema", "mmtrack", "mm3_ema", "mm3_pre"])
def test_checkpoints_of_mmdet_give_the_same_boxes_in_every_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from kprtrack import TrackConfig, build_detector
    from kprtrack.build import compute_config
    from kprtrack.config import ComponentConfig
    from kprtrack.core.datatypes import Frame

    (tmp_path / "shared").symlink_to(paths.SHARED)
    (tmp_path / "work" / "ck").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    runpy.run_path(str(CASES / "mmdet-ema-checkpoint" / "ck2.py"))
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    found = []
    for weights in ("ck/mm.pth", f"ck/{name}.pth"):
        options = {"min_score": 0.0, "input_height": 96, "input_width": 128}
        config = TrackConfig(ComponentConfig("yolox-nano", weights, options), device="cpu", backend="torch")
        found.append(build_detector(config.detector, compute_config(config))([Frame(0, 0.0, image)])[0])
    assert len(found[0]) and np.array_equal(found[0].boxes, found[1].boxes)


def test_frame_ids_do_not_make_keypoints_posetracks(case: Copy) -> None:
    case("cocovid-taken-for-posetrack")
    plain, video = (read_tracks(name).frames for name in ("nonames.json", "nonames_frameid.json"))
    assert any(tracks.keypoints[:, 1:3, 2].any() for tracks in plain)  # the eyes, which PoseTrack lacks
    for one, other in zip(plain, video, strict=True):
        assert np.array_equal(one.keypoints, other.keypoints)
        assert np.array_equal(one.boxes, other.boxes)


def test_two_videos_in_one_file_are_not_one_sequence(case: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    case("two-videos-in-one-coco")
    names = [video["name"] for video in json.loads(Path("twovid.json").read_text())["videos"]]
    assert main(["convert", "twovid.json", "o.csv"]) in (2, 3)
    message = errors(capsys)
    assert all(name in message for name in names)
    assert not Path("o.csv").exists()


def test_an_animated_image_is_read_whole(case: Copy, numbered: ModuleType) -> None:
    case("animated-image-one-frame")
    assert seen_numbers("anim60.webp", numbered) == {n: n for n in range(60)}


def test_tracks_are_not_drawn_on_a_video_of_another_size(
    case: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    case("draw-on-another-video")
    assert main(["draw", "t4.json", "four2.mp4", "--out", "d.mp4"]) in (2, 3)
    message = errors(capsys)
    assert "320" in message and "640" in message
    assert not Path("d.mp4").exists()


def test_tracks_on_another_file_of_the_same_size_get_a_note(
    case: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = case("draw-on-another-video")
    same = shutil.copy(CASES / "coco-category-names" / "four.mp4", folder / "same.mp4")
    assert main(["draw", "t4.json", str(same), "--out", "d.mp4"]) == 0
    quiet = errors(capsys)
    with (folder / "same.mp4").open("ab") as file:  # an empty box at the end: the same frames, another hash
        file.write(b"\x00\x00\x00\x08free")
    assert main(["draw", "t4.json", "same.mp4", "--out", "d.mp4"]) == 0
    assert len(errors(capsys).splitlines()) > len(quiet.splitlines())


def test_a_trailing_comma_is_no_number(case: Copy) -> None:
    case("mot-trailing-comma")
    assert main(["convert", "trailing.txt", "o.csv"]) == 0
    expected = [(frame, 1, 10.0 + frame) for frame in range(3)]
    assert [(int(r["frame"]), int(r["track_id"]), float(r["x"])) for r in rows("o.csv")] == expected
    assert [len(people) for people in (read_people(Path("trailing.txt")).people,)] == [3]
    detector = build_detector(ComponentConfig("file", "trailing.txt"), ComputeConfig("cpu"))
    track_video("four.mp4", "o.json", networks=replace(fake_run.NETWORKS, detect=detector))
    assert sum(len(tracks) for tracks in read_tracks("o.json").frames) == 3


def test_whole_numbers_with_a_point_are_ids(case: Copy) -> None:
    case("float-ids")
    assert main(["convert", "float_track.json", "o.csv"]) == 0
    given = [one["track_id"] for one in json.loads(Path("float_track.json").read_text())["annotations"]]
    assert sorted(int(row["track_id"]) for row in rows("o.csv")) == sorted(map(int, given))


def test_a_config_may_begin_with_a_byte_order_mark(case: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    case("bom-config")
    assert main(["--config", "bom.json", "--print-config"]) == 0
    assert json.loads(capsys.readouterr().out)["tracker"]["options"]["high_score"] == 0.5


def test_frames_after_a_bad_packet_are_read(case: Copy, numbered: ModuleType) -> None:
    case("one-bad-packet-ends-all")
    assert main(["bitrot.mp4", *scene("boxes.json", 60), "--out", "o.json"]) == 3
    file = read_tracks("o.json")
    assert {0, 10, 30, 59} <= {tracks.frame_number for tracks in file.frames}
    assert file.complete is False
    damaged = _frames(json.loads(Path("o.json").read_text())["damaged_frames"])
    wrong = {number for number, shown in seen_in_damaged(numbered).items() if number != shown}
    assert wrong <= damaged
    assert len(damaged) < 30


def seen_in_damaged(numbered: ModuleType) -> dict[int, int]:
    """As `seen_numbers`, of a video whose end is an error."""
    from kprtrack.video.inputs import TruncatedVideo

    seen: dict[int, int] = {}
    with open_source("bitrot.mp4") as source:
        try:
            for frame in source:
                seen[frame.number] = numbered.number(frame.image)
        except TruncatedVideo:
            pass
    return seen


def _frames(entries: list[int | list[int]]) -> set[int]:
    """Frame numbers of a list of numbers and of ranges [first, last]."""
    spans = [entry if isinstance(entry, list) else [entry, entry] for entry in entries]
    return {number for first, last in spans for number in range(first, last + 1)}
