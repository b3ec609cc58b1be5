"""What the user has decided: tracks that are one person (by a merge), and tracks that are two (by a split).

Decisions are kept for ever. They are about places: tracks with some of their boxes, by which they are found
again when the video is added again with other tracks. A later decision replaces earlier ones that it
contradicts.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import UserError
from kprtrack.gallery.connection import DamagedError
from kprtrack.gallery.matching import Boxes, same_tracks
from kprtrack.gallery.rows import array_of, blob_of, boxes_of_sighting, id_of, name_of
from kprtrack.identity.persons import Constraints, TrackPlace
from kprtrack.identity.prototypes import TrackPrototypes

_PRESENT = (
    "SELECT place.id, video.sha256, sighting.track_id, sighting.person, video.name FROM place"
    " JOIN sighting ON sighting.video = place.video AND sighting.track_id = place.track_id"
    " JOIN video ON video.id = place.video"
)


def same_person(connection: sqlite3.Connection, sightings: Sequence[int]) -> None:
    """Decide that sightings (row IDs) are one person."""
    places = [_place(connection, sighting) for sighting in sightings]
    for one, other in pairwise(places):
        _insert(connection, one, other, same=True)
    groups = groups_of_places(connection)
    kept = groups.get(places[0]) if places else None
    for a, b in _pairs(connection, same=False):
        if kept is not None and groups.get(a) == kept == groups.get(b):
            connection.execute("DELETE FROM decision WHERE a = ? AND b = ?", (a, b))


def two_persons(connection: sqlite3.Connection, some: Sequence[int], others: Sequence[int]) -> None:
    """Decide that some sightings (row IDs) are another person than others."""
    left, right = ([_place(connection, sighting) for sighting in each] for each in (some, others))
    groups = groups_of_places(connection)
    touched = {groups[place] for place in left if place in groups}
    for group in touched:  # what was one person by a merge is divided
        members = [place for place, root in groups.items() if root == group]
        inside = [place for place in members if place in left]
        outside = [place for place in members if place not in left]
        connection.execute(
            f"DELETE FROM decision WHERE same = 1 AND a IN ({_marks(members)}) AND b IN ({_marks(members)})",
            (*members, *members),
        )
        for chain in (inside, outside):
            for one, other in pairwise(chain):
                _insert(connection, one, other, same=True)
    for one in left:
        for other in right:
            _insert(connection, one, other, same=False)


@dataclass(frozen=True)
class _Track:
    """A track that is there now, and that the user has decided about."""

    place: TrackPlace
    person: int
    label: str  # for messages


def _decided(
    connection: sqlite3.Connection,
) -> tuple[dict[int, _Track], list[tuple[_Track, _Track]], list[tuple[_Track, _Track]]]:
    """Tracks by place, pairs that are one person, pairs that are two; also by tracks that are gone."""
    tracks = {
        place: _Track((name_of(sha256), id_of(track_id)), id_of(person), f"{name_of(name)}:{track_id}")
        for place, sha256, track_id, person, name in connection.execute(f"{_PRESENT} ORDER BY place.id")
    }
    groups = groups_of_places(connection)
    members: dict[int, list[_Track]] = {}
    for place, track in tracks.items():
        members.setdefault(groups.get(place, place), []).append(track)
    must = [pair for group in members.values() for pair in pairwise(group)]
    cannot = []
    for pair in _pairs(connection, same=False):
        # A track that is not there is represented by one that is the same person.
        ends = [
            tracks.get(place) or next(iter(members.get(groups.get(place, place), ())), None) for place in pair
        ]
        if ends[0] is not None and ends[1] is not None:
            cannot.append((ends[0], ends[1]))
    return tracks, must, cannot


def constraints(connection: sqlite3.Connection) -> Constraints:
    """Return the decisions about tracks that the gallery has now."""
    tracks, must, cannot = _decided(connection)
    return Constraints(
        tuple((one.place, other.place) for one, other in must),
        tuple(sorted({(one.place, other.place) for one, other in cannot})),
        {track.place: track.person for track in tracks.values()},
    )


def validate(connection: sqlite3.Connection) -> None:
    """Raise UserError if persons contradict a decision."""
    _, must, cannot = _decided(connection)
    wrong = [(pair, "one person by a merge", "split") for pair in must if pair[0].person != pair[1].person]
    wrong += [
        (pair, "two persons by a split", "merge") for pair in cannot if pair[0].person == pair[1].person
    ]
    for (one, other), what, advice in wrong[:1]:
        raise UserError(
            f"{one.label} and {other.label} are {what} of this gallery, but not so in this result. Link again"
            f" with the gallery, or {advice} them first."
        )


def find_places(
    connection: sqlite3.Connection,
    video: int,
    prototypes: TrackPrototypes,
    frames: Sequence[Tracks] | None,
    same: Mapping[int, int],
) -> dict[int, int]:
    """Find the places of a video in a new result of it, and store their track IDs.

    Args:
        connection: Of the gallery, within a transaction.
        video: Row ID.
        prototypes: Of the new result.
        frames: Its tracks, if they are known.
        same: Track IDs of the new result by those of the one before.

    Returns:
        Places by track ID.
    """
    rows = connection.execute(
        "SELECT id, track_id, frames, boxes FROM place WHERE video = ? ORDER BY id", (video,)
    ).fetchall()
    found = {same[track_id]: place for place, track_id, _, _ in rows if track_id in same}
    stored = {place: _boxes(at, boxes) for place, _, at, boxes in rows}
    lost = {place: stored[place] for place, track_id, _, _ in rows if track_id not in same}
    for place, track_id in same_tracks(lost, prototypes, frames).items():
        found.setdefault(track_id, place)
    connection.execute("UPDATE place SET track_id = NULL WHERE video = ?", (video,))
    connection.executemany("UPDATE place SET track_id = ? WHERE id = ?", list(found.items()))
    return found


def persons_of_places(connection: sqlite3.Connection, found: Mapping[int, int]) -> dict[int, int]:
    """Return the person of tracks that the user has merged with a track of another video."""
    groups = groups_of_places(connection)
    own = set(found.values())
    persons = {
        groups[place]: id_of(person)
        for place, _, _, person, _ in connection.execute(_PRESENT)
        if place in groups and place not in own
    }
    return {
        track_id: persons[groups[place]] for track_id, place in found.items() if groups.get(place) in persons
    }


def excluded_persons(connection: sqlite3.Connection, found: Mapping[int, int]) -> dict[int, set[int]]:
    """Return the persons of other videos that tracks are not, as the user has decided."""
    groups, own = groups_of_places(connection), set(found.values())
    persons: dict[int, set[int]] = {}  # by group
    for place, _, _, person, _ in connection.execute(_PRESENT):
        if place not in own:
            persons.setdefault(groups.get(place, place), set()).add(id_of(person))
    others: dict[int, set[int]] = {}  # by group
    for a, b in _pairs(connection, same=False):
        for one, other in ((a, b), (b, a)):
            excluded = persons.get(groups.get(other, other), set())
            others.setdefault(groups.get(one, one), set()).update(excluded)
    return {track_id: others.get(groups.get(place, place), set()) for track_id, place in found.items()}


def forget_places(connection: sqlite3.Connection, sightings: Iterable[int]) -> None:
    """Remove the decisions about sightings (row IDs), and places that no decision is about."""
    for sighting in sightings:
        rows = connection.execute(
            "SELECT place.id FROM place JOIN sighting ON sighting.video = place.video"
            " AND sighting.track_id = place.track_id WHERE sighting.id = ?",
            (sighting,),
        ).fetchall()
        _forget(connection, [id_of(row) for (row,) in rows])


def forget_video(connection: sqlite3.Connection, video: int) -> None:
    """Remove the decisions about all tracks that a video (row ID) has or had."""
    rows = connection.execute("SELECT id FROM place WHERE video = ?", (video,)).fetchall()
    _forget(connection, [id_of(row) for (row,) in rows])


def _forget(connection: sqlite3.Connection, places: Sequence[int]) -> None:
    connection.executemany("DELETE FROM decision WHERE a = ?1 OR b = ?1", [(place,) for place in places])
    connection.execute("DELETE FROM place WHERE NOT EXISTS (SELECT 1 FROM decision WHERE place.id IN (a, b))")


def _place(connection: sqlite3.Connection, sighting: int) -> int:
    """Return the place of a sighting, made if it is new."""
    video, track_id = connection.execute(
        "SELECT video, track_id FROM sighting WHERE id = ?", (sighting,)
    ).fetchone()
    row = connection.execute(
        "SELECT id FROM place WHERE video = ? AND track_id = ?", (video, track_id)
    ).fetchone()
    if row:
        return id_of(row[0])
    frames, boxes = boxes_of_sighting(connection, sighting)
    cursor = connection.execute(
        "INSERT INTO place (video, track_id, frames, boxes) VALUES (?, ?, ?, ?)",
        (video, track_id, blob_of(frames, "i8"), blob_of(boxes, "f4")),
    )
    return id_of(cursor.lastrowid)


def _boxes(frames: object, boxes: object) -> Boxes:
    at, where = array_of(frames, "frames of a place", "i8", 1), array_of(boxes, "boxes of a place", "f4", 4)
    if len(at) != len(where):
        raise DamagedError("a place has more frames or boxes")
    return Boxes(None, at[:, 0], where)


def _insert(connection: sqlite3.Connection, one: int, other: int, *, same: bool) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO decision (a, b, same) VALUES (?, ?, ?)",
        (min(one, other), max(one, other), int(same)),
    )


def _pairs(connection: sqlite3.Connection, *, same: bool) -> list[tuple[int, int]]:
    rows = connection.execute("SELECT a, b FROM decision WHERE same = ? ORDER BY a, b", (int(same),))
    return [(id_of(a), id_of(b)) for a, b in rows]


def groups_of_places(connection: sqlite3.Connection) -> dict[int, int]:
    """Return places that are one person, by their smallest place; those never merged are left out."""
    root: dict[int, int] = {}

    def find(place: int) -> int:
        while root.setdefault(place, place) != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for a, b in _pairs(connection, same=True):
        one, other = find(a), find(b)
        root[max(one, other)] = min(one, other)
    return {place: find(place) for place in root}


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
