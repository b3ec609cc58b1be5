"""Crops of tracked people against the pixels of their video, decoded by PyAV."""

import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from support.tracks_cases import tracks_of

from kprtrack.adaptation.clean_tracks import CleanTrackConfig
from kprtrack.adaptation.track_crops import write_track_crops
from kprtrack.cli.main import main
from kprtrack.core.errors import InputError
from kprtrack.core.skeletons import SKELETONS
from kprtrack.io import RunHeader, TrackFile, open_writer
from reid.datasets import open_dataset
from reid.datasets.crops import skeletons_of

FRAMES, WIDTH, HEIGHT = 8, 128, 96
BOXES = {1: (10.4, 8.0, 40.0, 88.0), 7: (70.0, 4.0, 140.0, 90.5)}  # the second leaves the image
CONFIG = CleanTrackConfig(min_crops=2, max_crops=4)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Each frame has another colour at each place."""
    path, (y, x) = tmp_path / "yard.mp4", np.mgrid[:HEIGHT, :WIDTH]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            image = np.stack([x * 2, y * 2, np.full_like(x, 30 * number)], axis=2).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def tracks() -> TrackFile:
    keypoints = np.zeros((2, 17, 3), np.float32)
    keypoints[0, :, 0], keypoints[0, :, 1], keypoints[0, :, 2] = 25, np.linspace(10, 80, 17), 0.9
    keypoints[1, :, 0], keypoints[1, :, 1], keypoints[1, :, 2] = 100, np.linspace(10, 80, 17), 0.9
    keypoints[1, 9, :2] = 20, 50  # a hand in front of the other
    frames = [
        tracks_of(BOXES, number=row, time_s=row / 10, keypoints=keypoints.copy()) for row in range(FRAMES)
    ]
    return TrackFile(RunHeader({"width": WIDTH, "height": HEIGHT, "fps": 10.0}), frames, True)


def test_crops_are_the_pixels_of_the_boxes(video: Path, tracks: TrackFile, tmp_path: Path) -> None:
    chosen = write_track_crops(tracks, video, tmp_path / "people", CONFIG)

    assert chosen.frames == {1: (0, 2, 5, 7), 7: (0, 2, 5, 7)}
    with av.open(str(video)) as container:
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for name, (left, right, top, bottom) in {"yard-1": (10, 40, 8, 88), "yard-7": (70, 128, 4, 91)}.items():
        for number in (0, 2, 5, 7):
            found = cv2.imread(str(tmp_path / "people" / name / f"{number:06}.jpg"))[..., ::-1]
            expected = images[number][top:bottom, left:right]
            assert found.shape == expected.shape
            assert np.abs(found.astype(int) - expected).mean() < 3  # JPEG


def test_keypoints_move_with_the_crop_and_others_inside_it_follow(
    video: Path, tracks: TrackFile, tmp_path: Path
) -> None:
    write_track_crops(tracks, video, tmp_path / "people", CONFIG)

    file = tmp_path / "people/external_annotation/kprtrack/yard-1/000002.jpg_keypoints.json"
    own, other = json.loads(file.read_text())
    assert [own["is_target"], other["is_target"]] == [True, False]
    np.testing.assert_allclose(np.array(own["keypoints"])[[0, -1]], [[15, 2, 0.9], [15, 72, 0.9]], atol=0.01)
    np.testing.assert_allclose(other["keypoints"][9], [10, 42, 0.9], atol=0.01)
    alone = tmp_path / "people/external_annotation/kprtrack/yard-7/000002.jpg_keypoints.json"
    assert len(json.loads(alone.read_text())) == 1


def test_the_folder_is_a_data_set_of_people(video: Path, tracks: TrackFile, tmp_path: Path) -> None:
    write_track_crops(tracks, video, tmp_path / "people", CONFIG)

    data = open_dataset("folder", tmp_path / "people", {"train_share": 0.0, "masks": None})
    assert len({each.identity for each in data.samples}) == 2
    assert len(data.samples) == 8
    first = next(each for each in data.samples if each.image.parent.name == "yard-1")
    skeletons = skeletons_of(first, 80, 30)
    assert (skeletons[..., 2] > 0).sum(axis=1).tolist() == [17, 1]


def test_unknown_keypoints_are_left_to_an_estimator(video: Path, tracks: TrackFile, tmp_path: Path) -> None:
    unknown = [replace(each, keypoints=np.zeros_like(each.keypoints)) for each in tracks.frames]
    write_track_crops(replace(tracks, frames=unknown), video, tmp_path / "people", CONFIG)
    assert not (tmp_path / "people" / "external_annotation").exists()


def test_keypoints_of_another_set_are_written_as_those_of_coco(
    video: Path, tracks: TrackFile, tmp_path: Path
) -> None:
    halpe = SKELETONS["halpe26"]
    more = [
        replace(
            each, keypoints=np.concatenate([each.keypoints, each.keypoints[:, :9]], axis=1), skeleton=halpe
        )
        for each in tracks.frames
    ]
    write_track_crops(replace(tracks, frames=more), video, tmp_path / "people", CONFIG)
    file = tmp_path / "people/external_annotation/kprtrack/yard-1/000002.jpg_keypoints.json"
    own, other = json.loads(file.read_text())
    np.testing.assert_allclose(np.array(own["keypoints"])[[0, -1]], [[15, 2, 0.9], [15, 72, 0.9]], atol=0.01)
    np.testing.assert_allclose(other["keypoints"][9], [10, 42, 0.9], atol=0.01)


def test_a_result_without_clean_tracks_and_a_shorter_video_are_refused(
    video: Path, tracks: TrackFile, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"None of 2 tracks of 'yard' shows a person 200 pixels tall"):
        write_track_crops(tracks, video, tmp_path / "people", replace(CONFIG, min_height_px=200))
    late = replace(
        tracks, frames=[replace(each, frame_number=each.frame_number + 4) for each in tracks.frames]
    )
    with pytest.raises(InputError, match=r"'yard' has 2 of the 4 frames"):
        write_track_crops(late, video, tmp_path / "people", CONFIG)


def test_the_command_says_how_many_crops_and_who_is_left_out(
    video: Path,
    tracks: TrackFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_writer(Path("tracks.json"), tracks.header) as writer:
        for frame in tracks.frames:
            writer.write(frame)
    words = ["data", "crops", "tracks.json", "yard.mp4", "--out", "people", "--min-height", "82"]
    assert main([*words, "--images", "4"]) == 0
    assert capsys.readouterr().out == (
        "4 crops of 1 people; tracks left out: 1\n  1: 0 clean frames in a row\n"
    )
    assert sorted(path.name for path in Path("people").iterdir()) == ["external_annotation", "yard-7"]
    assert main(words[:-4]) == 2
    assert "--out DIR" in capsys.readouterr().err
