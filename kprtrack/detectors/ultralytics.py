"""Detects people with a YOLO of the `ultralytics` package.

That package is under AGPL-3.0 and not part of KPRTrack; it is imported only when this detector is used.
"""

import ast
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.datatypes import Detections, Frame, empty_detections
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.detectors.validation import check_image, valid_detections
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.onnx_file import validate_onnx
from kprtrack.pipeline import Detector

TASKS_WITH_BOXES = ("detect", "segment", "pose")
# Metadata of .onnx files that hold Python values.
_EVALUATED = frozenset(("args", "end2end", "imgsz", "kpt_names", "kpt_shape", "names"))
_MAX_DETECTIONS = 1000  # per image; the package's default of 300 is too low for crowds


@dataclass(frozen=True)
class UltralyticsConfig:
    """Input size and thresholds of an ultralytics YOLO."""

    input_px: int = 640  # longer side of the network's input, multiple of 32
    min_score: float = 0.1
    nms_iou: float = 0.7  # the package's default; not used by networks without suppression, such as YOLO26

    def __post_init__(self) -> None:
        if self.input_px <= 0 or self.input_px % 32:
            raise UserError(f"input_px is {self.input_px}, but must be a multiple of 32, e.g. 640.")
        for option, value in (("min_score", self.min_score), ("nms_iou", self.nms_iou)):
            if not 0 <= value <= 1:
                raise UserError(f"{option} is {value}, but must be in 0..1.")


class UltralyticsDetector(Detector):
    """Detects people with an ultralytics YOLO, which clips boxes to the image."""

    def __init__(self, config: UltralyticsConfig, weights: Path | Any, compute: ComputeConfig) -> None:
        """Load any file that `ultralytics.YOLO` opens (.pt, .onnx, ...), or use an opened one.

        Args:
            config: Input size and thresholds.
            weights: The file, or an `ultralytics.YOLO`. A file exported for one image at a time needs
                `compute.batch` 1.
            compute: Device, precision and batch size, and trust in files that can run code: all but .onnx.

        Raises:
            UserError: The package is absent or does not offer the precision.
            WeightsError: The file is missing, cannot be read, could run code, or detects no people.
        """
        model = _load(config, weights, compute) if isinstance(weights, Path) else weights
        self._model, self._batch = model, compute.batch
        self._options: dict[str, Any] = {
            "imgsz": config.input_px,
            "conf": config.min_score,
            "iou": config.nms_iou,
            "classes": [_person_class(model.names, weights)],
            "max_det": _MAX_DETECTIONS,
            "device": "cuda:0" if compute.device == "cuda" else compute.device,
            "verbose": False,
        }
        if compute.precision == "fp16":
            self._options["half"] = True

    def __call__(self, frames: list[Frame]) -> list[Detections]:
        """Detect the people in each frame.

        Returns:
            Detections of each frame, best score first, boxes in pixels of that frame.

        Raises:
            UserError: An image is empty or not [H, W, 3] uint8.
        """
        images = [frame.image for frame in frames]
        for image in images:
            check_image(image)
        found: list[Detections] = []
        for start in range(0, len(images), self._batch):
            bgr = [np.ascontiguousarray(image[..., ::-1]) for image in images[start : start + self._batch]]
            found += [_people(result.boxes) for result in self._model.predict(bgr, **self._options)]
        return found


def _people(boxes: Any) -> Detections:
    if boxes is None or len(boxes) == 0:
        return empty_detections()
    corners, scores = boxes.xyxy.cpu().numpy(), boxes.conf.cpu().numpy()
    best_first = np.argsort(-scores, kind="stable")
    return valid_detections(corners[best_first], scores[best_first])


def _load(config: UltralyticsConfig, weights: Path, compute: ComputeConfig) -> Any:
    if compute.precision == "bf16":
        raise UserError("ultralytics networks compute in fp32 or fp16, not bf16. Choose --precision fp32.")
    if not weights.is_file():
        # The package would download a missing file.
        raise WeightsError(f"No weights at {weights}.")
    model = _open(weights, trust_code=compute.trust_code)
    if model.task not in TASKS_WITH_BOXES:
        raise WeightsError(f"{weights} is for '{model.task}', but detection needs one of {TASKS_WITH_BOXES}.")
    return model


def _open(weights: Path, *, trust_code: bool) -> Any:
    if weights.suffix != ".onnx" and not trust_code:
        raise WeightsError(
            f"{weights} can run code when it is opened: files of ultralytics other than .onnx hold Python"
            " objects or programs. Add --trust-code if you made or trust it, or export it to .onnx."
        )
    if weights.suffix == ".onnx" and not trust_code:
        _validate_metadata(validate_onnx(weights), weights)
    # Read by the package at its first import: nothing is installed without being asked for.
    os.environ.setdefault("YOLO_AUTOINSTALL", "False")
    try:
        import ultralytics
    except ModuleNotFoundError as error:
        raise UserError(
            "The detector 'ultralytics' needs the package ultralytics, which is under AGPL-3.0; its terms "
            'apply to programs that use it. If you accept them: pip install "kprtrack[ultralytics]". '
            "Otherwise use a YOLOX detector, such as --detector small."
        ) from error
    try:
        return ultralytics.YOLO(weights)
    # The package passes on any exception of its reader; all of them concern the file.
    except Exception as error:
        raise WeightsError(f"ultralytics cannot open {weights} ({type(error).__name__}: {error}).") from error


def _validate_metadata(metadata: Mapping[str, str], weights: Path) -> None:
    """Check what older versions of the package pass to `eval`. Raises: WeightsError if it is code."""
    for key in set(metadata) & _EVALUATED:
        try:
            ast.literal_eval(metadata[key])
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise WeightsError(
                f"{weights} is not opened: its metadata '{key}' is no plain value, and could run code."
            ) from error


def _person_class(names: dict[int, str], weights: object) -> int:
    """Find the class called person, or the only class."""
    people = [index for index, name in names.items() if name.lower() in ("person", "pedestrian", "people")]
    if len(people) == 1:
        return people[0]
    if len(names) == 1:
        return next(iter(names))
    known = ", ".join(list(names.values())[:10])
    raise WeightsError(f"{weights} has no single class 'person' among its {len(names)} classes: {known}.")
