"""RTMO, one network that gives boxes and poses: its boxes here, its poses for `--pose rtmo`.

RTMO (Lu et al., CVPR 2024) is read from ONNX and OpenVINO files as OpenMMLab exports them, with non-maximum
suppression in the network. Source: docs/reference/detector_and_pose.md 3.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from weakref import ReferenceType, ref

import numpy as np

from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.files.numbers import LARGEST
from kprtrack.core.skeletons import BY_COUNT, counts_text
from kprtrack.detectors.letterbox import PIXELS, letterbox, letterbox_ratio
from kprtrack.detectors.validation import check_image, possible
from kprtrack.inference.backends import Shape, shape_text
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.image_network import ImageNetwork
from kprtrack.pipeline import Detector

_BOX = 5  # x1 y1 x2 y2 score


@dataclass(frozen=True)
class RtmoConfig:
    """Threshold of RTMO. The size of the canvas is read from the file."""

    min_score: float = 0.15  # as the published files have it themselves

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise UserError(f"min_score is {self.min_score}; it must be between 0 and 1.")


class People(NamedTuple):
    """The people of a frame; row i of the poses is row i of the detections."""

    detections: Detections
    poses: Poses


class RtmoDetector(Detector):
    """Detects people with RTMO from a file, and knows the pose of each."""

    def __init__(self, config: RtmoConfig, weights: Path, compute: ComputeConfig) -> None:
        """Load the network of an .onnx file, or of an OpenVINO .xml with its .bin.

        Args:
            config: The threshold.
            weights: A file with the outputs dets [N, M, 5], x1 y1 x2 y2 score, and keypoints [N, M, K, 3],
                x y score, both in pixels of the input; K determines the set of keypoints.
            compute: Device, precision and batch size.

        Raises:
            WeightsError: The file is missing, damaged or of another network.
            UserError: The library that runs it is not installed.
        """
        self._network = ImageNetwork(weights, compute, PIXELS["megvii"])
        self._min_score = config.min_score
        declared = self._network.output_shapes
        if not _may_be_rtmo(declared):  # before anything is computed
            raise _no_rtmo(weights, [shape for shape in declared if shape is not None])
        shapes = self._network.shapes()
        if not _may_be_rtmo(shapes):
            raise _no_rtmo(weights, shapes)
        self._boxes = [len(shape) for shape in shapes].index(3)
        self.skeleton = BY_COUNT[int(shapes[1 - self._boxes][2])]
        self._last: list[tuple[ReferenceType[Frame], People]] = []  # of the last call

    def __call__(self, frames: list[Frame]) -> list[Detections]:
        """Detect the people in each frame.

        Returns:
            Detections of each frame, best score first, boxes in pixels of that frame. Boxes without area or
            with numbers that are not finite are dropped.

        Raises:
            UserError: An image is empty or not [H, W, 3] uint8, or a pose is not finite.
        """
        return [people.detections for people in self.people(frames)]

    def people(self, frames: list[Frame]) -> list[People]:
        """Find boxes and poses of each frame; frames of the last call are not computed again.

        Returns:
            The people of each frame, in pixels of that frame.
        """
        known = [next((found for each, found in self._last if each() is frame), None) for frame in frames]
        new = [frame for frame, found in zip(frames, known, strict=True) if found is None]
        computed = iter(self._compute(new))
        people = [next(computed) if found is None else found for found in known]
        if new:
            self._last = list(zip(map(ref, frames), people, strict=True))
        return people

    def _compute(self, frames: list[Frame]) -> list[People]:
        for frame in frames:
            check_image(frame.image)
        width, height = self._network.input_size
        found: list[People] = []
        # The number of boxes may differ between images, so that each is computed alone.
        for frame in frames:
            outputs = self._network.run(letterbox(frame.image, height, width)[None])
            boxes, keypoints = outputs[self._boxes][0], outputs[1 - self._boxes][0]
            ratio = np.float32(letterbox_ratio(frame.image.shape[:2], height, width))
            found.append(self._in_frame(boxes, keypoints, ratio))
        return found

    def _in_frame(self, dets: np.ndarray, keypoints: np.ndarray, ratio: np.float32) -> People:
        dets, keypoints = dets[usable := possible(dets[:, :4])], keypoints[usable]
        boxes, scores = dets[:, :4] / ratio, dets[:, 4]
        kept = (scores >= self._min_score) & (scores > 0)
        kept &= (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        rows = np.flatnonzero(kept)
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        points = keypoints[rows].astype(np.float32)
        if not (np.abs(points) < LARGEST).all():
            raise UserError(
                "RTMO gave keypoints that are not finite, or far outside of any image. Try precision fp32, or"
                " other weights."
            )
        points[..., :2] /= ratio
        points[..., 2] = np.clip(points[..., 2], 0, 1)
        detections = Detections(boxes[rows].astype(np.float32), scores[rows].clip(0, 1).astype(np.float32))
        return People(detections, Poses(points, self.skeleton))


def _may_be_rtmo(shapes: Sequence[Shape | None]) -> bool:
    """Whether these may be boxes [N, M, 5] and keypoints [N, M, K, 3]; what is not declared may be any."""
    known = [shape for shape in shapes if shape is not None]
    boxes = [shape for shape in known if len(shape) == 3 and shape[2] in (_BOX, None)]
    points = [shape for shape in known if len(shape) == 4 and _is_keypoints(shape)]
    return (
        len(shapes) == 2 and len(boxes) <= 1 and len(points) <= 1 and len(known) == len(boxes) + len(points)
    )


def _is_keypoints(shape: Shape) -> bool:
    return shape[3] in (3, None) and (shape[2] is None or shape[2] in BY_COUNT)


def _no_rtmo(weights: Path, shapes: Sequence[Shape]) -> WeightsError:
    found = " and ".join(map(shape_text, shapes))
    return WeightsError(
        f"{weights} gives {found}; an RTMO gives dets [N, M, 5] and keypoints [N, M, K, 3] with K of"
        f" {counts_text()}. For a YOLOX: --detector yolox-onnx."
    )
