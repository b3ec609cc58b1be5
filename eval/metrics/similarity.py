"""Similarities of ground truth and tracked people in the same frame, and optimal assignments."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval.datatypes import People, Sequence
from kprtrack.core.geometry import oks

EPSILON = float(np.finfo(float).eps)  # TrackEval's margin at thresholds and at zero
MIN_SIMILARITY = 0.5  # CLEAR, Identity, the kit and both cleanings use no pair below it
_BLOCK = 50_000  # pairs; their data fits into the processor's cache
_FAR = 1e7  # pixels; dissimilar to any pose in the image


@dataclass(frozen=True)
class Similarities:
    """All pairs of a ground truth and a tracked person in the same frame with similarity above 0.

    Pairs are ordered by frame. Crowds have a hundred times as many pairs without overlap, which are left out.
    """

    gt_ids: np.ndarray  # [G] int64, identities counted from 0 without gaps
    track_ids: np.ndarray  # [P] int64, likewise
    gt_starts: np.ndarray  # [F + 1] int64, ground truth rows of frame f start at gt_starts[f]
    track_starts: np.ndarray  # [F + 1] int64, likewise
    starts: np.ndarray  # [F + 1] int64, likewise for the K pairs
    gt_rows: np.ndarray  # [K] int64, rows of the ground truth
    track_rows: np.ndarray  # [K] int64
    cells: np.ndarray  # [F + 1] int64, likewise for the cells of all frames' matrices [g, p], row by row
    places: np.ndarray  # [K] int64, the cell of each pair, ascending
    values: np.ndarray  # [K] float64 in (0, 1]

    @property
    def frame_count(self) -> int:
        """Return the number of frames, with or without people."""
        return len(self.starts) - 1

    @property
    def shared_frames(self) -> list[int]:
        """Return the frames in which both sides have people."""
        return np.flatnonzero(np.diff(self.cells)).tolist()

    def gt_in(self, frame: int) -> np.ndarray:
        """Return the ground truth identities in a frame.

        Args:
            frame: Number of the frame.

        Returns:
            Their numbers, [g].
        """
        return self.gt_ids[self.gt_starts[frame] : self.gt_starts[frame + 1]]

    def tracks_in(self, frame: int) -> np.ndarray:
        """Return the track identities in a frame.

        Args:
            frame: Number of the frame.

        Returns:
            Their numbers, [p].
        """
        return self.track_ids[self.track_starts[frame] : self.track_starts[frame + 1]]

    def matrix(self, frame: int, values: np.ndarray | None = None) -> np.ndarray:
        """Return the similarities in a frame as a matrix.

        Args:
            frame: Number of the frame.
            values: Other values [K] of the pairs; None: their similarities.

        Returns:
            [g, p]; 0 where there is no pair.
        """
        here = slice(self.starts[frame], self.starts[frame + 1])
        some = self.values if values is None else values
        matrix = np.zeros((len(self.gt_in(frame)), len(self.tracks_in(frame))), some.dtype)
        matrix.reshape(-1)[self.places[here] - self.cells[frame]] = some[here]
        return matrix

    def pairs_at(self, cells: np.ndarray) -> np.ndarray:
        """Return the numbers of the pairs in some cells.

        Args:
            cells: Numbers of cells, [N]; cells without a pair are skipped.

        Returns:
            At most N numbers.
        """
        numbers = np.searchsorted(self.places, cells)
        inside = numbers < len(self.places)
        numbers, cells = numbers[inside], cells[inside]
        return numbers[self.places[numbers] == cells]


def box_similarities(sequence: Sequence) -> Similarities:
    """Return the intersection over union of all overlapping boxes."""
    ground_truth, tracks = _edges(sequence.ground_truth), _edges(sequence.tracks)

    def similarity(gt_rows: np.ndarray, track_rows: np.ndarray) -> np.ndarray:
        return _paired_iou(ground_truth.take(gt_rows, axis=1), tracks.take(track_rows, axis=1))

    return _compare(sequence, similarity)


def pose_similarities(sequence: Sequence) -> Similarities:
    """Return the object keypoint similarity over the keypoints of the ground truth.

    A keypoint that the track lacks counts as 0. Keypoints must be in COCO's order. The size of a person is
    the area of the ground truth box.
    """
    ground_truth = _with_confidence(sequence.ground_truth, 0)
    tracks = _with_confidence(sequence.tracks, _FAR)
    areas = sequence.ground_truth.boxes[:, 2] * sequence.ground_truth.boxes[:, 3]

    def similarity(gt_rows: np.ndarray, track_rows: np.ndarray) -> np.ndarray:
        ends = np.flatnonzero(np.diff(sequence.ground_truth.frames[gt_rows], append=-1)) + 1
        values = [np.zeros(0)]
        for start, end in pairwise([0, *ends.tolist()]):
            there = slice(track_rows[start], track_rows[end - 1] + 1)
            step = max(1, _BLOCK // (there.stop - there.start))  # rows of one block of a crowded frame
            for first in range(gt_rows[start], gt_rows[end - 1] + 1, step):
                here = slice(first, min(first + step, gt_rows[end - 1] + 1))
                values.append(np.nan_to_num(oks(ground_truth[here], tracks[there], areas[here], 0)).ravel())
        return np.concatenate(values)

    return _compare(sequence, similarity)


def best_pairs(pairs: Similarities, weights: np.ndarray, frames: Iterable[int] | None = None) -> np.ndarray:
    """Return the one-to-one assignment with the greatest sum of weights in each frame.

    Args:
        pairs: The pairs.
        weights: [K], not negative; pairs of weight 0 are never assigned.
        frames: Frames to solve; None solves all.

    Returns:
        [M] ascending numbers of the assigned pairs.
    """
    cells, widths = pairs.cells.tolist(), np.diff(pairs.track_starts).tolist()
    chosen = [np.zeros(0, np.int64)]
    for frame in np.flatnonzero(np.diff(pairs.starts)).tolist() if frames is None else frames:
        rows, columns = linear_sum_assignment(pairs.matrix(frame, weights), maximize=True)
        rows *= widths[frame]
        rows += columns
        rows += cells[frame]
        chosen.append(rows)
    numbers = pairs.pairs_at(np.concatenate(chosen))
    return numbers[weights[numbers] > EPSILON]


def matched_pairs(pairs: Similarities, frames: Iterable[int] | None = None) -> np.ndarray:
    """Return the best assignment [M] of pairs with at least MIN_SIMILARITY, as both cleanings use it."""
    similar = np.where(pairs.values >= MIN_SIMILARITY - EPSILON, pairs.values, 0)
    return best_pairs(pairs, similar, frames)


def with_tracks(pairs: Similarities, kept: np.ndarray) -> Similarities:
    """Return the pairs of the tracks in the mask `kept` [P]."""
    some = kept[pairs.track_rows]
    new_rows = np.concatenate(([0], np.cumsum(kept)))
    people = replace(
        pairs, track_ids=_without_gaps(pairs.track_ids[kept]), track_starts=new_rows[pairs.track_starts]
    )
    return _with_pairs(people, pairs.gt_rows[some], new_rows[pairs.track_rows[some]], pairs.values[some])


def _compare(sequence: Sequence, similarity: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Similarities:
    """Return all pairs with `similarity`, called with the rows of the pairs of some frames, above 0."""
    borders = np.arange(len(sequence.labelled) + 1)
    none = np.zeros(0, np.int64)
    empty = Similarities(
        gt_ids=_without_gaps(sequence.ground_truth.ids),
        track_ids=_without_gaps(sequence.tracks.ids),
        gt_starts=np.searchsorted(sequence.ground_truth.frames, borders),
        track_starts=np.searchsorted(sequence.tracks.frames, borders),
        starts=none,
        cells=none,
        gt_rows=none,
        track_rows=none,
        places=none,
        values=np.zeros(0),
    )
    parts = [(none, none, np.zeros(0))]
    sizes = np.diff(empty.gt_starts) * np.diff(empty.track_starts)
    # Blocks of frames: fast, and the pairs of a crowd never fill the memory.
    blocks = np.flatnonzero(np.diff(np.cumsum(sizes) // _BLOCK)) + 1
    for first, last in pairwise([0, *blocks.tolist(), len(sizes)]):
        gt_rows, track_rows = _rows_of_pairs(
            empty.gt_starts[first : last + 1], empty.track_starts[first : last + 1]
        )
        values = similarity(gt_rows, track_rows)
        some = values > 0
        parts.append((gt_rows[some], track_rows[some], values[some]))
    return _with_pairs(empty, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def pairs_of_same_frame(a: People, b: People, frame_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows [K], [K] of all pairs of `a` and `b` in the same frame, ordered by row of `a`."""
    borders = np.arange(frame_count + 1)
    return _rows_of_pairs(np.searchsorted(a.frames, borders), np.searchsorted(b.frames, borders))


