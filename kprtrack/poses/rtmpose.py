"""RTMPose and other SimCC networks from ONNX and OpenVINO files, as OpenMMLab publishes them.

SimCC (Li et al., ECCV 2022) finds the column and the row of each keypoint by classification, on a grid finer
than the pixels of the input; RTMPose (Jiang et al., 2023) is a family of such networks.
Source: docs/reference/detector_and_pose.md 3.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Detections, Frame, Poses, empty_poses
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.skeletons import MOST_KEYPOINTS, is_count, skeleton_of_count
from kprtrack.inference.backends import Shape, shape_text
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.image_network import ImageNetwork
from kprtrack.inference.pixels import IMAGENET_PIXELS, Channels, Triple, pixel_format
from kprtrack.pipeline import PoseEstimator
from kprtrack.poses.crops import cut_crops, pose_windows, standard_matrices, to_frame


@dataclass(frozen=True)
class RtmPoseConfig:
    """Input of the network; its size is read from the file. Defaults: as RTMPose was trained."""

    box_padding: float = 1.25  # crop size relative to the box
    # For pixels in 0..255, in the order of `channels`.
    mean: Triple = IMAGENET_PIXELS.mean
    std: Triple = IMAGENET_PIXELS.std
    channels: Channels = "rgb"

    def __post_init__(self) -> None:
        pixel_format(self.mean, self.std, self.channels)
        if not self.box_padding > 0:
            raise UserError(f"box_padding is {self.box_padding}; it must be above 0 (1.25 is usual).")


class RtmPose(PoseEstimator):
    """Estimates the keypoints of every detected person with a SimCC network from a file."""

    def __init__(self, config: RtmPoseConfig, weights: Path, compute: ComputeConfig) -> None:
        """Load the network of an .onnx file, or of an OpenVINO .xml with its .bin.

        Args:
            config: Size and normalisation of the crops.
            weights: A file whose two outputs are simcc_x [N, K, columns] and simcc_y [N, K, rows]; K is the
                number of keypoints, see skeleton_of_count.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The file is missing, damaged or of another network.
            UserError: The library that runs it is not installed.
        """
        self._network = ImageNetwork(weights, compute, pixel_format(config.mean, config.std, config.channels))
        self._padding = config.box_padding
        self.skeleton = skeleton_of_count(_validated_count(self._network, weights))

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        """Estimate the pose in each box; the people of all frames share batches.

        Returns:
            Poses of each frame, row i for box i, in pixels of that frame.

        Raises:
            ValueError: A box has no area.
            UserError: The network gives numbers that are not finite.
        """
        counts = [len(found) for found in detections]
        owners = np.repeat(np.arange(len(frames)), counts)
        if not len(owners):
            return [empty_poses(0, self.skeleton) for _ in frames]
        keypoints = np.zeros((len(owners), len(self.skeleton), 3), np.float32)
        size = self._network.input_size
        boxes = np.concatenate([found.boxes for found in detections])
        windows = pose_windows(boxes, *size, padding=self._padding)
        matrices = standard_matrices(windows, *size)
        for start in range(0, len(owners), self._network.batch):
            rows = slice(start, start + self._network.batch)
            crops = [
                cut_crops(frames[owner].image, matrices[rows][owners[rows] == owner], *size)
                for owner in np.unique(owners[rows])
            ]
            points, scores = decode_simcc(*self._outputs(np.concatenate(crops)), *size)
            keypoints[rows, :, :2] = to_frame(points, windows[rows], *size)
            keypoints[rows, :, 2] = scores
        return [Poses(keypoints[owners == number], self.skeleton) for number in range(len(frames))]

    def _outputs(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = self._network.run(crops)
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise UserError(
                "The pose network gave numbers that are not finite. Try precision fp32, or other weights."
            )
        return x, y


def decode_simcc(
    x: np.ndarray, y: np.ndarray, input_width: int, input_height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find keypoints in the scores of columns and rows.

    Args:
        x: [N, K, columns]: scores along the width, usually two columns per pixel.
        y: [N, K, rows]: scores along the height.
        input_width: Of the network, pixels.
        input_height: Its height.

    Returns:
        Points [N, K, 2] in input pixels, and confidences [N, K] in [0, 1]: the lower of both maxima, clipped.

    Examples:
        >>> x, y = np.zeros((1, 1, 384)), np.zeros((1, 1, 512))
        >>> x[0, 0, 100], y[0, 0, 300] = 0.7, 0.9
        >>> points, confidences = decode_simcc(x, y, 192, 256)
        >>> points.tolist(), confidences.tolist()
        ([[[50.0, 150.0]]], [[0.7]])

    Source: docs/reference/detector_and_pose.md 3.1.
    """
    step = np.array([input_width / x.shape[2], input_height / y.shape[2]])
    points = np.stack((x.argmax(2), y.argmax(2)), axis=2) * step
    return points, np.clip(np.minimum(x.max(2), y.max(2)), 0, 1)


def _validated_count(network: ImageNetwork, weights: Path) -> int:
    """The number of keypoints; checks declared shapes, before anything is computed, then the real ones."""
    declared = network.output_shapes
    if not _are_simcc(declared, network):
        raise _no_simcc(weights, [shape for shape in declared if shape is not None], network)
    shapes = network.shapes()
    if not _are_simcc(shapes, network):
        raise _no_simcc(weights, shapes, network)
    return int(shapes[0][1] or 0)


def _are_simcc(shapes: Sequence[Shape | None], network: ImageNetwork) -> bool:
    """Whether two outputs may be those of SimCC; a shape or an axis that is not declared may be any."""
    if len(shapes) != 2:
        return False
    known = [shape or (None, None, None) for shape in shapes]
    if any(len(shape) != 3 for shape in known):
        return False
    (_, keypoints, columns), (_, same, rows) = known
    width, height = network.input_size
    return (
        all(is_count(number) for number in (keypoints, same))
        and (keypoints == same or None in (keypoints, same))
        and (columns is None or columns % width == 0)
        and (rows is None or rows % height == 0)
    )


def _no_simcc(weights: Path, shapes: Sequence[Shape], network: ImageNetwork) -> WeightsError:
    found = " and ".join(map(shape_text, shapes))
    return WeightsError(
        f"{weights} gives {found}; expected simcc_x [N, K, {network.width} x 2] and simcc_y [N, K,"
        f" {network.height} x 2] with K up to {MOST_KEYPOINTS}. For heatmaps: --pose heatmap."
    )
