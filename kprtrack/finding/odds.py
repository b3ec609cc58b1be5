"""How probable it is that a track is the person that is searched for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.identity.calibration import DistanceCalibration, calibration_for
from kprtrack.identity.persons import TrackPlace, video_key
from kprtrack.identity.prototypes import TrackPrototypes


@dataclass(frozen=True)
class SearchOdds:
    """Turns the distances of a search into probabilities.

    The prior is one half that the person is not there, and equal for all persons who are. A track competes
    with those seen at once with it: only one of them can be the person.

    Args:
        calibration: Of the videos that are searched.
        persons: How many people are in them.
        together: Track IDs seen at once with a track.
    """

    calibration: DistanceCalibration
    persons: int
    together: Mapping[TrackPlace, frozenset[int]]

    @classmethod
    def of(cls, videos: Sequence[TrackPrototypes], persons: int) -> "SearchOdds":
        """Return the odds of a search.

        Args:
            videos: What is searched, by one encoder.
            persons: How many people are in all of them.
        """
        together: dict[TrackPlace, set[int]] = {}
        for video in videos:
            key = video_key(video)
            for one, other in video.together.tolist():
                together.setdefault((key, one), set()).add(other)
                together.setdefault((key, other), set()).add(one)
        frozen = {place: frozenset(others) for place, others in together.items()}
        return cls(calibration_for(videos), persons, frozen)

    def probabilities(
        self, places: Sequence[TrackPlace], distances: np.ndarray, own: Sequence[TrackPlace] = ()
    ) -> np.ndarray:
        """Return the probability [N] that each track is the person.

        Args:
            places: Of N tracks: sha256 of the video, track ID.
            distances: [N] of the same tracks.
            own: Tracks that are known to be the person.
        """
        ratios = self.calibration.likelihood_ratio(distances)
        by_place = dict(zip(places, ratios.tolist(), strict=True)) | dict.fromkeys(own, math.inf)
        rivals = np.array(
            [
                sum(by_place.get((key, other), 0.0) for other in self.together.get((key, track), ()))
                for key, track in places
            ]
        )
        result: np.ndarray = ratios / (max(self.persons, 1) + ratios + rivals)
        return result
