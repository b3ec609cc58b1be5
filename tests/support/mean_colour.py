"""A ReID encoder without weights: the mean colour of the whole image."""

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.pipeline import ReidEncoder


class MeanColour(ReidEncoder):
    """Gives every frame, which must hold one person, its mean colour as the one feature."""

    def __init__(self, config: object, weights: object, compute: object) -> None:
        pass

    def __call__(
        self, frames: list[Frame], detections: list[Detections], poses: list[Poses]
    ) -> list[Appearance]:
        means = [frame.image.mean(axis=(0, 1), dtype=np.float32)[None, None] for frame in frames]
        visible = np.ones((1, 1), bool)
        return [Appearance(mean / np.linalg.norm(mean), visible, ~visible[0]) for mean in means]
