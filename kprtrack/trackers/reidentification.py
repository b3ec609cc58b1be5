"""Which new tracks are a lost person: the limits of distance and margin."""

import numpy as np

from kprtrack.core.assignment import Assignment, assign
from kprtrack.trackers.distance_scale import DistanceScale
from kprtrack.trackers.kpr_config import KprTrackerConfig
from kprtrack.trackers.output import margins_of_pairs

# A track that was just confirmed is re-identified at this share of `reid_max_distance`, at the end of
# `reid_window_s` at all of it.
EARLY_REID_LIMIT = 0.5


def clear_matches(
    distance: np.ndarray, left_s: np.ndarray, scale: DistanceScale, config: KprTrackerConfig
) -> Assignment:
    """Match new and lost tracks that are near each other and to no other by the margin.

    The first embeddings of a track often show a body cut by the edge of the image: only what is very near is
    certain at once, the other tracks wait for more of the person.

    Args:
        distance: [A, B] part distance of A new tracks to B lost ones; inf: ruled out.
        left_s: [A] seconds in which each new track may still be re-identified.
        scale: That of the distances.
        config: The tracker's settings, with `reid_max_distance`.

    Returns:
        The matches; rows are new tracks, columns lost ones.
    """
    assert config.reid_max_distance is not None
    inter_identity = scale.inter_identity_lower_bound
    # The less an encoder separates people, the smaller the distance must be.
    limit = config.reid_max_distance * (inter_identity - scale.intra_identity)
    wait = np.clip(left_s / config.reid_window_s, 0, 1) if config.reid_window_s else np.zeros(len(left_s))
    limits = limit * (1 - (1 - EARLY_REID_LIMIT) * wait)
    clear = margins_of_pairs(distance) >= config.reid_min_margin * inter_identity
    return assign(np.where(clear & (distance <= limits[:, None]), distance, np.inf), limit)
