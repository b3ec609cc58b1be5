"""The KPR tracker: ByteTrack's life cycle and two confidence stages on part features, position and pose.

Source: KPR (Somers et al., ECCV 2024), section 4.5 and supplement "KPRTrack details";
docs/reference/tracking_and_evaluation.md 4.1. configs/track/paper.py is the paper's tracker, appearance only.
The defaults add what keeps identities best on real video: position, pose, hindsight, recognition of those who
return.
"""

import numpy as np

from kprtrack.core.appearance import part_distance
from kprtrack.core.assignment import pair
from kprtrack.core.datatypes import Observation, Tracks
from kprtrack.core.geometry import occluded_fraction
from kprtrack.trackers.cost import PairCost
from kprtrack.trackers.distance_scale import DistanceScale
from kprtrack.trackers.kpr_config import KprTrackerConfig
from kprtrack.trackers.motion import FRAME_RATE
from kprtrack.trackers.output import UNMATCHED, certainty, margin, tracks_at
from kprtrack.trackers.retroactive import RetroactiveCorrector
from kprtrack.trackers.track_store import TrackStore

__all__ = ["KprTracker", "KprTrackerConfig"]

SOLID_SCORE = 0.4  # boxes below it are mostly parts and doubles of people: they hide nobody
_EPSILON_S = 1e-6  # times are rounded numbers


