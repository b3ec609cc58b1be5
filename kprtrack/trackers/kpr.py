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
from kprtrack.core.geometry import covered
from kprtrack.trackers.cost import PairCost
from kprtrack.trackers.distance_scale import DistanceScale
from kprtrack.trackers.kpr_config import KprTrackerConfig
from kprtrack.trackers.motion import FRAME_RATE
from kprtrack.trackers.output import NOBODY, certainty, margin, people_at
from kprtrack.trackers.retroactive import Hindsight
from kprtrack.trackers.track_store import People

__all__ = ["KprTracker", "KprTrackerConfig"]

SOLID_SCORE = 0.4  # boxes below it are mostly parts and doubles of people: they hide nobody
_EPSILON_S = 1e-6  # times are rounded numbers


class KprTracker:
    """Follows people through one video; strides and variable frame rates are fine."""

    def __init__(self, config: KprTrackerConfig | None = None) -> None:
        self.config = config or KprTrackerConfig()
        self._people = People()
        self._hindsight = Hindsight(self.config.settle_s)
        self._scale = DistanceScale(self.config.strangers_distance)
        self._costs = PairCost(self.config, self._people, self._scale)
        self._next_id = 1  # of the next person
        self._next_doubt = -1  # of the next who may be none
        self._time_s: float | None = None

    @property
    def settle_s(self) -> float:
        """For how long after a frame its tracks may still be corrected."""
        return self.config.settle_s

    def settle(self, tracks: Tracks) -> Tracks:
        """`tracks` in hindsight: newcomers from their first sight on, the recognised by their old ids."""
        return self._hindsight.apply(tracks)

    def update(self, seen: Observation) -> Tracks:
        """The people of this frame, each with the detector's own box."""
        people, config = self._people, self.config
        first_frame = self._time_s is None
        recent = self._recent(seen.time_s)
        if self._time_s is not None:
            people.motion.predict(max(seen.time_s - self._time_s, 0.0) * FRAME_RATE, recent)
        scores = seen.detections.scores
        high = np.flatnonzero(scores > config.high_score)
        low = np.flatnonzero((scores > config.low_score) & (scores <= config.high_score))
        clear = self._clear(seen)
        distance, cost = self._costs.compare(recent, seen, clear, self._time_s)
        person_of = np.full(len(seen), NOBODY)  # row in `people` of every detection

        # People known for longer take the confident detections, then the doubtful ones.
        pool = recent[people.ids[recent] > 0]
        pool, high = _pair(cost, pool, high, config.match_cost, person_of)
        pool = pool[people.last_seen_s[pool] == self._time_s]
        _, low = _pair(cost, pool, low, config.low_match_cost, person_of)
        # Those in doubt get the rest; who is not seen at once again was no person.
        doubtful = np.flatnonzero(people.ids < 0)
        rest = np.concatenate([high, low[scores[low] >= config.sprout_score]])
        _, rest = _pair(cost, doubtful, rest, config.birth_match_cost, person_of)

        told = certainty(distance, person_of)
        self._move(seen, person_of, clear)
        self._believe(person_of, seen.time_s)
        self._start(seen, rest[scores[rest] >= config.sprout_score], person_of, clear, first_frame)
        gone = (people.ids < 0) & (people.last_seen_s < seen.time_s)
        self._recognise(seen.time_s, gone)
        tracks = self._report(seen, person_of, *told)
        self._forget(gone, seen.time_s)
        self._time_s = seen.time_s
        return tracks

    def _recent(self, time_s: float) -> np.ndarray:
        """Rows of the people whose position and pose still say where to look for them."""
        last_seen_s = self._people.last_seen_s
        longest_s = np.inf if self.config.recent_s is None else self.config.recent_s
        # Who was in the frame before has not been missed yet, however long ago that was.
        return np.flatnonzero((time_s - last_seen_s <= longest_s) | (last_seen_s == self._time_s))

    def _clear(self, seen: Observation) -> np.ndarray:
        """[N] bool: the picture inside the box shows this person and not somebody in front."""
        if self.config.max_covered is None:
            return np.ones(len(seen), bool)
        clear = np.zeros(len(seen), bool)
        solid = np.flatnonzero(seen.detections.scores > SOLID_SCORE)
        clear[solid] = covered(seen.detections.boxes[solid]) <= self.config.max_covered
        return clear & (seen.detections.scores > self.config.high_score)

    def _move(self, seen: Observation, person_of: np.ndarray, clear: np.ndarray) -> None:
        """Carry every paired person to its detection, and learn its looks where nobody stands in front."""
        rows = np.flatnonzero(person_of != NOBODY)
        self._people.see(person_of[rows], seen, rows)
        rows = rows[clear[rows]]
        self._people.learn(person_of[rows], seen.looks[rows], self.config.momentum)

    def _believe(self, person_of: np.ndarray, time_s: float) -> None:
        """Who stayed, and was once seen confidently, is in doubt no more; in the first frame at once."""
        people = self._people
        if (people.ids > 0).all():
            return
        mine = person_of[person_of != NOBODY]
        sure = people.best_scores[mine] >= self.config.birth_score
        if self._time_s is not None:
            sure &= time_s - people.first_seen_s[mine] >= self.config.birth_s - _EPSILON_S
        for row in mine[(people.ids[mine] < 0) & sure]:
            self._rename(row, self._next_id, time_s)
            self._next_id += 1
            people.newcomer_until_s[row] = time_s + self.config.newcomer_s

    def _start(
        self, seen: Observation, rows: np.ndarray, person_of: np.ndarray, clear: np.ndarray, first_frame: bool
    ) -> None:
        """Begin to watch the detections `rows`; those of the first frame are people at once (ByteTrack)."""
        start, count = len(self._people), len(rows)
        if not count:
            return
        person_of[rows] = np.arange(start, start + count)
        ids = self._next_doubt - np.arange(count)
        self._next_doubt -= count
        self._people.add(seen, rows, ids, clear[rows])
        if first_frame:
            self._believe(person_of, seen.time_s)

    def _recognise(self, time_s: float, gone: np.ndarray) -> None:
        """Give newcomers who clearly are a lost person its identity; mark the obsolete rows in `gone`."""
        config, people = self.config, self._people
        if config.recognise_distance is None:
            return
        if not (people.newcomer_until_s >= time_s).any():
            return
        known = (people.ids > 0) & (people.sights >= config.recognise_sights)
        here = people.last_seen_s == time_s
        new = np.flatnonzero(known & here & (people.newcomer_until_s >= time_s))
        old = np.flatnonzero(known & ~here)
        if not (len(new) and len(old)):
            return
        distance = part_distance(people.looks_of(new), people.looks_of(old), config.metric)
        # Who was in sight together with the newcomer, once that surely was a person, is somebody else.
        together = people.last_seen_s[old] + config.newcomer_s >= people.newcomer_until_s[new][:, None]
        distance[together] = np.inf
        strangers = self._scale.strangers_at_least
        sure = margin(distance) >= config.recognise_margin * strangers
        # The less an encoder tells people apart, the nearer they must be.
        limit = config.recognise_distance * (strangers - self._scale.same)
        pairing = pair(np.where(sure, distance, np.inf), limit)
        for row, lost in zip(new[pairing.rows], old[pairing.columns], strict=True):
            self._rename(row, people.ids[lost], time_s)
            people.first_seen_s[row] = people.first_seen_s[lost]
            people.newcomer_until_s[row] = -np.inf
            gone[lost] = True

    def _rename(self, row: int, number: int, time_s: float) -> None:
        self._hindsight.rename(int(self._people.ids[row]), int(number), time_s)
        self._people.ids[row] = number

    def _forget(self, gone: np.ndarray, time_s: float) -> None:
        """Drop the obsolete rows and everybody lost for too long."""
        if self.config.max_lost_s is not None:
            gone |= time_s - self._people.last_seen_s > self.config.max_lost_s
        self._people.keep(~gone)

    def _report(
        self, seen: Observation, person_of: np.ndarray, distances: np.ndarray, margins: np.ndarray
    ) -> Tracks:
        """The people among the detections; those in doubt are kept for hindsight."""
        ids = np.zeros(len(seen), np.int64)
        ids[person_of != NOBODY] = self._people.ids[person_of[person_of != NOBODY]]
        doubtful = np.flatnonzero(ids < 0)
        if len(doubtful):
            self._hindsight.doubt(people_at(seen, ids, doubtful, distances, margins))
        return people_at(seen, ids, np.flatnonzero(ids > 0), distances, margins)


def _pair(
    cost: np.ndarray, people: np.ndarray, rows: np.ndarray, max_cost: float, person_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Write the best pairs of `people` and `rows` into `person_of`; the people and rows left over."""
    if not (len(people) and len(rows)):
        return people, rows
    pairing = pair(cost[people[:, None], rows], max_cost)
    person_of[rows[pairing.columns]] = people[pairing.rows]
    return people[pairing.free_rows], rows[pairing.free_columns]
