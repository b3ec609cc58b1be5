"""ReID encoders: frames, boxes and keypoints -> part embeddings of each person."""

from typing import Any

from kprtrack.pipeline import ReidEncoder
from kprtrack.reid_encoders.kpr import KprEncoder, KprEncoderConfig
from kprtrack.reid_encoders.none import NoReid, NoReidConfig
from kprtrack.reid_encoders.onnx import OnnxConfig, OnnxEncoder

# `--reid NAME`: (class, config). A new encoder is one module with a class that implements
# kprtrack.pipeline.ReidEncoder, its config dataclass, and one entry here.
REID_ENCODERS: dict[str, tuple[type[ReidEncoder], Any]] = {
    "small": (KprEncoder, KprEncoderConfig),
    "kpr": (KprEncoder, KprEncoderConfig),
    "onnx": (OnnxEncoder, OnnxConfig),
    "none": (NoReid, NoReidConfig),
}
