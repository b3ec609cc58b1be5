"""COCO with its images: opened with pycocotools and sleap-io; the frames are those of the video."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import fake_run
from support.export_cases import (
    HEADER,
    HEIGHT,
    PRESENT,
    WIDTH,
    box_of,
    export,
    keypoints_of,
    tracks_of,
)

import kprtrack
from kprtrack.cli.main import main


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with video.mp4 of 12 frames and its tracks.json."""
    monkeypatch.chdir(tmp_path)
    fake_run.make_video(tmp_path / "video.mp4")
    kprtrack.track_video("video.mp4", "tracks.json", networks=fake_run.NETWORKS)
    return tmp_path


def test_the_images_are_the_frames_that_the_file_names(result: Path) -> None:
    assert main(["convert", "tracks.json", "coco.json", "--to", "coco", "--images", "images"]) == 0
    images = json.loads((result / "coco.json").read_text())["images"]
    assert sorted(path.name for path in (result / "images").iterdir()) == [
        each["file_name"] for each in images
    ]
    with kprtrack.open_source("video.mp4") as video:
        for frame, each in zip(video, images, strict=True):
            with Image.open(result / "images" / each["file_name"]) as image:
                assert image.size == (each["width"], each["height"])
                np.testing.assert_array_equal(np.asarray(image), frame.image)


@pytest.mark.slow
def test_sleap_io_opens_the_annotations_with_the_images(result: Path) -> None:
    sio = pytest.importorskip("sleap_io")
    assert main(["convert", "tracks.json", "coco.json", "--to", "coco", "--images", "."]) == 0
    labels = sio.load_coco("coco.json")
    assert len(labels) == 12
    assert {len(frame.instances) for frame in labels} == {2}


def test_pycocotools_reads_the_annotations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    data = coco.COCO(str(export(tmp_path, "c.json", "coco")[0]))
    capsys.readouterr()
    (found,) = data.loadAnns(data.getAnnIds(imgIds=5))
    assert data.loadImgs(5)[0]["file_name"] == "frame_000004.png"
    points = np.array(found["keypoints"]).reshape(17, 3)
    np.testing.assert_allclose(points[:, :2], keypoints_of(2, 4)[:, :2], atol=0.006)


@pytest.mark.slow
def test_the_importer_of_fiftyone_reads_people_frames_without_people_and_identities(tmp_path: Path) -> None:
    """The importer alone, which needs no database, unlike the dataset that it fills."""
    coco = pytest.importorskip("fiftyone.utils.coco")
    (labels,) = export(tmp_path, "c.json", "coco")
    names = {f"frame_{frame:06d}.png": ids for frame, ids in PRESENT.items()}
    (tmp_path / "images").mkdir()
    for name in names:
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "images" / name)
    importer = coco.COCODetectionDatasetImporter(
        data_path=str(tmp_path / "images"),
        labels_path=str(labels),
        label_types=["detections", "keypoints"],
        extra_attrs=True,
    )
    size = np.array([WIDTH, HEIGHT])
    found = {}
    with importer:
        for path, _, people in importer:
            name = Path(path).name
            frame = int(name[6:12])
            boxes, poses = (people[kind] for kind in ("detections", "keypoints")) if people else ([], [])
            rows = [] if not people else list(zip(boxes.detections, poses.keypoints, strict=True))
            found[name] = tuple(box["track_id"] for box, _ in rows)
            for box, pose in rows:
                corner, extent = np.reshape(box.bounding_box, (2, 2)) * size
                wanted = box_of(box["track_id"], frame)
                np.testing.assert_allclose([*corner, *(corner + extent)], wanted, atol=0.011)
                known = keypoints_of(pose["track_id"], frame)[:, :2]
                known[(known == 0).all(axis=1)] = np.nan
                np.testing.assert_allclose(np.array(pose.points, float) * size, known, atol=0.006)
                assert np.isnan(known).any() == (pose["track_id"] == 7)
    assert found == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "coco", "--images", "i", "--video", "missing.mp4"], "missing.mp4"),
        (["--images", "i"], "Add --to coco"),
        (["--to", "coco", "--video", "video.mp4"], "--video is for --images DIR"),
        (["--to", "coco", "--images", "tracks.json"], "it is not a folder"),
        (["--only", "1,x"], "--only 1,x: name track IDs, such as --only 1,3."),
        (["--fps", "0"], "--fps must be a number above 0, not 0."),
        (
            ["--to", "trc", "--metres-per-pixel", "nan"],
            "--metres-per-pixel must be a number above 0, not nan.",
        ),
    ],
)
def test_wrong_options_are_one_line(
    result: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "tracks.json", "out.json", *options]) > 0
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_video_that_ends_too_early_or_is_not_named_is_one_line(
    result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = kprtrack.RunHeader(video={"width": 64, "height": 48})
    export(result, "long.csv", frames=[tracks_of(number, (2,)) for number in (3, 50)], header=header)
    assert main(["convert", "long.csv", "c.json", "--to", "coco", "--images", "i"]) == 2
    assert "Name it: --video FILE" in capsys.readouterr().err
    assert (
        main(["convert", "long.csv", "c.json", "--to", "coco", "--images", "i", "--video", "video.mp4"]) == 3
    )
    assert "has 1 of the 2 frames of the result" in capsys.readouterr().err


def test_files_of_several_people_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(tmp_path, "t.json", header=HEADER)
    assert main(["convert", str(tmp_path / "t.json"), str(tmp_path / "o.trc")]) == 0
    assert "2 files, one for each person: " in capsys.readouterr().err
