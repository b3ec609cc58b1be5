"""RTMO as detector and pose estimator of one network: a toy with the outputs of OpenMMLab's export."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.fake_run import make_video
from support.frames import frames_of
from support.onnx_files import write_heatmap_network, write_rtmo_network, write_suppressing_network

from kprtrack import (
    ComponentConfig,
    TrackConfig,
    Tracker,
    build_networks,
    build_pose_estimator,
    observe_video,
    read_observations,
    read_tracks,
    track_observations,
    track_video,
)
from kprtrack.core.datatypes import Detections
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.skeletons import BY_COUNT
from kprtrack.detectors.rtmo import RtmoConfig, RtmoDetector
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import observe
from kprtrack.poses.rtmo import RtmoPose, RtmoPoseConfig

COMPUTE = ComputeConfig("cpu", threads=1)
# Two pixels of the canvas of 96 x 96 for each of the image.
IMAGE = np.full((48, 48, 3), 255, np.uint8)


def opened(folder: Path, **options: object) -> tuple[RtmoDetector, RtmoPose]:
    detector = RtmoDetector(RtmoConfig(), write_rtmo_network(folder, **options), COMPUTE)
    return detector, RtmoPose(RtmoPoseConfig(), detector, COMPUTE)


@pytest.mark.parametrize("boxes_first", [True, False])
@pytest.mark.parametrize("batch", ["N", 1])
@pytest.mark.parametrize("keypoints", [17, 26])
def test_boxes_best_first_and_their_poses_in_pixels_of_the_image(
    tmp_path: Path, keypoints: int, batch: object, boxes_first: bool
) -> None:
    detect, estimate = opened(tmp_path, keypoints=keypoints, batch=batch, boxes_first=boxes_first)
    frames = frames_of([IMAGE, IMAGE // 255 * 0])
    found = detect(frames)
    # The third score, 0.1, and the row that fills up the output are below the threshold.
    np.testing.assert_allclose(found[0].boxes, [[16, 8, 32, 40], [4, 4, 12, 20]])
    np.testing.assert_allclose(found[0].scores, [0.9, 0.8], rtol=1e-6)
    assert len(found[1]) == 0
    poses = estimate(frames, found)
    assert [len(each) for each in poses] == [2, 0]
    assert poses[0].skeleton == BY_COUNT[keypoints]
    rows = np.arange(keypoints)
    np.testing.assert_allclose(poses[0].keypoints[0, :, 0], (10 + rows) / 2)
    np.testing.assert_allclose(poses[0].keypoints[0, :, 1], (20 + rows) / 2)
    np.testing.assert_allclose(poses[0].keypoints[1, :, 0], rows / 2)
    np.testing.assert_allclose(poses[0].keypoints[0, :, 2], (rows + 1) / (keypoints + 1), rtol=1e-5)


def test_the_last_channel_of_the_input_is_red_as_the_network_was_trained_with_bgr(tmp_path: Path) -> None:
    detect, _ = opened(tmp_path)
    red, blue = np.zeros((2, 48, 48, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 255
    assert [len(found) for found in detect(frames_of([red, blue]))] == [2, 0]


def test_poses_of_some_boxes_of_an_earlier_batch_and_of_boxes_from_elsewhere(tmp_path: Path) -> None:
    detect, estimate = opened(tmp_path)
    frames = frames_of([IMAGE] * 3)
    found = detect(frames)[1]
    one = Detections(found.boxes[1:], found.scores[1:])
    (poses,) = estimate(frames[1:2], [one])
    np.testing.assert_allclose(poses.keypoints[0, :, 0], np.arange(17) / 2)
    near = Detections(found.boxes[[1]] + np.float32(0.5), np.float32([0.3]))
    far = Detections(np.float32([[0, 30, 4, 40]]), np.float32([0.3]))
    poses = estimate(frames_of([IMAGE, IMAGE]), [near, far])
    np.testing.assert_allclose(poses[0].keypoints[0, :, 0], np.arange(17) / 2)
    assert not poses[1].keypoints.any()


def test_the_network_runs_once_for_detections_and_poses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect, estimate = opened(tmp_path)
    runs = []
    run = detect._network.run
    monkeypatch.setattr(detect._network, "run", lambda images: runs.append(len(images)) or run(images))
    frames = frames_of([IMAGE] * 4)
    found = detect(frames)
    for frame, each in zip(frames, found, strict=True):
        estimate([frame], [each])
    assert sum(runs) == 4


def config(folder: Path, pose: str = "rtmo") -> TrackConfig:
    weights = str(write_rtmo_network(folder))
    detector = ComponentConfig("rtmo", weights=weights)
    return TrackConfig(detector=detector, pose=ComponentConfig(pose), reid="none", device="cpu")


def test_a_run_has_both_from_one_file(tmp_path: Path) -> None:
    networks = build_networks(config(tmp_path))
    (observation,) = observe(frames_of([IMAGE]), networks)
    assert len(observation) == 2
    assert observation.poses.keypoints[..., 2].any()
    assert networks.metadata["detector"]["file"] == "rtmo.onnx"
    assert networks.metadata["pose"] == {"name": "rtmo"}


def test_a_run_names_the_set_of_keypoints_of_its_network(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4")
    weights = str(write_rtmo_network(tmp_path, keypoints=26))
    detector = ComponentConfig("rtmo", weights=weights, options={"min_score": 0.01})
    found = TrackConfig(detector=detector, pose="rtmo", reid="none", tracker="bytetrack", device="cpu")
    observe_video(video, tmp_path / "o.npz", found)
    track_video(video, tmp_path / "t.json", found)
    track_observations(read_observations(tmp_path / "o.npz"), tmp_path / "again.json", found)
    for path in (tmp_path / "t.json", tmp_path / "again.json"):
        file = read_tracks(path)
        assert file.header.skeleton == BY_COUNT[26]
        assert all(tracks.keypoints.shape[1:] == (26, 3) for tracks in file.frames)
    assert read_observations(tmp_path / "o.npz").header.skeleton == BY_COUNT[26]


def test_the_online_tracker_runs_it_for_whole_images_and_for_boxes(tmp_path: Path) -> None:
    for boxes in (None, np.array([[16, 8, 32, 40]])):
        tracks = Tracker(config(tmp_path)).update(IMAGE, boxes)
        assert len(tracks) == (2 if boxes is None else 1)
        assert tracks.keypoints[..., 2].any()


def test_poses_without_their_detector_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="add --detector rtmo") as caught:
        build_pose_estimator("rtmo", COMPUTE)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="add --detector rtmo"):
        build_networks(replace(config(tmp_path), detector=ComponentConfig("small")))
    with pytest.raises(UserError, match="leave --pose-weights out"):
        build_networks(replace(config(tmp_path), pose=ComponentConfig("rtmo", weights="a.onnx")))


@pytest.mark.parametrize("keypoints", [21, 16])
def test_an_unknown_number_of_keypoints_is_one_line(tmp_path: Path, keypoints: int) -> None:
    with pytest.raises(WeightsError, match=r"K of 17 \(coco17\)") as caught:
        opened(tmp_path, keypoints=keypoints)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [write_heatmap_network, write_suppressing_network])
def test_a_network_of_another_task_is_one_line(tmp_path: Path, write: object) -> None:
    with pytest.raises(WeightsError, match="For a YOLOX: --detector yolox-onnx"):
        RtmoDetector(RtmoConfig(), write(tmp_path), COMPUTE)


def test_a_threshold_outside_0_to_1_is_an_error() -> None:
    with pytest.raises(UserError, match="min_score is 2"):
        RtmoConfig(min_score=2)
