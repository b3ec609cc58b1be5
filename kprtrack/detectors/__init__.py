"""Who is in the picture: images -> boxes. A new detector is one file here and one line in DETECTORS."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kprtrack.datatypes import Detections, Images
from kprtrack.runtime import Runtime


class Detector(Protocol):
    """Finds people."""

    def __call__(self, images: Images) -> list[Detections]:
        """People of each image, best score first, boxes in pixels of that image."""
        ...