class KprTracker:
    """Follows people through one video; strides and variable frame rates are fine."""

    def __init__(self, config: KprTrackerConfig | None = None, fps: float | None = None) -> None:
        """Start without tracks.

        Args:
            config: Thresholds; None: the defaults.
            fps: Not used: the tracker reads the time of each observation.
        """
        self.config = config or KprTrackerConfig()
        self._tracks = TrackStore()
        self._hindsight = RetroactiveCorrector(self.config.output_delay_s)
        self._scale = DistanceScale(self.config.inter_identity_distance)
        self._costs = PairCost(self.config, self._tracks, self._scale)
        self._next_id = 1  # of the next person
        self._next_tentative_id = -1  # of the next who may be none
        self._time_s: float | None = None

    @property
    def output_delay_s(self) -> float:
        """For how long after a frame its tracks may still be corrected."""
        return self.config.output_delay_s

    def finalize(self, tracks: Tracks) -> Tracks:
        """`tracks` in hindsight: newcomers from their first sight on, the recognised by their old ids."""
        return self._hindsight.apply(tracks)

    def update(self, observation: Observation) -> Tracks:
        """The people of this frame, each with the detector's own box."""
        store, config = self._tracks, self.config
        first_frame = self._time_s is None
        recent = self._recent(observation.time_s)
        if self._time_s is not None:
            store.motion.predict(max(observation.time_s - self._time_s, 0.0) * FRAME_RATE, recent)
        scores = observation.detections.scores
        high = np.flatnonzero(scores > config.high_score)
        low = np.flatnonzero((scores > config.low_score) & (scores <= config.high_score))
        unoccluded = self._unoccluded(observation)
        distance, cost = self._costs.compare(recent, observation, unoccluded, self._time_s)
        track_of_detection = np.full(len(observation), UNMATCHED)  # row in `people` of every detection

        # People known for longer take the confident detections, then the doubtful ones.
        pool = recent[store.ids[recent] > 0]
        pool, high = _match(cost, pool, high, config.match_cost, track_of_detection)
        pool = pool[store.last_seen_s[pool] == self._time_s]
        _, low = _match(cost, pool, low, config.low_match_cost, track_of_detection)
        # Those in doubt get the rest; who is not seen at once again was no person.
        tentative = np.flatnonzero(store.ids < 0)
        unmatched = np.concatenate([high, low[scores[low] >= config.tentative_score]])
        _, unmatched = _match(cost, tentative, unmatched, config.tentative_match_cost, track_of_detection)

        confidence = certainty(distance, track_of_detection)
        self._update_matched(observation, track_of_detection, unoccluded)
        self._confirm(track_of_detection, observation.time_s)
        self._start(
            observation,
            unmatched[scores[unmatched] >= config.tentative_score],
            track_of_detection,
            unoccluded,
            first_frame,
        )
        gone = (store.ids < 0) & (store.last_seen_s < observation.time_s)
        self._reidentify(observation.time_s, gone)
        tracks = self._output(observation, track_of_detection, *confidence)
        self._forget(gone, observation.time_s)
        self._time_s = observation.time_s
        return tracks

    def _recent(self, time_s: float) -> np.ndarray:
        """Rows of the people whose position and pose still say where to look for them."""
        last_seen_s = self._tracks.last_seen_s
        longest_s = np.inf if self.config.recent_s is None else self.config.recent_s
        # Who was in the frame before has not been missed yet, however long ago that was.
        return np.flatnonzero((time_s - last_seen_s <= longest_s) | (last_seen_s == self._time_s))

    def _unoccluded(self, observation: Observation) -> np.ndarray:
        """[N] bool: the picture inside the box shows this person and not somebody in front."""
        if self.config.max_occlusion is None:
            return np.ones(len(observation), bool)
        unoccluded = np.zeros(len(observation), bool)
        solid = np.flatnonzero(observation.detections.scores > SOLID_SCORE)
        unoccluded[solid] = (
            occluded_fraction(observation.detections.boxes[solid]) <= self.config.max_occlusion
        )
        return unoccluded & (observation.detections.scores > self.config.high_score)

    def _update_matched(
        self, observation: Observation, track_of_detection: np.ndarray, unoccluded: np.ndarray
    ) -> None:
        """Carry every paired person to its detection, and learn its looks where nobody stands in front."""
        rows = np.flatnonzero(track_of_detection != UNMATCHED)
        self._tracks.update_state(track_of_detection[rows], observation, rows)
        rows = rows[unoccluded[rows]]
        self._tracks.update_embedding(
            track_of_detection[rows], observation.embeddings[rows], self.config.momentum
        )

    def _confirm(self, track_of_detection: np.ndarray, time_s: float) -> None:
        """Who stayed, and was once seen confidently, is in doubt no more; in the first frame at once."""
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

    def _start(
        self,
        observation: Observation,
        rows: np.ndarray,
        track_of_detection: np.ndarray,
        unoccluded: np.ndarray,
        first_frame: bool,
    ) -> None:
        """Begin to watch the detections `rows`; those of the first frame are people at once (ByteTrack)."""
        start, count = len(self._tracks), len(rows)
        if not count:
            return
        track_of_detection[rows] = np.arange(start, start + count)
        ids = self._next_tentative_id - np.arange(count)
        self._next_tentative_id -= count
        self._tracks.add(observation, rows, ids, unoccluded[rows])
        if first_frame:
            self._confirm(track_of_detection, observation.time_s)

    def _reidentify(self, time_s: float, gone: np.ndarray) -> None:
        """Give newcomers who clearly are a lost person its identity; mark the obsolete rows in `gone`."""
        config, store = self.config, self._tracks
        if config.reid_max_distance is None:
            return
        if not (store.reid_until_s >= time_s).any():
            return
        known = (store.ids > 0) & (store.updates >= config.reid_min_updates)
        here = store.last_seen_s == time_s
        new = np.flatnonzero(known & here & (store.reid_until_s >= time_s))
        old = np.flatnonzero(known & ~here)
        if not (len(new) and len(old)):
            return
        distance = part_distance(store.embeddings_of(new), store.embeddings_of(old), config.metric)
        # Who was in sight together with the newcomer, once that surely was a person, is somebody else.
        together = store.last_seen_s[old] + config.reid_window_s >= store.reid_until_s[new][:, None]
        distance[together] = np.inf
        inter_identity = self._scale.inter_identity_lower_bound
        confident = margin(distance) >= config.reid_min_margin * inter_identity
        # The less an encoder tells people apart, the nearer they must be.
        limit = config.reid_max_distance * (inter_identity - self._scale.intra_identity)
        pairing = pair(np.where(confident, distance, np.inf), limit)
        for row, lost in zip(new[pairing.rows], old[pairing.columns], strict=True):
            self._rename(row, store.ids[lost], time_s)
            store.first_seen_s[row] = store.first_seen_s[lost]
            store.reid_until_s[row] = -np.inf
            gone[lost] = True

    def _rename(self, row: int, number: int, time_s: float) -> None:
        self._hindsight.rename(int(self._tracks.ids[row]), int(number), time_s)
        self._tracks.ids[row] = number

    def _forget(self, gone: np.ndarray, time_s: float) -> None:
        """Drop the obsolete rows and everybody lost for too long."""
        if self.config.max_lost_s is not None:
            gone |= time_s - self._tracks.last_seen_s > self.config.max_lost_s
        self._tracks.keep(~gone)

    def _output(
        self,
        observation: Observation,
        track_of_detection: np.ndarray,
        distances: np.ndarray,
        margins: np.ndarray,
    ) -> Tracks:
        """The people among the detections; those in doubt are kept for hindsight."""
        ids = np.zeros(len(observation), np.int64)
        ids[track_of_detection != UNMATCHED] = self._tracks.ids[
            track_of_detection[track_of_detection != UNMATCHED]
        ]
        tentative = np.flatnonzero(ids < 0)
        if len(tentative):
            self._hindsight.add_tentative(tracks_at(observation, ids, tentative, distances, margins))
        return tracks_at(observation, ids, np.flatnonzero(ids > 0), distances, margins)


def _match(
    cost: np.ndarray, store: np.ndarray, rows: np.ndarray, max_cost: float, track_of_detection: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Write the best matches into `track_of_detection`; return the unmatched tracks and rows."""
    if not (len(store) and len(rows)):
        return store, rows
    pairing = pair(cost[store[:, None], rows], max_cost)
    track_of_detection[rows[pairing.columns]] = store[pairing.rows]
    return store[pairing.unmatched_rows], rows[pairing.unmatched_columns]
