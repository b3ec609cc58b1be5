"""How probable it is that all boxes of a track are one person, from what the tracker has measured.

A logistic model of few features. Its coefficients were fitted on simulated clips, whose people are known, by
`python tools/fit_identity_confidence.py`, and measured on others (docs/concepts/identity_confidence.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kprtrack.core.appearance import Appearance, part_distance
from kprtrack.core.datatypes import Tracks
from kprtrack.identity.calibration import calibration_for
from kprtrack.identity.evidence import evidence_of
from kprtrack.identity.prototypes import TrackPrototypes
from kprtrack.trackers.reidentification import Reidentification

CONFIDENCE = "identity_confidence"  # in the header of prototypes
LOW = 0.5  # below it a track is worth a look
_FARTHEST = 2.0  # of distances relative to the mean distance of two people

# Feature -> by how much one of it lowers the log of the odds that the track is one person.
COEFFICIENTS: dict[str, float] = {
    "nearer": 3.8,
    "reidentification": 1.5,
    "groups": 0.15,
    "exchange": 5.5,
}
INTERCEPT = 4.8


@dataclass
class _Counts:
    compared: int = 0  # boxes with a margin
    nearer: int = 0  # boxes to which another track was nearer


class ConfidenceLog:
    """Counts over the final tracks of a run what the confidence needs; two numbers for each track."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Counts] = {}

    def add(self, tracks: Tracks) -> None:
        """Add the tracks of a frame; once a frame, in order."""
        for number, margin in zip(tracks.ids.tolist(), tracks.margins.tolist(), strict=True):
            counts = self._tracks.setdefault(number, _Counts())
            if np.isfinite(margin):
                counts.compared += 1
                counts.nearer += margin < 0

    def features(self, prototypes: TrackPrototypes) -> dict[int, dict[str, float]]:
        """Return the features of each track, by ID; see `features_of`."""
        worst: dict[int, float] = {}
        for record in evidence_of(prototypes.header):
            worst[record.track_id] = max(worst.get(record.track_id, 0.0), _doubt(record))
        scale = calibration_for([prototypes]).mean_distance
        groups = _groups(prototypes, scale)
        return {
            number: {
                "nearer": counts.nearer / max(counts.compared, 1),
                "reidentification": worst.get(number, 0.0),
                "groups": groups.get(number, (0.0, 0.0))[0],
                "exchange": groups.get(number, (0.0, 0.0))[1],
            }
            for number, counts in self._tracks.items()
        }

    def confidence(self, prototypes: TrackPrototypes) -> dict[int, float]:
        """Return the identity confidence of each track; see `identity_confidence`."""
        return {number: confidence_of(found) for number, found in self.features(prototypes).items()}


def features_of(frames: Iterable[Tracks], prototypes: TrackPrototypes) -> dict[int, dict[str, float]]:
    """Measure what makes it uncertain that a track is one person.

    Args:
        frames: The tracks of a video.
        prototypes: Of the same tracks.

    Returns:
        By track ID: "nearer", share of the boxes to which another track was nearer in appearance;
        "reidentification", how near the limits the most uncertain one was, 0 if there is none; "groups", how
        much farther two groups of its prototypes are from each other than within, in mean distances of two
        people; "exchange", how much nearer one of the groups is to another track.
    """
    log = ConfidenceLog()
    for tracks in frames:
        log.add(tracks)
    return log.features(prototypes)


def identity_confidence(frames: Sequence[Tracks], prototypes: TrackPrototypes) -> dict[int, float]:
    """Estimate how probable it is that all boxes of a track are one person.

    Args:
        frames: The tracks of a video, corrected or not.
        prototypes: Of the same tracks.

    Returns:
        A probability for each track ID.

    Examples:
        >>> result = read_result("tracks.json")
        >>> sorted(identity_confidence(result.tracks.frames, result.prototypes))
        [1, 2]
    """
    return {number: confidence_of(found) for number, found in features_of(frames, prototypes).items()}


