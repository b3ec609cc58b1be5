"""Rank the tracks of results or of a gallery by their distance to a person."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kprtrack.core.appearance import Appearance, part_distance
from kprtrack.finding.odds import SearchOdds
from kprtrack.gallery import Gallery, Hit
from kprtrack.identity.persons import TrackPlace, video_key
from kprtrack.identity.results import IdentifiedResult

_PROTOTYPES = 8  # of a track, at most, unless tracks were merged
_UNKNOWN = float("nan")


@dataclass(frozen=True)
class Match:
    """A track that may be the person.

    Args:
        video: Name of the file.
        sha256: Of the video, as `kprtrack.identity.persons.video_key` returns it.
        track_id: In its result.
        person_id: Of linked results and galleries; None: unknown.
        name: Of the person; None: unknown.
        frame: Number of the frame of the prototype that is nearest.
        time_s: Its time, seconds.
        box: x1 y1 x2 y2 of the person in this frame, pixels.
        distance: Part distance of this prototype, in [0, 2]; exact.
        probability: That the track is the person.
    """

    video: str
    sha256: str
    track_id: int
    person_id: int | None
    name: str | None
    frame: int
    time_s: float
    box: tuple[float, float, float, float]
    distance: float
    probability: float

    @property
    def place(self) -> TrackPlace:
        """The sha256 of the video and the track ID."""
        return self.sha256, self.track_id


def find_in_results(query: Appearance, results: Sequence[IdentifiedResult], count: int) -> list[Match]:
    """Rank the tracks of results.

    Args:
        query: Q embeddings of one person, [Q, P, D]; a track is as far as its nearest prototype from the
            nearest of them.
        results: By the encoder of the query.
        count: At most so many tracks.

    Returns:
        Tracks, nearest first; those without a part visible in both are left out.

    Raises:
        ValueError: The query has other parts or dimensions than the results.
    """
    found = [match for result in results for match in _of_result(query, result)]
    found.sort(key=lambda match: (match.distance, match.video, match.track_id))
    persons = {
        (None, person) if (person := result.tracks.header.persons.get(track)) else (row, track)
        for row, result in enumerate(results)
        for track in result.prototypes.track_ids.tolist()
    }
    odds = SearchOdds.of([result.prototypes for result in results], len(persons))
    return _with_probabilities(found, odds)[:count]


def _of_result(query: Appearance, result: IdentifiedResult) -> list[Match]:
    prototypes, header = result.prototypes, result.tracks.header
    if not len(prototypes.frames) or not len(query):
        return []
    distance = part_distance(query, prototypes.embeddings).min(axis=0)  # [M]
    order = np.lexsort((distance, prototypes.track_row))
    _, first = np.unique(prototypes.track_row[order], return_index=True)
    key, found = video_key(prototypes), []
    for row in order[first][np.isfinite(distance[order[first]])].tolist():
        track_id = int(prototypes.track_ids[prototypes.track_row[row]])
        x1, y1, x2, y2 = prototypes.boxes[row].tolist()
        found.append(
            Match(
                result.video,
                key,
                track_id,
                header.persons.get(track_id),
                header.names.get(track_id),
                int(prototypes.frames[row]),
                float(prototypes.times_s[row]),
                (x1, y1, x2, y2),
                float(distance[row]),
                _UNKNOWN,
            )
        )
    return found


def find_in_gallery(
    query: Appearance, gallery: Gallery, count: int, *, without: int | None = None
) -> list[Match]:
    """Rank the tracks of a gallery.

    Args:
        query: Q embeddings of one person, [Q, P, D].
        gallery: By the encoder of the query.
        count: At most so many tracks.
        without: A person whose own tracks are left out.

    Returns:
        As `find_in_results`.

    Raises:
        UserError: The query has other parts or dimensions than the gallery.
    """
    persons = gallery.persons()
    names = {person.id: person.name for person in persons}
    odds = SearchOdds.of(gallery.videos(prototypes=False), len(persons))
    found = [
        Match(
            hit.video,
            hit.sha256,
            hit.track_id,
            hit.person_id,
            names.get(hit.person_id),
            hit.frame,
            hit.time_s,
            hit.box,
            hit.distance,
            _UNKNOWN,
        )
        for hit in _nearest_of_tracks(query, gallery, count, without)
    ]
    own = [sighting.place for person in persons if person.id == without for sighting in person.sightings]
    return _with_probabilities(found, odds, own)[:count]


def _nearest_of_tracks(query: Appearance, gallery: Gallery, count: int, without: int | None) -> list[Hit]:
    """The nearest prototype of each track, of at least `count` tracks if there are so many."""
    asked = _PROTOTYPES * count
    while True:
        hits = gallery.search(query, asked)
        nearest: dict[TrackPlace, Hit] = {}
        for hit in hits:
            if hit.person_id != without:
                nearest.setdefault((hit.sha256, hit.track_id), hit)
        if len(nearest) >= count or len(hits) < asked:
            return list(nearest.values())
        asked *= 4


def _with_probabilities(
    matches: list[Match], odds: SearchOdds, own: Sequence[TrackPlace] = ()
) -> list[Match]:
    distances = np.array([match.distance for match in matches], np.float32)
    places = [match.place for match in matches]
    found = odds.probabilities(places, distances, [match.person_id for match in matches], own)
    return [
        replace(match, probability=probability)
        for match, probability in zip(matches, found.tolist(), strict=True)
    ]
