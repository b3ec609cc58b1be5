"""YOLOX from ONNX and OpenVINO files: toy networks, and YOLOX-nano of COCO where it is at hand."""

import numpy as np
import pytest
from support import paths
from support.frames import frames_of
from support.onnx_files import write_heatmap_network, write_suppressing_network, write_yolox_network

from kprtrack.core.errors import UserError, WeightsError
from kprtrack.detectors.yolox import YoloxConfig, YoloxDetector
from kprtrack.detectors.yolox_onnx import YoloxOnnxConfig, YoloxOnnxDetector
from kprtrack.inference.devices import ComputeConfig

WEIGHTS = paths.SHARED / "real" / "weights"
COMPUTE = ComputeConfig(threads=1, batch=2)


def with_spots(height: int, width: int, *spots: tuple[int, int]) -> np.ndarray:
    """A black image with a red pixel (column, row) for each spot; each darker than the one before."""
    image = np.zeros((height, width, 3), np.uint8)
    for number, (x, y) in enumerate(spots):
        image[y, x, 0] = 255 - 40 * number
    return image


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_boxes_are_around_the_cells_that_the_network_names(tmp_path, suffix, batch):
    detect = YoloxOnnxDetector(YoloxOnnxConfig(), write_yolox_network(tmp_path, suffix, batch=batch), COMPUTE)
    one = with_spots(96, 96, (20, 52))
    two = with_spots(96, 96, (20, 52), (40, 10))
    found = detect(frames_of([one, two, one]))
    # The middle of cell 2, 6 of 8 x 8 pixels is 20, 52.
    np.testing.assert_allclose(found[0].boxes, [[4, 36, 36, 68]], atol=1e-4)
    np.testing.assert_allclose(found[1].boxes, [[4, 36, 36, 68], [28, -4, 60, 28]], atol=1e-4)
    np.testing.assert_allclose(found[1].scores, [1, 215 / 255], atol=1e-5)
    np.testing.assert_array_equal(found[2].boxes, found[0].boxes)


def test_boxes_are_in_pixels_of_the_frame_whatever_its_size(tmp_path):
    detect = YoloxOnnxDetector(YoloxOnnxConfig(), write_yolox_network(tmp_path), COMPUTE)
    large = np.kron(with_spots(96, 96, (20, 52)), np.ones((4, 4, 1), np.uint8))
    (found,) = detect(frames_of([large]))
    np.testing.assert_allclose(found.boxes, [[16, 144, 144, 272]], atol=1e-3)


def test_suppression_and_the_lowest_score_are_those_of_the_configuration(tmp_path):
    path = write_yolox_network(tmp_path, classes=1)
    frame = frames_of([with_spots(96, 96, (20, 52), (28, 52), (76, 20))])  # the first two overlap by 0.6
    for config, count in (
        (YoloxOnnxConfig(), 3),
        (YoloxOnnxConfig(nms_iou=0.5), 2),
        (YoloxOnnxConfig(nms_iou=0.5, min_score=0.9), 1),
    ):
        assert len(YoloxOnnxDetector(config, path, COMPUTE)(frame)[0]) == count


def test_the_older_preprocessing_normalises_rgb(tmp_path):
    config = YoloxOnnxConfig(preprocess="legacy", min_score=0.0)
    blue = with_spots(96, 96, (20, 52))[..., ::-1]
    (found,) = YoloxOnnxDetector(config, write_yolox_network(tmp_path), COMPUTE)(frames_of([blue]))
    assert found.scores.max() == pytest.approx((1 - 0.406) / 0.225 / 255, rel=1e-4)


@pytest.mark.parametrize("side", [64, "any"])
def test_people_are_taken_from_boxes_that_the_network_has_suppressed(tmp_path, side):
    sides = {} if side == 64 else {"input_height": 64, "input_width": 64}
    path = write_suppressing_network(tmp_path, side)
    frames = frames_of([with_spots(128, 128, (3, 3)), np.zeros((64, 64, 3), np.uint8)])
    frames[0].image[:] = frames[0].image.max(axis=(0, 1))  # all of it red
    first, second = YoloxOnnxDetector(YoloxOnnxConfig(nms_iou=0.99, **sides), path, COMPUTE)(frames)
    np.testing.assert_allclose(first.boxes, [[16, 16, 48, 80], [16, 16, 48, 78]])
    np.testing.assert_allclose(first.scores, [0.9, 0.7], atol=1e-6)
    assert len(second) == 0
    (stricter, _) = YoloxOnnxDetector(YoloxOnnxConfig(**sides), path, COMPUTE)(frames)
    assert len(stricter) == 1


def test_a_canvas_that_is_not_known_or_another_than_the_file_has_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"any size: add --set detector\.input_height=640"):
        YoloxOnnxDetector(YoloxOnnxConfig(), write_suppressing_network(tmp_path, "any"), COMPUTE)
    with pytest.raises(UserError, match="input_height 96, not 128"):
        YoloxOnnxDetector(YoloxOnnxConfig(input_height=128), write_yolox_network(tmp_path), COMPUTE)


def test_another_network_is_an_error_of_one_line(tmp_path):
    with pytest.raises(
        WeightsError, match=r"gives \[any, 17, 64, 48\]; a YOLOX gives \[N, 1008, 5 \+"
    ) as caught:
        YoloxOnnxDetector(YoloxOnnxConfig(), write_heatmap_network(tmp_path), COMPUTE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"preprocess": "rgb"}, {"nms_iou": 1.5}, {"input_width": 100}])
def test_invalid_settings_are_errors(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        YoloxOnnxConfig(**wrong)


@pytest.mark.weights
def test_yolox_nano_gives_the_boxes_of_the_same_weights_in_torch():
    import cv2

    video = WEIGHTS.parent / "videos" / "mmaction2_demo_skeleton.mp4"
    onnx, torch = WEIGHTS / "yolox_nano_coco80_416.onnx", WEIGHTS / "yolox_nano_torch_from_onnx.pth"
    if not (video.exists() and onnx.exists() and torch.exists()):
        pytest.skip("needs ../shared/real")
    capture = cv2.VideoCapture(str(video))
    frames = frames_of([np.ascontiguousarray(capture.read()[1][..., ::-1]) for _ in range(2)])
    ours = YoloxOnnxDetector(YoloxOnnxConfig(), onnx, COMPUTE)(frames)
    whole = YoloxConfig(size="nano", input_height=416, input_width=416, padding="full")
    theirs = YoloxDetector(whole, torch, ComputeConfig(threads=1, backend="torch"))(frames)
    for mine, expected in zip(ours, theirs, strict=True):
        assert len(expected) >= 2
        np.testing.assert_allclose(mine.boxes, expected.boxes, atol=0.01)
        np.testing.assert_allclose(mine.scores, expected.scores, atol=1e-5)
