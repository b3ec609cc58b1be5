"""HOTA, CLEAR and Identity of boxes or poses, with and without the official cleaning of ignore regions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from eval.datatypes import Scores, Sequence
from eval.metrics.identity import identity_scores
from eval.metrics.ignored_boxes import boxes_in_regions
from eval.metrics.person_hota import combine_person_hota, person_hota
from eval.metrics.similarity import MIN_SIMILARITY, Similarities, box_similarities, matched_pairs, with_tracks

_TRACKEVAL = ("clear", "identity")  # measures combined by TrackEval's own classes


def box_scores(sequence: Sequence, *, clean: bool, only: frozenset[str] | None = None) -> dict[str, Scores]:
    """Return box_hota, box_clear and box_identity of one sequence, with TrackEval's field names.

    Args:
        sequence: Ground truth and tracks.
        clean: First remove unmatched tracks in ignore regions, as PoseTrack21's kit does before HOTA.
        only: Measures to compute; None computes all.
    """
    return person_scores(box_pairs(sequence, clean=clean), "box", only=only)


def combine_boxes(by_sequence: Mapping[str, Mapping[str, Scores]]) -> dict[str, Scores]:
    """Combine the results of `box_scores`, by name of the sequence, to scores of all sequences."""
    return combine_person_scores(by_sequence, "box")


def box_pairs(sequence: Sequence, *, clean: bool) -> Similarities:
    """Return the similarities of the scored boxes; for `clean` see `box_scores`."""
    pairs = box_similarities(sequence)
    return _without_ignored(sequence, pairs) if clean else pairs


def person_scores(pairs: Similarities, what: str, *, only: frozenset[str] | None = None) -> dict[str, Scores]:
    """Return WHAT_hota, WHAT_clear and WHAT_identity of one sequence; `what` is box or oks."""
    scores: dict[str, Scores] = {}
    if only is None or f"{what}_hota" in only:
        scores[f"{what}_hota"] = person_hota(pairs)
    if only is None or f"{what}_clear" in only:
        clear = _trackeval("clear").eval_sequence(_trackeval_data(pairs))
        scores[f"{what}_clear"] = _python_numbers(clear)
    if only is None or f"{what}_identity" in only:
        scores[f"{what}_identity"] = identity_scores(pairs)
    return scores


def combine_person_scores(by_sequence: Mapping[str, Mapping[str, Scores]], what: str) -> dict[str, Scores]:
    """Combine the results of `person_scores` to scores of all sequences."""
    combined: dict[str, Scores] = {}
    for name in ("hota", *_TRACKEVAL):
        measure = f"{what}_{name}"
        each = {sequence: scores[measure] for sequence, scores in by_sequence.items() if measure in scores}
        if name == "hota" and each:
            combined[measure] = combine_person_hota(each)
        elif each:
            combined[measure] = _python_numbers(_trackeval(name).combine_sequences(each))
    return combined


def _trackeval(name: str) -> Any:
    """Return TrackEval's own metric; the import takes a second."""
    from trackeval.metrics import CLEAR, Identity

    return {"clear": CLEAR, "identity": Identity}[name]({"THRESHOLD": MIN_SIMILARITY, "PRINT_CONFIG": False})


def _without_ignored(sequence: Sequence, pairs: Similarities) -> Similarities:
    """Remove unmatched tracks in ignore regions, in frames with both ground truth and tracks.

    Source: docs/reference/tracking_and_evaluation.md 2.2.
    """
    frames = [frame for frame in pairs.shared_frames if sequence.ignore_regions[frame]]
    unmatched = np.ones(len(pairs.track_ids), bool)
    unmatched[pairs.track_rows[matched_pairs(pairs, frames)]] = False
    kept = np.ones(len(pairs.track_ids), bool)
    for frame in frames:
        here = slice(pairs.track_starts[frame], pairs.track_starts[frame + 1])
        rows = np.flatnonzero(unmatched[here]) + here.start
        kept[rows] = ~boxes_in_regions(sequence.tracks.boxes[rows], sequence.ignore_regions[frame])
    return with_tracks(pairs, kept)


def _python_numbers(scores: Mapping[str, float | np.generic]) -> Scores:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in scores.items()}


def _trackeval_data(pairs: Similarities) -> dict[str, object]:
    """Return the input of TrackEval's metric classes (docs/reference/tracking_and_evaluation.md 3)."""
    frames = range(pairs.frame_count)
    return {
        "num_timesteps": pairs.frame_count,
        "num_gt_ids": int(pairs.gt_ids.max(initial=-1)) + 1,
        "num_tracker_ids": int(pairs.track_ids.max(initial=-1)) + 1,
        "num_gt_dets": len(pairs.gt_ids),
        "num_tracker_dets": len(pairs.track_ids),
        "gt_ids": [pairs.gt_in(frame) for frame in frames],
        "tracker_ids": [pairs.tracks_in(frame) for frame in frames],
        "similarity_scores": _Matrices(pairs),
    }


class _Matrices:
    """The similarities of each frame, made when they are used: those of all frames would fill the memory."""

    def __init__(self, pairs: Similarities) -> None:
        self._pairs = pairs

    def __getitem__(self, frame: int) -> np.ndarray:
        return self._pairs.matrix(frame)