def _edges(people: People) -> np.ndarray:
    """Return [4, N] left, top, right and bottom of the boxes."""
    return np.concatenate((people.boxes[:, :2], people.boxes[:, :2] + people.boxes[:, 2:]), axis=1).T.copy()


def _paired_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return [K] intersection over union of a[:, i] with b[:, i], both [4, K] edges; 0 if one has no area.

    Source: docs/reference/tracking_and_evaluation.md 2.2: no pixel is added to width and height.
    """
    width = np.minimum(a[2], b[2])
    width -= np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1])
    overlapping = np.flatnonzero((width > 0) & (height > 0))
    a, b = a.take(overlapping, axis=1), b.take(overlapping, axis=1)
    shared = width[overlapping] * height[overlapping]
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    solid = (area_a > EPSILON) & (area_b > EPSILON)
    values = np.zeros(len(width))
    values[overlapping] = np.where(solid, shared / (area_a + area_b - shared), 0)
    return values


def _rows_of_pairs(gt_starts: np.ndarray, track_starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of ground truth and tracks of all pairs in some frames, ordered by ground truth."""
    widths = np.diff(track_starts)
    counts = np.diff(gt_starts) * widths
    cell = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    width = np.repeat(widths, counts)
    return (
        np.repeat(gt_starts[:-1], counts) + cell // width,
        np.repeat(track_starts[:-1], counts) + cell % width,
    )


