"""The tracks of a result, person by person."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.datatypes import Tracks


@dataclass(frozen=True)
class Person:
    """One person in all frames with a box."""

    numbers: np.ndarray  # [K] int64, frame numbers, rising
    boxes: np.ndarray  # [K, 4] float64, x1 y1 x2 y2, pixels
    keypoints: np.ndarray  # [K, J, 3] float32


def people_of(frames: Sequence[Tracks]) -> dict[int, Person]:
    """Return the people of a result by track ID, ascending.

    Args:
        frames: The tracks of all frames, in order.
    """
    if not any(len(tracks) for tracks in frames):
        return {}
    ids = np.concatenate([tracks.ids for tracks in frames])
    order = np.argsort(ids, kind="stable")
    numbers = np.repeat([tracks.frame_number for tracks in frames], [len(tracks) for tracks in frames])[order]
    boxes = np.concatenate([tracks.boxes for tracks in frames]).astype(np.float64)[order]
    keypoints = np.concatenate([tracks.keypoints for tracks in frames])[order]
    known, starts = np.unique(ids[order], return_index=True)
    parts = [np.split(array, starts[1:]) for array in (numbers, boxes, keypoints)]
    return {int(track_id): Person(*rows) for track_id, *rows in zip(known, *parts, strict=True)}
