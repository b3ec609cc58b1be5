"""MOTA, IDF1 and switches as PoseTrack21's kit counts them: py-motmetrics on boxes of whole pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval.datatypes import Scores, Sequence
from eval.metrics.ignored_boxes import boxes_in_regions
from eval.metrics.similarity import MIN_SIMILARITY, Similarities, box_similarities

_PIXEL = 1  # predictions start one pixel further left and up, and end one pixel before x + w
# Of the frames with a person: mostly tracked from the one share on, mostly lost below the other.
_MOSTLY, _HARDLY = 0.8, 0.2
_UNMATCHED = -1


@dataclass(frozen=True)
class _Matches:
    """Who was matched, and how often somebody changed the partner."""

    pairs: np.ndarray  # [M] int64
    switches: int  # a true person went on with another track
    ascends: int  # and that had never matched anybody
    transfers: int  # a track went on with another true person
    migrates: int  # and that had never been matched


def kit_mota(sequence: Sequence, *, ignore_regions: bool = True) -> Scores:
    """One sequence's scores under py-motmetrics' names; a ratio without denominator is NaN.

    True boxes are cut to whole pixels. MOTP is the mean 1 - IoU of matched boxes: smaller is better.
    ignore_regions: predictions that match nobody and lie in an ignored region are not counted.
    Source: docs/reference/tracking_and_evaluation.md 2.5.
    """
    ground_truth = replace(sequence.ground_truth, boxes=np.trunc(sequence.ground_truth.boxes))
    tracks = replace(sequence.tracks, boxes=sequence.tracks.boxes - _PIXEL)
    shifted = replace(sequence, ground_truth=ground_truth, tracks=tracks)
    return _scores(shifted, ignore_regions=ignore_regions)


def motmetrics_scores(sequence: Sequence) -> Scores:
    """As `kit_mota`, on the boxes as they are and without ignored regions: stock py-motmetrics at IoU 0.5."""
    return _scores(sequence, ignore_regions=False)


def combine_kit_mota(by_sequence: Mapping[str, Scores]) -> Scores:
    """All sequences together: counts summed, then the ratios; MOTP is NaN if one sequence has no match."""
    rows = list(by_sequence.values())
    ratios = ("idf1", "idp", "idr", "recall", "precision", "mota", "motp")
    counts = {name: sum(int(row[name]) for row in rows) for name in rows[0] if name not in ratios}
    return _with_ratios(counts, sum(float(row["motp"]) * int(row["num_detections"]) for row in rows))


def _scores(sequence: Sequence, *, ignore_regions: bool) -> Scores:
    pairs = box_similarities(sequence)
    distances = 1 - pairs.values
    possible = distances <= 1 - MIN_SIMILARITY
    matches = _follow(pairs, distances, possible)
    found = len(matches.pairs)
    tracked = _mask(len(pairs.gt_ids), pairs.gt_rows[matches.pairs])
    counted = _mask(len(pairs.track_ids), pairs.track_rows[matches.pairs])
    counted[~counted] = ~_in_regions(sequence, ~counted) if ignore_regions else True
    # IDP alone, not IDF1, still counts an ignored prediction that could have been matched.
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


def _follow(pairs: Similarities, distances: np.ndarray, possible: np.ndarray) -> _Matches:
    """Frame by frame: first everybody's last partner, however long ago, then the best of the others."""
    partner = np.full(pairs.gt_ids.max(initial=-1) + 1, _UNMATCHED)  # the last one of each true person
    owner = np.full(pairs.track_ids.max(initial=-1) + 1, _UNMATCHED)  # the last that came new to each track
    chosen = [np.zeros(0, np.int64)]
    switches = ascends = transfers = migrates = 0
    for frame in np.flatnonzero(np.diff(pairs.starts)).tolist():
        ground_truth, tracks = pairs.gt_in(frame), pairs.tracks_in(frame)
        open_ = pairs.matrix(frame, possible)
        rows, columns = _last_partners(partner[ground_truth], tracks, open_)
        chosen.append(pairs.cells[frame] + rows * len(tracks) + columns)
        rows, columns = _cheapest(pairs.matrix(frame, distances), open_, rows, columns)
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
    """Rows and columns of those whose last partner is there; of two who want the same, the first gets it."""
    rows, columns = np.nonzero((wanted[:, None] == tracks) & possible)
    _, first = np.unique(columns, return_index=True)
    return rows[first], columns[first]


def _cheapest(
    distances: np.ndarray, possible: np.ndarray, taken_rows: np.ndarray, taken_columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of as many of the others as can be matched, with the least sum of distances."""
    gain = np.where(possible, len(distances) + 1 - distances, 0)  # one match more beats any distances
    gain[taken_rows] = 0
    gain[:, taken_columns] = 0
    rows, columns = linear_sum_assignment(gain, maximize=True)
    real = gain[rows, columns] > 0
    return rows[real], columns[real]


def _in_regions(sequence: Sequence, asked: np.ndarray) -> np.ndarray:
    """Of the predictions `asked` about, a mask, which lie in an ignored region of their frame."""
    frames, boxes = sequence.tracks.frames[asked], sequence.tracks.boxes[asked]
    inside = np.zeros(len(frames), bool)
    starts = np.searchsorted(frames, np.arange(len(sequence.labelled) + 1))
    for frame in np.flatnonzero(np.diff(starts)).tolist():
        here = slice(starts[frame], starts[frame + 1])
        inside[here] = boxes_in_regions(boxes[here], sequence.ignore_regions[frame])
    return inside


def _track_quality(ids: np.ndarray, tracked: np.ndarray) -> dict[str, int]:
    """How many true people were tracked for most of their frames, and how often they were lost between."""
    order = np.argsort(ids, kind="stable")
    ids, tracked = ids[order], tracked[order]
    shares = np.bincount(ids, tracked) / np.bincount(ids)
    before = np.concatenate(([False], tracked[:-1] & (ids[1:] == ids[:-1]))) if len(ids) else tracked
    runs = np.bincount(ids, tracked & ~before)
    mostly, hardly = int((shares >= _MOSTLY).sum()), int((shares < _HARDLY).sum())
    return {
        "num_unique_objects": len(shares),
        "mostly_tracked": mostly,
        "partially_tracked": len(shares) - mostly - hardly,
        "mostly_lost": hardly,
        "num_fragmentations": int(np.maximum(runs - 1, 0).sum()),
    }


def _identity_matches(pairs: Similarities, possible: np.ndarray) -> int:
    """Frames right under the best one-to-one matching of whole identities."""
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
