"""No ReID encoder: tracking by position and pose alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kprtrack.core.appearance import Appearance, empty_appearance
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.pipeline import ReidEncoder


@dataclass(frozen=True)
class NoReidConfig:
    """No options."""


class NoReid(ReidEncoder):
    """Gives every detection an embedding without parts, which no tracker compares."""

    weights_from = "none"

    def __init__(self, config: NoReidConfig, weights: Path | None = None, compute: Any = None) -> None:
        pass

    def __call__(
        self, frames: list[Frame], detections: list[Detections], poses: list[Poses]
    ) -> list[Appearance]:
        """Embeddings of shape [N, 0, 0] for the N detections of each frame."""
        return [empty_appearance(len(found)) for found in detections]
