"""Matching cost of tracks and detections: appearance, box and pose as one weighted mean."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kprtrack.core.appearance import part_distance
from kprtrack.core.datatypes import Observation, Poses
from kprtrack.core.geometry import iou, oks
from kprtrack.trackers.distance_scale import DistanceScale, unambiguous
from kprtrack.trackers.kpr_config import KprTrackerConfig
from kprtrack.trackers.track_store import TrackStore

BLOCK = 32  # tracks compared at once
# Unoccluded embeddings of one person differ by less than this times their mean distance ...
INTRA_IDENTITY_SPREAD = 3.0
# ... and by this times more where position is unambiguous: there only a film cut shows another person.
UNAMBIGUOUS_FACTOR = 1.5
# Below it a keypoint is a guess: the threshold of KPR's prompts (docs/reference/kpr.md 2.3)
KEYPOINT_CONFIDENCE = 0.3


class PairCosts(NamedTuple):
    """Every track compared with every detection, [T, N] float32 each."""

    cost: np.ndarray  # inf where the pair was not compared or is gated
    distance: np.ndarray  # part distance; inf where it was not compared or no part is shared
    overlap: np.ndarray  # IoU of the predicted box; 0 where it was not compared


class PairCost:
    """The cost function of one tracker; it changes neither tracks nor scale."""

    def __init__(self, config: KprTrackerConfig, store: TrackStore, scale: DistanceScale) -> None:
        self._config, self._tracks, self._scale = config, store, scale

    def compare(self, observation: Observation, unoccluded: np.ndarray, last_s: float | None) -> PairCosts:
        """Compare all tracks of the store with all detections.

        Args:
            observation: N detections.
            unoccluded: [N] bool, detections whose embedding shows one person only.
            last_s: Time of the frame before, in seconds.

        Returns:
            The costs, one row per track in the store.
        """
        shape = (len(self._tracks), len(observation))
        cost, distance = np.full((2, *shape), np.inf, np.float32)
        overlap = np.zeros(shape, np.float32)
        boxes = self._tracks.motion.boxes.astype(np.float32)
        for track_rows, near in self._blocks(boxes, observation.detections.boxes):
            block = self._compare_block(track_rows, near, boxes[track_rows], observation)
            if block.cost.shape == shape:
                cost, distance, overlap = block
                break
            place = track_rows[:, None], near
            cost[place], distance[place], overlap[place] = block
        if self._config.gating_distance is not None:
            cost[self._gated(distance, overlap, unoccluded, last_s)] = np.inf
        return PairCosts(cost, distance, overlap)

    def _gated(
        self, distance: np.ndarray, overlap: np.ndarray, unoccluded: np.ndarray, last_s: float | None
    ) -> np.ndarray:
        """[T, N] bool: appearance rules the pair out."""
        assert self._config.gating_distance is not None
        # Never below the distances that the encoder gives one and the same person.
        limit = max(
            self._config.gating_distance * self._scale.inter_identity,
            INTRA_IDENTITY_SPREAD * self._scale.intra_identity,
        )
        # Behind a pillar an embedding changes at once, but no other person can be at the predicted place.
        just_updated = self._tracks.last_seen_s == last_s
        limits = np.where(just_updated[:, None] & unambiguous(overlap), UNAMBIGUOUS_FACTOR * limit, limit)
        has_embedding = self._tracks.updates > 0
        comparable: np.ndarray = has_embedding[:, None] & unoccluded & np.isfinite(distance)
        return comparable & (distance > limits)

    def _blocks(self, boxes: np.ndarray, detected: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Groups of tracks with the detections that may match: all of them, or in a crowd those nearby."""
        rows = np.arange(len(boxes))
        if not (len(rows) and len(detected)):
            return
        if not self._config.box_weight or len(rows) <= BLOCK:
            yield rows, np.arange(len(detected))
            return
        # Part distances cost most, and no person crosses half a crowded image between two frames.
        from_left = np.argsort(boxes[:, 0], kind="stable")
        for group in np.array_split(from_left, -(-len(rows) // BLOCK)):
            reach = (boxes[group, 2] - boxes[group, 0]).max()
            left, right = boxes[group, 0].min() - reach, boxes[group, 2].max() + reach
            yield group, np.flatnonzero((detected[:, 2] > left) & (detected[:, 0] < right))

    def _compare_block(
        self, rows: np.ndarray, columns: np.ndarray, boxes: np.ndarray, observation: Observation
    ) -> PairCosts:
        """Costs of the tracks `rows` and the detections `columns`, [R, C] each, without gating."""
        config, scale = self._config, self._scale
        everything = len(columns) == len(observation)
        embeddings = observation.embeddings if everything else observation.embeddings[columns]
        distance = part_distance(self._tracks.embeddings_of(rows), embeddings, config.metric)
        overlap = iou(boxes, observation.detections.boxes[columns])
        cues = [(config.appearance_weight * scale.discriminability, distance / scale.inter_identity)]
        if config.box_weight:
            cues.append((config.box_weight, 1 - overlap))
        if config.pose_weight:
            pose_cost = self._pose_cost(rows, boxes, observation.poses, columns)
            cues.append((config.pose_weight, pose_cost))
        return PairCosts(_weighted_mean(cues), distance, overlap)

    def _pose_cost(
        self, rows: np.ndarray, boxes: np.ndarray, poses: Poses, columns: np.ndarray
    ) -> np.ndarray:
        """[R, C] 1 - OKS with the last pose, moved along with the box; NaN without common keypoints."""
        moved = self._tracks.keypoints[rows]
        shift = boxes - self._tracks.keypoint_boxes[rows]
        moved[:, :, :2] += ((shift[:, :2] + shift[:, 2:]) / 2)[:, None]
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        return 1 - oks(moved, poses.keypoints[columns], areas, KEYPOINT_CONFIDENCE, poses.skeleton)


def _weighted_mean(cues: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """Mean over the cues that are finite, by their weights; inf where none is."""
    total, weight = np.zeros((2, *cues[0][1].shape), np.float32)
    for cue_weight, cue in cues:
        known = np.isfinite(cue)
        total += cue_weight * np.where(known, cue, 0)  # inf times a weight of 0 is no number
        weight += cue_weight * known
    mean = np.full(total.shape, np.inf, np.float32)
    np.divide(total, weight, out=mean, where=weight > 0)
    return mean
