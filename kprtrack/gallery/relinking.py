"""What a correction decides about other persons: who is linked to a person that it has changed."""

import sqlite3
from collections.abc import Collection

import numpy as np

from kprtrack.gallery import decisions
from kprtrack.gallery.persons import read_persons
from kprtrack.gallery.reading import known_persons, read_videos
from kprtrack.gallery.records import Move, Person
from kprtrack.identity.linking import link
from kprtrack.identity.persons import Constraints, KnownPersons, TrackPlace, video_key

MOST_SIGHTINGS = 4000  # of a gallery that is linked again by a correction; it takes about a second


def relinked(connection: sqlite3.Connection, changed: Collection[int]) -> list[Move] | None:
    """Link persons again about whom nothing is decided, and return who becomes one of the changed persons.

    Those are persons without a name, notes or a decision of the user. Nothing is changed here.

    Args:
        connection: Of the gallery, within a transaction.
        changed: Persons that a correction has changed.

    Returns:
        The moves; all sightings of a person or none. None: the gallery is too large for it.
    """
    if connection.execute("SELECT count(*) FROM sighting").fetchone()[0] > MOST_SIGHTINGS:
        return None
    persons = read_persons(connection)
    decided = decisions.constraints(connection)
    free = [person for person in persons if person.id not in changed and _is_free(person, decided)]
    if not free:
        return []
    loose = {person.id for person in free}
    fixed = {
        sighting.place: person.id
        for person in persons
        if person.id not in loose
        for sighting in person.sightings
    }
    videos = read_videos(connection)
    known = known_persons(connection)
    rows = np.flatnonzero(~np.isin(known.ids, sorted(loose)))
    known = KnownPersons(known.ids[rows], known.means[rows], known.weights[rows], known.next_id)
    links = link(videos, known, Constraints(decided.must, decided.cannot, fixed))
    found: dict[TrackPlace, tuple[int, float]] = {
        (video_key(video), track_id): (person, probability[track_id])
        for video, own, probability in zip(videos, links.persons, links.probability, strict=True)
        for track_id, person in own.items()
    }
    moves = []
    for person in free:
        after = {found[sighting.place][0] for sighting in person.sightings}
        if len(after) == 1 and (new := after.pop()) in changed:
            moves += [
                Move(sighting, person.id, new, found[sighting.place][1]) for sighting in person.sightings
            ]
    return moves


def _is_free(person: Person, decided: Constraints) -> bool:
    named = person.name is not None or person.notes
    return not named and not any(sighting.place in decided.persons for sighting in person.sightings)
