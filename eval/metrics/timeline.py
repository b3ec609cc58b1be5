"""The track matched to each ground truth person in each frame, for the plot of identities."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval.datatypes import ABSENT, MISSED, Sequence, Timeline
from eval.metrics.similarity import EPSILON, MIN_SIMILARITY, box_similarities

_MOST_CELLS = 50_000_000  # people x frames: 400 MB
_CONTINUES = 1000  # CLEAR's weight of a pair that was matched in the previous frame


def timeline(sequence: Sequence) -> Timeline | None:
    """Match tracks to people at IoU 0.5 as CLEAR does: a track keeps its person where possible.

    None for more people and frames than a plot can show. Frames without people on one side do not change the
    previous matches.
    Source: docs/reference/tracking_and_evaluation.md 2.6.
    """
    gt_ids, track_ids = np.unique(sequence.ground_truth.ids), np.unique(sequence.tracks.ids)
    if len(gt_ids) * len(sequence.labelled) > _MOST_CELLS:
        return None
    pairs = box_similarities(sequence)
    matched = np.full((len(gt_ids), pairs.frame_count), ABSENT)
    matched[pairs.gt_ids, sequence.ground_truth.frames] = MISSED
    before = np.full(len(gt_ids), MISSED)  # each person's track in the previous frame
    for frame in pairs.shared_frames:
        ground_truth, tracks, similarity = pairs.gt_in(frame), pairs.tracks_in(frame), pairs.matrix(frame)
        weights = similarity + _CONTINUES * (before[ground_truth][:, None] == tracks)
        weights[similarity < MIN_SIMILARITY - EPSILON] = 0
        rows, columns = linear_sum_assignment(weights, maximize=True)
        real = weights[rows, columns] > EPSILON
        people, theirs = ground_truth[rows[real]], tracks[columns[real]]
        before[:] = MISSED
        before[people] = theirs
        matched[people, frame] = track_ids[theirs]
    return Timeline(gt_ids, matched)
