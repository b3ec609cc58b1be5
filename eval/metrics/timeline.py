"""Which track follows each true person, frame by frame: what the picture of identities shows."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval.datatypes import ABSENT, MISSED, Sequence, Timeline
from eval.metrics.similarity import EPSILON, MIN_SIMILARITY, box_similarities

_CONTINUES = 1000  # CLEAR's weight of a pair that was matched in the frame before


def timeline(sequence: Sequence) -> Timeline:
    """Who follows whom at IoU 0.5, matched as CLEAR does: a track stays with its person if it can.

    Source: docs/reference/tracking_and_evaluation.md 2.6; there, frames in which one side has nobody leave
    the memory as it is.
    """
    pairs = box_similarities(sequence)
    gt_ids, track_ids = np.unique(sequence.ground_truth.ids), np.unique(sequence.tracks.ids)
    tracks_of = np.full((len(gt_ids), pairs.frame_count), ABSENT)
    tracks_of[pairs.gt_ids, sequence.ground_truth.frames] = MISSED
    before = np.full(len(gt_ids), MISSED)  # each person's track in the frame before
    for frame in pairs.shared_frames:
        ground_truth, tracks, similarity = pairs.gt_in(frame), pairs.tracks_in(frame), pairs.matrix(frame)
        weights = similarity + _CONTINUES * (before[ground_truth][:, None] == tracks)
        weights[similarity < MIN_SIMILARITY - EPSILON] = 0
        rows, columns = linear_sum_assignment(weights, maximize=True)
        real = weights[rows, columns] > EPSILON
        people, theirs = ground_truth[rows[real]], tracks[columns[real]]
        before[:] = MISSED
        before[people] = theirs
        tracks_of[people, frame] = track_ids[theirs]
    return Timeline(gt_ids, tracks_of)
