"""The KPR tracker: ByteTrack's life cycle and two confidence stages on part features, position and pose.

Source: KPR (Somers et al., ECCV 2024), section 4.5 and supplement "KPRTrack details"; spec
tracking_and_evaluation.md 4.1. With box_weight = pose_weight = 0 and recognise_distance = None it is the paper's
tracker, appearance only (configs/track/paper.py). The defaults add what keeps identities best on real video.
"""

from dataclasses import dataclass

import numpy as np

from kprtrack.association import covered, iou, oks, pair
from kprtrack.datatypes import Observation, Tracks
from kprtrack.motion import FRAME_RATE
from kprtrack.trackers.hindsight import Hindsight
from kprtrack.trackers.people import People
from reid.appearance import Metric, part_distance

NOBODY = -1
KEYPOINT_CONFIDENCE = 0.3  # below it a keypoint is a guess: the threshold of KPR's prompts (spec kpr.md 2.3)


@dataclass(frozen=True)
class KprTrackerConfig:
    """Settings of the KPR tracker. Distances are part distances, costs weighted means of 1 - IoU, 1 - OKS and them."""

    high_score: float = 0.6  # detections above it are paired first (ByteTrack)
    low_score: float = 0.1  # detections between it and high_score may only prolong a track
    birth_score: float = 0.7  # a track needs a detection above it once (ByteTrack: high_score + 0.1)
    sprout_score: float = (
        0.3  # and begins, in hindsight, with the first of an unbroken row of detections above this
    )

    metric: Metric = "cosine"  # of the part distance: KPR eq. 2, or "euclidean" as the official code measures
    momentum: float = 0.9  # weight of the past in the moving average of each part
    max_covered: float | None = (
        0.35  # looks are not learned while this share of the box is hidden; None: always
    )

    appearance_weight: float = 1.0
    box_weight: float = 1.0  # overlap with the box a Kalman filter predicts; 0 turns motion off
    pose_weight: float = 0.5  # object keypoint similarity with the last pose; 0 turns it off
    match_cost: float = 0.7  # pairs of stage 1 must cost less
    low_match_cost: float = 0.6  # same for detections below high_score
    birth_match_cost: float = 0.7  # same for people not yet sure to be people
    veto_distance: float | None = (
        0.35  # clear looks that differ by more are two people, wherever they are; None: no veto
    )

    recent_s: float | None = (
        1.0  # people unseen for longer leave the stages above; None: they stay as long as remembered
    )
    max_lost_s: float | None = (
        None  # people unseen for longer are forgotten; None: remembered for the whole video
    )

    recognise_distance: float | None = (
        0.3  # a newcomer nearer than this to a lost person is that person; None: never
    )
    recognise_margin: float = 0.1  # and the second-best candidate must be farther by this
    recognise_sights: int = 3  # both must have been seen clearly so many times
    newcomer_s: float = 1.0  # for so long after its birth a newcomer may turn out to be a lost person
    settle_s: float = 2.0  # `follow` holds tracks back for so long to correct them in hindsight; 0: never


