"""The KPR tracker: ByteTrack's track life cycle and two stages by score, on part features, position and pose.

Source: KPR (Somers et al., ECCV 2024), section 4.5 and supplement "KPRTrack details";
docs/reference/tracking_and_evaluation.md 4.1. configs/track/paper.py is the paper's tracker, appearance only.
The defaults add position, pose, retroactive correction and re-identification.
"""

from collections import deque

import numpy as np

from kprtrack.core.appearance import part_distance
from kprtrack.core.assignment import assign
from kprtrack.core.datatypes import Detections, Observation, Tracks
from kprtrack.core.geometry import occluded_fraction
from kprtrack.core.part_distance import Parts, prepare
from kprtrack.pipeline import BaseTracker, Wanted
from kprtrack.trackers.cost import PairCost, PairCosts
from kprtrack.trackers.distance_scale import DistanceScale
from kprtrack.trackers.gallery import Gallery
from kprtrack.trackers.interpolation import GapFiller
from kprtrack.trackers.kpr_config import KprTrackerConfig
from kprtrack.trackers.motion import FRAME_RATE
from kprtrack.trackers.output import UNMATCHED, distance_and_margin, tracks_at
from kprtrack.trackers.reidentification import (
    MOST_RECORDS,
    Decision,
    Reidentification,
    clear_matches,
    decisions_of,
    distance_of_parts,
)
from kprtrack.trackers.retroactive import RetroactiveCorrector
from kprtrack.trackers.track_store import TrackStore
from kprtrack.trackers.wanted import limited, wanted_detections

__all__ = ["KprTracker", "KprTrackerConfig"]

SOLID_SCORE = 0.4  # boxes below it are mostly body parts and duplicates: they occlude no one
_EPSILON_S = 1e-6  # times are rounded numbers


