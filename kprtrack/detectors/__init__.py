"""Person detectors: frames -> boxes and scores."""

from functools import partial
from typing import Any

from kprtrack.detectors.file import FileConfig, FileDetector
from kprtrack.detectors.rtmo import RtmoConfig, RtmoDetector
from kprtrack.detectors.ultralytics import UltralyticsConfig, UltralyticsDetector
from kprtrack.detectors.yolox import YoloxConfig, YoloxDetector
from kprtrack.detectors.yolox_onnx import YoloxOnnxConfig, YoloxOnnxDetector
from kprtrack.pipeline import Detector

# `--detector NAME`: (class, config). A new detector is one module with a class that implements
# kprtrack.pipeline.Detector, its config dataclass, and one entry here. `partial` fixes a field of the config.
DETECTORS: dict[str, tuple[type[Detector], Any]] = {
    "small": (YoloxDetector, partial(YoloxConfig, size="nano")),
    "yolox-nano": (YoloxDetector, partial(YoloxConfig, size="nano")),
    "yolox-tiny": (YoloxDetector, partial(YoloxConfig, size="tiny")),
    "yolox-s": (YoloxDetector, partial(YoloxConfig, size="s")),
    "yolox-m": (YoloxDetector, partial(YoloxConfig, size="m")),
    "yolox-l": (YoloxDetector, partial(YoloxConfig, size="l")),
    "yolox-x": (YoloxDetector, partial(YoloxConfig, size="x")),
    "yolox-onnx": (YoloxOnnxDetector, YoloxOnnxConfig),
    "rtmo": (RtmoDetector, RtmoConfig),
    "ultralytics": (UltralyticsDetector, UltralyticsConfig),
    "file": (FileDetector, FileConfig),
}
