"""MOTA, IDF1 and switches as PoseTrack21's kit counts them: py-motmetrics on boxes of whole pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval.datatypes import Scores, Sequence
from eval.metrics.ignored_boxes import boxes_in_regions
from eval.metrics.similarity import MIN_SIMILARITY, Similarities, box_similarities

_PIXEL = 1  # the kit shifts predictions by one pixel to the left and up
_MOSTLY_TRACKED, _MOSTLY_LOST = 0.8, 0.2  # at least, below: share of a person's frames with a match
_UNMATCHED = -1


@dataclass(frozen=True)
class _Matches:
    """Matched pairs, and counts of changes."""

    pairs: np.ndarray  # [M] int64
    switches: int  # a person is matched to another track than before
    ascends: int  # of these, to a track without an earlier match
    transfers: int  # a track is matched to another person than before
    migrates: int  # of these, to a person without an earlier match


def kit_mota(sequence: Sequence, *, ignore_regions: bool = True) -> Scores:
    """Return the scores of one sequence under py-motmetrics' names; a ratio without denominator is NaN.

    Ground truth boxes are truncated to whole pixels. MOTP is the mean 1 - IoU of matched boxes: smaller is
    better. Source: docs/reference/tracking_and_evaluation.md 2.5.

    Args:
        sequence: Ground truth and tracks.
        ignore_regions: Do not count unmatched predictions in ignore regions.
    """
    ground_truth = replace(sequence.ground_truth, boxes=np.trunc(sequence.ground_truth.boxes))
    tracks = replace(sequence.tracks, boxes=sequence.tracks.boxes - _PIXEL)
    shifted = replace(sequence, ground_truth=ground_truth, tracks=tracks)
    return _scores(shifted, ignore_regions=ignore_regions)


def motmetrics_scores(sequence: Sequence) -> Scores:
    """Return the scores of unmodified boxes without ignore regions, as py-motmetrics does at IoU 0.5."""
    return _scores(sequence, ignore_regions=False)


def combine_kit_mota(by_sequence: Mapping[str, Scores]) -> Scores:
    """Return the scores of all sequences: ratios of summed counts; MOTP is NaN if a sequence has no match."""
    rows = list(by_sequence.values())
    ratios = ("idf1", "idp", "idr", "recall", "precision", "mota", "motp")
    counts = {name: sum(int(row[name]) for row in rows) for name in rows[0] if name not in ratios}
    return _with_ratios(counts, sum(float(row["motp"]) * int(row["num_detections"]) for row in rows))


def _scores(sequence: Sequence, *, ignore_regions: bool) -> Scores:
    pairs = box_similarities(sequence)
    distances = 1 - pairs.values
    possible = distances <= 1 - MIN_SIMILARITY
    matches = _match_frames(pairs, distances, possible)
    found = len(matches.pairs)
    tracked = _mask(len(pairs.gt_ids), pairs.gt_rows[matches.pairs])
    counted = _mask(len(pairs.track_ids), pairs.track_rows[matches.pairs])
    counted[~counted] = ~_in_regions(sequence, ~counted) if ignore_regions else True
    # IDP, but not IDF1, still counts an ignored prediction that could have been matched.
    for_idp = counted | _mask(len(counted), pairs.track_rows[possible])
    identity_matches = _identity_matches(pairs, possible)
    counts = {
        **_track_quality(pairs.gt_ids, tracked),
        "num_objects": len(tracked),
        "num_predictions": int(counted.sum()),
        "num_detections": found,
        "num_misses": len(tracked) - found,
        "num_false_positives": int(counted.sum()) - found,
        "num_matches": found - matches.switches,
        "num_switches": matches.switches,
        "num_ascend": matches.ascends,
        "num_transfer": matches.transfers,
        "num_migrate": matches.migrates,
        "idtp": identity_matches,
        "idfp": int(for_idp.sum()) - identity_matches,
    }
    return _with_ratios(counts, float(distances[matches.pairs].sum()))


def _match_frames(pairs: Similarities, distances: np.ndarray, possible: np.ndarray) -> _Matches:
    """Match frame by frame: first the last partner of each person, however long ago, then the best others."""
    partner = np.full(pairs.gt_ids.max(initial=-1) + 1, _UNMATCHED)  # the last track of each person
    owner = np.full(
        pairs.track_ids.max(initial=-1) + 1, _UNMATCHED
    )  # the last person newly matched to each track
    chosen = [np.zeros(0, np.int64)]
    switches = ascends = transfers = migrates = 0
    for frame in np.flatnonzero(np.diff(pairs.starts)).tolist():
        ground_truth, tracks = pairs.gt_in(frame), pairs.tracks_in(frame)
        allowed = pairs.matrix(frame, possible)
        rows, columns = _last_partners(partner[ground_truth], tracks, allowed)
        chosen.append(pairs.cells[frame] + rows * len(tracks) + columns)
        rows, columns = _cheapest(pairs.matrix(frame, distances), allowed, rows, columns)
        chosen.append(pairs.cells[frame] + rows * len(tracks) + columns)
        new_gt, new_tracks = ground_truth[rows], tracks[columns]
        switched = partner[new_gt] != _UNMATCHED
        transferred = (owner[new_tracks] != _UNMATCHED) & (owner[new_tracks] != new_gt)
        switches += int(switched.sum())
        ascends += int((switched & (owner[new_tracks] == _UNMATCHED)).sum())
        transfers += int(transferred.sum())
        migrates += int((transferred & ~switched).sum())
        partner[new_gt], owner[new_tracks] = new_tracks, new_gt
    return _Matches(pairs.pairs_at(np.concatenate(chosen)), switches, ascends, transfers, migrates)


def _last_partners(
    wanted: np.ndarray, tracks: np.ndarray, possible: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of people with their last partner; the first person wins a shared partner."""
    rows, columns = np.nonzero((wanted[:, None] == tracks) & possible)
    _, first = np.unique(columns, return_index=True)
    return rows[first], columns[first]


