"""Bind a track to some of its boxes, and find it again by them in another result."""

from dataclasses import dataclass

import numpy as np

from kprtrack.core.geometry import iou
from kprtrack.edits.model import Anchor, Box, TrackPart
from kprtrack.edits.state import EditState

ANCHORS = 7  # boxes of each part; odd, so that two halves of a track differ
MIN_IOU = 0.5  # of an anchor and the box of a track that is found by it
MIN_OTHER_IOU = 0.2  # from which on another box of the frame is stored beside an anchor
_EQUAL = 1e-3  # boxes that overlap an anchor equally: files store hundredths of pixels


@dataclass(frozen=True)
class Found:
    """The track that the anchors of a part lead to.

    Args:
        track_id: Its ID; None: there is none, or no majority.
        votes: Anchors that lead to it.
        anchors: All anchors.
    """

    track_id: int | None
    votes: int
    anchors: int


def choose_anchors(state: EditState, track_id: int, rows: np.ndarray) -> TrackPart:
    """Choose boxes of a part of a track, spread evenly, in each span the one that overlaps others least.

    Args:
        state: The result.
        track_id: The track.
        rows: [K] int64, its rows in the part, in order of time.

    Returns:
        The part, with at most ANCHORS anchors.
    """
    anchors = []
    for span in np.array_split(rows, ANCHORS):
        if len(span):
            # A few of the span are enough: their order of time is kept, the middle one comes first.
            candidates = sorted({span[len(span) // 2], span[len(span) // 4], span[3 * len(span) // 4]})
            overlaps = [_others(state, int(row)) for row in candidates]
            best = min(range(len(candidates)), key=lambda index: overlaps[index][1])
            anchors.append(_anchor(state, int(candidates[best]), overlaps[best][0]))
    return TrackPart(track_id, tuple(anchors))


def find_track(state: EditState, part: TrackPart) -> Found:
    """Find the track that has the boxes of a part: the one at more than half of the anchors.

    At an anchor it is the track whose box overlaps it most, with an IoU of MIN_IOU at least, and more than
    that box overlaps the boxes of other people that were there. The ID decides only between equal boxes.

    Args:
        state: The result to search.
        part: A part with anchors.
    """
    votes: dict[int, int] = {}
    for anchor in part.anchors:
        track_id = _track_at(state, anchor, part.track_id)
        if track_id is not None:
            votes[track_id] = votes.get(track_id, 0) + 1
    if not votes:
        return Found(None, 0, len(part.anchors))
    best = max(votes, key=lambda track_id: votes[track_id])
    enough = 2 * votes[best] > len(part.anchors)
    return Found(best if enough else None, votes[best], len(part.anchors))


def _track_at(state: EditState, anchor: Anchor, preferred: int) -> int | None:
    index = state.clock.nearest(anchor.frame, anchor.time_s)
    rows = state.in_frame(index) if index is not None else np.zeros(0, np.int64)
    if not len(rows):
        return None
    wanted = np.array([anchor.box, *anchor.others], np.float64)  # [1 + O, 4]
    overlap = iou(wanted, state.boxes[rows])  # [1 + O, R]
    is_it = (overlap[0] >= MIN_IOU) & (overlap[0] >= overlap[1:].max(axis=0, initial=0) - _EQUAL)
    if not is_it.any():
        return None
    best = is_it & (overlap[0] >= overlap[0][is_it].max() - _EQUAL)
    ids = state.ids[rows[best]].tolist()
    return preferred if preferred in ids else int(ids[0])


def _others(state: EditState, row: int) -> tuple[list[Box], float]:
    """The boxes of the frame that overlap a row's, and the largest overlap."""
    rows = state.in_frame(int(state.frame[row]))
    rows = rows[rows != row]
    overlaps = iou(state.boxes[[row]], state.boxes[rows])[0]
    return [_box(state, other) for other in rows[overlaps >= MIN_OTHER_IOU]], float(overlaps.max(initial=0))


def _anchor(state: EditState, row: int, others: list[Box]) -> Anchor:
    moment = state.clock.moment(int(state.frame[row]))
    time_s = None if moment.time_s is None else round(moment.time_s, 6)
    return Anchor(moment.frame or 0, time_s, _box(state, row), tuple(others))


def _box(state: EditState, row: int) -> Box:
    x1, y1, x2, y2 = (round(value, 2) for value in state.boxes[row].tolist())
    return x1, y1, x2, y2
