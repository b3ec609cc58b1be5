"""How probable it is that a track is the person that is searched for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.appearance import join_appearances, part_distance
from kprtrack.identity.calibration import DistanceCalibration, calibration_for
from kprtrack.identity.persons import TrackPlace, video_key
from kprtrack.identity.prototypes import TrackPrototypes

_RIVALS = 500  # of the nearest tracks


@dataclass(frozen=True)
class SearchOdds:
    """Turns the distances of a search into probabilities.

    The prior is one half that the person is not there, and equal for all people who are. Tracks compete with
    each other as far as they are not one person themselves: those seen at once are two, those with one person
    ID are one, and of others the distance of their means decides. A track that is one person with a probable
    one is at least as probable as both together.

    Args:
        calibration: Of the videos that are searched.
        persons: How many people are in them.
        videos: The videos by `video_key`.
    """

    calibration: DistanceCalibration
    persons: int
    videos: Mapping[str, TrackPrototypes]

    @classmethod
    def of(cls, videos: Sequence[TrackPrototypes], persons: int) -> "SearchOdds":
        """Return the odds of a search.

        Args:
            videos: What is searched, by one encoder.
            persons: How many people are in all of them.
        """
        return cls(calibration_for(videos), max(persons, 1), {video_key(video): video for video in videos})

    def probabilities(
        self,
        places: Sequence[TrackPlace],
        distances: np.ndarray,
        person_ids: Sequence[int | None],
        own: Iterable[TrackPlace] = (),
    ) -> np.ndarray:
        """Return the probability [N] that each track is the person.

        Args:
            places: Of N tracks, nearest first: sha256 of the video, track ID.
            distances: [N] of the same tracks.
            person_ids: Of the same tracks; None: unknown.
            own: Tracks that are known to be the person.
        """
        ratios = self.calibration.likelihood_ratio(distances)
        near = slice(0, _RIVALS)
        links = self._links(places[near])
        same = self._same_person(places[near], person_ids[near], links)
        rivals = np.full(len(places), ratios[near].sum())
        rivals[near] = (1 - same) @ ratios[near]
        result: np.ndarray = ratios / (self.persons + ratios + rivals)
        np.fill_diagonal(links, 0)
        given = links / (self.persons + links + links @ (1 - same))  # probability if the row is the person
        result[near] = self._supported(places[near], result[near], np.where(same == 1, 1, given))
        excluded = {(key, track) for key, other in own for track in self._seen_with(key, other)}
        result[[place in excluded for place in places]] = 0
        return result

    def _supported(self, places: Sequence[TrackPlace], alone: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Raise the probabilities of tracks that are one person with a probable one.

        Those of tracks seen at once are at most 1 together; the nearest comes first.

        Args:
            places: Of N tracks, nearest first.
            alone: [N] their probabilities by their own distances.
            given: [N, N] those of the columns, if the row is the person.
        """
        raised = (given * alone[:, None]).max(axis=0, initial=0)
        found: dict[TrackPlace, float] = {}
        for (key, track), probability in zip(places, raised.tolist(), strict=True):
            taken = sum(found.get((key, other), 0.0) for other in self._seen_with(key, track))
            found[key, track] = min(probability, max(1 - taken, 0.0))
        return np.array(list(found.values()))

    def _links(self, places: Sequence[TrackPlace]) -> np.ndarray:
        """[N, N] likelihood ratios that two tracks are one person, by their means; 0: seen at once."""
        if not places:
            return np.zeros((0, 0))
        means = join_appearances(
            [
                self.videos[key].means[np.flatnonzero(self.videos[key].track_ids == track)]
                for key, track in places
            ]
        )
        ratios = self.calibration.likelihood_ratio(part_distance(means, means))
        rows = {place: row for row, place in enumerate(places)}
        for row, (key, track) in enumerate(places):
            others = [rows[key, other] for other in self._seen_with(key, track) if (key, other) in rows]
            ratios[row, others] = 0
        return ratios

    def _same_person(
        self, places: Sequence[TrackPlace], person_ids: Sequence[int | None], links: np.ndarray
    ) -> np.ndarray:
        """[N, N] how probable it is that two tracks are one person."""
        same: np.ndarray = links / (self.persons + links)
        known = np.array([person_id or 0 for person_id in person_ids])
        same[(known[:, None] == known) & (known > 0)] = 1
        np.fill_diagonal(same, 1)
        return same

    def _seen_with(self, key: str, track_id: int) -> list[int]:
        """The tracks that are seen at once with one."""
        pairs = self.videos[key].together
        found: list[int] = pairs[:, ::-1][pairs == track_id].tolist()
        return found
