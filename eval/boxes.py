"""Box HOTA, CLEAR and Identity, with and without the official cleaning of ignored regions."""

from collections.abc import Mapping

import numpy as np

from eval.datatypes import Scores, Sequence
from eval.ignored_boxes import boxes_in_regions
from eval.person_hota import combine_person_hota, person_hota
from eval.similarity import MIN_SIMILARITY, Similarities, box_similarities, matched_pairs, with_tracks


def box_scores(sequence: Sequence, *, clean: bool) -> dict[str, Scores]:
    """One sequence's box_hota, box_clear and box_identity; fields as TrackEval names them.

    clean: first remove the tracks' boxes in ignored regions, as PoseTrack21's kit does before HOTA.
    """
    return person_scores(box_pairs(sequence, clean=clean), "box")


def combine_boxes(by_sequence: Mapping[str, Mapping[str, Scores]]) -> dict[str, Scores]:
    """What `box_scores` gave for each sequence, by the sequence's name, as scores of all together."""
    return combine_person_scores(by_sequence, "box")


def box_pairs(sequence: Sequence, *, clean: bool) -> Similarities:
    """The boxes to be judged; for `clean` see `box_scores`."""
    pairs = box_similarities(sequence)
    return _without_ignored(sequence, pairs) if clean else pairs


def person_scores(pairs: Similarities, what: str) -> dict[str, Scores]:
    """WHAT_hota, WHAT_clear and WHAT_identity of one sequence, `what` being box or oks."""
    from trackeval.metrics import CLEAR, Identity

    data = _trackeval_data(pairs)
    settings = {"THRESHOLD": MIN_SIMILARITY, "PRINT_CONFIG": False}
    return {
        f"{what}_hota": person_hota(pairs),
        f"{what}_clear": _plain(CLEAR(settings).eval_sequence(data)),
        f"{what}_identity": _plain(Identity(settings).eval_sequence(data)),
    }


def combine_person_scores(by_sequence: Mapping[str, Mapping[str, Scores]], what: str) -> dict[str, Scores]:
    """What `person_scores` gave for each sequence as scores of all together."""
    from trackeval.metrics import CLEAR, Identity

    hota, clear, identity = (
        {name: scores[f"{what}_{measure}"] for name, scores in by_sequence.items()}
        for measure in ("hota", "clear", "identity")
    )
    return {
        f"{what}_hota": combine_person_hota(hota),
        f"{what}_clear": _plain(CLEAR({"PRINT_CONFIG": False}).combine_sequences(clear)),
        f"{what}_identity": _plain(Identity({"PRINT_CONFIG": False}).combine_sequences(identity)),
    }


def _without_ignored(sequence: Sequence, pairs: Similarities) -> Similarities:
    """The pairs without tracks that match nobody and lie in a region of a frame where both sides have people.

    Source: spec tracking_and_evaluation.md 2.2.
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
    """What TrackEval's metric classes take (spec tracking_and_evaluation.md 3)."""
    frames = range(pairs.frame_count)
    return {
        "num_timesteps": pairs.frame_count,
        "num_gt_ids": int(pairs.truth_ids.max(initial=-1)) + 1,
        "num_tracker_ids": int(pairs.track_ids.max(initial=-1)) + 1,
        "num_gt_dets": len(pairs.truth_ids),
        "num_tracker_dets": len(pairs.track_ids),
        "gt_ids": [pairs.truth_in(frame) for frame in frames],
        "tracker_ids": [pairs.tracks_in(frame) for frame in frames],
        "similarity_scores": [pairs.matrix(frame) for frame in frames],
    }
