"""Detects people with YOLOX.

Source: `docs/reference/detector_and_pose.md 1.4-1.6`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import UserError, unknown_name
from kprtrack.detectors.letterbox import PIXELS, Preprocess, letterbox, letterbox_ratio, trimmed_hw
from kprtrack.detectors.suppression import decode_boxes, suppress
from kprtrack.detectors.validation import check_image, valid_detections
from kprtrack.detectors.yolox_shapes import CANVAS_MULTIPLE_PX, SHAPES, YoloxSize
from kprtrack.detectors.yolox_weights import (
    PERSON_CLASS,
    read_yolox_weights,
    stored_input_px,
    validate_yolox_weights,
)
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.graphs import Graph
from kprtrack.inference.network import open_network
from kprtrack.inference.source import NetworkSource, example_pixels
from kprtrack.pipeline import Detector

if TYPE_CHECKING:
    from torch import nn

    from kprtrack.detectors.yolox_network import Yolox

Padding = Literal["trimmed", "full"]


@dataclass(frozen=True)
class YoloxConfig:
    """Size, input and thresholds of a YOLOX detector."""

    size: YoloxSize = "x"
    # Canvas in pixels, multiples of 32. One None: square; both None: the size's own, 416 or 640 square.
    input_height: int | None = None
    input_width: int | None = None
    # trimmed: without padding beyond the next multiple of 32, which saves 40 % for 16:9 video on a square
    # canvas; the scale is the same, boxes change slightly. full: all padding, as in the published figures.
    padding: Padding = "trimmed"
    preprocess: Preprocess = "megvii"  # "legacy" for ByteTrack's weights and YOLOX weights before 0.1.1rc0
    min_score: float = 0.1  # object x person probability
    nms_iou: float = 0.65  # boxes that overlap a better one by more are suppressed; 0.65: YOLOX's evaluation
    # Each box becomes the mean, weighted by score × IoU, of all boxes that overlap it by at least this, also
    # of suppressed ones: tighter and steadier boxes. None: as in the published figures.
    voting_iou: float | None = None

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("YOLOX size", self.size, tuple(SHAPES)),
            ("padding", self.padding, get_args(Padding)),
            ("preprocess", self.preprocess, get_args(Preprocess)),
        ):
            if name not in known:
                raise unknown_name(kind, name, known)
        for side, pixels in (("input_height", self.input_height), ("input_width", self.input_width)):
            if pixels is not None and (pixels <= 0 or pixels % CANVAS_MULTIPLE_PX):
                nearest = max(round(pixels / CANVAS_MULTIPLE_PX), 1) * CANVAS_MULTIPLE_PX
                raise UserError(f"{side} is {pixels}, but must be a multiple of 32. Nearest: {nearest}.")
        for option, value in (
            ("min_score", self.min_score),
            ("nms_iou", self.nms_iou),
            ("voting_iou", self.voting_iou),
        ):
            if value is not None and not 0 <= value <= 1:
                raise UserError(f"{option} is {value}, but must be in 0..1.")

    @property
    def canvas_hw(self) -> tuple[int, int]:
        """Height and width of the full canvas in pixels."""
        own = SHAPES[self.size].test_px
        height = self.input_height or self.input_width or own
        return height, self.input_width or height


class YoloxDetector(Detector):
    """Detects people with YOLOX (Ge et al., 2021). Boxes are not clipped to the image."""

    def __init__(self, config: YoloxConfig, weights: "Path | Yolox", compute: ComputeConfig) -> None:
        """Load the network, or copy one; of several classes only the first, person, is read.

        Args:
            config: Size, canvas and thresholds; a canvas that it leaves open may be stored in the file.
            weights: A checkpoint, or a network.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The file does not fit the configuration.
        """
        if isinstance(weights, Path) and config.input_height is None and config.input_width is None:
            config = replace(config, input_height=stored_input_px(weights))
        self._network = open_network(yolox_source(weights, config), compute)
        self.backend = self._network.backend
        self._config, self._compute = config, compute

    def __call__(self, frames: list[Frame]) -> list[Detections]:
        """Detect the people in each frame.

        Returns:
            Detections of each frame, best score first, boxes in pixels of that frame. Boxes without area or
            with numbers that are not finite are dropped.

        Raises:
            UserError: An image is empty or not [H, W, 3] uint8.
        """
        images = [frame.image for frame in frames]
        groups: dict[tuple[int, int], list[int]] = {}  # images by canvas size, which a batch must share
        for i, image in enumerate(images):
            check_image(image)
            groups.setdefault(self._canvas_hw(image), []).append(i)
        found: dict[int, Detections] = {}
        for canvas_hw, members in groups.items():
            for start in range(0, len(members), self._compute.batch):
                batch = members[start : start + self._compute.batch]
                found.update(zip(batch, self._detect([images[i] for i in batch], canvas_hw), strict=True))
        return [found[i] for i in range(len(images))]

    def _canvas_hw(self, image: np.ndarray) -> tuple[int, int]:
        if self._config.padding == "full":
            return self._config.canvas_hw
        height, width = image.shape[:2]
        return trimmed_hw((height, width), *self._config.canvas_hw, CANVAS_MULTIPLE_PX)

    def _detect(self, images: list[np.ndarray], canvas_hw: tuple[int, int]) -> list[Detections]:
        rows, columns = canvas_hw
        # Scaled for the full canvas, then cut: trimming removes padding only.
        canvases = np.stack([letterbox(image, *self._config.canvas_hw)[:rows, :columns] for image in images])
        (raw,) = self._network.run(canvases)
        decoded = decode_boxes(raw[..., : 5 + PERSON_CLASS + 1], rows, columns)
        return [self._detections(cells, image) for cells, image in zip(decoded, images, strict=True)]

    def _detections(self, decoded: np.ndarray, image: np.ndarray) -> Detections:
        height, width = image.shape[:2]
        config = self._config
        kept = suppress(decoded, config.min_score, config.nms_iou, voting_iou=config.voting_iou)
        boxes = kept[:, :4] / np.float32(letterbox_ratio((height, width), *self._config.canvas_hw))
        return valid_detections(boxes, kept[:, 4] * kept[:, 5])


def yolox_source(weights: "Path | Yolox", config: YoloxConfig) -> NetworkSource:
    """Describe a YOLOX network for `open_network`.

    Args:
        weights: A checkpoint, or a network, which is left unchanged.
        config: Its size and preprocessing.

    Returns:
        From canvases [B, H, W, 3] uint8 RGB, H and W multiples of 32, to raw boxes [B, A, 5 + C].
    """

    def network() -> "nn.Module":
        if not isinstance(weights, Path):
            return weights
        from kprtrack.detectors.yolox_network import load_yolox_weights

        return load_yolox_weights(weights, config.size)

    def tensors(graph: Graph) -> Mapping[str, np.ndarray]:
        assert isinstance(weights, Path)
        found = read_yolox_weights(weights, config.size)
        validate_yolox_weights(found, graph.shapes, weights)
        return found

    source = NetworkSource(
        network,
        [example_pixels(96, 128)],
        free_axes=(0, 1, 2),  # canvases of any size are accepted
        outputs=("boxes",),
        pixels=PIXELS[config.preprocess],
    )
    if not isinstance(weights, Path):
        return source
    return replace(source, path=weights, architecture=yolox_architecture(config), tensors=tensors)


def yolox_architecture(config: YoloxConfig) -> dict[str, Any]:
    """All that the computation of raw boxes depends on beside the weights."""
    return {"network": "yolox", "size": config.size, "classes": 1}