class KprTracker(BaseTracker):
    """Tracks the people of one video; strides and variable frame rates are allowed.

    Args:
        config: Thresholds; None: the defaults.
        fps: Not used: the tracker reads the time of each observation.

    Examples:
        >>> import numpy as np
        >>> from kprtrack import Detections, KprTracker, Observation, Poses, empty_appearance
        >>> tracker = KprTracker()
        >>> observation = Observation(
        ...     frame_number=0,
        ...     time_s=0.0,
        ...     detections=Detections(np.float32([[10, 20, 60, 180]]), np.float32([0.9])),
        ...     poses=Poses(np.zeros((1, 17, 3), np.float32)),
        ...     embeddings=empty_appearance(1),
        ... )
        >>> tracker.update(observation).ids
        array([1])
    """

    def __init__(self, config: KprTrackerConfig | None = None, fps: float | None = None) -> None:
        self.config = config or KprTrackerConfig()
        self._tracks = TrackStore()
        self._gallery = Gallery(self.config.metric, self.config.max_lost_tracks)
        self._corrector = RetroactiveCorrector(self.config.output_delay_s)
        self._gaps = GapFiller(self.config.interpolation_s, self.config.output_delay_s, self._corrector)
        self._scale = DistanceScale(self.config.inter_identity_distance)
        self._costs = PairCost(self.config, self._tracks, self._scale)
        self._next_id = 1
        self._next_tentative_id = -1
        self._time_s: float | None = None  # of the frame before
        self._evidence: deque[Reidentification] = deque(maxlen=MOST_RECORDS)

    @property
    def selective(self) -> bool:
        """Whether `wanted` may leave out detections."""
        return self.config.reid_interval_s is not None and self.config.box_weight > 0

    @property
    def output_delay_s(self) -> float:
        """Seconds after a frame in which its tracks may still be corrected."""
        return self.config.output_delay_s

    def finalize(self, tracks: Tracks) -> Tracks:
        """Correct the tracks of an earlier frame by what was confirmed and re-identified since; fill gaps.

        Args:
            tracks: What `update` returned; call once a frame, in order.

        Returns:
            The tracks with confirmed tracks from their first detection on, and re-identified ones by their
            former IDs; last those without a detection, interpolated over gaps up to `interpolation_s`.
        """
        return self._gaps.fill(self._corrector.apply(tracks))

    def take_evidence(self) -> list[Reidentification]:
        """Return the re-identifications since the last call, at most the latest 1000."""
        taken = list(self._evidence)
        self._evidence.clear()
        return taken

    def wanted(self, detections: Detections, time_s: float) -> Wanted:
        """Return the detections of the next frame that need pose and embedding; see `wanted_detections`."""
        if not self.selective:
            return super().wanted(detections, time_s)
        return wanted_detections(detections, time_s, self._tracks, self._time_s, self.config, self._scale)

    def update(self, observation: Observation) -> Tracks:
        """Associate the next observation.

        Args:
            observation: Detections, poses and embeddings of a frame later than the frame before. A selective
                tracker matches by those alone that `wanted` asks for, whatever else is there.

        Returns:
            The confirmed tracks of this frame, each with the detector's own box.

        Raises:
            UserError: The keypoints are of another set than those of the frames before.
        """
        time_s, given = observation.time_s, observation
        self._tracks.validate_skeleton(observation)
        if self.selective:
            observation = limited(observation, self.wanted(observation.detections, time_s))
        self._predict(time_s)
        unoccluded = self._unoccluded(observation)
        costs = self._costs.compare(observation, unoccluded, self._time_s)
        self._learn_scale(costs, unoccluded)
        track_of_detection, unmatched = self._match(costs.cost, observation.detections.scores)
        distances, margins = distance_and_margin(costs.distance, track_of_detection)
        self._update_matched(observation, track_of_detection, unoccluded)
        self._confirm(track_of_detection, time_s)
        unmatched_tentative = self._unmatched_tentative(time_s)
        self._initiate(observation, unmatched, track_of_detection, unoccluded)
        replaced = self._reidentify(observation)
        tracks = self._output(given, track_of_detection, distances, margins)
        self._remove(np.concatenate([unmatched_tentative, replaced]), time_s)
        self._time_s = time_s
        self._gaps.add(tracks)
        return tracks

    def _predict(self, time_s: float) -> None:
        """Move the boxes of recent tracks to `time_s`; move the other tracks to the gallery."""
        store, config = self._tracks, self.config
        if config.recent_s is not None:
            # A track of the frame before has not been missed yet, however long ago that was.
            recent = (time_s - store.last_seen_s <= config.recent_s) | (store.last_seen_s == self._time_s)
            if config.reid_max_distance is not None:
                self._gallery.add(store, np.flatnonzero(~recent & self._known()))
            store.keep(recent)
        if self._time_s is not None:
            store.motion.predict(max(time_s - self._time_s, 0.0) * FRAME_RATE)

    def _known(self) -> np.ndarray:
        """[T] bool: confirmed tracks with enough unoccluded embeddings to be re-identified."""
        return (self._tracks.ids > 0) & (self._tracks.updates >= self.config.reid_min_updates)

    def _unoccluded(self, observation: Observation) -> np.ndarray:
        """[N] bool: the image inside the box shows this person and no one in front."""
        scores = observation.detections.scores
        if self.config.max_occlusion is None:
            return np.ones(len(observation), bool)
        unoccluded = np.zeros(len(observation), bool)
        solid = np.flatnonzero(scores > SOLID_SCORE)
        occluded = occluded_fraction(observation.detections.boxes[solid])
        unoccluded[solid] = occluded <= self.config.max_occlusion
        return unoccluded & (scores > self.config.high_score)

    def _learn_scale(self, costs: PairCosts, unoccluded: np.ndarray) -> None:
        """Update the scale of the encoder's distances by the tracks of the frame before."""
        if not self._scale.learning:
            return
        just_updated = self._tracks.last_seen_s == self._time_s
        here = np.ix_((self._tracks.updates > 0) & just_updated, unoccluded)
        self._scale.update(costs.distance[here], costs.overlap[here])

    def _match(self, cost: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The track's row of every detection, UNMATCHED for none; unmatched detections that may start one."""
        config, store = self.config, self._tracks
        track_of_detection = np.full(len(scores), UNMATCHED)
        high = np.flatnonzero(scores > config.high_score)
        low = np.flatnonzero((scores > config.low_score) & (scores <= config.high_score))
        # Confirmed tracks: first with high scores, then those of the frame before with low scores.
        pool = np.flatnonzero(store.ids > 0)
        pool, high = _fill_matches(track_of_detection, cost, pool, high, config.match_cost)
        pool = pool[store.last_seen_s[pool] == self._time_s]
        _, low = _fill_matches(track_of_detection, cost, pool, low, config.low_match_cost)
        # Tentative tracks: with the detections left.
        tentative = np.flatnonzero(store.ids < 0)
        left = np.concatenate([high, low[scores[low] >= config.tentative_score]])
        _, left = _fill_matches(track_of_detection, cost, tentative, left, config.tentative_match_cost)
        return track_of_detection, left[scores[left] >= config.tentative_score]

    def _update_matched(
        self, observation: Observation, track_of_detection: np.ndarray, unoccluded: np.ndarray
    ) -> None:
        """Move every matched track to its detection; update the embeddings of unoccluded ones."""
        rows = np.flatnonzero(track_of_detection != UNMATCHED)
        self._tracks.update_state(track_of_detection[rows], observation, rows)
        rows = rows[unoccluded[rows]]
        if self.selective:
            rows = rows[observation.embeddings.visible[rows].any(1)]  # the others were not embedded
        self._tracks.update_embedding(
            track_of_detection[rows], observation.embeddings[rows], self.config.momentum, observation.time_s
        )

    def _confirm(self, track_of_detection: np.ndarray, time_s: float) -> None:
        """Confirm tentative tracks that had a high score and are old enough; in the first frame at once."""
        store = self._tracks
        if (store.ids > 0).all():
            return
        track_rows = track_of_detection[track_of_detection != UNMATCHED]
        confident = store.best_scores[track_rows] >= self.config.new_track_score
        if self._time_s is not None:
            confident &= time_s - store.first_seen_s[track_rows] >= self.config.min_track_age_s - _EPSILON_S
        for row in track_rows[(store.ids[track_rows] < 0) & confident]:
            self._rename(row, self._next_id, time_s)
            self._next_id += 1
            store.reid_until_s[row] = time_s + self.config.reid_window_s

    def _unmatched_tentative(self, time_s: float) -> np.ndarray:
        """Rows of tentative tracks without a detection in this frame."""
        return np.flatnonzero((self._tracks.ids < 0) & (self._tracks.last_seen_s < time_s))

    def _initiate(
        self,
        observation: Observation,
        rows: np.ndarray,
        track_of_detection: np.ndarray,
        unoccluded: np.ndarray,
    ) -> None:
        """Start tentative tracks from the detections `rows`."""
        start, count = len(self._tracks), len(rows)
        if not count:
            return
        track_of_detection[rows] = np.arange(start, start + count)
        ids = self._next_tentative_id - np.arange(count)
        self._next_tentative_id -= count
        self._tracks.add(observation, rows, ids, unoccluded[rows])
        if self._time_s is None:  # tracks of the first frame are confirmed at once (ByteTrack)
            self._confirm(track_of_detection, observation.time_s)

    def _reidentify(self, observation: Observation) -> np.ndarray:
        """Give new tracks that are clearly a lost one its ID; the rows of these lost tracks in the store."""
        config, store, gallery = self.config, self._tracks, self._gallery
        time_s = observation.time_s
        none = np.zeros(0, np.int64)
        if config.reid_max_distance is None or not (store.reid_until_s >= time_s).any():
            return none
        known, visible = self._known(), store.last_seen_s == time_s
        new = np.flatnonzero(known & visible & (store.reid_until_s >= time_s))
        lost = np.flatnonzero(known & ~visible)
        if not (len(new) and (len(lost) or len(gallery))):
            return none
        embeddings = store.embeddings_of(new)
        # The columns of `distance` are first the lost tracks of the store, then the rows of the gallery.
        recently_lost = part_distance(embeddings, store.embeddings_of(lost), config.metric)
        distance = np.concatenate([recently_lost, gallery.distances(embeddings)], axis=1)
        last_seen_s = np.concatenate([store.last_seen_s[lost], gallery.last_seen_s])
        ids = np.concatenate([store.ids[lost], gallery.ids])
        first_seen_s = np.concatenate([store.first_seen_s[lost], gallery.first_seen_s])
        # Two tracks that were visible at once, after the new one was confirmed, are two people.
        distance[last_seen_s + config.reid_window_s >= store.reid_until_s[new][:, None]] = np.inf
        found = clear_matches(distance, store.reid_until_s[new] - time_s, self._scale, config)
        decisions = decisions_of(found, distance, store.ids[new], ids)
        for row, former, decision in zip(new[found.rows], found.columns, decisions, strict=True):
            old = (
                self._stored_parts(lost[former])
                if former < len(lost)
                else gallery.parts_of(former - len(lost))
            )
            self._add_evidence(observation, row, old, float(last_seen_s[former]), decision)
        for row, former in zip(new[found.rows], found.columns, strict=True):
            self._rename(row, ids[former], time_s)
            store.first_seen_s[row] = first_seen_s[former]
            store.reid_until_s[row] = -np.inf
        in_gallery = found.columns >= len(lost)
        gallery.remove(found.columns[in_gallery] - len(lost))
        replaced: np.ndarray = lost[found.columns[~in_gallery]]
        return replaced

    def _stored_parts(self, row: int) -> Parts:
        embedding = self._tracks.embeddings_of(np.array([row]))
        return prepare(embedding.features, embedding.visible, self.config.metric)

    def _add_evidence(
        self, observation: Observation, row: int, former: Parts, lost_s: float, decision: Decision
    ) -> None:
        """Remember by what the new track `row` was re-identified."""
        store, time_s = self._tracks, observation.time_s
        times = time_s, lost_s, float(store.first_seen_s[row])
        box = tuple(store.keypoint_boxes[row].tolist())
        parts = distance_of_parts(self._stored_parts(row), former, self.config.metric)
        self._evidence.append(Reidentification(*decision, observation.frame_number, *times, box, parts))

    def _rename(self, row: int, number: int, time_s: float) -> None:
        self._corrector.rename(int(self._tracks.ids[row]), int(number), time_s)
        self._tracks.ids[row] = number

    def _remove(self, rows: np.ndarray, time_s: float) -> None:
        """Remove the tracks `rows` and all that are lost for too long."""
        kept = np.ones(len(self._tracks), bool)
        kept[rows] = False
        if self.config.max_lost_s is not None:
            kept &= time_s - self._tracks.last_seen_s <= self.config.max_lost_s
            self._gallery.remove(time_s - self._gallery.last_seen_s > self.config.max_lost_s)
        self._tracks.keep(kept)

    def _output(
        self,
        observation: Observation,
        track_of_detection: np.ndarray,
        distances: np.ndarray,
        margins: np.ndarray,
    ) -> Tracks:
        """The confirmed tracks of this frame; tentative ones are kept for retroactive correction."""
        ids = np.zeros(len(observation), np.int64)
        matched = track_of_detection != UNMATCHED
        ids[matched] = self._tracks.ids[track_of_detection[matched]]
        tentative = np.flatnonzero(ids < 0)
        if len(tentative):
            self._corrector.add_tentative(tracks_at(observation, ids, tentative, distances, margins))
        return tracks_at(observation, ids, np.flatnonzero(ids > 0), distances, margins)


def _fill_matches(
    track_of_detection: np.ndarray, cost: np.ndarray, tracks: np.ndarray, rows: np.ndarray, max_cost: float
) -> tuple[np.ndarray, np.ndarray]:
    """Write the best assignment into `track_of_detection`; return the unmatched tracks and detections."""
    if not (len(tracks) and len(rows)):
        return tracks, rows
    found = assign(cost[tracks[:, None], rows], max_cost)
    track_of_detection[rows[found.columns]] = tracks[found.rows]
    return tracks[found.unmatched_rows], rows[found.unmatched_columns]
