"""Detects people with YOLOX.

Source: `docs/reference/detector_and_pose.md 1.4-1.6`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou, nms

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import UserError, unknown_name
from kprtrack.detectors.letterbox import Preprocess, letterbox, letterbox_ratio, to_network, trimmed_hw
from kprtrack.detectors.validation import check_image, valid_detections
from kprtrack.detectors.yolox_network import CANVAS_MULTIPLE_PX, SHAPES, Yolox, YoloxSize, decode
from kprtrack.detectors.yolox_weights import PERSON_CLASS, load_yolox_weights, stored_input_px
from kprtrack.inference.compile import TORCH_TYPES, compile_model, noise
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import Detector

Padding = Literal["trimmed", "full"]
_EXAMPLE_HW = (96, 128)  # the network accepts canvases of any size


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

    def __init__(self, config: YoloxConfig, weights: Path | Yolox, compute: ComputeConfig) -> None:
        """Load the network, or copy one; of several classes only the first, person, is read.

        Args:
            config: Size, canvas and thresholds; a canvas that it leaves open may be stored in the file.
            weights: A checkpoint, or a network.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The file does not fit the configuration.
        """
        if isinstance(weights, Path):
            if config.input_height is None and config.input_width is None:
                config = replace(config, input_height=stored_input_px(weights))
            network = load_yolox_weights(weights, config.size)
        else:
            network = weights
        self._dtype = TORCH_TYPES[compute.precision]
        example = [noise(2, 3, *_EXAMPLE_HW) * 255]
        self._network = compile_model(network, example, compute, dtype=self._dtype, free_axes=(0, 2, 3))
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

    @torch.inference_mode()
    def _detect(self, images: list[np.ndarray], canvas_hw: tuple[int, int]) -> list[Detections]:
        rows, columns = canvas_hw
        # Scaled for the full canvas, then cut: trimming removes padding only.
        canvases = np.stack([letterbox(image, *self._config.canvas_hw)[:rows, :columns] for image in images])
        pixels = to_network(torch.from_numpy(canvases).to(self._compute.device), self._config.preprocess)
        (raw,) = self._network.run(pixels.to(self._dtype))
        decoded = decode(raw[..., : 5 + PERSON_CLASS + 1], rows, columns)
        return [self._detections(cells, image) for cells, image in zip(decoded, images, strict=True)]

    def _detections(self, decoded: Tensor, image: np.ndarray) -> Detections:
        height, width = image.shape[:2]
        config = self._config
        rows = suppress(decoded, config.min_score, config.nms_iou, voting_iou=config.voting_iou)
        kept = rows.cpu().numpy()
        boxes = kept[:, :4] / np.float32(letterbox_ratio((height, width), *self._config.canvas_hw))
        return valid_detections(boxes, kept[:, 4] * kept[:, 5])


def suppress(
    decoded: Tensor,
    min_score: float,
    nms_iou: float,
    *,
    per_class: bool = False,
    voting_iou: float | None = None,
) -> Tensor:
    """Select boxes by score and non-maximum suppression.

    Args:
        decoded: [A, 5 + C] of one image, from `decode`.
        min_score: Lowest objectness × class probability.
        nms_iou: Boxes that overlap a better one by more are suppressed.
        per_class: Keep overlapping boxes of different classes, as in YOLOX's evaluation.
        voting_iou: Replace each box by the mean of those that overlap it by at least this (box voting,
            Gidaris and Komodakis, ICCV 2015); None: keep the best box as it is.

    Returns:
        [K, 7] x1 y1 x2 y2 objectness class-probability class, best score first.
    """
    probability, category = decoded[:, 5:].max(dim=1, keepdim=True)
    kept = decoded[:, 4] * probability[:, 0] >= min_score
    half = decoded[kept, 2:4] / 2
    corners = torch.cat((decoded[kept, :2] - half, decoded[kept, :2] + half), dim=1)
    rows = torch.cat((corners, decoded[kept, 4:5], probability[kept], category[kept].float()), dim=1)
    scores = rows[:, 4] * rows[:, 5]
    if per_class:
        return rows[batched_nms(corners, scores, rows[:, 6], nms_iou)]
    best = nms(corners, scores, nms_iou)
    found = rows[best]
    if voting_iou is not None:
        found[:, :4] = _voted(corners[best], corners, scores, voting_iou)
    return found


def _voted(best: Tensor, corners: Tensor, scores: Tensor, voting_iou: float) -> Tensor:
    ious = box_iou(best, corners)
    votes = torch.where(ious >= voting_iou, ious, 0) * scores
    total = votes.sum(dim=1, keepdim=True)
    return torch.where(total > 0, votes @ corners / total, best)  # 0 where all scores are 0
