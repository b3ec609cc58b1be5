"""Tracks of one frame from boxes by track ID."""

from collections.abc import Mapping, Sequence

import numpy as np

from kprtrack.core.datatypes import Tracks


def tracks_of(
    people: Mapping[int, Sequence[float]],
    *,
    number: int = 0,
    time_s: float = 0.0,
    keypoints: np.ndarray | None = None,
) -> Tracks:
    """People: box by track ID; keypoints: [M, 17, 3], by default unknown."""
    count = len(people)
    return Tracks(
        frame_number=number,
        time_s=time_s,
        ids=np.array(list(people), np.int64),
        boxes=np.array(list(people.values()), np.float32).reshape(-1, 4),
        scores=np.ones(count, np.float32),
        keypoints=np.zeros((count, 17, 3), np.float32) if keypoints is None else keypoints,
        distances=np.full(count, np.nan, np.float32),
        margins=np.full(count, np.nan, np.float32),
        visible=np.ones((count, 8), bool),
        prompted=np.ones(count, bool),
    )
