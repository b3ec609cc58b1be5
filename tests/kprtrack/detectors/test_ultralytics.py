import importlib.util
import sys

import numpy as np
import pytest
import torch
from support.frames import frames_of

from kprtrack.core.errors import UserError, WeightsError
from kprtrack.detectors.ultralytics import UltralyticsConfig, UltralyticsDetector
from kprtrack.inference.devices import ComputeConfig

INSTALLED = importlib.util.find_spec("ultralytics") is not None


class FakeBoxes:
    """The result of ultralytics for one image."""

    def __init__(self, rows: list[list[float]]) -> None:
        table = torch.tensor(rows).reshape(-1, 5)
        self.xyxy, self.conf = table[:, :4], table[:, 4]

    def __len__(self) -> int:
        return len(self.conf)


class FakeResult:
    def __init__(self, boxes: FakeBoxes | None) -> None:
        self.boxes = boxes


class FakeModel:
    """Answers with prepared boxes and remembers what it was asked."""

    task, names = "detect", {0: "person", 1: "dog"}

    def __init__(self, rows: list[list[float]]) -> None:
        self.rows, self.asked = rows, []

    def predict(self, images, **options):
        self.asked.append((images, options))
        return [FakeResult(FakeBoxes(self.rows)) for _ in images]


def detector(model: FakeModel, **compute) -> UltralyticsDetector:
    return UltralyticsDetector(UltralyticsConfig(), model, ComputeConfig(**compute))


def image(value: int = 0) -> np.ndarray:
    return np.full((20, 30, 3), (value, 0, 0), np.uint8)


def test_detections_are_sorted_by_score():
    people = detector(FakeModel([[1, 2, 3, 4, 0.2], [5, 6, 7, 8, 0.9]]))(frames_of([image()]))[0]
    assert people.boxes.tolist() == [[5, 6, 7, 8], [1, 2, 3, 4]]
    assert people.scores.tolist() == pytest.approx([0.9, 0.2])


def test_boxes_without_area_are_dropped():
    assert len(detector(FakeModel([[1, 2, 1, 4, 0.9]]))(frames_of([image()]))[0]) == 0


def test_an_image_without_people_has_no_detections():
    assert detector(FakeModel([]))(frames_of([image()]))[0].boxes.shape == (0, 4)


def test_images_are_passed_in_batches_as_bgr():
    model = FakeModel([])
    assert len(detector(model, batch=2)(frames_of([image(200)] * 3))) == 3
    assert [len(images) for images, _ in model.asked] == [2, 1]
    assert model.asked[0][0][0][0, 0].tolist() == [0, 0, 200]


def test_only_the_person_class_is_requested():
    model = FakeModel([])
    detector(model)(frames_of([image()]))
    options = model.asked[0][1]
    assert (options["classes"], options["conf"], options["device"]) == ([0], 0.1, "cpu")


def test_an_empty_image_is_an_error():
    with pytest.raises(UserError, match="expected uint8"):
        detector(FakeModel([]))(frames_of([np.zeros((0, 0, 3), np.uint8)]))


def test_missing_weights_are_not_downloaded(tmp_path):
    with pytest.raises(WeightsError, match=r"yolo11n\.pt"):
        UltralyticsDetector(UltralyticsConfig(), tmp_path / "yolo11n.pt", ComputeConfig())


def test_bf16_is_an_error(tmp_path):
    with pytest.raises(UserError, match="bf16"):
        UltralyticsDetector(UltralyticsConfig(), tmp_path / "yolo11n.pt", ComputeConfig(precision="bf16"))


@pytest.mark.parametrize("options", [{"input_px": 600}, {"min_score": 2.0}, {"nms_iou": -1.0}])
def test_an_invalid_option_is_an_error(options):
    with pytest.raises(UserError, match=next(iter(options))):
        UltralyticsConfig(**options)


@pytest.mark.skipif(INSTALLED, reason="ultralytics is installed")
def test_the_error_for_the_absent_package_names_its_licence(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO_AUTOINSTALL", "False")
    (tmp_path / "yolo.pt").write_bytes(b"x")
    with pytest.raises(UserError, match=r'AGPL-3\.0.*pip install "kprtrack\[ultralytics\]"'):
        UltralyticsDetector(UltralyticsConfig(), tmp_path / "yolo.pt", ComputeConfig(trust_code=True))


@pytest.mark.parametrize("name", ["yolo.pt", "yolo.torchscript", "yolo.engine", "yolo.mlpackage", "yolo.PT"])
def test_a_file_that_can_run_code_needs_trust(tmp_path, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics", None)  # importing it would be an error
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"can run code when it is opened.*Add --trust-code"):
        UltralyticsDetector(UltralyticsConfig(), tmp_path / name, ComputeConfig())
