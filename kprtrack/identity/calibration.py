"""How probable it is that two tracks are one person, from the distance of their embeddings.

The distance is measured in units of the mean distance of two people, which differs between encoders, places
and cameras: it is estimated from tracks that were seen at once, so are two people.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.appearance import empty_appearance, join_appearances, part_distance
from kprtrack.identity.prototypes import TrackPrototypes

# Fitted by an earlier form of tools/fit_link_probability.py on drawn clips and, by OSNet, on CUHK03. The
# present one finds 12.3 and 10.4 on other drawn clips, which links no better.
_AT_ZERO, _SLOPE = 11.5, 12.3
_LEAST, _GREATEST = -12.0, 14.0  # of the log of the likelihood ratio
_MEAN_DISTANCE = 0.45  # of two people, by most encoders
_LIMITS = 0.35, 0.7  # of the mean distance where no tracks were seen at once
_PAIRS_ALL, _PAIRS_SEEN = 20.0, 10.0  # pairs that what was known before is worth
_MOST_TRACKS = 1000  # whose median distance is looked at


@dataclass(frozen=True)
class DistanceCalibration:
    """Turns part distances into probabilities.

    Args:
        mean_distance: Mean part distance of two people.
        pairs: Number of pairs of tracks seen at once that it rests on.
        at_zero: Log of the likelihood ratio of one person against two at distance 0.
        slope: By how much it falls per mean distance.

    Examples:
        >>> DistanceCalibration(0.5).probability(np.float32([0.05, 0.4, np.inf])).round(2).tolist()
        [1.0, 0.84, 0.5]
    """

    mean_distance: float = _MEAN_DISTANCE
    pairs: int = 0
    at_zero: float = _AT_ZERO
    slope: float = _SLOPE

    def likelihood_ratio(self, distance: np.ndarray) -> np.ndarray:
        """Return how many times as probable a distance is of one person as of two people.

        Args:
            distance: Part distances, inf where no part was seen in both: that is no evidence.

        Returns:
            Numbers above 0, of the shape of `distance`.
        """
        known = np.isfinite(distance)
        relative = np.where(known, distance, 0) / self.mean_distance
        ratio = np.exp(np.clip(self.at_zero - self.slope * relative, _LEAST, _GREATEST))
        result: np.ndarray = np.where(known, ratio, 1.0)
        return result

    def probability(self, distance: np.ndarray, candidates: int = 1) -> np.ndarray:
        """Return the probability that two are one person, each pair for itself.

        Args:
            distance: As in `likelihood_ratio`.
            candidates: How many people each could be, beside an unknown person, whose prior is one half.

        Returns:
            Numbers in [0, 1], of the shape of `distance`.
        """
        odds = self.likelihood_ratio(distance) / max(candidates, 1)
        result: np.ndarray = odds / (1 + odds)
        return result


def track_distance(a: TrackPrototypes, b: TrackPrototypes) -> np.ndarray:
    """Return the part distances [A, B] of the mean embeddings of all tracks of two videos.

    Args:
        a: A tracks.
        b: B tracks, of the same encoder.

    Returns:
        float32 in [0, 2]; inf where no part was seen in both tracks.
    """
    return part_distance(a.means, b.means)


def calibration_for(videos: Sequence[TrackPrototypes]) -> DistanceCalibration:
    """Estimate the mean distance of two people from the tracks of videos.

    Args:
        videos: Of one encoder.

    Examples:
        >>> calibration_for([read_prototypes("tracks.json")]).pairs
        1
    """
    seen: list[float] = []
    for video in videos:
        rows = np.searchsorted(video.track_ids, video.together)
        distance = track_distance(video, video)[rows[:, 0], rows[:, 1]]
        seen += distance[np.isfinite(distance)].tolist()
    total = sum(seen) + _PAIRS_SEEN * _usual_distance(videos)
    return DistanceCalibration(max(total / (len(seen) + _PAIRS_SEEN), 1e-6), len(seen))


def _usual_distance(videos: Sequence[TrackPrototypes]) -> float:
    """Median distance of all tracks: most pairs are two people; within limits, in case they are not."""
    seen = [video.means[np.flatnonzero(video.means.visible.any(1))] for video in videos]
    means = join_appearances(seen) if seen else empty_appearance()
    means = means[np.arange(0, len(means), -(-len(means) // _MOST_TRACKS) or 1)]
    distance = part_distance(means, means)[np.triu_indices(len(means), 1)]
    distance = distance[np.isfinite(distance)]
    if not len(distance):
        return _MEAN_DISTANCE
    total = len(distance) * float(np.median(distance)) + _PAIRS_ALL * _MEAN_DISTANCE
    return float(np.clip(total / (len(distance) + _PAIRS_ALL), *_LIMITS))
