"""Which new tracks are a lost person, by limits of distance and margin; and what decided on each."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kprtrack.core.assignment import assign
from kprtrack.core.part_distance import Metric, Parts, part_distances
from kprtrack.trackers.distance_scale import DistanceScale
from kprtrack.trackers.kpr_config import KprTrackerConfig
from kprtrack.trackers.output import margins_of_pairs

# A track that was just confirmed is re-identified at this share of `reid_max_distance`, at the end of
# `reid_window_s` at all of it.
EARLY_REID_LIMIT = 0.5
MOST_RECORDS = 1000  # that a tracker holds until they are taken
_MOST_OTHERS = 3  # candidates in a record


@dataclass(frozen=True)
class Reidentification:
    """A new track that got the ID of a lost one, and by what.

    Args:
        track_id: The ID of the lost track, which both have since.
        new_id: The ID that the new track had before.
        distance: Part distance of both tracks.
        limit: The greatest distance that would have been enough.
        margin: How much farther the next candidate was; inf: there was none.
        least_margin: The smallest margin that would have been enough.
        other_lost: Other lost tracks that the new one could have been, ID and distance, the nearest first.
        other_new: Other new tracks that could have been the lost one, in the same way.
        frame: Number of the frame in which it was decided.
        time_s: Its time in seconds.
        lost_s: When the lost track was last seen.
        seen_s: When the new track was first seen.
        box: Of the new track in that frame, x1 y1 x2 y2, pixels.
        parts: Distance of each body part; None: it was not seen in both tracks.
    """

    track_id: int
    new_id: int
    distance: float
    limit: float
    margin: float
    least_margin: float
    other_lost: tuple[tuple[int, float], ...]
    other_new: tuple[tuple[int, float], ...]
    frame: int
    time_s: float
    lost_s: float
    seen_s: float
    box: tuple[float, ...]
    parts: tuple[float | None, ...]


class Decision(NamedTuple):
    """The first fields of `Reidentification`: those that the matching decides."""

    track_id: int
    new_id: int
    distance: float
    limit: float
    margin: float
    least_margin: float
    other_lost: tuple[tuple[int, float], ...]
    other_new: tuple[tuple[int, float], ...]


class ClearMatches(NamedTuple):
    """M matches of A new tracks with B lost ones, and what decided on them."""

    rows: np.ndarray  # [M] new tracks
    columns: np.ndarray  # [M] lost tracks
    limits: np.ndarray  # [A] greatest distance of a match of each new track
    margins: np.ndarray  # [A, B] how much farther the next candidate is
    least_margin: float


def clear_matches(
    distance: np.ndarray, left_s: np.ndarray, scale: DistanceScale, config: KprTrackerConfig
) -> ClearMatches:
    """Match new and lost tracks that are near each other and to no other by the margin.

    The first embeddings of a track often show a body cut by the edge of the image: only what is very near is
    certain at once, the other tracks wait for more of the person.

    Args:
        distance: [A, B] part distance of A new tracks to B lost ones; inf: ruled out.
        left_s: [A] seconds in which each new track may still be re-identified.
        scale: That of the distances.
        config: The tracker's settings, with `reid_max_distance`.

    Returns:
        The matches, with the limits of their distances, and their margins.
    """
    assert config.reid_max_distance is not None
    inter_identity = scale.inter_identity_lower_bound
    # The less an encoder separates people, the smaller the distance must be.
    limit = config.reid_max_distance * (inter_identity - scale.intra_identity)
    wait = np.clip(left_s / config.reid_window_s, 0, 1) if config.reid_window_s else np.zeros(len(left_s))
    limits = limit * (1 - (1 - EARLY_REID_LIMIT) * wait)
    margins, least_margin = margins_of_pairs(distance), config.reid_min_margin * inter_identity
    clear = margins >= least_margin
    found = assign(np.where(clear & (distance <= limits[:, None]), distance, np.inf), limit)
    return ClearMatches(found.rows, found.columns, limits, margins, least_margin)


def distance_of_parts(a: Parts, b: Parts, metric: Metric) -> tuple[float | None, ...]:
    """Return the distance of each part of two people; None where it is not visible in both."""
    each = part_distances(a, b, metric)[:, 0, 0]
    shared = (a.weights[0] > 0) & (b.weights[0] > 0)
    return tuple(float(one) if seen else None for one, seen in zip(each, shared, strict=True))


def decisions_of(
    found: ClearMatches, distance: np.ndarray, new_ids: np.ndarray, lost_ids: np.ndarray
) -> list[Decision]:
    """Return what decided on each match.

    Args:
        found: M matches.
        distance: [A, B] as given to `clear_matches`.
        new_ids: [A] IDs of the new tracks.
        lost_ids: [B] IDs of the lost ones.
    """
    return [
        Decision(
            track_id=int(lost_ids[column]),
            new_id=int(new_ids[row]),
            distance=float(distance[row, column]),
            limit=float(found.limits[row]),
            margin=float(found.margins[row, column]),
            least_margin=found.least_margin,
            other_lost=_nearest_others(distance[row], lost_ids, column),
            other_new=_nearest_others(distance[:, column], new_ids, row),
        )
        for row, column in zip(found.rows, found.columns, strict=True)
    ]


def _nearest_others(distances: np.ndarray, ids: np.ndarray, own: int) -> tuple[tuple[int, float], ...]:
    """ID and distance of the candidates beside `own`, the nearest first."""
    others = np.where(np.arange(len(distances)) == own, np.inf, distances)
    nearest = np.argsort(others, kind="stable")[:_MOST_OTHERS]
    return tuple((int(ids[one]), float(others[one])) for one in nearest if np.isfinite(others[one]))
