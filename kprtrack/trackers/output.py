"""The tracks of a frame, with the distance and the margin of every match."""

import numpy as np

from kprtrack.core.datatypes import Observation, Tracks

UNMATCHED = -1  # in place of a track's row


def tracks_at(
    observation: Observation, ids: np.ndarray, rows: np.ndarray, distances: np.ndarray, margins: np.ndarray
) -> Tracks:
    """The detections `rows` as tracks; ids, distances and margins are [N], one per detection."""
    return Tracks(
        frame_number=observation.frame_number,
        time_s=observation.time_s,
        ids=ids[rows],
        boxes=observation.detections.boxes[rows],
        scores=observation.detections.scores[rows],
        keypoints=observation.poses.keypoints[rows],
        distances=distances[rows],
        margins=margins[rows],
        visible=observation.embeddings.visible[rows],
        prompted=observation.embeddings.prompted[rows],
        skeleton=observation.poses.skeleton,
    )


def distance_and_margin(
    distance: np.ndarray, track_of_detection: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """[N] part distance of each detection to its track, and how much farther the next track is; else NaN.

    distance: [T, N]. track_of_detection: [N] rows of tracks.
    """
    distances, margins = np.full((2, len(track_of_detection)), np.nan, np.float32)
    rows = np.flatnonzero(track_of_detection != UNMATCHED)
    if len(rows):
        track_rows = track_of_detection[rows]
        distances[rows] = distance[track_rows, rows]
        others = distance[:, rows]
        others[track_rows, np.arange(len(rows))] = np.inf
        known = np.isfinite(distances[rows])
        margins[rows[known]] = others.min(0)[known] - distances[rows[known]]
    distances[~np.isfinite(distances)] = np.nan
    margins[~np.isfinite(margins)] = np.nan
    return distances, margins


def margins_of_pairs(distance: np.ndarray) -> np.ndarray:
    """[A, B] how much smaller each distance is than the next smallest of its row and of its column."""
    gap = np.full(distance.shape, np.inf, np.float32)
    with np.errstate(invalid="ignore"):
        for axis in (0, 1):
            if distance.shape[axis] > 1:
                smallest = np.partition(distance, 1, axis=axis)
                first, second = np.take(smallest, [0], axis), np.take(smallest, [1], axis)
                gap = np.minimum(gap, np.where(distance == first, second, first) - distance)
    return np.nan_to_num(gap, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
