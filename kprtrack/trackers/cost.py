"""What it costs to take a detection for a person: looks, box and pose weighed together."""

from collections.abc import Iterator

import numpy as np

from kprtrack.core.appearance import part_distance
from kprtrack.core.datatypes import Observation
from kprtrack.core.geometry import iou, oks
from kprtrack.trackers.distance_scale import DistanceScale, unambiguous
from kprtrack.trackers.kpr_config import KprTrackerConfig
from kprtrack.trackers.track_store import TrackStore

CROWD = 32  # people compared at once
INTRA_IDENTITY_SPREAD = 3.0  # clear looks of one person differ by less than this times their mean difference
CONTINUES = 1.5  # times this, if position leaves no doubt: only a cut in the film shows somebody else there
# Below it a keypoint is a guess: the threshold of KPR's prompts (docs/reference/kpr.md 2.3)
KEYPOINT_CONFIDENCE = 0.3


class PairCost:
    """Compares people with detections; learns the encoder's scale on the way."""

    def __init__(self, config: KprTrackerConfig, store: TrackStore, scale: DistanceScale) -> None:
        self._config, self._tracks, self._scale = config, store, scale

    def compare(
        self, rows: np.ndarray, observation: Observation, unoccluded: np.ndarray, last_s: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Part distance and cost of the people `rows` against every detection, [T, N] each; else inf.

        clear: [N] bool, whose looks can be trusted. last_s: time of the frame before.
        """
        shape = (len(self._tracks), len(observation))
        distance, cost = np.full((2, *shape), np.inf, np.float32)
        overlap = np.zeros(shape, np.float32)
        boxes = self._tracks.motion.boxes.astype(np.float32)
        for track_rows, near in self._neighbourhoods(rows, boxes, observation.detections.boxes):
            block = self._compare_block(track_rows, near, boxes[track_rows], observation)
            if block[0].shape == shape:
                distance, cost, overlap = block
                break
            place = track_rows[:, None], near
            distance[place], cost[place], overlap[place] = block
        has_embedding, just_updated = self._tracks.updates > 0, self._tracks.last_seen_s == last_s
        if self._config.gating_distance is not None:
            # Never below what the encoder says of one and the same person.
            limit = max(
                self._config.gating_distance * self._scale.inter_identity,
                INTRA_IDENTITY_SPREAD * self._scale.intra_identity,
            )
            # Who walks behind a pillar looks different at once, but nobody else stands where they must be.
            limits = np.where(just_updated[:, None] & unambiguous(overlap), CONTINUES * limit, limit)
            cost[has_embedding[:, None] & unoccluded & np.isfinite(distance) & (distance > limits)] = np.inf
        if self._scale.learning:
            here = np.ix_(has_embedding & just_updated, unoccluded)
            self._scale.update(distance[here], overlap[here])
        return distance, cost

    def _neighbourhoods(
        self, rows: np.ndarray, boxes: np.ndarray, seen_boxes: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Groups of the people `rows` with the detections they may be: all, in a crowd those nearby."""
        everybody = np.arange(len(seen_boxes))
        if not (len(rows) and len(seen_boxes)):
            return
        if not self._config.box_weight or len(rows) <= CROWD:
            yield rows, everybody
            return
        # Comparing looks costs most, and nobody crosses half a crowded picture between two frames.
        from_left = rows[np.argsort(boxes[rows, 0], kind="stable")]
        for group in np.array_split(from_left, -(-len(rows) // CROWD)):
            reach = (boxes[group, 2] - boxes[group, 0]).max()
            left, right = boxes[group, 0].min() - reach, boxes[group, 2].max() + reach
            yield group, np.flatnonzero((seen_boxes[:, 2] > left) & (seen_boxes[:, 0] < right))

    def _compare_block(
        self, rows: np.ndarray, columns: np.ndarray, boxes: np.ndarray, observation: Observation
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Part distance, cost and overlap, [R, C]. The cost is the weighted mean over the cues both have."""
        config, scale = self._config, self._scale
        embeddings = (
            observation.embeddings if len(columns) == len(observation) else observation.embeddings[columns]
        )
        distance = part_distance(self._tracks.embeddings_of(rows), embeddings, config.metric)
        overlap = iou(boxes, observation.detections.boxes[columns])
        cues = [(config.appearance_weight * scale.discriminability, distance / scale.inter_identity)]
        if config.box_weight:
            cues.append((config.box_weight, 1 - overlap))
        if config.pose_weight:
            cues.append(
                (config.pose_weight, self._pose_cost(rows, boxes, observation.poses.keypoints[columns]))
            )
        return distance, _weighted_mean(cues), overlap

    def _pose_cost(self, rows: np.ndarray, boxes: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """1 - OKS with the last pose, carried along with the box, [R, C]; NaN without common keypoints."""
        moved = self._tracks.keypoints[rows]
        shift = boxes - self._tracks.keypoint_boxes[rows]
        moved[:, :, :2] += ((shift[:, :2] + shift[:, 2:]) / 2)[:, None]
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        return 1 - oks(moved, keypoints, areas, KEYPOINT_CONFIDENCE)


def _weighted_mean(cues: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """Mean over the cues that are finite, by their weights; inf where none is."""
    total, weight = np.zeros((2, *cues[0][1].shape), np.float32)
    for cue_weight, cue in cues:
        known = np.isfinite(cue)
        total += cue_weight * np.where(known, cue, 0)  # inf times a weight of 0 is no number
        weight += cue_weight * known
    return np.divide(total, weight, out=np.full(total.shape, np.inf, np.float32), where=weight > 0)
