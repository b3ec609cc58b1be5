"""The poses that RTMO finds together with the boxes: `--detector rtmo --pose rtmo`."""

from dataclasses import dataclass

from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import UserError
from kprtrack.detectors.rtmo import RtmoDetector
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import Detector, PoseEstimator
from kprtrack.poses.overlap import poses_of_boxes


@dataclass(frozen=True)
class RtmoPoseConfig:
    """There is nothing to set: the detector has the weights."""


class RtmoPose(PoseEstimator):
    """Gives each box of an RTMO detector the pose that belongs to it; no network runs again."""

    weights_from = "detector"

    def __init__(self, config: RtmoPoseConfig, weights: Detector | None, compute: ComputeConfig) -> None:
        """Take the poses of a detector.

        Args:
            config: Not used.
            weights: The detector, in place of weights.
            compute: Not used.

        Raises:
            UserError: It is no RTMO.
        """
        if not isinstance(weights, RtmoDetector):
            raise UserError(
                "--pose rtmo takes the poses that RTMO finds with its boxes: add --detector rtmo."
            )
        self._detector = weights
        self.skeleton = weights.skeleton

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        """Return the poses of boxes in the same frames, any of them.

        Returns:
            Poses of each frame, row i for box i; a box that RTMO did not find has unknown keypoints.
        """
        people = self._detector.people(frames)
        return [
            poses_of_boxes(wanted.boxes, found.poses, found.detections.boxes)
            for found, wanted in zip(people, detections, strict=True)
        ]
