"""Observations with embeddings of the people of export_cases, and their distances computed anew."""

from collections.abc import Iterator

import numpy as np

import kprtrack
from support.export_cases import FRAMES, PRESENT


def embedding(track_id: int, frame: int) -> np.ndarray:
    """[2, 4] of unit length; part 1 of person 7 is invisible in frame 1."""
    random = np.random.default_rng(100 * track_id + frame)
    values = np.eye(2, 4, track_id % 3) + random.normal(0, 0.2, (2, 4))
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def visible(track_id: int, frame: int) -> np.ndarray:
    return np.array([True, (track_id, frame) != (7, 1)])


def observations() -> Iterator[kprtrack.Observation]:
    for tracks in FRAMES:
        ids = tracks.ids.tolist()[::-1]  # in another order than the tracks
        features = [embedding(track_id, tracks.frame_number) for track_id in ids]
        seen = [visible(track_id, tracks.frame_number) for track_id in ids]
        yield kprtrack.Observation(
            tracks.frame_number,
            tracks.time_s,
            kprtrack.Detections(tracks.boxes[::-1], tracks.scores[::-1]),
            kprtrack.Poses(tracks.keypoints[::-1]),
            kprtrack.Appearance(
                np.array(features, np.float32).reshape(-1, 2, 4),
                np.array(seen, bool).reshape(-1, 2),
                np.zeros(len(ids), bool),
            ),
        )


def expected(track_id: int, frame: int, other: bool) -> float:
    """The mean of 1 - cosine over the parts, to the mean of all other frames of a person, computed anew."""
    who = {2: 7, 7: 2}[track_id] if other else track_id
    parts = []
    for part in range(2):
        others = [
            embedding(who, each)[part]
            for each, ids in PRESENT.items()
            if who in ids and visible(who, each)[part] and (other or each != frame)
        ]
        mean = np.mean(others, axis=0)
        if visible(track_id, frame)[part]:
            parts.append(1 - embedding(track_id, frame)[part] @ mean / np.linalg.norm(mean))
    return float(np.mean(parts))
