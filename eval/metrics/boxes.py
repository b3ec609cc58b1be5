"""Box HOTA, CLEAR and Identity, with and without the official cleaning of ignored regions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from eval.datatypes import Scores, Sequence
from eval.metrics.ignored_boxes import boxes_in_regions
from eval.metrics.person_hota import combine_person_hota, person_hota
from eval.metrics.similarity import MIN_SIMILARITY, Similarities, box_similarities, matched_pairs, with_tracks

_TRACKEVAL = ("clear", "identity")  # measures counted by TrackEval's own classes


def box_scores(sequence: Sequence, *, clean: bool, only: frozenset[str] | None = None) -> dict[str, Scores]:
    """One sequence's box_hota, box_clear and box_identity, or `only` some; fields as TrackEval names them.

    clean: first remove the tracks' boxes in ignored regions, as PoseTrack21's kit does before HOTA.
    """
    return person_scores(box_pairs(sequence, clean=clean), "box", only=only)


def combine_boxes(by_sequence: Mapping[str, Mapping[str, Scores]]) -> dict[str, Scores]:
    """What `box_scores` gave for each sequence, by the sequence's name, as scores of all together."""
    return combine_person_scores(by_sequence, "box")


def box_pairs(sequence: Sequence, *, clean: bool) -> Similarities:
    """The boxes to be judged; for `clean` see `box_scores`."""
    pairs = box_similarities(sequence)
    return _without_ignored(sequence, pairs) if clean else pairs


def person_scores(pairs: Similarities, what: str, *, only: frozenset[str] | None = None) -> dict[str, Scores]:
    """WHAT_hota, WHAT_clear and WHAT_identity of one sequence, or `only` some; `what` is box or oks."""
    scores: dict[str, Scores] = {}
    if only is None or f"{what}_hota" in only:
        scores[f"{what}_hota"] = person_hota(pairs)
    others = [name for name in _TRACKEVAL if only is None or f"{what}_{name}" in only]
    if others:
        data = _trackeval_data(pairs)
        scores |= {f"{what}_{name}": _plain(_trackeval(name).eval_sequence(data)) for name in others}
    return scores


def combine_person_scores(by_sequence: Mapping[str, Mapping[str, Scores]], what: str) -> dict[str, Scores]:
    """What `person_scores` gave for each sequence as scores of all together."""
    combined: dict[str, Scores] = {}
    for name in ("hota", *_TRACKEVAL):
        measure = f"{what}_{name}"
        each = {sequence: scores[measure] for sequence, scores in by_sequence.items() if measure in scores}
        if name == "hota" and each:
            combined[measure] = combine_person_hota(each)
        elif each:
            combined[measure] = _plain(_trackeval(name).combine_sequences(each))
    return combined


def _trackeval(name: str) -> Any:
    """TrackEval's own metric; imported here because it takes a second."""
    from trackeval.metrics import CLEAR, Identity

    return {"clear": CLEAR, "identity": Identity}[name]({"THRESHOLD": MIN_SIMILARITY, "PRINT_CONFIG": False})


def _without_ignored(sequence: Sequence, pairs: Similarities) -> Similarities:
    """The pairs without tracks that match nobody and lie in a region of a frame where both sides have people.

    Source: docs/reference/tracking_and_evaluation.md 2.2.
    """
    frames = [frame for frame in pairs.shared_frames if sequence.ignore_regions[frame]]
    free = np.ones(len(pairs.track_ids), bool)
    free[pairs.track_rows[matched_pairs(pairs, frames)]] = False
    stay = np.ones(len(pairs.track_ids), bool)
    for frame in frames:
        here = slice(pairs.track_starts[frame], pairs.track_starts[frame + 1])
        rows = np.flatnonzero(free[here]) + here.start
        stay[rows] = ~boxes_in_regions(sequence.tracks.boxes[rows], sequence.ignore_regions[frame])
    return with_tracks(pairs, stay)


def _plain(scores: Mapping[str, float | np.generic]) -> Scores:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in scores.items()}


def _trackeval_data(pairs: Similarities) -> dict[str, object]:
    """What TrackEval's metric classes take (docs/reference/tracking_and_evaluation.md 3)."""
    frames = range(pairs.frame_count)
    return {
        "num_timesteps": pairs.frame_count,
        "num_gt_ids": int(pairs.gt_ids.max(initial=-1)) + 1,
        "num_tracker_ids": int(pairs.track_ids.max(initial=-1)) + 1,
        "num_gt_dets": len(pairs.gt_ids),
        "num_tracker_dets": len(pairs.track_ids),
        "gt_ids": [pairs.gt_in(frame) for frame in frames],
        "tracker_ids": [pairs.tracks_in(frame) for frame in frames],
        "similarity_scores": [pairs.matrix(frame) for frame in frames],
    }
