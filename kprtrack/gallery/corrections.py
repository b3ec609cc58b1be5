"""Corrections by the user: merge persons, split one, remove one."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from kprtrack.core.errors import UserError
from kprtrack.gallery import decisions
from kprtrack.gallery.persons import current_person, read_persons, remove_empty
from kprtrack.gallery.records import LONGEST_NOTES, Correction, Move, Person, Sighting
from kprtrack.gallery.relinking import MOST_SIGHTINGS, relinked
from kprtrack.gallery.rows import array_of, id_of
from kprtrack.gallery.signatures import forget
from kprtrack.identity.persons import TrackPlace


def merge(connection: sqlite3.Connection, into: int, other: int) -> Correction:
    """Make two persons one, within a transaction. Arguments, result and errors: as `Gallery.merge`."""
    if into == other:
        raise UserError(f"Person {into} cannot be merged with itself. Name two persons.")
    kept, gone = (_person(connection, person) for person in (into, other))
    _validate_apart(connection, kept, gone)
    rows = [*_rows(connection, kept.id), *_rows(connection, gone.id)]
    connection.execute("UPDATE sighting SET person = ? WHERE person = ?", (kept.id, gone.id))
    decisions.same_person(connection, rows)
    _forget_person(connection, gone.id, kept.id)
    notes = _merge_names(connection, kept, gone)
    moves = tuple(Move(sighting, gone.id, kept.id) for sighting in gone.sightings)
    return Correction(kept.id, moves, notes)


def split(connection: sqlite3.Connection, person: int, places: Sequence[TrackPlace]) -> Correction:
    """Make some sightings another person. Arguments, result and errors: as `Gallery.split`."""
    known = _person(connection, person)
    by_place = {sighting.place: sighting for sighting in known.sightings}
    chosen = list(dict.fromkeys((str(sha256), int(track_id)) for sha256, track_id in places))
    for place in chosen:
        if place not in by_place:
            raise UserError(
                f"Person {person} has no track {place[1]} of a video with sha256 {place[0][:12]}."
                f" `kprtrack gallery show` lists the tracks of a person."
            )
    if not chosen or len(chosen) == len(by_place):
        raise UserError(f"Choose some of the {len(by_place)} tracks of person {person}, not {len(chosen)}.")
    some = [_row(connection, place) for place in chosen]
    others = [row for row in _rows(connection, person) if row not in some]
    new = id_of(connection.execute("INSERT INTO person DEFAULT VALUES").lastrowid)
    connection.executemany("UPDATE sighting SET person = ? WHERE id = ?", [(new, row) for row in some])
    decisions.two_persons(connection, some, others)
    return Correction(new, tuple(Move(by_place[place], person, new) for place in chosen))


def remove(connection: sqlite3.Connection, person: int) -> None:
    """Remove a person with everything about that person."""
    current_person(connection, person)
    rows = _rows(connection, person)
    decisions.forget_places(connection, rows)
    forget(connection, rows)
    connection.execute("DELETE FROM merged WHERE person = ?", (person,))
    connection.execute("DELETE FROM person WHERE id = ?", (person,))
    _remove_empty_videos(connection)


def remove_video(connection: sqlite3.Connection, video: int) -> None:
    """Remove all tracks of a video (row ID), decisions about them, and persons of whom nothing is left."""
    found = connection.execute("SELECT id, person FROM sighting WHERE video = ?", (video,)).fetchall()
    decisions.forget_video(connection, video)
    forget(connection, [id_of(row) for row, _ in found])
    remove_empty(connection, [id_of(person) for _, person in found])
    _remove_empty_videos(connection)


def _remove_empty_videos(connection: sqlite3.Connection) -> None:
    connection.execute(
        "DELETE FROM video WHERE NOT EXISTS (SELECT 1 FROM sighting WHERE video = video.id)"
        " AND NOT EXISTS (SELECT 1 FROM place WHERE video = video.id)"
    )


def relink(connection: sqlite3.Connection, correction: Correction, changed: Sequence[int]) -> Correction:
    """Link persons about whom nothing is decided to those that were corrected; return all changes."""
    moves = relinked(connection, changed)
    if moves is None:
        note = f"the gallery has more than {MOST_SIGHTINGS} tracks: `kprtrack link` links them again"
        return replace(correction, notes=(*correction.notes, note))
    for move in moves:
        row = _row(connection, move.sighting.place)
        connection.execute("UPDATE sighting SET person = ? WHERE id = ?", (move.after, row))
    for gone, kept in sorted({(move.before, move.after) for move in moves}):
        _forget_person(connection, gone, kept)
    return replace(correction, moves=(*correction.moves, *moves))


def _forget_person(connection: sqlite3.Connection, gone: int, kept: int) -> None:
    """Remove a person without sightings who is another one now."""
    connection.execute("DELETE FROM person WHERE id = ?", (gone,))
    connection.execute("UPDATE merged SET person = ? WHERE person = ?", (kept, gone))
    connection.execute("INSERT INTO merged VALUES (?, ?)", (gone, kept))


def _person(connection: sqlite3.Connection, person: int) -> Person:
    return read_persons(connection, current_person(connection, person))[0]


def _rows(connection: sqlite3.Connection, person: int) -> list[int]:
    rows = connection.execute("SELECT id FROM sighting WHERE person = ? ORDER BY id", (person,))
    return [id_of(row) for (row,) in rows]


def _row(connection: sqlite3.Connection, place: TrackPlace) -> int:
    row = connection.execute(
        "SELECT sighting.id FROM sighting JOIN video ON video.id = sighting.video"
        " WHERE video.sha256 = ? AND track_id = ?",
        place,
    ).fetchone()
    if row is None:
        raise UserError(
            f"There is no track {place[1]} of a video with sha256 {place[0][:12]} in the gallery."
        )
    return id_of(row[0])


def _validate_apart(connection: sqlite3.Connection, one: Person, other: Person) -> None:
    """Raise UserError if tracks of both are seen at once."""
    for sha256 in {sighting.sha256 for sighting in one.sightings}:
        left, right = (_tracks(person.sightings, sha256) for person in (one, other))
        if not right:
            continue
        name, value = connection.execute(
            "SELECT name, together FROM video WHERE sha256 = ?", (sha256,)
        ).fetchone()
        for a, b in array_of(value, "the tracks seen at once", "i8", 2).tolist():
            if (a in left and b in right) or (a in right and b in left):
                raise UserError(
                    f"Persons {one.id} and {other.id} are seen at once in {name} (tracks {a} and {b}), so"
                    " they are two. If a track is wrong: `kprtrack edit`, then `kprtrack gallery add`."
                )


def _tracks(sightings: Sequence[Sighting], sha256: str) -> set[int]:
    return {sighting.track_id for sighting in sightings if sighting.sha256 == sha256}


def _merge_names(connection: sqlite3.Connection, kept: Person, gone: Person) -> tuple[str, ...]:
    """Keep the name and the notes of both; return what changes."""
    former = [gone.notes] if gone.notes else []
    name, lines = kept.name, []
    if gone.name is not None and kept.name is None:
        name = gone.name
        lines.append(f"person {kept.id} is named {name}")
    elif gone.name is not None:
        former.insert(0, f"formerly {gone.name}")
        lines.append(f"person {kept.id} stays {kept.name}; the name {gone.name} is kept in the notes")
    notes = "; ".join(filter(None, [kept.notes, *former]))[:LONGEST_NOTES]
    connection.execute("UPDATE person SET name = ?, notes = ? WHERE id = ?", (name, notes, kept.id))
    return tuple(lines)
