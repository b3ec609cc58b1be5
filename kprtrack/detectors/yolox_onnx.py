"""Detects people with YOLOX from ONNX and OpenVINO files, as Megvii, ByteTrack and OpenMMLab export them.

Source: docs/reference/detector_and_pose.md 1.12.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.detectors.letterbox import PIXELS, Preprocess, letterbox, letterbox_ratio
from kprtrack.detectors.suppression import decode_boxes, non_maximum_suppression, suppress
from kprtrack.detectors.validation import check_image, valid_detections
from kprtrack.detectors.yolox import YoloxConfig
from kprtrack.detectors.yolox_shapes import STRIDES
from kprtrack.inference.backends import Shape, shape_text
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.image_network import ImageNetwork
from kprtrack.pipeline import Detector

_PERSON = 0  # class of COCO, ByteTrack and Human-Art
_BOX = 5  # x1 y1 x2 y2 score, after non-maximum suppression in the network


@dataclass(frozen=True)
class YoloxOnnxConfig:
    """Input and thresholds of a YOLOX from a file. The size of the canvas is read from it."""

    input_height: int | None = None  # pixels, for a file that leaves it open
    input_width: int | None = None
    preprocess: Preprocess = "megvii"  # "legacy" for ByteTrack's weights and YOLOX weights before 0.1.1rc0
    min_score: float = 0.1  # object x person probability
    # Boxes that overlap a better one by more are suppressed. Networks that suppress boxes themselves leave
    # fewer: those of OpenMMLab none that overlap by more than 0.5.
    nms_iou: float = 0.65
    voting_iou: float | None = None  # as of YoloxConfig; not for networks that suppress boxes themselves

    def __post_init__(self) -> None:
        YoloxConfig(
            input_height=self.input_height,
            input_width=self.input_width,
            preprocess=self.preprocess,
            min_score=self.min_score,
            nms_iou=self.nms_iou,
            voting_iou=self.voting_iou,
        )


class YoloxOnnxDetector(Detector):
    """Detects people with YOLOX (Ge et al., 2021) from a file. Boxes are not clipped to the image."""

    def __init__(self, config: YoloxOnnxConfig, weights: Path, compute: ComputeConfig) -> None:
        """Load the network of an .onnx file, or of an OpenVINO .xml with its .bin.

        Args:
            config: Preprocessing and thresholds.
            weights: A file with the output [N, A, 5 + C] before decoding, or with the outputs dets [N, M, 5]
                and labels [N, M] after non-maximum suppression; class 0 is person.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The file is missing, damaged or of another network.
            UserError: The library that runs it is not installed, or the size of the canvas is neither in the
                file nor in the configuration.
        """
        self._network = ImageNetwork(weights, compute, PIXELS[config.preprocess])
        self._canvas_hw = _canvas_hw(config, self._network, weights)
        self._config = config
        shapes: Sequence[Shape | None] = self._network.output_shapes
        if any(shape is None or None in shape[-1:] for shape in shapes):
            blank = np.zeros((1, *self._canvas_hw, 3), np.uint8)
            shapes = [found.shape for found in self._network.run(blank)]
        self._boxes = _suppressed_boxes(shapes)
        if self._boxes is None:
            _validate_raw(shapes, self._canvas_hw, weights)
        # The number of boxes may differ between images, so that each is computed alone.
        self._batch = self._network.batch if self._boxes is None else 1

    def __call__(self, frames: list[Frame]) -> list[Detections]:
        """Detect the people in each frame.

        Returns:
            Detections of each frame, best score first, boxes in pixels of that frame. Boxes without area or
            with numbers that are not finite are dropped.

        Raises:
            UserError: An image is empty or not [H, W, 3] uint8.
        """
        images = [frame.image for frame in frames]
        for image in images:
            check_image(image)
        found: list[Detections] = []
        for start in range(0, len(images), self._batch):
            batch = images[start : start + self._batch]
            outputs = self._network.run(np.stack([letterbox(image, *self._canvas_hw) for image in batch]))
            for row, image in enumerate(batch):
                boxes, scores = self._people(outputs, row)
                ratio = np.float32(letterbox_ratio(image.shape[:2], *self._canvas_hw))
                found.append(valid_detections(boxes / ratio, scores))
        return found

    def _people(self, outputs: list[np.ndarray], row: int) -> tuple[np.ndarray, np.ndarray]:
        """Boxes [K, 4] x1 y1 x2 y2 in canvas pixels and scores [K] of one image, best first."""
        config = self._config
        if self._boxes is None:
            raw = outputs[0][row : row + 1, :, : 5 + _PERSON + 1]
            (decoded,) = decode_boxes(raw, *self._canvas_hw)
            kept = suppress(decoded, config.min_score, config.nms_iou, voting_iou=config.voting_iou)
            return kept[:, :4], kept[:, 4] * kept[:, 5]
        found = outputs[self._boxes][row]
        wanted = found[:, 4] >= config.min_score
        if len(outputs) == 2:
            wanted &= outputs[1 - self._boxes][row] == _PERSON
        found = found[wanted]
        best = non_maximum_suppression(found[:, :4], found[:, 4], config.nms_iou)
        return found[best, :4], found[best, 4]


def _canvas_hw(config: YoloxOnnxConfig, network: ImageNetwork, weights: Path) -> tuple[int, int]:
    """Height and width of the canvas in pixels, by the file or else by the configuration."""
    sides = []
    for name, wanted, fixed in (
        ("input_height", config.input_height, network.height),
        ("input_width", config.input_width, network.width),
    ):
        if wanted and fixed and wanted != fixed:
            raise UserError(f"{weights} has the {name} {fixed}, not {wanted}. Leave the setting out.")
        if not (wanted or fixed):
            raise UserError(
                f"{weights} takes images of any size: add --set detector.input_height=640 --set"
                " detector.input_width=640, or the size it was trained with."
            )
        sides.append(fixed or wanted or 0)
    return sides[0], sides[1]


def _suppressed_boxes(shapes: Sequence[Shape | None]) -> int | None:
    """Which output holds boxes after non-maximum suppression, [N, M, 5], with labels [N, M] or alone."""
    boxes = [row for row, shape in enumerate(shapes) if shape and len(shape) == 3 and shape[2] == _BOX]
    others = [shape for row, shape in enumerate(shapes) if row not in boxes]
    if len(boxes) == 1 and len(others) <= 1 and all(shape and len(shape) == 2 for shape in others):
        return boxes[0]
    return None


def _validate_raw(shapes: Sequence[Shape | None], canvas_hw: tuple[int, int], weights: Path) -> None:
    """Check that there is one output with a row for every cell of the three levels."""
    cells = sum((canvas_hw[0] // stride) * (canvas_hw[1] // stride) for stride in STRIDES)
    shape = shapes[0] if len(shapes) == 1 else None
    if shape and len(shape) == 3 and shape[1] in (cells, None) and (shape[2] or 0) > _BOX:
        return
    found = " and ".join(shape_text(one or ()) for one in shapes)
    raise WeightsError(
        f"{weights} gives {found}; a YOLOX gives [N, {cells}, 5 + classes], or boxes [N, M, 5] and labels"
        " [N, M]. Ultralytics' networks: --detector ultralytics."
    )
