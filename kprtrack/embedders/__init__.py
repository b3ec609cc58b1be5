"""Who looks like whom: images + boxes + keypoints -> part features. A new encoder is one file and one line."""

from typing import Protocol

from kprtrack.datatypes import Detections, Images, Poses
from reid.appearance import Appearance


class Embedder(Protocol):
    """Describes how every detected person looks."""

    def __call__(self, images: Images, people: list[Detections], poses: list[Poses]) -> list[Appearance]:
        """Looks of each image, row i for box i."""
        ...
