"""Embed the person that is searched for."""

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.finding.people import PromptedPerson
from kprtrack.pipeline import ReidEncoder


def embed_person(image: np.ndarray, person: PromptedPerson, encoder: ReidEncoder) -> Appearance:
    """Embed a person of an image.

    Args:
        image: [H, W, 3] uint8, RGB.
        person: With prompts.
        encoder: That of the videos.

    Returns:
        One embedding, [1, P, D].
    """
    detections = Detections(person.box[None].astype(np.float32), np.ones(1, np.float32))
    (found,) = encoder([Frame(0, 0.0, image)], [detections], [Poses(person.keypoints.astype(np.float32))])
    return found