def _with_pairs(
    people: Similarities, gt_rows: np.ndarray, track_rows: np.ndarray, values: np.ndarray
) -> Similarities:
    """Return `people` with these pairs, ordered by ground truth, then by track."""
    widths = np.diff(people.track_starts)
    cells = np.concatenate(([0], np.cumsum(np.diff(people.gt_starts) * widths)))
    frames = np.searchsorted(people.gt_starts, gt_rows, side="right") - 1
    places = cells[frames] + (gt_rows - people.gt_starts[frames]) * widths[frames]
    places += track_rows - people.track_starts[frames]
    return replace(
        people,
        starts=np.searchsorted(frames, np.arange(len(cells))),
        cells=cells,
        gt_rows=gt_rows,
        track_rows=track_rows,
        places=places,
        values=values,
    )


def _without_gaps(ids: np.ndarray) -> np.ndarray:
    return np.unique(ids, return_inverse=True)[1]


def _with_confidence(people: People, missing: float) -> np.ndarray:
    """Return keypoints [N, 17, 3]; missing ones have confidence 0, or position `missing` if not 0."""
    known = (people.keypoints != 0).any(axis=2, keepdims=True)
    points = np.where(known, people.keypoints, missing)
    return np.concatenate([points, known | (missing != 0)], axis=2)
