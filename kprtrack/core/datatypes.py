"""What travels from video to tracks. Row i is the same person in every array of a frame.

Images are RGB uint8, boxes x1 y1 x2 y2 in pixels of the full frame, frame numbers 0-based, times in seconds.
"""

from dataclasses import dataclass

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.skeleton import KEYPOINTS


def check_shape(name: str, array: np.ndarray, shape: tuple[int | None, ...]) -> None:
    """Refuse an array of another shape; None stands for any length."""
    fits = array.ndim == len(shape) and all(w in (None, h) for h, w in zip(array.shape, shape, strict=True))
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} has shape {array.shape}, expected [{wanted}]")


@dataclass(frozen=True)
class Frame:
    """One picture of a video with its true time."""

    number: int  # 0-based, counted in the source (a stride leaves gaps)
    time_s: float  # from the container's time stamps
    image: np.ndarray  # [H, W, 3] uint8, RGB

    def __post_init__(self) -> None:
        check_shape("Frame.image", self.image, (None, None, 3))


@dataclass(frozen=True)
class Detections:
    """People found in one frame."""

    boxes: np.ndarray  # [N, 4] float32, x1 y1 x2 y2, pixels
    scores: np.ndarray  # [N] float32 in [0, 1]

    def __post_init__(self) -> None:
        check_shape("Detections.boxes", self.boxes, (None, 4))
        check_shape("Detections.scores", self.scores, (len(self.boxes),))

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Poses:
    """One skeleton per detected person."""

    keypoints: (
        np.ndarray
    )  # [N, 17, 3] float32, x y confidence, pixels of the full frame, kprtrack.core.skeleton.KEYPOINTS

    def __post_init__(self) -> None:
        check_shape("Poses.keypoints", self.keypoints, (None, len(KEYPOINTS), 3))

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True)
class Observation:
    """All that the networks say about one frame; a tracker needs nothing else."""

    frame_number: int
    time_s: float
    detections: Detections
    poses: Poses
    embeddings: Appearance

    def __post_init__(self) -> None:
        count = len(self.detections)
        check_shape("Observation.poses", self.poses.keypoints, (count, len(KEYPOINTS), 3))
        check_shape("Observation.looks", self.embeddings.features, (count, None, None))

    def __len__(self) -> int:
        return len(self.detections)


@dataclass(frozen=True)
class Tracks:
    """The people of one frame with their identities, and why each identity was given."""

    frame_number: int
    time_s: float
    ids: np.ndarray  # [M] int64, >= 1, never reused
    boxes: np.ndarray  # [M, 4] float32, the detector's own boxes
    scores: np.ndarray  # [M] float32, the detector's score
    keypoints: np.ndarray  # [M, 17, 3] float32, x y confidence
    distances: (
        np.ndarray
    )  # [M] float32, part distance to the track before this frame; NaN where none was compared
    margins: (
        np.ndarray
    )  # [M] float32, distance to the second-best track minus distances; NaN where there was none
    visible: np.ndarray  # [M, P] bool, parts seen in this frame
    prompted: np.ndarray  # [M] bool, whether keypoints prompted the encoder

    def __post_init__(self) -> None:
        count = len(self.ids)
        check_shape("Tracks.ids", self.ids, (None,))
        check_shape("Tracks.boxes", self.boxes, (count, 4))
        check_shape("Tracks.keypoints", self.keypoints, (count, len(KEYPOINTS), 3))
        check_shape("Tracks.visible", self.visible, (count, None))
        for name in ("scores", "distances", "margins", "prompted"):
            check_shape(f"Tracks.{name}", getattr(self, name), (count,))

    def __len__(self) -> int:
        return len(self.ids)


def empty_detections() -> Detections:
    """No people."""
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def empty_poses(count: int = 0) -> Poses:
    """`count` skeletons without a single known keypoint (all zero)."""
    return Poses(np.zeros((count, len(KEYPOINTS), 3), np.float32))
