"""Data of a frame, from image to tracks. Row i is the same person in every array of a frame.

Images are RGB uint8, boxes x1 y1 x2 y2 in pixels of the full frame, frame numbers 0-based, times in seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.skeleton import COCO_SKELETON, Skeleton
from kprtrack.core.tables.rerun_archetypes import to_rerun
from kprtrack.core.tables.track_table import Library, to_dataframe, to_supervision


def check_shape(name: str, array: np.ndarray, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError for an array of another shape; None stands for any length."""
    fits = array.ndim == len(shape) and all(w in (None, h) for h, w in zip(array.shape, shape, strict=True))
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} has shape {array.shape}, expected [{wanted}]")


@dataclass(frozen=True)
class Frame:
    """One image of a video with its time.

    Args:
        number: 0-based, counted in the source (a stride leaves gaps).
        time_s: Seconds, by the time stamps of the container.
        image: [H, W, 3] uint8, RGB.
        deep: The decoded frame (av.VideoFrame), where it has 10 bits or more; for writers that keep them.

    Raises:
        ValueError: The image has another shape.

    Examples:
        >>> import numpy as np
        >>> Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8)).image.shape
        (48, 64, 3)
    """

    number: int
    time_s: float
    image: np.ndarray
    deep: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_shape("Frame.image", self.image, (None, None, 3))


@dataclass(frozen=True)
class Detections:
    """People detected in one frame.

    Args:
        boxes: [N, 4] float32, x1 y1 x2 y2, pixels.
        scores: [N] float32 in [0, 1].

    Raises:
        ValueError: The shapes do not fit.

    Examples:
        >>> import numpy as np
        >>> len(Detections(np.float32([[10, 20, 60, 180]]), np.float32([0.9])))
        1
    """

    boxes: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        check_shape("Detections.boxes", self.boxes, (None, 4))
        check_shape("Detections.scores", self.scores, (len(self.boxes),))

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Poses:
    """One skeleton per detected person.

    Args:
        keypoints: [N, K, 3] float32, x y confidence, pixels of the full frame, in the order of the skeleton.
        skeleton: The set of K keypoints; COCO's 17 by default (kprtrack.SKELETONS).

    Raises:
        ValueError: The keypoints have another shape.

    Examples:
        >>> import numpy as np
        >>> len(Poses(np.zeros((2, 17, 3), np.float32)))
        2
    """

    keypoints: np.ndarray
    skeleton: Skeleton = COCO_SKELETON

    def __post_init__(self) -> None:
        check_shape("Poses.keypoints", self.keypoints, (None, len(self.skeleton), 3))

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True)
class Observation:
    """Detections, poses and embeddings of one frame: the input of a tracker.

    Args:
        frame_number: 0-based, counted in the source.
        time_s: Seconds.
        detections: N people.
        poses: Of the same N people.
        embeddings: Of the same N people.

    Raises:
        ValueError: The three differ in the number of people.

    Examples:
        >>> from kprtrack import empty_appearance, empty_detections, empty_poses
        >>> len(Observation(0, 0.0, empty_detections(), empty_poses(), empty_appearance()))
        0
    """

    frame_number: int
    time_s: float
    detections: Detections
    poses: Poses
    embeddings: Appearance

    def __post_init__(self) -> None:
        count = len(self.detections)
        check_shape("Observation.poses", self.poses.keypoints, (count, None, 3))
        check_shape("Observation.embeddings", self.embeddings.features, (count, None, None))

    def __len__(self) -> int:
        return len(self.detections)


class TrackedPerson(NamedTuple):
    """One person of a frame, as iterating over `Tracks` yields them."""

    track_id: int
    box: np.ndarray  # [4] float32, x1 y1 x2 y2, pixels
    score: float
    keypoints: np.ndarray  # [K, 3] float32, x y confidence