def _cheapest(
    distances: np.ndarray, possible: np.ndarray, taken_rows: np.ndarray, taken_columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the largest matching of the others with the least sum of distances."""
    gain = np.where(possible, len(distances) + 1 - distances, 0)  # one more match outweighs all distances
    gain[taken_rows] = 0
    gain[:, taken_columns] = 0
    rows, columns = linear_sum_assignment(gain, maximize=True)
    real = gain[rows, columns] > 0
    return rows[real], columns[real]


def _in_regions(sequence: Sequence, rows: np.ndarray) -> np.ndarray:
    """Return which predictions of the mask `rows` lie in an ignore region of their frame."""
    frames, boxes = sequence.tracks.frames[rows], sequence.tracks.boxes[rows]
    inside = np.zeros(len(frames), bool)
    starts = np.searchsorted(frames, np.arange(len(sequence.labelled) + 1))
    for frame in np.flatnonzero(np.diff(starts)).tolist():
        here = slice(starts[frame], starts[frame + 1])
        inside[here] = boxes_in_regions(boxes[here], sequence.ignore_regions[frame])
    return inside


def _track_quality(ids: np.ndarray, tracked: np.ndarray) -> dict[str, int]:
    """Count mostly tracked, partially tracked and mostly lost people, and fragmentations."""
    order = np.argsort(ids, kind="stable")
    ids, tracked = ids[order], tracked[order]
    shares = np.bincount(ids, tracked) / np.bincount(ids)
    before = np.concatenate(([False], tracked[:-1] & (ids[1:] == ids[:-1]))) if len(ids) else tracked
    runs = np.bincount(ids, tracked & ~before)
    tracked_count, lost_count = int((shares >= _MOSTLY_TRACKED).sum()), int((shares < _MOSTLY_LOST).sum())
    return {
        "num_unique_objects": len(shares),
        "mostly_tracked": tracked_count,
        "partially_tracked": len(shares) - tracked_count - lost_count,
        "mostly_lost": lost_count,
        "num_fragmentations": int(np.maximum(runs - 1, 0).sum()),
    }


def _identity_matches(pairs: Similarities, possible: np.ndarray) -> int:
    """Return the matched frames under the best one-to-one assignment of whole identities (IDTP)."""
    shape = pairs.gt_ids.max(initial=-1) + 1, pairs.track_ids.max(initial=-1) + 1
    together = np.zeros(shape, np.int64)
    ground_truth, tracks = pairs.gt_rows[possible], pairs.track_rows[possible]
    np.add.at(together, (pairs.gt_ids[ground_truth], pairs.track_ids[tracks]), 1)
    return int(together[linear_sum_assignment(together, maximize=True)].sum())


def _with_ratios(counts: dict[str, int], distance: float) -> Scores:
    objects, predictions, found = (counts[f"num_{name}"] for name in ("objects", "predictions", "detections"))
    errors = counts["num_misses"] + counts["num_false_positives"] + counts["num_switches"]
    return {
        "idf1": _ratio(2 * counts["idtp"], objects + predictions),
        "idp": _ratio(counts["idtp"], counts["idtp"] + counts["idfp"]),
        "idr": _ratio(counts["idtp"], objects),
        "recall": _ratio(found, objects),
        "precision": _ratio(found, predictions),
        "mota": 1 - _ratio(errors, objects),
        "motp": _ratio(distance, found),
        **counts,
    }


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else float("nan")


def _mask(count: int, rows: np.ndarray) -> np.ndarray:
    mask = np.zeros(count, bool)
    mask[rows] = True
    return mask