class KprTracker:
    """Follows people through one video. Frames come in order of time; strides and variable frame rates are fine."""

    def __init__(self, config: KprTrackerConfig | None = None) -> None:
        self.config = config or KprTrackerConfig()
        self._people = People()
        self._hindsight = Hindsight(self.config.settle_s)
        self._next_id = 1  # of the next person
        self._next_doubt = -1  # of the next who may be none
        self._time_s: float | None = None

    @property
    def settle_s(self) -> float:
        """For how long after a frame its tracks may still be corrected."""
        return self.config.settle_s

    def settle(self, tracks: Tracks) -> Tracks:
        """`tracks` as they look in hindsight: newcomers from their first sight, the recognised by their old ids."""
        return self._hindsight.apply(tracks)

    def update(self, seen: Observation) -> Tracks:
        """The people of this frame, each with the detector's own box."""
        people, config = self._people, self.config
        first_frame = self._time_s is None
        if self._time_s is not None:
            people.motion.predict((seen.time_s - self._time_s) * FRAME_RATE)
        scores = seen.detections.scores
        high = np.flatnonzero(scores > config.high_score)
        low = np.flatnonzero((scores > config.low_score) & (scores <= config.high_score))
        clear = self._clear(seen)
        distance, cost = self._compare(seen, clear)
        person_of = np.full(len(seen), NOBODY)  # row in `people` of every detection

        # People known for longer take the confident detections, then the doubtful ones.
        pool = np.flatnonzero((people.ids > 0) & self._is_recent(seen.time_s))
        pool, high = _pair(cost, pool, high, config.match_cost, person_of)
        pool = pool[people.last_seen_s[pool] == self._time_s]
        _, low = _pair(cost, pool, low, config.low_match_cost, person_of)
        # Those in doubt get the rest; who is not seen at once again was no person.
        doubtful, rest = np.flatnonzero(people.ids < 0), np.concatenate([high, low])
        _, rest = _pair(cost, doubtful, rest, config.birth_match_cost, person_of)

        told = _tell(distance, person_of)
        self._move(seen, person_of, clear)
        self._believe(person_of, seen.time_s)
        self._start(seen, rest[scores[rest] >= config.sprout_score], person_of, clear, first_frame)
        gone = (people.ids < 0) & (people.last_seen_s < seen.time_s)
        self._recognise(seen.time_s, gone)
        tracks = self._report(seen, person_of, *told)
        self._forget(gone, seen.time_s)
        self._time_s = seen.time_s
        return tracks

    def _is_recent(self, time_s: float) -> np.ndarray:
        """[T] bool: people whose position and pose still say where to look for them."""
        if self.config.recent_s is None:
            return np.ones(len(self._people), bool)
        return time_s - self._people.last_seen_s <= self.config.recent_s

    def _clear(self, seen: Observation) -> np.ndarray:
        """[N] bool: the picture inside the box shows this person and not somebody in front."""
        if self.config.max_covered is None:
            return np.ones(len(seen), bool)
        shown = covered(seen.detections.boxes) <= self.config.max_covered
        return shown & (seen.detections.scores > self.config.high_score)

    def _compare(self, seen: Observation, clear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Part distance and cost of every person against every detection, [T, N] each; inf where unknown.

        The cost is the weighted mean over the cues that both have: looks, box, pose.
        """
        people, config = self._people, self.config
        shape = (len(people), len(seen))
        if people.looks is None or not all(shape):
            return np.full(shape, np.inf, np.float32), np.full(shape, np.inf, np.float32)
        distance = part_distance(people.looks, seen.looks, config.metric)
        cues = [(config.appearance_weight, distance)]
        boxes = people.motion.boxes.astype(np.float32)
        if config.box_weight:
            cues.append((config.box_weight, 1 - iou(boxes, seen.detections.boxes)))
        if config.pose_weight:
            cues.append((config.pose_weight, self._pose_cost(boxes, seen)))
        total, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for cue_weight, cue in cues:
            known = np.isfinite(cue)
            total += np.where(known, cue_weight * cue, 0)
            weight += cue_weight * known
        cost = np.divide(total, weight, out=np.full(shape, np.inf, np.float32), where=weight > 0)
        if config.veto_distance is not None:
            known = clear & (people.sights > 0)[:, None]
            cost[known & np.isfinite(distance) & (distance > config.veto_distance)] = np.inf
        return distance, cost

    def _pose_cost(self, boxes: np.ndarray, seen: Observation) -> np.ndarray:
        """1 - OKS with the last pose carried along by the box's motion, [T, N]; NaN without common keypoints."""
        people = self._people
        moved = people.keypoints.copy()
        shift = boxes - people.keypoint_boxes
        moved[:, :, :2] += ((shift[:, :2] + shift[:, 2:]) / 2)[:, None]
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        return 1 - oks(moved, seen.poses.keypoints, areas, KEYPOINT_CONFIDENCE)

    def _move(self, seen: Observation, person_of: np.ndarray, clear: np.ndarray) -> None:
        """Carry every paired person to its detection, and learn its looks where nobody stands in front."""
        rows = np.flatnonzero(person_of != NOBODY)
        self._people.see(person_of[rows], seen, rows)
        rows = rows[clear[rows]]
        self._people.learn(person_of[rows], seen.looks[rows], self.config.momentum)

    def _believe(self, person_of: np.ndarray, time_s: float) -> None:
        """Those in doubt who are seen again, and once confidently, are people."""
        people = self._people
        mine = person_of[person_of != NOBODY]
        for row in mine[(people.ids[mine] < 0) & (people.best_scores[mine] >= self.config.birth_score)]:
            self._rename(row, self._next_id, time_s)
            self._next_id += 1
            people.newcomer_until_s[row] = time_s + self.config.newcomer_s

    def _start(
        self, seen: Observation, rows: np.ndarray, person_of: np.ndarray, clear: np.ndarray, first_frame: bool
    ) -> None:
        """Begin to watch the detections `rows`; those of the first frame are people at once, as in ByteTrack."""
        start, count = len(self._people), len(rows)
        person_of[rows] = np.arange(start, start + count)
        ids = self._next_doubt - np.arange(count)
        self._next_doubt -= count
        self._people.add(seen, rows, ids, clear[rows])
        if first_frame:
            self._believe(person_of, seen.time_s)

    def _recognise(self, time_s: float, gone: np.ndarray) -> None:
        """Give newcomers who clearly are a lost person that person's identity; marks the obsolete rows in `gone`."""
        config, people = self.config, self._people
        if config.recognise_distance is None or people.looks is None:
            return
        known = (people.ids > 0) & (people.sights >= config.recognise_sights)
        here = people.last_seen_s == time_s
        new = np.flatnonzero(known & here & (people.newcomer_until_s >= time_s))
        old = np.flatnonzero(known & ~here)
        if not (len(new) and len(old)):
            return
        distance = part_distance(people.looks[new], people.looks[old], config.metric)
        # Who was in sight together with the newcomer is somebody else.
        distance[people.last_seen_s[old] >= people.first_seen_s[new][:, None]] = np.inf
        sure = _margin(distance) >= config.recognise_margin
        pairing = pair(np.where(sure, distance, np.inf), config.recognise_distance)
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
        if self.config.settle_s:
            self._hindsight.doubt(_tracks(seen, ids, np.flatnonzero(ids < 0), distances, margins))
        return _tracks(seen, ids, np.flatnonzero(ids > 0), distances, margins)


def _tracks(
    seen: Observation, ids: np.ndarray, rows: np.ndarray, distances: np.ndarray, margins: np.ndarray
) -> Tracks:
    return Tracks(
        frame_number=seen.frame_number,
        time_s=seen.time_s,
        ids=ids[rows],
        boxes=seen.detections.boxes[rows],
        scores=seen.detections.scores[rows],
        keypoints=seen.poses.keypoints[rows],
        distances=distances[rows],
        margins=margins[rows],
        visible=seen.looks.visible[rows],
        prompted=seen.looks.prompted[rows],
    )


def _pair(
    cost: np.ndarray, people: np.ndarray, rows: np.ndarray, max_cost: float, person_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Write the best pairs of `people` and detections `rows` into `person_of`; the people and rows left over."""
    pairing = pair(cost[np.ix_(people, rows)], max_cost)
    person_of[rows[pairing.columns]] = people[pairing.rows]
    return people[pairing.free_rows], rows[pairing.free_columns]


def _tell(distance: np.ndarray, person_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance [N] of each detection to its person, and how much farther the nearest other person is."""
    distances, margins = np.full((2, len(person_of)), np.nan, np.float32)
    rows = np.flatnonzero(person_of != NOBODY)
    if len(rows):
        mine = person_of[rows]
        distances[rows] = distance[mine, rows]
        others = distance[:, rows]
        others[mine, np.arange(len(rows))] = np.inf
        margins[rows] = others.min(0) - distances[rows]
    distances[~np.isfinite(distances)] = np.nan
    margins[~np.isfinite(margins)] = np.nan
    return distances, margins


def _margin(distance: np.ndarray) -> np.ndarray:
    """[A, B] how much better each pair is than the next best of its row and of its column."""
    margin = np.full(distance.shape, np.inf, np.float32)
    with np.errstate(invalid="ignore"):
        for axis in (0, 1):
            if distance.shape[axis] > 1:
                ordered = np.sort(distance, axis=axis)
                first, second = np.take(ordered, [0], axis), np.take(ordered, [1], axis)
                margin = np.minimum(margin, np.where(distance == first, second, first) - distance)
    return np.nan_to_num(margin, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