def confidence_of(features: Mapping[str, float]) -> float:
    """Return the confidence of a track from its features, rounded to 0.001."""
    doubt = sum(COEFFICIENTS[name] * features[name] for name in COEFFICIENTS)
    return round(float(1 / (1 + np.exp(doubt - INTERCEPT))), 3)


def confidence_in(header: Mapping[str, Any]) -> dict[int, float]:
    """Read the confidences that a run has stored with its prototypes; empty: there are none."""
    stored = header.get(CONFIDENCE, {})
    if not isinstance(stored, dict):
        raise ValueError("its identity confidence is no object")
    for number, value in stored.items():
        if not (number.isdecimal() and type(value) in (int, float) and 0 <= value <= 1):
            raise ValueError("its identity confidence is not in [0, 1]")
    return {int(number): float(value) for number, value in stored.items()}


def _doubt(record: Reidentification) -> float:
    """From 0 to 1: how near distance and margin were to their limits."""
    margin = record.least_margin / record.margin if record.margin > 0 else 1.0
    return min(max(record.distance / max(record.limit, 1e-9), margin, 0.0), 1.0)


def _groups(prototypes: TrackPrototypes, scale: float) -> dict[int, tuple[float, float]]:
    """By track ID, "groups" and "exchange" of `features_of`; without prototypes of both groups, none."""
    split: dict[int, tuple[float, np.ndarray, np.ndarray]] = {}
    for row, number in enumerate(prototypes.track_ids.tolist()):
        rows = np.flatnonzero(prototypes.track_row == row)
        found = _two_groups(prototypes.embeddings[rows])
        if found is not None:
            split[number] = found[0], rows[found[1]], rows[~found[1]]
    result = {}
    for number, (apart, *groups) in split.items():
        others = np.flatnonzero(prototypes.track_ids[prototypes.track_row] != number)
        nearest = np.inf
        if len(others):
            for group in groups:
                distance = part_distance(prototypes.embeddings[group], prototypes.embeddings[others])
                nearest = min(nearest, float(_finite_mean(distance, axis=0).min()))
        between = _finite_mean(
            part_distance(prototypes.embeddings[groups[0]], prototypes.embeddings[groups[1]])
        )
        exchange = max(float(between) - nearest, 0.0) if np.isfinite(nearest + between) else 0.0
        result[number] = min(apart / scale, _FARTHEST), min(exchange / scale, _FARTHEST)
    return result


def _two_groups(people: Appearance) -> tuple[float, np.ndarray] | None:
    """Split embeddings by which of the two farthest ones they are nearer to.

    Returns:
        How much farther the groups are from each other than within; [N] bool, the first group. None: no two
        embeddings have a common part.
    """
    if len(people) < 2:
        return None
    distance = part_distance(people, people)
    distance[~np.isfinite(distance)] = np.nan
    np.fill_diagonal(distance, np.nan)
    if np.isnan(distance).all():
        return None
    one, other = np.unravel_index(int(np.nanargmax(distance)), distance.shape)
    first = np.nan_to_num(distance[one], nan=0.0) < np.nan_to_num(distance[other], nan=0.0)
    first[one], first[other] = True, False
    between = float(_finite_mean(distance[np.ix_(first, ~first)]))
    within = [distance[np.ix_(group, group)] for group in (first, ~first) if group.sum() > 1]
    inside = np.concatenate([each.ravel() for each in within]) if within else np.zeros(0)
    inside = inside[np.isfinite(inside)]
    return max(between - (float(inside.mean()) if len(inside) else 0.0), 0.0), first


def _finite_mean(distance: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean of what is finite; inf where nothing is."""
    known = np.isfinite(distance)
    total, count = np.where(known, distance, 0).sum(axis), known.sum(axis)
    mean: np.ndarray = np.where(count > 0, total / np.maximum(count, 1), np.inf)
    return mean
