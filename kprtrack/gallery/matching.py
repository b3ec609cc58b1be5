"""Find the tracks of a gallery again in another result of the same video, by their boxes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.geometry import iou
from kprtrack.identity.prototypes import TrackPrototypes

_SAME_IOU = 0.7  # boxes of one person by two detectors


@dataclass(frozen=True)
class Boxes:
    """Where a track was: some of its frames and its boxes there.

    Args:
        track_id: In the earlier result; None: it was not found in that.
        frames: [A] int64.
        boxes: [A, 4] float32, pixels.
        span: First and last frame, for tracks without boxes.
    """

    track_id: int | None
    frames: np.ndarray
    boxes: np.ndarray
    span: tuple[int, int] | None = None


def same_tracks(
    stored: Mapping[int, Boxes], prototypes: TrackPrototypes, frames: Sequence[Tracks] | None
) -> dict[int, int]:
    """Return which stored track is which track of a new result; each at most once.

    Args:
        stored: Boxes of tracks, by any key.
        prototypes: Of the new result.
        frames: Its tracks; None: the boxes of its prototypes are compared instead.

    Returns:
        Track ID by key; tracks at most of whose boxes no track or another one is are left out.
    """
    wanted = {int(frame) for boxes in stored.values() for frame in boxes.frames}
    known = _by_frame(prototypes, frames, wanted)
    votes = [
        (count, -track_id, key, track_id)
        for key, boxes in stored.items()
        for track_id, count in _votes(boxes, known, all_frames=frames is not None)
    ]
    found: dict[int, int] = {}
    for _, _, key, track_id in sorted(votes, reverse=True):
        if key not in found and track_id not in found.values():
            found[key] = track_id
    spans = dict(zip(prototypes.track_ids.tolist(), _spans(prototypes), strict=True))
    for key, boxes in stored.items():
        track_id = boxes.track_id or 0
        if key not in found and not len(boxes.frames) and spans.get(track_id) == boxes.span:
            found.update({} if track_id in found.values() else {key: track_id})
    return found


def _votes(
    stored: Boxes, known: Mapping[int, tuple[np.ndarray, np.ndarray]], *, all_frames: bool
) -> list[tuple[int, int]]:
    """Track IDs with the number of boxes at which they are, if these are more than half."""
    votes: Counter[int] = Counter()
    for frame, box in zip(stored.frames.tolist(), stored.boxes, strict=True):
        if frame not in known:
            continue
        ids, boxes = known[frame]
        overlap = iou(box[None], boxes)[0]
        if overlap.max() >= _SAME_IOU:
            votes[int(ids[overlap.argmax()])] += 1
    compared = len(stored.frames) if all_frames else votes.total()
    return [(track_id, count) for track_id, count in votes.items() if 2 * count > compared]


def _by_frame(
    prototypes: TrackPrototypes, frames: Sequence[Tracks] | None, wanted: set[int]
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    if frames is not None:
        known = set(prototypes.track_ids.tolist())
        rows = {
            tracks.frame_number: (
                tracks,
                [row for row, one in enumerate(tracks.ids.tolist()) if one in known],
            )
            for tracks in frames
            if tracks.frame_number in wanted
        }
        return {number: (tracks.ids[at], tracks.boxes[at]) for number, (tracks, at) in rows.items() if at}
    ids = prototypes.track_ids[prototypes.track_row]
    return {
        number: (ids[prototypes.frames == number], prototypes.boxes[prototypes.frames == number])
        for number in wanted & set(prototypes.frames.tolist())
    }


def _spans(prototypes: TrackPrototypes) -> list[tuple[int, int]]:
    return list(zip(prototypes.first_frame.tolist(), prototypes.last_frame.tolist(), strict=True))
