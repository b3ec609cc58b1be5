"""SimCC networks from ONNX and OpenVINO files: a toy network whose keypoints are where a spot is."""

import numpy as np
import pytest
from support.frames import frames_of
from support.onnx_files import write_heatmap_network, write_simcc_network

from kprtrack.core.datatypes import Detections
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.skeletons import BY_COUNT
from kprtrack.inference.devices import ComputeConfig
from kprtrack.poses.rtmpose import RtmPose, RtmPoseConfig, decode_simcc

# Scores of columns and rows: the first channel of the crop, 0..1.
PLAIN = RtmPoseConfig(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))
COMPUTE = ComputeConfig(threads=1, batch=3)
SUFFIXES = pytest.mark.parametrize("suffix", [".onnx", ".xml"])


def spot(x: int, y: int) -> np.ndarray:
    """[200, 240, 3] uint8, RGB: a red spot of 12 pixels around a place, on black."""
    rows, columns = np.mgrid[:200, :240]
    image = np.zeros((200, 240, 3), np.uint8)
    image[..., 0] = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 50)
    return image


def people(count: int = 1) -> Detections:
    box = np.array([[20, 30, 80, 190]], np.float32)
    return Detections(np.tile(box, (count, 1)), np.ones(count, np.float32))


@SUFFIXES
@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_keypoints_are_where_the_spot_is_with_any_batch_size_of_the_file(tmp_path, suffix, batch):
    estimate = RtmPose(PLAIN, write_simcc_network(tmp_path, suffix, batch=batch), COMPUTE)
    images = [spot(50, 100), spot(60, 90), spot(40, 120)]
    poses = estimate(frames_of(images), [people(5), people(0), people(1)])
    assert [one.keypoints.shape for one in poses] == [(5, 17, 3), (0, 17, 3), (1, 17, 3)]
    # A crop has 1.28 pixels for each of the frame.
    assert np.abs(poses[0].keypoints[..., :2] - (50, 100)).max() < 1
    assert np.abs(poses[2].keypoints[..., :2] - (40, 120)).max() < 1
    assert poses[0].keypoints[..., 2].min() > 0.95


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("keypoints", [26, 133])
def test_larger_sets_keep_all_their_keypoints(tmp_path, keypoints, declared):
    path = write_simcc_network(tmp_path, keypoints=keypoints, declared=declared)
    estimate = RtmPose(PLAIN, path, COMPUTE)
    (poses,) = estimate(frames_of([spot(50, 100)]), [people(2)])
    assert estimate.skeleton == poses.skeleton == BY_COUNT[keypoints]
    assert poses.keypoints.shape == (2, keypoints, 3)
    assert np.abs(poses.keypoints[..., :2] - (50, 100)).max() < 1


def test_colour_order_and_normalisation_are_those_of_the_configuration(tmp_path):
    path = write_simcc_network(tmp_path)
    blue = frames_of([np.ascontiguousarray(spot(50, 100)[..., ::-1])])
    (as_rgb,) = RtmPose(PLAIN, path, COMPUTE)(blue, [people()])
    bgr = RtmPoseConfig(mean=PLAIN.mean, std=(510.0, 255.0, 255.0), channels="bgr")
    (as_bgr,) = RtmPose(bgr, path, COMPUTE)(blue, [people()])
    assert as_rgb.keypoints[..., 2].max() == 0
    assert as_bgr.keypoints[..., 2].max() == pytest.approx(0.5, abs=0.02)


def test_the_confidence_is_the_lower_of_both_maxima_within_0_and_1():
    x, y = np.full((3, 1, 384), -1.0), np.full((3, 1, 512), -1.0)
    x[:, 0, 100], y[:, 0, 301] = (0.7, 1.4, -0.2), (0.9, 1.2, 0.5)
    points, confidences = decode_simcc(x, y, 192, 256)
    np.testing.assert_array_equal(points, np.tile([[[50.0, 150.5]]], (3, 1, 1)))
    np.testing.assert_array_equal(confidences, [[0.7], [1.0], [0.0]])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"keypoints": 1001}, r"\[any, 1001, 384\]"),
        ({"keypoints": 1001, "declared": False}, r", 1001, 384\]"),
        ({"columns_first": False}, r"\[any, 17, 512\] and"),
    ],
)
def test_a_network_with_too_many_keypoints_or_exchanged_outputs_is_an_error(tmp_path, options, words):
    with pytest.raises(WeightsError, match=words) as caught:
        RtmPose(PLAIN, write_simcc_network(tmp_path, **options), COMPUTE)
    assert "\n" not in str(caught.value)


def test_a_heatmap_network_is_an_error_that_names_its_pose_estimator(tmp_path):
    with pytest.raises(WeightsError, match="For heatmaps: --pose heatmap"):
        RtmPose(PLAIN, write_heatmap_network(tmp_path), COMPUTE)


@pytest.mark.parametrize("wrong", [{"channels": "rbg"}, {"std": (1.0, 0.0, 1.0)}, {"box_padding": 0.0}])
def test_invalid_settings_are_errors(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        RtmPoseConfig(**wrong)


def test_numbers_that_are_not_finite_are_an_error(tmp_path):
    config = RtmPoseConfig(mean=(-np.inf, 0.0, 0.0), std=PLAIN.std)
    estimate = RtmPose(config, write_simcc_network(tmp_path), COMPUTE)
    with pytest.raises(UserError, match="not finite"):
        estimate(frames_of([spot(50, 100)]), [people()])
