"""Which detections of the next frame the KPR tracker can use, decided by boxes alone."""

from dataclasses import replace

import numpy as np

from kprtrack.core.datatypes import Detections, Observation
from kprtrack.core.geometry import iou
from kprtrack.pipeline import Wanted
from kprtrack.trackers.distance_scale import DistanceScale, unambiguous
from kprtrack.trackers.kpr_config import KprTrackerConfig
from kprtrack.trackers.motion import FRAME_RATE
from kprtrack.trackers.track_store import TrackStore

ALONE_IOU = 0.3  # a box that overlaps no other high score by more shows one person
REACH_IOU = 0.1  # a low score that overlaps a predicted box by less is hardly ever matched

_EPSILON_S = 1e-6  # times are rounded numbers
YOUNG_UPDATES = 30  # a track with fewer unoccluded embeddings gets one in every frame


def wanted_detections(
    detections: Detections,
    time_s: float,
    store: TrackStore,
    last_s: float | None,
    config: KprTrackerConfig,
    scale: DistanceScale,
) -> Wanted:
    """Select the detections that need a pose, and those that need an embedding.

    Detections above `high_score` are matched first. A track is claimed if one of them, and no other, is at
    its predicted box. The other detections can continue confirmed tracks of the frame before that are not
    claimed; those that start a track instead are hardly ever part of the result.

    * Pose: all above `high_score`; another if it is at a confirmed track that is not claimed.
    * Embedding of a high score: unless it claims a confirmed track that is not young and was embedded less
      than `reid_interval_s` ago, and overlaps no other high score; and of all as long as the scale of
      distances is uncertain.
    * Embedding of another: if it is at two confirmed tracks that are not claimed. It is compared, not kept.

    Args:
        detections: N detections of the next frame.
        time_s: Its time.
        store: The tracks, T.
        last_s: Time of the frame before.
        config: The tracker's settings, with `reid_interval_s`.
        scale: That of the encoder's distances.

    Returns:
        Two masks [N].
    """
    assert config.reid_interval_s is not None
    boxes, scores = detections.boxes, detections.scores
    high = np.flatnonzero(scores > config.high_score)
    other = np.flatnonzero((scores > config.low_score) & (scores <= config.high_score))
    frames = 0.0 if last_s is None else max(time_s - last_s, 0.0) * FRAME_RATE
    overlap = iou(store.motion.boxes_after(frames).astype(np.float32), boxes)  # [T, N]
    claims = unambiguous(overlap[:, high])  # [T, H]
    left = ~claims.any(1) & (store.last_seen_s == last_s) & (store.ids > 0)
    reach = np.count_nonzero(overlap[left][:, other] > REACH_IOU, 0)  # [L] tracks

    poses, embeddings = np.zeros((2, len(scores)), bool)
    poses[high] = True
    poses[other] = reach > 0
    up_to_date = (
        (store.ids > 0)
        & (store.updates >= max(YOUNG_UPDATES, config.reid_min_updates))
        & (time_s - store.embedded_s < config.reid_interval_s - _EPSILON_S)
    )
    between = iou(boxes[high], boxes[high])
    np.fill_diagonal(between, 0)
    alone = (between <= ALONE_IOU).all(1)
    embeddings[high] = scale.teachable(len(high)) | ~((claims & up_to_date[:, None]).any(0) & alone)
    embeddings[other] = reach > 1
    return Wanted(poses, embeddings)


def limited(observation: Observation, wanted: Wanted) -> Observation:
    """The observation as if only the wanted poses and embeddings had been computed."""
    embeddings = observation.embeddings
    return replace(
        observation,
        poses=replace(
            observation.poses,
            keypoints=np.where(wanted.poses[:, None, None], observation.poses.keypoints, np.float32(0)),
        ),
        embeddings=replace(
            embeddings,
            visible=embeddings.visible & wanted.embeddings[:, None],
            prompted=embeddings.prompted & wanted.embeddings,
        ),
    )
