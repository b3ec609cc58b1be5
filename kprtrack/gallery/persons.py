"""Read the persons of a gallery, and find one by ID."""

import sqlite3
from collections.abc import Iterable

from kprtrack.core.errors import UserError
from kprtrack.core.tables.names import is_name
from kprtrack.gallery.connection import DamagedError, whole
from kprtrack.gallery.records import Person, Sighting, is_notes
from kprtrack.gallery.rows import id_of, name_of, time_of

_MANY = 1 << 53
# Columns of a sighting.
SIGHTING = (
    "video.name, video.sha256, track_id, first_s, last_s, (SELECT count(*) FROM prototype"
    " WHERE prototype.sighting = sighting.id) FROM sighting JOIN video ON video.id = sighting.video"
)


def read_persons(connection: sqlite3.Connection, only: int | None = None) -> list[Person]:
    """Return all persons by ID, or one."""
    where, values = ("", ()) if only is None else ("WHERE person.id = ?", (only,))
    sightings: dict[int, list[Sighting]] = {}
    for person, *columns in connection.execute(
        f"SELECT person.id, {SIGHTING} JOIN person ON person.id = sighting.person {where}"
        " ORDER BY video.name, video.id, first_s, track_id",
        values,
    ):
        sightings.setdefault(person, []).append(sighting_of(columns))
    rows = connection.execute(f"SELECT id, name, notes FROM person {where} ORDER BY id", values).fetchall()
    return [_person(row, tuple(sightings.get(row[0], ()))) for row in rows]


def sighting_of(columns: Iterable[object]) -> Sighting:
    """A row of name and sha256 of the video, track ID, first and last second, number of prototypes."""
    video, sha256, track_id, first_s, last_s, count = columns
    return Sighting(
        name_of(video),
        name_of(sha256),
        id_of(track_id),
        time_of(first_s),
        time_of(last_s),
        whole(count, "a number of prototypes", 0, _MANY),
    )


def _person(row: tuple[object, object, object], sightings: tuple[Sighting, ...]) -> Person:
    number, name, notes = row
    if name is not None and not is_name(name):
        raise DamagedError(f"the name of person {number} is {name!r:.40}")
    if not is_notes(notes):
        raise DamagedError(f"the notes of person {number} are {notes!r:.40}")
    return Person(id_of(number), name, notes, sightings)  # type: ignore[arg-type]


def current_person(connection: sqlite3.Connection, person: int, *, follow: bool = False) -> int:
    """Return the ID of a person who is there.

    Args:
        connection: Of the gallery.
        person: The ID.
        follow: A person who was merged into another one is that one.

    Raises:
        UserError: There is no such person.
    """
    if not 1 <= person < _MANY:
        raise UserError(f"There is no person {person}. Person IDs are numbers from 1 on.")
    if connection.execute("SELECT 1 FROM person WHERE id = ?", (person,)).fetchone():
        return person
    row = connection.execute("SELECT person FROM merged WHERE id = ?", (person,)).fetchone()
    if row and follow:
        return current_person(connection, id_of(row[0]))
    if row:
        raise UserError(f"Person {person} was merged into person {id_of(row[0])}. Use that ID.")
    raise UserError(f"There is no person {person}. `kprtrack gallery list` lists all of them.")


def last_person_id(connection: sqlite3.Connection) -> int:
    """The greatest person ID that was ever used; 0: none."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'person'").fetchone()
    last = 0 if row is None else whole(row[0], "the last person ID", 0, _MANY)
    for table in ("person", "merged"):
        (used,) = connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()
        if used > last:
            raise DamagedError("the last person ID is smaller than another one")
    return last


def remove_empty(connection: sqlite3.Connection, persons: Iterable[int]) -> None:
    """Remove those of the persons who have neither sightings nor a name or notes."""
    for person in sorted(set(persons)):
        connection.execute(
            "DELETE FROM person WHERE id = ? AND name IS NULL AND notes = ''"
            " AND NOT EXISTS (SELECT 1 FROM sighting WHERE person = person.id)",
            (person,),
        )
