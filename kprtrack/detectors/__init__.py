"""Who is in the picture: images -> boxes. A new detector is one file here and one line in DETECTORS."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from kprtrack.config import configure
from kprtrack.core.datatypes import Detections, Images
from kprtrack.inference.devices import ComputeConfig


class Detector(Protocol):
    """Finds people."""

    def __call__(self, images: Images) -> list[Detections]:
        """People of each image, best score first, boxes in pixels of that image."""
        ...


def _yolox(size: str, weights: Path, options: Mapping[str, Any], compute: ComputeConfig) -> Detector:
    from kprtrack.detectors.yolox import YoloxConfig, load_yolox

    return load_yolox(configure(YoloxConfig, options, size=size), weights, compute)


def _ultralytics(weights: Path, options: Mapping[str, Any], compute: ComputeConfig) -> Detector:
    from kprtrack.detectors.ultralytics import UltralyticsConfig, load_ultralytics

    return load_ultralytics(configure(UltralyticsConfig, options), weights, compute)


# Each makes a detector from a weights file and the options of its config dataclass. Boxes from a file
# (`--detector file`) need no network and are wired in build.py.
DETECTORS: dict[str, Callable[[Path, Mapping[str, Any], ComputeConfig], Detector]] = {
    **{f"yolox-{size}": partial(_yolox, size) for size in ("nano", "tiny", "s", "m", "l", "x")},
    "ultralytics": _ultralytics,
}
