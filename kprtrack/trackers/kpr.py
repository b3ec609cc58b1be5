"""The KPR tracker: ByteTrack's life cycle and two confidence stages on part features, position and pose.

Source: KPR (Somers et al., ECCV 2024), section 4.5 and supplement "KPRTrack details"; spec
tracking_and_evaluation.md 4.1. configs/track/paper.py is the paper's tracker, appearance only. The defaults
add what keeps identities best on real video: position, pose, hindsight, recognition of those who return.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kprtrack.association import covered, iou, oks, pair
from kprtrack.datatypes import Observation, Tracks
from kprtrack.motion import FRAME_RATE
from kprtrack.trackers.hindsight import Hindsight
from kprtrack.trackers.people import People
from kprtrack.trackers.report import NOBODY, certainty, margin, people_at
from kprtrack.trackers.scale import DistanceScale
from reid.appearance import Metric, part_distance
from reid.errors import UserError

SOLID_SCORE = 0.4  # boxes below it are mostly parts and doubles of people: they hide nobody
CROWD = 32  # people compared at once
SAME_SPREAD = 3.0  # clear looks of one person differ by less than this times their mean difference
KEYPOINT_CONFIDENCE = 0.3  # below it a keypoint is a guess: the threshold of KPR's prompts (spec kpr.md 2.3)


@dataclass(frozen=True)
class KprTrackerConfig:
    """Settings of the KPR tracker. A cost is the weighted mean of part distance, 1 - IoU and 1 - OKS."""

    high_score: float = 0.6  # detections above it are paired first (ByteTrack)
    low_score: float = 0.1  # detections between it and high_score may only prolong a track
    birth_score: float = 0.7  # a track needs a detection above it once (ByteTrack: high_score + 0.1)
    sprout_score: float = 0.3  # in hindsight it begins with the first of its detections above this

    metric: Metric = "cosine"  # of the part distance: KPR eq. 2, or "euclidean" as the official code has it
    momentum: float = 0.9  # weight of the past in the moving average of each part
    # Looks are not learned while more than this share of the box is hidden by others; None: always.
    max_covered: float | None = 0.5
    # Looks are measured in units of the distance between strangers, learned from people seen at once, so that
    # the settings below hold for any encoder and the looks of a weak one decide nothing. 1: as they are.
    strangers_distance: float | None = None

    appearance_weight: float = 0.6  # of the part distance in the cost of a pair
    box_weight: float = 1.0  # overlap with the box a Kalman filter predicts; 0 turns motion off
    pose_weight: float = 0.5  # object keypoint similarity with the last pose; 0 turns it off
    match_cost: float = 0.65  # pairs of stage 1 must cost less
    low_match_cost: float = 0.6  # same for detections below high_score
    birth_match_cost: float = 0.7  # same for people not yet sure to be people
    veto_distance: float | None = 0.6  # clear looks that differ by more are two people; None: no veto

    recent_s: float | None = 2.0  # who is unseen for longer leaves the stages above; None: never
    max_lost_s: float | None = None  # who is unseen for longer is forgotten; None: never, within the video

    # A newcomer nearer than this to a lost person is that person; None: never.
    recognise_distance: float | None = 0.65
    recognise_margin: float = 0.1  # and the second-best candidate must be farther by this
    recognise_sights: int = 3  # both must have been seen clearly so many times
    newcomer_s: float = 1.5  # for so long after its birth a newcomer may turn out to be a lost person
    settle_s: float = 2.0  # `follow` holds tracks back for so long to correct them in hindsight; 0: never

    def __post_init__(self) -> None:
        if not 0 <= self.low_score <= self.high_score <= 1:
            raise UserError(
                f"0 <= low_score <= high_score <= 1 must hold, not {self.low_score}, {self.high_score}."
            )
        for name in ("birth_score", "sprout_score", "momentum"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must lie in [0, 1], not {getattr(self, name)}.")
        if min(self.appearance_weight, self.box_weight, self.pose_weight) < 0:
            raise UserError("appearance_weight, box_weight and pose_weight must be 0 or more.")
        if not self.appearance_weight + self.box_weight + self.pose_weight:
            raise UserError("One of appearance_weight, box_weight and pose_weight must be above 0.")
        if self.settle_s < 0 or self.newcomer_s < 0 or (self.strangers_distance or 1) <= 0:
            raise UserError("settle_s and newcomer_s must be 0 or more, strangers_distance above 0.")


class KprTracker:
    """Follows people through one video; strides and variable frame rates are fine."""

    def __init__(self, config: KprTrackerConfig | None = None) -> None:
        self.config = config or KprTrackerConfig()
        self._people = People()
        self._hindsight = Hindsight(self.config.settle_s)
        self._scale = DistanceScale(self.config.strangers_distance)
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
        distance, cost = self._compare(recent, seen, clear)
        person_of = np.full(len(seen), NOBODY)  # row in `people` of every detection

        # People known for longer take the confident detections, then the doubtful ones.
        pool = recent[people.ids[recent] > 0]
        pool, high = _pair(cost, pool, high, config.match_cost, person_of)
        pool = pool[people.last_seen_s[pool] == self._time_s]
        _, low = _pair(cost, pool, low, config.low_match_cost, person_of)
        # Those in doubt get the rest; who is not seen at once again was no person.
        doubtful, rest = np.flatnonzero(people.ids < 0), np.concatenate([high, low])
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
        unseen_s = time_s - self._people.last_seen_s
        return np.flatnonzero(unseen_s <= (np.inf if self.config.recent_s is None else self.config.recent_s))

    def _clear(self, seen: Observation) -> np.ndarray:
        """[N] bool: the picture inside the box shows this person and not somebody in front."""
        if self.config.max_covered is None:
            return np.ones(len(seen), bool)
        clear = np.zeros(len(seen), bool)
        solid = np.flatnonzero(seen.detections.scores > SOLID_SCORE)
        clear[solid] = covered(seen.detections.boxes[solid]) <= self.config.max_covered
        return clear & (seen.detections.scores > self.config.high_score)

    def _compare(
        self, rows: np.ndarray, seen: Observation, clear: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Part distance and cost of the people `rows` against every detection, [T, N] each; else inf."""
        shape = (len(self._people), len(seen))
        distance, cost = np.full((2, *shape), np.inf, np.float32)
        overlap = np.zeros(shape, np.float32)
        boxes = self._people.motion.boxes.astype(np.float32)
        for mine, near in self._neighbourhoods(rows, boxes, seen.detections.boxes):
            block = self._compare_block(mine, near, boxes[mine], seen)
            if block[0].shape == shape:
                distance, cost, overlap = block
                break
            place = mine[:, None], near
            distance[place], cost[place], overlap[place] = block
        learned = self._people.sights > 0
        if self.config.veto_distance is not None:
            # Never below what the encoder says of one and the same person.
            limit = max(self.config.veto_distance * self._scale.strangers, SAME_SPREAD * self._scale.same)
            cost[learned[:, None] & clear & np.isfinite(distance) & (distance > limit)] = np.inf
        here = np.ix_(learned & (self._people.last_seen_s == self._time_s), clear)
        self._scale.learn(distance[here], overlap[here])
        return distance, cost

    def _neighbourhoods(
        self, rows: np.ndarray, boxes: np.ndarray, seen_boxes: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Groups of the people `rows` with the detections they may be: all, in a crowd those nearby."""
        everybody = np.arange(len(seen_boxes))
        if not (len(rows) and len(seen_boxes)):
            return
        if not self.config.box_weight or len(rows) <= CROWD:
            yield rows, everybody
            return
        # Comparing looks costs most, and nobody crosses half a crowded picture between two frames.
        from_left = rows[np.argsort(boxes[rows, 0], kind="stable")]
        for group in np.array_split(from_left, -(-len(rows) // CROWD)):
            reach = (boxes[group, 2] - boxes[group, 0]).max()
            left, right = boxes[group, 0].min() - reach, boxes[group, 2].max() + reach
            yield group, np.flatnonzero((seen_boxes[:, 2] > left) & (seen_boxes[:, 0] < right))

    def _compare_block(
        self, rows: np.ndarray, columns: np.ndarray, boxes: np.ndarray, seen: Observation
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Part distance, cost and overlap, [R, C]. The cost is the weighted mean over the cues both have."""
        config, scale = self.config, self._scale
        looks = seen.looks if len(columns) == len(seen) else seen.looks[columns]
        distance = part_distance(self._people.looks_of(rows), looks, config.metric)
        overlap = iou(boxes, seen.detections.boxes[columns])
        cues = [(config.appearance_weight * scale.trust, distance / scale.strangers)]
        if config.box_weight:
            cues.append((config.box_weight, 1 - overlap))
        if config.pose_weight:
            cues.append((config.pose_weight, self._pose_cost(rows, boxes, seen.poses.keypoints[columns])))
        return distance, _weighted_mean(cues), overlap

    def _pose_cost(self, rows: np.ndarray, boxes: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """1 - OKS with the last pose, carried along with the box, [R, C]; NaN without common keypoints."""
        moved = self._people.keypoints[rows]
        shift = boxes - self._people.keypoint_boxes[rows]
        moved[:, :, :2] += ((shift[:, :2] + shift[:, 2:]) / 2)[:, None]
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        return 1 - oks(moved, keypoints, areas, KEYPOINT_CONFIDENCE)

    def _move(self, seen: Observation, person_of: np.ndarray, clear: np.ndarray) -> None:
        """Carry every paired person to its detection, and learn its looks where nobody stands in front."""
        rows = np.flatnonzero(person_of != NOBODY)
        self._people.see(person_of[rows], seen, rows)
        rows = rows[clear[rows]]
        self._people.learn(person_of[rows], seen.looks[rows], self.config.momentum)

    def _believe(self, person_of: np.ndarray, time_s: float) -> None:
        """Those in doubt who are seen again, and once confidently, are people."""
        people = self._people
        if (people.ids > 0).all():
            return
        mine = person_of[person_of != NOBODY]
        for row in mine[(people.ids[mine] < 0) & (people.best_scores[mine] >= self.config.birth_score)]:
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
        born_s = people.newcomer_until_s[new] - config.newcomer_s
        distance[people.last_seen_s[old] >= born_s[:, None]] = np.inf
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


def _weighted_mean(cues: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """Mean over the cues that are finite, by their weights; inf where none is."""
    total, weight = np.zeros((2, *cues[0][1].shape), np.float32)
    for cue_weight, cue in cues:
        known = np.isfinite(cue)
        total += np.where(known, cue_weight * cue, 0)
        weight += cue_weight * known
    return np.divide(total, weight, out=np.full(total.shape, np.inf, np.float32), where=weight > 0)
