"""ReID networks from ONNX files: one embedding per person, without parts and prompts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.inference.backends import open_network_file, shape_text
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.image_network import MOST_NUMBERS, takes_images
from kprtrack.pipeline import ReidEncoder
from reid.model.prompts import IMAGENET_MEAN, IMAGENET_STD, PromptConfig, cut_crops, whole_pixel_boxes

_SMALLEST_NORM = 1e-12


@dataclass(frozen=True)
class OnnxConfig:
    """Input of the network."""

    height: int | None = None  # pixels of the crop; None: as stored in the file
    width: int | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN  # of RGB in [0, 1]
    std: tuple[float, float, float] = IMAGENET_STD


class OnnxEncoder(ReidEncoder):
    """Embeds the crop of each person with an ONNX network."""

    def __init__(self, config: OnnxConfig, weights: Path, compute: ComputeConfig) -> None:
        """Load the network and run it once on blank crops.

        Args:
            config: Size and normalisation of the crops.
            weights: An .onnx file.
            compute: Device and batch size.

        Raises:
            WeightsError: The file is missing, damaged or gives no embedding per person.
            UserError: onnxruntime is not installed, or the size of the crop is neither in the file nor among
                the options.
        """
        self._network = open_network_file(weights, compute)
        height, width = _crop_size(config, weights, self._network.input_shape)
        self._input = PromptConfig(height, width, mean=config.mean, std=config.std)
        self._fixed_batch = self._network.input_shape[0]
        self._batch = self._fixed_batch or compute.batch
        declared = self._network.output_shapes[0]
        if declared is not None and not _is_embedding(declared):  # before anything is computed
            raise _no_embedding(weights, declared)
        blank = np.zeros((self._fixed_batch or 2, 3, height, width), np.float32)
        output = self._network.run(blank)[0]
        if len(output) != len(blank) or not _is_embedding(output.shape):
            raise _no_embedding(weights, output.shape)
        self._dimensions = output.shape[1]

    def __call__(
        self, frames: list[Frame], detections: list[Detections], poses: list[Poses]
    ) -> list[Appearance]:
        """Embed the person in each box.

        Returns:
            Embeddings of each frame, row i for box i: features [N, 1, D] of unit length, never prompted.
        """
        images = [frame.image for frame in frames]
        counts = [len(found) for found in detections]
        owners = np.repeat(np.arange(len(images)), counts)
        boxes = np.concatenate([found.boxes for found in detections]) if detections else np.zeros((0, 4))
        features = np.zeros((len(owners), self._dimensions), np.float32)
        for start in range(0, len(owners), self._batch):
            rows = slice(start, start + self._batch)
            features[rows] = self._run(self._crops(images, owners[rows], boxes[rows]))
        features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _SMALLEST_NORM)
        return [
            Appearance(found[:, None], np.ones((len(found), 1), bool), np.zeros(len(found), bool))
            for found in np.split(features, np.cumsum(counts)[:-1])[: len(frames)]
        ]

    def _crops(self, images: list[np.ndarray], owners: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Crop the boxes of the images `owners`, which are sorted: [K, 3, h, w] float32, normalised."""
        crops = []
        for owner in np.unique(owners):
            image = images[owner]
            corners = whole_pixel_boxes(boxes[owners == owner], image.shape[0], image.shape[1])
            crops.append(cut_crops(image, corners, self._input))
        return crops[0] if len(crops) == 1 else np.concatenate(crops)

    def _run(self, crops: np.ndarray) -> np.ndarray:
        """Embed crops, [N, D] not normalised; a batch of fixed size is filled up with blank crops."""
        count = len(crops)
        if self._fixed_batch:
            crops = np.pad(crops, ((0, self._fixed_batch - count), (0, 0), (0, 0), (0, 0)))
        return self._network.run(crops)[0].reshape(len(crops), -1)[:count]


def _is_embedding(shape: tuple[int | None, ...]) -> bool:
    """Whether it may be one vector per crop; detectors and pose networks give several positions per image."""
    return len(shape) >= 2 and all(axis in (1, None) for axis in shape[2:])


def _no_embedding(weights: Path, shape: tuple[int | None, ...]) -> WeightsError:
    axes = ["any" if axis is None else axis for axis in shape]
    return WeightsError(f"{weights} gives an output of shape {axes}, not one embedding per person.")


def _crop_size(config: OnnxConfig, weights: Path, shape: tuple[int | None, ...]) -> tuple[int, int]:
    """Height and width of the crops in pixels, by the file or else by the options."""
    if not takes_images(shape):
        raise WeightsError(
            f"{weights} has the input {shape_text(shape)}, not images [N, 3, height, width] of at most"
            f" {MOST_NUMBERS:,} numbers."
        )
    size = []
    for name, asked, fixed in zip(("height", "width"), (config.height, config.width), shape[2:], strict=True):
        if asked and fixed and asked != fixed:
            raise UserError(f"{weights} takes crops of {name} {fixed}, not {asked}. Leave the option out.")
        if not (asked or fixed):
            raise UserError(
                f"{weights} takes crops of any size: set the option {name} (256 by 128 is usual)."
            )
        size.append(asked or fixed or 0)
    return size[0], size[1]
