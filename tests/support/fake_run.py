"""A pipeline without weights: two people who walk, and functions in place of networks."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.pipeline import Networks


def make_video(path: Path, frames: int = 12, fps: int = 10) -> Path:
    """A grey video of 64x48 pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            packed_frame = av.VideoFrame.from_ndarray(
                np.full((48, 64, 3), 9 * number % 256, np.uint8), format="rgb24"
            )
            container.mux(stream.encode(packed_frame))
        container.mux(stream.encode(None))
    return path


def frames(count: int) -> Iterator[Frame]:
    for number in range(count):
        yield Frame(number, number / 10, np.zeros((48, 64, 3), np.uint8))


def detect(batch: list[Frame]) -> list[Detections]:
    """Two people, one at each side, a pixel to the right with every frame."""
    return [
        Detections(
            np.array([[2, 4, 14, 40], [32, 4, 44, 40]], np.float32)
            + frame.number * np.array([1, 0, 1, 0], np.float32),
            np.array([0.9, 0.8], np.float32),
        )
        for frame in batch
    ]


def detect_nobody(batch: list[Frame]) -> list[Detections]:
    return [Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)) for _ in batch]


def estimate_poses(batch: list[Frame], people: list[Detections]) -> list[Poses]:
    """Every keypoint in the middle of the box."""
    poses = []
    for found in people:
        middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        points = np.concatenate([middle, np.ones((len(found), 1), np.float32)], axis=1)
        poses.append(Poses(np.repeat(points[:, None], 17, axis=1).astype(np.float32)))
    return poses


def embed(batch: list[Frame], people: list[Detections], poses: list[Poses]) -> list[Appearance]:
    """The first is prompted, the second not; their embeddings are orthogonal."""
    return [
        Appearance(
            np.eye(2, 4, dtype=np.float32)[: len(found), None],
            np.ones((len(found), 1), bool),
            np.array([True, False])[: len(found)],
        )
        for found in people
    ]


FACTS = {role: {"name": "fake"} for role in ("detector", "pose", "reid")}
NETWORKS = Networks(detect, estimate_poses, embed, FACTS)
NO_PEOPLE = Networks(detect_nobody, estimate_poses, embed, FACTS)
