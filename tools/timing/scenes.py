"""Random people and images as inputs of measurements, the same on every machine."""

from collections.abc import Iterator

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Observation, Poses

# The 17 keypoints of a standing person as fractions of the width and height of the box.
_STANDING = np.array(
    [
        *[
            (0.5, 0.08),
            (0.55, 0.06),
            (0.45, 0.06),
            (0.6, 0.08),
            (0.4, 0.08),
            (0.7, 0.2),
            (0.3, 0.2),
            (0.8, 0.35),
        ],
        *[(0.2, 0.35), (0.85, 0.5), (0.15, 0.5), (0.62, 0.52), (0.38, 0.52), (0.62, 0.74), (0.38, 0.74)],
        *[(0.62, 0.95), (0.38, 0.95)],
    ]
)
_PARTS, _DIMENSIONS = 9, 512


def random_walk(
    count: int, frames: int, seed: int = 0, shape: tuple[int, int] = (_PARTS, _DIMENSIONS)
) -> Iterator[Observation]:
    """Yield `count` people on random walks at 1920 x 1080; a fifth of the detections has low scores.

    shape: of an embedding, parts and dimensions.
    """
    rng = np.random.default_rng(seed)
    size = np.stack((rng.uniform(40, 80, count), rng.uniform(110, 220, count)), axis=1)
    corner = rng.uniform(0, 1, (count, 2)) * (1800, 850)
    speed = rng.normal(0, 3, (count, 2))
    own_embeddings = rng.standard_normal((count, *shape), dtype=np.float32)
    for frame in range(frames):
        speed += rng.normal(0, 0.5, speed.shape)
        speed *= np.where((corner < 0) | (corner > (1800, 850)), -1, 1)
        corner += speed
        noise = rng.normal(0, 1.5, (count, 4))
        boxes = (np.concatenate((corner, corner + size), axis=1) + noise).astype(np.float32)
        scores = np.where(
            rng.random(count) < 0.8, rng.uniform(0.72, 0.95, count), rng.uniform(0.15, 0.55, count)
        )
        embeddings = own_embeddings + 0.6 * rng.standard_normal(own_embeddings.shape, dtype=np.float32)
        embeddings /= np.linalg.norm(embeddings, axis=2, keepdims=True)
        visible = rng.random((count, shape[0])) < 0.8
        visible[:, 0] = True
        yield Observation(
            frame,
            frame / 30,
            Detections(boxes, scores.astype(np.float32)),
            Poses(skeletons(boxes, rng)),
            Appearance(embeddings, visible, np.ones(count, bool)),
        )


def skeletons(boxes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return [N, 17, 3] float32 standing people; a fifth of the keypoints has low confidence."""
    size = boxes[:, None, 2:] - boxes[:, None, :2]
    points = boxes[:, None, :2] + (_STANDING + rng.normal(0, 0.02, (len(boxes), 17, 2))) * size
    confidence = np.where(rng.random((len(boxes), 17, 1)) < 0.8, 0.9, 0.2)
    return np.concatenate((points, confidence), axis=2).astype(np.float32)


def made_up_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return an image [H, W, 3] uint8 of smooth colour blobs with noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 230, (height // 40 + 1, width // 40 + 1, 3), dtype=np.uint8)
    smooth = coarse.repeat(40, axis=0).repeat(40, axis=1)[:height, :width]
    return smooth + rng.integers(0, 25, (height, width, 3), dtype=np.uint8)


def five_people(width: int, height: int, frame: int) -> np.ndarray:
    """Return boxes [5, 4] float32 of people who walk past each other."""
    rng = np.random.default_rng(7)
    size = np.stack((rng.uniform(70, 110, 5), rng.uniform(220, 320, 5)), axis=1)
    room = np.array((width, height)) - size - 1
    corner = np.mod(rng.uniform(0, 1, (5, 2)) * room + rng.normal(0, 4, (5, 2)) * frame, room)
    return np.concatenate((corner, corner + size), axis=1).astype(np.float32)
