"""How well each true person fits each tracked one of the same frame, and who goes best with whom."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval.datatypes import People, Sequence
from kprtrack.core.geometry import oks

EPSILON = float(np.finfo(float).eps)  # TrackEval's margin at thresholds and at zero
MIN_SIMILARITY = 0.5  # CLEAR, Identity, the kit and both cleanings see no pair below it
_BLOCK = 50_000  # pairs; their numbers fit into the processor's cache
_FAR = 1e7  # pixels; no pose out there resembles one in the picture


@dataclass(frozen=True)
class Similarities:
    """All pairs of a true and a tracked person of the same frame who are alike at all, frame after frame.

    Crowds have a hundred times as many pairs that do not touch: those are left out, their similarity is 0.
    """

    gt_ids: np.ndarray  # [G] int64, identities counted from 0 without gaps
    track_ids: np.ndarray  # [P] int64, likewise
    gt_starts: np.ndarray  # [F + 1] int64, frame f has the truth from truth_starts[f] on
    track_starts: np.ndarray  # [F + 1] int64, likewise
    starts: np.ndarray  # [F + 1] int64, likewise for the K pairs
    gt_rows: np.ndarray  # [K] int64, rows of the truth
    track_rows: np.ndarray  # [K] int64
    cells: np.ndarray  # [F + 1] int64, likewise for the cells of all frames' matrices [g, p], row by row
    places: np.ndarray  # [K] int64, the cell of each pair, rising
    values: np.ndarray  # [K] float64 in (0, 1]

    @property
    def frame_count(self) -> int:
        """Frames of the sequence, with or without people."""
        return len(self.starts) - 1

    @property
    def shared_frames(self) -> list[int]:
        """Frames in which both sides have people, alike or not."""
        return np.flatnonzero(np.diff(self.cells)).tolist()

    def gt_in(self, frame: int) -> np.ndarray:
        """[g] identities in one frame."""
        return self.gt_ids[self.gt_starts[frame] : self.gt_starts[frame + 1]]

    def tracks_in(self, frame: int) -> np.ndarray:
        """[p] identities in one frame."""
        return self.track_ids[self.track_starts[frame] : self.track_starts[frame + 1]]

    def matrix(self, frame: int, values: np.ndarray | None = None) -> np.ndarray:
        """[g, p] similarity in one frame, or what else is known of every pair: `values` [K]; 0 elsewhere."""
        here = slice(self.starts[frame], self.starts[frame + 1])
        some = self.values if values is None else values
        matrix = np.zeros((len(self.gt_in(frame)), len(self.tracks_in(frame))), some.dtype)
        matrix.reshape(-1)[self.places[here] - self.cells[frame]] = some[here]
        return matrix

    def pairs_at(self, cells: np.ndarray) -> np.ndarray:
        """Numbers of the pairs in these cells, which may be empty."""
        numbers = np.searchsorted(self.places, cells)
        there = numbers < len(self.places)
        numbers, cells = numbers[there], cells[there]
        return numbers[self.places[numbers] == cells]


def box_similarities(sequence: Sequence) -> Similarities:
    """Intersection over union of all boxes that touch."""
    ground_truth, tracks = _edges(sequence.ground_truth), _edges(sequence.tracks)

    def alike(gt_rows: np.ndarray, track_rows: np.ndarray) -> np.ndarray:
        return _paired_iou(ground_truth.take(gt_rows, axis=1), tracks.take(track_rows, axis=1))

    return _compare(sequence, alike)


def pose_similarities(sequence: Sequence) -> Similarities:
    """Object keypoint similarity over the truth's keypoints; one that is missing in the track counts as a 0.

    The rows of keypoints must be in COCO's order. A person's size is the area of the true box.
    """
    ground_truth = _with_confidence(sequence.ground_truth, 0)
    tracks = _with_confidence(sequence.tracks, _FAR)
    areas = sequence.ground_truth.boxes[:, 2] * sequence.ground_truth.boxes[:, 3]

    def alike(gt_rows: np.ndarray, track_rows: np.ndarray) -> np.ndarray:
        ends = np.flatnonzero(np.diff(sequence.ground_truth.frames[gt_rows], append=-1)) + 1
        values = [np.zeros(0)]
        for start, end in pairwise([0, *ends.tolist()]):
            here = slice(gt_rows[start], gt_rows[end - 1] + 1)
            there = slice(track_rows[start], track_rows[end - 1] + 1)
            values.append(np.nan_to_num(oks(ground_truth[here], tracks[there], areas[here], 0)).ravel())
        return np.concatenate(values)

    return _compare(sequence, alike)


def best_pairs(pairs: Similarities, weights: np.ndarray, frames: Iterable[int] | None = None) -> np.ndarray:
    """[M] pairs of the one-to-one matching with the greatest sum of weights in every frame, or in `frames`.

    weights: [K], not negative; a pair of weight 0 is none. Rising numbers into the pairs come back.
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
    """[M] pairs of the best matching of those at least MIN_SIMILARITY alike: both cleanings use it."""
    alike = np.where(pairs.values >= MIN_SIMILARITY - EPSILON, pairs.values, 0)
    return best_pairs(pairs, alike, frames)


