"""How everybody stands: images + boxes -> keypoints. A new estimator is one file here and one line in POSES."""

from typing import Protocol

from kprtrack.datatypes import Detections, Images, Poses


class PoseEstimator(Protocol):
    """Places 17 keypoints on every detected person."""

    def __call__(self, images: Images, people: list[Detections]) -> list[Poses]:
        """Skeletons of each image, row i for box i, pixels of that image."""
        ...
