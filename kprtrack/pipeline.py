"""The data flow: frames -> observations -> tracks.

`observe` runs the networks, which keep no state between frames; `track` runs the tracker, which runs no
network.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np

from kprtrack.core.appearance import Appearance, empty_appearance
from kprtrack.core.datatypes import Detections, Frame, Observation, Poses, Tracks, empty_poses
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.skeleton import COCO_SKELETON, Skeleton
from kprtrack.inference.validation import validate_outputs

if TYPE_CHECKING:
    from kprtrack.trackers.reidentification import Reidentification


class Network(Protocol):
    """What detectors, pose estimators and ReID encoders have in common."""

    # Where weights come from: "store": a file, or a name of the model store; "path": any file, not hashed;
    # "none": the class is made with `weights` None; "detector": a pose estimator is made with the detector.
    weights_from: ClassVar[Literal["store", "path", "none", "detector"]] = "store"
    backend: str | None = None  # what executes the network, where there is a choice

    def __init__(self, config: Any, weights: Any, compute: Any) -> None:
        """Load the network.

        Args:
            config: The component's config dataclass.
            weights: Path of the file of weights.
            compute: Device, precision, batch size and threads (kprtrack.inference.devices.ComputeConfig).
        """


class Detector(Network, Protocol):
    """Detects people. A detector of your own inherits from it and becomes an entry of DETECTORS.

    Examples:
        >>> class NoDetector(Detector):
        ...     weights_from = "none"
        ...
        ...     def __init__(self, config, weights, compute):
        ...         pass
        ...
        ...     def __call__(self, frames):
        ...         return [empty_detections() for frame in frames]
        >>> NoDetector(None, None, None)([])
        []
    """

    def __call__(self, frames: list[Frame]) -> list[Detections]:
        """Detect the people in each frame.

        Args:
            frames: Any number of frames, of any sizes.

        Returns:
            Detections of each frame, best score first, boxes in pixels of that frame.
        """
        ...


class PoseEstimator(Network, Protocol):
    """Estimates the keypoints of every detected person; an entry of POSES.

    Examples:
        >>> class NoPose(PoseEstimator):
        ...     weights_from = "none"
        ...
        ...     def __init__(self, config, weights, compute):
        ...         pass
        ...
        ...     def __call__(self, frames, detections):
        ...         return [empty_poses(len(found)) for found in detections]
        >>> NoPose(None, None, None)([], [])
        []
    """

    skeleton: Skeleton = COCO_SKELETON  # the set of keypoints of all its poses

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        """Estimate the pose in each box.

        Args:
            frames: Any number of frames, of any sizes.
            detections: Those of each frame.

        Returns:
            Poses of each frame, row i for box i, in pixels of that frame.
        """
        ...


class ReidEncoder(Network, Protocol):
    """Embeds the appearance of every detected person; an entry of REID_ENCODERS.

    Examples:
        >>> class NoEncoder(ReidEncoder):
        ...     weights_from = "none"
        ...
        ...     def __init__(self, config, weights, compute):
        ...         pass
        ...
        ...     def __call__(self, frames, detections, poses):
        ...         return [empty_appearance(len(found)) for found in detections]
        >>> NoEncoder(None, None, None)([], [], [])
        []
    """

    takes_prompts: ClassVar[bool] = False  # whether keypoints prompt the encoder

    def __call__(
        self, frames: list[Frame], detections: list[Detections], poses: list[Poses]
    ) -> list[Appearance]:
        """Embed the person in each box.

        Args:
            frames: Any number of frames, of any sizes.
            detections: Those of each frame.
            poses: Those of each frame; they may serve as prompts. There may be more poses than detections:
                the others are people beside them, whom the tracker does not want embedded.

        Returns:
            Embeddings of each frame, row i for box i.
        """
        ...


class Wanted(NamedTuple):
    """The detections of a frame that a tracker can use."""

    poses: np.ndarray  # [N] bool, those whose pose is to be estimated
    embeddings: np.ndarray  # [N] bool, those to be embedded


class BaseTracker(Protocol):
    """Associates the observations of one video over time; an entry of TRACKERS.

    Examples:
        >>> tracker: BaseTracker = build_tracker("bytetrack", fps=25)
        >>> tracker.output_delay_s
        0.0
    """

    def __init__(self, config: Any, fps: float) -> None:
        """Start without tracks.

        Args:
            config: The tracker's config dataclass.
            fps: Observations per second of video.
        """

    @property
    def output_delay_s(self) -> float:
        """Seconds after a frame in which its identities may still be corrected; 0: never."""
        ...

    @property
    def selective(self) -> bool:
        """Whether `wanted` may leave out detections; if so, frames are observed one after the other."""
        return False

    def update(self, observation: Observation) -> Tracks:
        """Take the next observation and return its tracks; observations come in order of time."""
        ...

    def wanted(self, detections: Detections, time_s: float) -> Wanted:
        """Return the detections of the next frame for which the other networks are to run; default: all.

        Args:
            detections: Those of the frame that the next `update` gets.
            time_s: Its time.

        Returns:
            Masks of the detections. The other ones have keypoints of confidence 0 and no visible part.
        """
        everyone = np.ones(len(detections), bool)
        return Wanted(everyone, everyone)

    def finalize(self, tracks: Tracks) -> Tracks:
        """Return the tracks of an earlier frame with all corrections known by now."""
        ...

    def take_evidence(self) -> "Sequence[Reidentification]":
        """Return the re-identifications since the last call; default: none."""
        return ()


@dataclass(frozen=True)
class Networks:
    """The three networks of the pipeline; any function of a batch of frames may take the place of each.

    Args:
        detect: Frames -> detections of each frame.
        estimate_poses: Frames and their detections -> poses of each frame.
        embed: Frames, their detections and poses -> embeddings of each frame.
        metadata: By role: name, file, sha256, options; stored in result files.
        skeleton: The set of keypoints that `estimate_poses` gives; stored in result files. None: not known.

    Examples:
        >>> import numpy as np
        >>> box = Detections(np.float32([[10, 5, 30, 45]]), np.float32([0.9]))
        >>> networks = Networks(
        ...     detect=lambda frames: [box for _ in frames],
        ...     estimate_poses=lambda frames, detections: [empty_poses(len(found)) for found in detections],
        ...     embed=lambda frames, detections, _: [empty_appearance(len(found)) for found in detections],
        ... )
        >>> track_video("video.mp4", "tracks.csv", networks=networks).ids
        {1}
    """

    detect: Callable[[list[Frame]], list[Detections]]
    estimate_poses: Callable[[list[Frame], list[Detections]], list[Poses]]
    embed: Callable[[list[Frame], list[Detections], list[Poses]], list[Appearance]]
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    skeleton: Skeleton | None = COCO_SKELETON


def observe(
    frames: Iterable[Frame], networks: Networks, batch_size: int = 8, tracker: BaseTracker | None = None
) -> Iterator[Observation]:
    """Run the networks on every frame and yield the observations in order.

    A selective tracker is asked about every frame what it wants, and must have got the frame before; so the
    observations have to be consumed one by one, as `track` does.

    Args:
        frames: The frames of a video.
        networks: Detector, pose estimator and encoder.
        batch_size: Frames in one call of each network.
        tracker: Poses and embeddings are limited to what this tracker wants; None: of all detections.

    Yields:
        One observation per frame.

    Raises:
        InputError: The source failed; the frames read before are observed first.
        UserError: A network gave numbers that are not finite, scores outside their range, or another set of
            keypoints than that of `networks`.

    Examples:
        >>> with open_source("video.mp4") as video:
        ...     observations = list(observe(video, networks))
        >>> len(observations), len(observations[0])  # frames, people
        (12, 2)
    """
    if tracker is not None and tracker.selective:
        yield from _observe_wanted(frames, networks, batch_size, tracker)
        return
    for batch in _batches(frames, batch_size):
        detections = networks.detect(batch)
        poses = networks.estimate_poses(batch, detections)
        embeddings = networks.embed(batch, detections, poses)
        for frame, found, pose, embedding in zip(batch, detections, poses, embeddings, strict=True):
            yield _observation(frame, found, pose, embedding, networks.skeleton)


def _observe_wanted(
    frames: Iterable[Frame], networks: Networks, batch_size: int, tracker: BaseTracker
) -> Iterator[Observation]:
    """Observe one frame after the other, with the poses and embeddings that the tracker wants."""
    shape: tuple[int, int] | None = None  # of an embedding, P and D
    skeleton = networks.skeleton or COCO_SKELETON
    for batch in _batches(frames, batch_size):
        for frame, found in zip(batch, networks.detect(batch), strict=True):
            wanted = tracker.wanted(found, frame.time_s)
            some = None
            if wanted.poses.any():
                (some,) = networks.estimate_poses([frame], [_rows(found, wanted.poses)])
                skeleton = some.skeleton
            poses = empty_poses(len(found), skeleton)
            if some is not None:
                poses.keypoints[wanted.poses] = some.keypoints
            rows = wanted.embeddings
            if shape is None and not rows.any():
                rows = np.arange(len(found)) == 0  # only to know the shape
            if rows.any():
                people = Poses(np.concatenate([poses.keypoints[rows], poses.keypoints[~rows]]), skeleton)
                (embedded,) = networks.embed([frame], [_rows(found, rows)], [people])
                shape = embedded.features.shape[1], embedded.features.shape[2]
            embeddings = empty_appearance(len(found), *(shape or (0, 0)))
            if wanted.embeddings.any():
                for name in ("features", "visible", "prompted"):
                    getattr(embeddings, name)[rows] = getattr(embedded, name)
            yield _observation(frame, found, poses, embeddings, networks.skeleton)


def _rows(detections: Detections, rows: np.ndarray) -> Detections:
    return Detections(detections.boxes[rows], detections.scores[rows])


def _observation(
    frame: Frame, found: Detections, poses: Poses, embeddings: Appearance, skeleton: Skeleton | None
) -> Observation:
    if skeleton is not None and poses.skeleton != skeleton:
        raise UserError(
            f"The poses of frame {frame.number} have the keypoints of {poses.skeleton.name}, not of"
            f" {skeleton.name}. Set Networks.skeleton to the set that the pose estimator gives."
        )
    validate_outputs(frame.number, found, poses, embeddings)
    return Observation(frame.number, frame.time_s, found, poses, embeddings)


def _batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    try:
        for frame in frames:
            batch.append(frame)
            if len(batch) == size:
                yield batch
                batch = []
    except InputError:  # the frames before the damage are good
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def track(observations: Iterable[Observation], tracker: BaseTracker) -> Iterator[Tracks]:
    """Associate observations over time and yield the tracks of each frame in order.

    Output lags `tracker.output_delay_s` seconds so that late re-identifications can still correct earlier
    frames.

    Args:
        observations: One per frame, ordered by `time_s`.
        tracker: A fresh tracker; it keeps state for one video.

    Yields:
        Tracks of each frame; IDs are positive and never reused.

    Raises:
        Exception: Whatever the observations raise; the tracks of all frames before are yielded first.

    Examples:
        >>> with open_source("video.mp4") as video:
        ...     tracker = build_tracker("kpr", fps=video.info.fps)
        ...     for tracks in track(observe(video, networks), tracker):
        ...         if tracks.frame_number == 11:
        ...             print(tracks.time_s, tracks.ids)
        1.1 [1 2]
    """
    held: deque[Tracks] = deque()
    failure: BaseException | None = None
    try:
        for observation in observations:
            held.append(tracker.update(observation))
            while held and held[0].time_s <= observation.time_s - tracker.output_delay_s:
                yield tracker.finalize(held.popleft())
    except GeneratorExit:  # the consumer has stopped
        raise
    except BaseException as error:
        failure = error
    while held:
        yield tracker.finalize(held.popleft())
    if failure is not None:
        raise failure
