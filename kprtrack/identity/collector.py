"""Collects prototypes while a video is tracked: a few arrays per track, bounded for videos of any length."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kprtrack.core.appearance import Appearance, part_distance
from kprtrack.core.datatypes import Observation, Tracks
from kprtrack.core.geometry import occluded_fraction
from kprtrack.identity.confidence import CONFIDENCE, ConfidenceLog
from kprtrack.identity.evidence import EVIDENCE, EvidenceLog, evidence_to_json
from kprtrack.identity.prototypes import TrackPrototypes, add_together, unit_length
from kprtrack.io.header import plain

PER_TRACK = 8
MOST_BYTES = 128 << 20  # of all prototypes and means; beyond it tracks keep fewer, then the shortest none
MAX_OCCLUSION = 0.3  # share of the box behind other people
MIN_SCORE = 0.4  # lower boxes are mostly body parts and duplicates
_INTERVAL_S = 0.2  # between the sightings of a track that may become prototypes
_FULL_HEIGHT_PX = 128  # a lower person has less detail than the encoders look at


@dataclass
class _Sighting:
    features: np.ndarray  # [P, D] float16
    visible: np.ndarray  # [P] bool
    prompted: bool
    frame: int
    time_s: float
    box: np.ndarray
    keypoints: np.ndarray
    quality: float


@dataclass
class _Track:
    first: tuple[int, float]  # frame number and time
    last: tuple[int, float]
    boxes: int = 0
    sums: np.ndarray | None = None  # [P, D] float32, of all unoccluded embeddings
    visible: np.ndarray | None = None  # [P] bool
    weight: int = 0
    considered_s: float = -np.inf
    kept: list[_Sighting] = field(default_factory=list)


class PrototypeCollector:
    """Takes the observations and the final tracks of a run, and makes its `TrackPrototypes`.

    Args:
        header: As that of `TrackPrototypes`, without "complete".

    Examples:
        >>> observations = read_observations("observations.npz")
        >>> collector, tracker = PrototypeCollector({}), build_tracker("kpr", fps=10)
        >>> for tracks in track(collector.observed(observations), tracker):
        ...     collector.add(tracks)
        >>> collector.result(complete=True).track_ids
        array([1, 2])
    """

    def __init__(self, header: Mapping[str, Any]) -> None:
        self._header = dict(header)
        self._waiting: deque[Observation] = deque()  # until the tracks of their frames are final
        self._tracks: dict[int, _Track] = {}
        self._together: set[tuple[int, int]] = set()
        self.evidence = EvidenceLog()
        self.confidence: dict[int, float] = {}  # of each track, once `result` was called
        self._log = ConfidenceLog()
        self._before: list[int] = []  # track IDs of the frame before
        self._per_track = PER_TRACK
        self._bytes = 0  # of the sightings kept and of the sums

    def observed(self, observations: Iterable[Observation]) -> Iterator[Observation]:
        """Yield the observations, and remember them until `add` gets the tracks of their frames."""
        for observation in observations:
            self._waiting.append(observation)
            yield observation

    def add(self, tracks: Tracks) -> None:
        """Add the final tracks of a frame; once a frame, in order."""
        add_together(self._together, self._before, sorted(tracks.ids.tolist()))
        self._log.add(tracks)
        while self._waiting and self._waiting[0].frame_number < tracks.frame_number:
            self._waiting.popleft()
        if not self._waiting or self._waiting[0].frame_number != tracks.frame_number:
            return
        observation = self._waiting.popleft()
        rows = _rows_of(tracks, observation)
        quality = _quality(observation)
        for track_id, row in zip(tracks.ids.tolist(), rows.tolist(), strict=True):
            if row >= 0:
                self._add(track_id, observation, row, float(quality[row]))
        if self._bytes > MOST_BYTES:
            self._shrink()

    def _add(self, track_id: int, observation: Observation, row: int, quality: float) -> None:
        moment = observation.frame_number, observation.time_s
        track = self._tracks.setdefault(track_id, _Track(moment, moment))
        track.last = moment
        track.boxes += 1
        if quality <= 0:
            return
        embeddings = observation.embeddings
        features, visible = embeddings.features[row], embeddings.visible[row]
        if track.sums is None or track.visible is None:
            track.sums, track.visible = np.zeros(features.shape, np.float32), np.zeros(visible.shape, bool)
            self._bytes += track.sums.nbytes
        track.sums[visible] += features[visible]
        track.visible |= visible
        track.weight += 1
        if observation.time_s - track.considered_s < _INTERVAL_S:
            return
        track.considered_s = observation.time_s
        track.kept.append(
            _Sighting(
                features.astype(np.float16),
                visible.copy(),
                bool(embeddings.prompted[row]),
                *moment,
                observation.detections.boxes[row].copy(),
                observation.poses.keypoints[row].copy(),
                quality,
            )
        )
        self._bytes += features.size * 2
        if len(track.kept) > self._per_track:
            self._drop(track)

    def _drop(self, track: _Track) -> None:
        """Drop the worse one of the two sightings that are most alike."""
        distance = part_distance(_appearance(track.kept), _appearance(track.kept))
        distance[np.tril_indices(len(distance))] = np.inf
        pair = np.unravel_index(int(distance.argmin()), distance.shape)
        worse = min(pair, key=lambda one: (track.kept[one].quality, one))
        self._bytes -= track.kept.pop(int(worse)).features.nbytes

    def _shrink(self) -> None:
        """Make room: fewer prototypes for each track, and in the end none for the shortest tracks."""
        if self._per_track > 1:
            self._per_track //= 2
            for track in self._tracks.values():
                while len(track.kept) > self._per_track:
                    self._drop(track)
            return
        known = [track for track in self._tracks.values() if track.sums is not None]
        for track in sorted(known, key=lambda track: track.boxes)[: len(known) // 4]:
            assert track.sums is not None
            self._bytes -= track.sums.nbytes + sum(one.features.nbytes for one in track.kept)
            track.sums, track.visible, track.weight, track.kept = None, None, 0, []

    def result(self, complete: bool, ids: Iterable[int] | None = None) -> TrackPrototypes:
        """Return the prototypes of all tracks so far.

        Args:
            complete: All frames of the video were tracked.
            ids: The tracks that are in the result file; None: all.
        """
        chosen = sorted(self._tracks if ids is None else set(ids) & set(self._tracks))
        tracks = [self._tracks[track_id] for track_id in chosen]
        kept = [(row, one) for row, track in enumerate(tracks) for one in track.kept]
        sightings = [one for _, one in kept]
        shape = next((t.sums.shape for t in self._tracks.values() if t.sums is not None), (0, 0))
        keypoints = len(sightings[0].keypoints) if sightings else 0
        sums = np.zeros((len(tracks), *shape), np.float32)
        visible = np.zeros(sums.shape[:2], bool)
        for row, track in enumerate(tracks):
            if track.sums is not None and track.visible is not None:
                sums[row], visible[row] = track.sums, track.visible
        together = np.array(sorted(self._together), np.int64).reshape(-1, 2)
        made = TrackPrototypes(
            header={
                **self._header,
                "complete": complete,
                EVIDENCE: evidence_to_json(self.evidence.records(chosen)),
            },
            track_ids=np.array(chosen, np.int64),
            first_s=np.array([track.first[1] for track in tracks], np.float64),
            last_s=np.array([track.last[1] for track in tracks], np.float64),
            first_frame=np.array([track.first[0] for track in tracks], np.int64),
            last_frame=np.array([track.last[0] for track in tracks], np.int64),
            boxes_seen=np.array([track.boxes for track in tracks], np.int64),
            means=Appearance(unit_length(sums), visible, np.zeros(len(tracks), bool)),
            weights=np.array([track.weight for track in tracks], np.int64),
            track_row=np.array([row for row, _ in kept], np.int64),
            embeddings=_appearance(sightings, shape),
            frames=np.array([one.frame for one in sightings], np.int64),
            times_s=np.array([one.time_s for one in sightings], np.float64),
            boxes=np.array([one.box for one in sightings], np.float32).reshape(-1, 4),
            keypoints=np.array([one.keypoints for one in sightings], np.float32).reshape(
                len(sightings), keypoints, 3
            ),
            quality=np.array([one.quality for one in sightings], np.float32),
            together=together[np.isin(together, chosen).all(1)],
        )
        confidence = self._log.confidence(made)
        self.confidence.update({number: confidence[number] for number in chosen})
        return replace(made, header={**made.header, CONFIDENCE: plain(self.confidence)})


def _appearance(sightings: list[_Sighting], shape: tuple[int, ...] = (0, 0)) -> Appearance:
    if not sightings:
        return Appearance(np.zeros((0, *shape), np.float32), np.zeros((0, shape[0]), bool), np.zeros(0, bool))
    return Appearance(
        np.stack([one.features for one in sightings]).astype(np.float32),
        np.stack([one.visible for one in sightings]),
        np.array([one.prompted for one in sightings], bool),
    )


def _rows_of(tracks: Tracks, observation: Observation) -> np.ndarray:
    """[M] the detection of each track; -1: its box is interpolated."""
    rows = np.full(len(tracks), -1)
    if len(tracks) and len(observation):
        same = (tracks.boxes[:, None] == observation.detections.boxes).all(2)
        found = same.any(1)
        rows[found] = same[found].argmax(1)
    return rows


def _quality(observation: Observation) -> np.ndarray:
    """[N] quality of each embedding; 0: it is no prototype, for it is occluded, uncertain or not there."""
    scores, boxes = observation.detections.scores, observation.detections.boxes
    quality = np.zeros(len(scores), np.float32)
    rows = np.flatnonzero(scores > MIN_SCORE)
    if not len(rows) or not observation.embeddings.visible[rows].any():
        return quality
    occluded = occluded_fraction(boxes[rows])
    size = np.minimum((boxes[rows, 3] - boxes[rows, 1]) / _FULL_HEIGHT_PX, 1)
    parts = observation.embeddings.visible[rows].mean(1)
    quality[rows] = np.where(occluded <= MAX_OCCLUSION, scores[rows] * parts * (1 - occluded) * size, 0)
    return np.clip(quality, 0, 1)
