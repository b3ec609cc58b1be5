"""Track people frame by frame with a detector of your own."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from kprtrack.build import (
    NO_REID,
    build_detector,
    build_pose_estimator,
    build_reid_encoder,
    build_tracker,
    compute_config,
    enough_memory,
    poses_from_detector,
)
from kprtrack.config import TrackConfig
from kprtrack.core.appearance import Appearance, empty_appearance
from kprtrack.core.datatypes import Detections, Frame, Observation, Poses, Tracks, empty_poses
from kprtrack.core.errors import UserError
from kprtrack.core.files.numbers import LARGEST
from kprtrack.core.geometry import iou
from kprtrack.core.skeleton import COCO_SKELETON
from kprtrack.core.skeletons import skeleton_of_count
from kprtrack.online.inputs import GivenPeople, given_people
from kprtrack.online.live_tracks import LiveTracks
from kprtrack.online.validation import number_of, same_embedding_shape, valid_image
from kprtrack.pipeline import Networks, observe

_BUILDERS: dict[str, Callable[..., Any]] = {
    "detector": build_detector,
    "pose": build_pose_estimator,
    "reid": build_reid_encoder,
}
_NO_IMAGE = np.zeros((1, 1, 3), np.uint8)


class Tracker:
    """Tracks the people of one video, frame by frame, by detections of your own.

    What is not given is computed by the networks of the configuration, which load at their first use: the
    pose estimator if there are no keypoints, the ReID encoder if there are no embeddings, the detector if
    there are no boxes.

    Args:
        config: Components, device and settings; None: the defaults. `TrackConfig(reid="none")` tracks by
            position and pose alone.
        fps: Frames per second, for frames without a time.
        poses: Estimate keypoints where none are given; False: track without.
        bgr: Images are BGR, as OpenCV, supervision and ultralytics give them; False: RGB.

    Raises:
        UserError: The configuration is wrong, or `fps` is not positive.

    Examples:
        >>> import numpy as np
        >>> tracker = Tracker(TrackConfig(reid="none"), poses=False)
        >>> tracks = tracker.update(boxes=np.array([[10, 20, 60, 180]]), scores=np.array([0.9]))
        >>> [(person.track_id, person.box.tolist()) for person in tracks]
        [(1, [10.0, 20.0, 60.0, 180.0])]
    """

    def __init__(
        self,
        config: TrackConfig | None = None,
        *,
        fps: float = 30.0,
        poses: bool = True,
        bgr: bool = False,
    ) -> None:
        if not isinstance(config, TrackConfig | None):
            raise UserError(
                f"config must be a TrackConfig, not {config!r:.40}. Make one, such as"
                ' TrackConfig(tracker="bytetrack", reid="none").'
            )
        if not 0 < number_of(fps, "fps") < np.inf:
            raise UserError(f"fps must be a number above 0, not {fps:g}.")
        self._config, self._fps = config or TrackConfig(), fps
        self._poses, self._bgr = poses, bgr
        self._tracker = build_tracker(self._config.tracker, fps)
        self._networks: dict[str, Any] = {}  # role -> the network, once it was needed
        self._detector: Any = None  # the detector itself, once it was needed
        self._observations: Iterator[Observation] | None = None
        self._skeleton = COCO_SKELETON  # of the last keypoints that were given
        self._frame: Frame | None = None
        self._given: GivenPeople | None = None
        self._embedding_shape: tuple[int, int] | None = None  # P, D of the first frame with people
        self._held: deque[Tracks] = deque()  # frames that may still be corrected
        self._number, self._time_s = -1, -np.inf

    def update(
        self,
        image: np.ndarray | None = None,
        boxes: Any = None,
        scores: Any = None,
        keypoints: Any = None,
        *,
        embeddings: Any = None,
        time_s: float | None = None,
    ) -> LiveTracks:
        """Take the next frame and return its tracks at once.

        Args:
            image: [H, W, 3] uint8, RGB unless `bgr`; None: only where no network is needed.
            boxes: [N, 4] x1 y1 x2 y2 in pixels, `supervision.Detections`, `supervision.KeyPoints` or a result
                of ultralytics; None: the detector of the configuration runs. Objects that name their classes
                are limited to the class "person"; boxes without an area are left out.
            scores: [N] in [0, 1]; None: those of `boxes`, else 1.
            keypoints: [N, K, 3] x y confidence, or `supervision.KeyPoints`; None: those of `boxes`, else the
                pose estimator runs. K determines the set, 17 are COCO's; it is the same in all frames.
                Unknown ones are 0 or NaN.
            embeddings: [N, D] or [N, P, D] of an encoder of your own, zero where unknown; None: the ReID
                encoder runs.
            time_s: Seconds, later than the frame before; None: by the number of the frame and `fps`.

        Returns:
            The tracks of this frame, and the earlier frames that are final now.

        Raises:
            UserError: Detections that do not fit, a time that does not rise, or no image where one is needed.
                The frame is not counted.
            WeightsError: The weights of a network that is needed are missing.
        """
        if boxes is None and (scores is not None or keypoints is not None or embeddings is not None):
            raise UserError("scores, keypoints and embeddings belong to boxes. Give boxes, too.")
        given = None if boxes is None else given_people(boxes, scores, keypoints, embeddings)
        frame = Frame(self._number + 1, self._next_time(time_s), self._image(image, given))
        observation = self._observe(frame, given)
        tracks = self._tracker.update(observation)
        self._number, self._time_s = frame.number, frame.time_s
        self._held.append(tracks)
        final = tuple(self._finalized(frame.time_s - self._tracker.output_delay_s))
        rows = _rows_of_tracks(tracks, observation.detections)
        return LiveTracks(
            **{each.name: getattr(tracks, each.name) for each in fields(Tracks)},
            rows=rows if given is None else given.rows[rows],
            finalized=tuple(corrected for _, corrected in final),
            corrections=tuple(corrected for returned, corrected in final if _differ(returned, corrected)),
            detections=given.source if given is not None else None,
        )

    def finish(self) -> list[Tracks]:
        """Return the frames that are not final yet, with all corrections, at the end of the video.

        Returns:
            The frames after the last one in `finalized`, in order.
        """
        return [corrected for _, corrected in self._finalized(np.inf)]

    def _finalized(self, until_s: float) -> Iterator[tuple[Tracks, Tracks]]:
        """Each held frame up to a time: its tracks as returned, and as they are final."""
        while self._held and self._held[0].time_s <= until_s:
            tracks = self._held.popleft()
            yield tracks, self._tracker.finalize(tracks)

    def _next_time(self, time_s: float | None) -> float:
        time_s = (self._number + 1) / self._fps if time_s is None else number_of(time_s, "time_s")
        if not time_s > self._time_s:
            raise UserError(
                f"time_s is {time_s:g}, which is not later than that of the frame before, {self._time_s:g}."
                " Give the time of every frame, or of none."
            )
        if not abs(time_s) < LARGEST:  # which no result file may hold
            raise UserError(
                f"time_s is {time_s:g}. Give seconds from any start but 1970, such as time.monotonic()."
            )
        return time_s

    def _image(self, image: np.ndarray | None, given: GivenPeople | None) -> np.ndarray:
        if image is not None:
            return valid_image(image, self._bgr)
        needed = []
        if given is None:
            needed.append("the detector (give boxes)")
        if self._poses and (given is None or given.keypoints is None):
            needed.append("the pose estimator (give keypoints, or poses=False)")
        if self._config.reid.name != NO_REID and (given is None or given.embeddings is None):
            needed.append('the ReID encoder (give embeddings, or TrackConfig(reid="none"))')
        if needed:
            raise UserError(f"An image is needed for {', '.join(needed)}.")
        return _NO_IMAGE

    def _observe(self, frame: Frame, given: GivenPeople | None) -> Observation:
        """Run the networks that are needed."""
        self._frame, self._given = frame, given
        if self._observations is None:
            networks = Networks(self._detect, self._estimate_poses, self._embed, skeleton=None)
            self._observations = observe(iter(self._take_frame, None), networks, 1, self._tracker)
        try:
            return next(self._observations)
        except BaseException:
            self._observations = None  # it has ended: the next frame begins another one
            raise

    def _take_frame(self) -> Frame | None:
        return self._frame

    def _detect(self, frames: list[Frame]) -> list[Detections]:
        if self._given is None:
            found: list[Detections] = self._network("detector")(frames)
            return found
        return [Detections(self._given.boxes, self._given.scores)]

    def _estimate_poses(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        if self._given is not None and self._given.keypoints is not None:
            keypoints = self._given.keypoints[self._rows_given(detections[0])]
            self._skeleton = skeleton_of_count(keypoints.shape[1])
            return [Poses(keypoints, self._skeleton)]
        if not self._poses:
            return [empty_poses(len(detections[0]), self._skeleton)]
        poses: list[Poses] = self._network("pose")(frames, detections)
        return poses

    def _embed(
        self, frames: list[Frame], detections: list[Detections], poses: list[Poses]
    ) -> list[Appearance]:
        if self._given is not None and self._given.embeddings is not None:
            features = self._given.embeddings[self._rows_given(detections[0])]
            visible = (features != 0).any(axis=2)
            return [self._of_one_shape(Appearance(features, visible, np.zeros(len(features), bool)))]
        if self._config.reid.name == NO_REID:  # unknown in this frame, if others have embeddings
            shape = self._embedding_shape or (0, 0)
            return [self._of_one_shape(empty_appearance(len(detections[0]), *shape))]
        embedded: list[Appearance] = self._network("reid")(frames, detections, poses)
        return [self._of_one_shape(each) for each in embedded]

    def _of_one_shape(self, appearance: Appearance) -> Appearance:
        """The embeddings, whose shape must be that of earlier frames. Raises: UserError."""
        if not len(appearance.features):
            return empty_appearance(0, *(self._embedding_shape or appearance.features.shape[1:]))
        self._embedding_shape = same_embedding_shape(appearance.features, self._embedding_shape)
        return appearance

    def _rows_given(self, detections: Detections) -> list[int]:
        """The rows of some of the given detections, which keep their order."""
        assert self._given is not None
        rows: list[int] = []
        candidates = iter(range(len(self._given.boxes)))
        for box, score in zip(detections.boxes, detections.scores, strict=True):
            rows.append(
                next(
                    row
                    for row in candidates
                    if self._given.scores[row] == score and (self._given.boxes[row] == box).all()
                )
            )
        return rows

    def _network(self, role: str) -> Any:
        """The network of a role, loaded at its first use."""
        if role not in self._networks:
            compute = compute_config(self._config)
            component = getattr(self._config, role)
            if role == "pose" and poses_from_detector(component.name):
                self._network("detector")
                network: Any = build_pose_estimator(component, compute, self._detector)
            else:
                network = _BUILDERS[role](component, compute)
            if role == "detector":
                self._detector = network
            self._networks[role] = enough_memory(self._config, compute)(network)
        return self._networks[role]


def _rows_of_tracks(tracks: Tracks, detections: Detections) -> np.ndarray:
    """[M] the detection of each track: the one with its box and score, else the one that it overlaps most."""
    free = np.ones(len(detections), bool)
    rows = np.zeros(len(tracks), np.int64)
    for number, overlap in enumerate(iou(tracks.boxes, detections.boxes)):
        same = (detections.boxes == tracks.boxes[number]).all(axis=1)
        same &= detections.scores == tracks.scores[number]
        rows[number] = np.argmax(np.where(free, overlap + same, -1.0))
        free[rows[number]] = False
    return rows


def _differ(returned: Tracks, corrected: Tracks) -> bool:
    return not np.array_equal(returned.ids, corrected.ids)