def with_tracks(pairs: Similarities, stay: np.ndarray) -> Similarities:
    """What is left when of the tracks only the rows of this mask, [P], stay."""
    some = stay[pairs.track_rows]
    new_rows = np.concatenate(([0], np.cumsum(stay)))
    people = replace(
        pairs, track_ids=_without_gaps(pairs.track_ids[stay]), track_starts=new_rows[pairs.track_starts]
    )
    return _with_pairs(people, pairs.gt_rows[some], new_rows[pairs.track_rows[some]], pairs.values[some])


def _compare(sequence: Sequence, alike: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Similarities:
    """All pairs for whom `alike`, called with the rows of some frames' pairs, is above 0."""
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
    # Some frames at once: fast, and the pairs of a crowd that do not touch never fill the memory.
    blocks = np.flatnonzero(np.diff(np.cumsum(sizes) // _BLOCK)) + 1
    for first, last in pairwise([0, *blocks.tolist(), len(sizes)]):
        gt_rows, track_rows = _rows_of_pairs(
            empty.gt_starts[first : last + 1], empty.track_starts[first : last + 1]
        )
        values = alike(gt_rows, track_rows)
        some = values > 0
        parts.append((gt_rows[some], track_rows[some], values[some]))
    return _with_pairs(empty, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def pairs_of_same_frame(a: People, b: People, frame_count: int) -> tuple[np.ndarray, np.ndarray]:
    """[K], [K] rows of all pairs of `a` and `b` in a frame, row of `a` by row of `a`."""
    borders = np.arange(frame_count + 1)
    return _rows_of_pairs(np.searchsorted(a.frames, borders), np.searchsorted(b.frames, borders))


def _edges(people: People) -> np.ndarray:
    """[4, N] left, top, right and bottom of the boxes."""
    return np.concatenate((people.boxes[:, :2], people.boxes[:, :2] + people.boxes[:, 2:]), axis=1).T.copy()


def _paired_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[K] intersection over union of a[:, i] with b[:, i], both [4, K] edges; 0 if one has no area.

    Source: docs/reference/tracking_and_evaluation.md 2.2: no pixel is added.
    """
    width = np.minimum(a[2], b[2])
    width -= np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1])
    touching = np.flatnonzero((width > 0) & (height > 0))
    a, b = a.take(touching, axis=1), b.take(touching, axis=1)
    shared = width[touching] * height[touching]
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    solid = (area_a > EPSILON) & (area_b > EPSILON)
    values = np.zeros(len(width))
    values[touching] = np.where(solid, shared / (area_a + area_b - shared), 0)
    return values


def _rows_of_pairs(gt_starts: np.ndarray, track_starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of truth and tracks of all pairs in some frames, in each truth by truth."""
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
    """The people of a Similarities with these pairs, in the order of the truth, then of the tracks."""
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
    """[N, 17, 3] keypoints; one that is missing has confidence 0, or stands at `missing` if that is not 0."""
    known = (people.keypoints != 0).any(axis=2, keepdims=True)
    points = np.where(known, people.keypoints, missing)
    return np.concatenate([points, known | (missing != 0)], axis=2)