@dataclass(frozen=True)
class Tracks:
    """The tracked people of one frame.

    Args:
        frame_number: 0-based, counted in the source.
        time_s: Seconds.
        ids: [M] int64, 1 or more, never reused.
        boxes: [M, 4] float32, the detector's own boxes, or interpolated in short gaps.
        scores: [M] float32, the detector's scores; in a gap the lower one of both ends.
        keypoints: [M, K, 3] float32, x y confidence.
        distances: [M] float32, part distance to the track before this frame; NaN if not compared.
        margins: [M] float32, how much farther the next track is; NaN if there is none.
        visible: [M, P] bool, body parts visible in this frame.
        prompted: [M] bool, whether keypoints prompted the encoder.
        skeleton: The set of K keypoints; COCO's 17 by default (kprtrack.SKELETONS).

    Raises:
        ValueError: The shapes do not fit.

    Examples:
        >>> tracks = read_tracks("tracks.json").frames[0]
        >>> tracks.ids.tolist(), tracks.boxes.shape
        ([1, 2], (2, 4))
        >>> [(person.track_id, person.box.shape) for person in tracks]
        [(1, (4,)), (2, (4,))]
    """

    frame_number: int
    time_s: float
    ids: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    keypoints: np.ndarray
    distances: np.ndarray
    margins: np.ndarray
    visible: np.ndarray
    prompted: np.ndarray
    skeleton: Skeleton = field(default=COCO_SKELETON, kw_only=True)

    def __post_init__(self) -> None:
        count = len(self.ids)
        check_shape("Tracks.ids", self.ids, (None,))
        check_shape("Tracks.boxes", self.boxes, (count, 4))
        check_shape("Tracks.keypoints", self.keypoints, (count, len(self.skeleton), 3))
        check_shape("Tracks.visible", self.visible, (count, None))
        for name in ("scores", "distances", "margins", "prompted"):
            check_shape(f"Tracks.{name}", getattr(self, name), (count,))

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[TrackedPerson]:
        """Yield one record for each person."""
        for row, track_id in enumerate(self.ids.tolist()):
            yield TrackedPerson(track_id, self.boxes[row], float(self.scores[row]), self.keypoints[row])

    def to_dataframe(self, library: Library = "pandas") -> Any:
        """Make a data frame with one row per person and the columns of the CSV format (docs/formats.md).

        Args:
            library: "pandas" or "polars".

        Returns:
            A `pandas.DataFrame` or `polars.DataFrame`; what is unknown is NaN.

        Raises:
            UserError: The library is unknown or not installed.
        """
        return to_dataframe([self], library, self.skeleton.names)

    def to_supervision(self) -> Any:
        """Make `supervision.Detections` with tracker IDs, for its annotators, zones and sinks.

        Returns:
            Detections of class 0, "person"; `data["keypoints"]` holds the keypoints, [M, K, 3].

        Raises:
            UserError: supervision is not installed.
        """
        return to_supervision(self)

    def to_rerun(self, entity: str = "people") -> dict[str, Any]:
        """Make archetypes of the viewer Rerun, to be logged in a loop of your own.

        Each person is a class with its label, its colour in annotated videos and its skeleton, so
        `rr.log` of every item shows the people of the frame. Keypoints below a confidence of 0.3 are left
        out, as in annotated videos. `kprtrack view` shows a whole result with its video.

        Args:
            entity: Path of the parent entity.

        Returns:
            Entity path -> archetype: the `AnnotationContext` at `entity`, `Boxes2D` at `entity/boxes` and
            `Points2D` at `entity/skeletons`.

        Raises:
            UserError: Rerun is not installed.
        """
        return to_rerun(self, entity)


def empty_detections() -> Detections:
    """Return the detections of a frame without people.

    Returns:
        Detections with N = 0.

    Examples:
        >>> empty_detections().boxes.shape
        (0, 4)
    """
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def empty_poses(count: int = 0, skeleton: Skeleton = COCO_SKELETON) -> Poses:
    """Return skeletons without known keypoints.

    Args:
        count: Number of people.
        skeleton: The set of keypoints.

    Returns:
        Poses whose coordinates and confidences are all 0.

    Examples:
        >>> empty_poses(2).keypoints.shape
        (2, 17, 3)
    """
    return Poses(np.zeros((count, len(skeleton), 3), np.float32), skeleton)


@dataclass(frozen=True)
class Interruption:
    """A time in which a live source sent nothing."""

    frame: int  # number of the first frame after it
    seconds: float  # without a frame


@dataclass(frozen=True)
class FrameLosses:
    """The frames that a source did not deliver as they were recorded; `bool` says whether there are any."""

    damaged_frames: tuple[int, ...] = ()  # numbers of frames shown with errors, or not at all; ascending
    dropped_frames: int = 0  # frames of a live source that came faster than they were used
    interruptions: tuple[Interruption, ...] = ()  # of a live source that was connected again

    def __bool__(self) -> bool:
        return bool(self.damaged_frames or self.dropped_frames or self.interruptions)

    def to_json(self) -> dict[str, object]:
        """Return the keys that are not empty, for the header or the end of a file."""
        values: dict[str, object] = {}
        if self.damaged_frames:
            values["damaged_frames"] = list(self.damaged_frames)
        if self.dropped_frames:
            values["dropped_frames"] = self.dropped_frames
        if self.interruptions:
            values["interruptions"] = [
                {"frame": one.frame, "seconds": one.seconds} for one in self.interruptions
            ]
        return values


NO_LOSSES = FrameLosses()
