"""Who looks like whom: images + boxes + keypoints -> part features. A new encoder is one file, one line."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from kprtrack.config import configure
from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Images, Poses
from kprtrack.inference.devices import ComputeConfig


class ReidEncoder(Protocol):
    """Describes how every detected person looks."""

    def __call__(self, images: Images, people: list[Detections], poses: list[Poses]) -> list[Appearance]:
        """Looks of each image, row i for box i."""
        ...


def _kpr(weights: Path, options: Mapping[str, Any], compute: ComputeConfig) -> ReidEncoder:
    from kprtrack.reid_encoders.kpr import KprEncoderConfig, load_kpr

    return load_kpr(configure(KprEncoderConfig, options), weights, compute)


def _onnx(weights: Path, options: Mapping[str, Any], compute: ComputeConfig) -> ReidEncoder:
    from kprtrack.reid_encoders.onnx import OnnxConfig, load_onnx

    return load_onnx(configure(OnnxConfig, options), weights, compute)


# Each makes an encoder from a weights file and the options of its config dataclass. No encoder at all
# (`--reid none`) is wired in build.py.
REID_ENCODERS: dict[str, Callable[[Path, Mapping[str, Any], ComputeConfig], ReidEncoder]] = {
    "kpr": _kpr,
    "onnx": _onnx,
}
