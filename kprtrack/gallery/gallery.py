"""The gallery: persons across videos in one file."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import UserError, printable
from kprtrack.core.tables.names import NAME_RULE, is_name
from kprtrack.gallery import corrections, decisions, reading
from kprtrack.gallery.adding import add_tracks
from kprtrack.gallery.connection import connect, transaction, translated
from kprtrack.gallery.persons import current_person, last_person_id, read_persons
from kprtrack.gallery.records import NOTES_RULE, Correction, Hit, Person, Sighting, is_notes
from kprtrack.gallery.rows import id_of
from kprtrack.gallery.search import search
from kprtrack.gallery.signatures import Signatures, read_signatures
from kprtrack.identity.persons import Constraints, KnownPersons, TrackPlace
from kprtrack.identity.prototypes import TrackPrototypes


class _Undone(Exception):  # noqa: N818 - it ends a preview
    pass


class Gallery:
    """Persons across videos, with names, notes, prototypes and where they were seen, in one SQLite file.

    Every method is one transaction: all of it is on the disk when it returns, or nothing is changed. Other
    programs can read meanwhile; two that write wait for each other. Used from one thread. As a context
    manager it closes itself.

    Examples:
        >>> from kprtrack.gallery import Gallery
        >>> with Gallery.open("people.kprdb", create=True) as gallery:
        ...     len(gallery.persons())
        0
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._signatures: Signatures | None = None  # of a large gallery, once they were needed
        self.path = path

    @classmethod
    def open(cls, path: str | Path, create: bool = False) -> Self:
        """Open a gallery.

        Args:
            path: The file, such as people.kprdb.
            create: Make it if it is missing.

        Raises:
            InputError: It is missing, damaged, no gallery, or one of a later version.
            OutputError: It cannot be made.
        """
        path = Path(path)
        return cls(connect(path, create=create), path)

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(
        self,
        prototypes: TrackPrototypes,
        persons: Mapping[int, int] | None = None,
        frames: Sequence[Tracks] | None = None,
    ) -> dict[int, int]:
        """Add the tracks of a video; those of an earlier result of the same video (sha256) are replaced.

        Args:
            prototypes: Of the tracks. For a corrected result: `prototypes.relabelled(frames)`.
            persons: Person ID by track ID, as `link` finds them; IDs never used before are new persons. Other
                tracks keep the person of the earlier result if they are the same track by their boxes, are
                the person that the user has merged them with, or become new persons.
            frames: Tracks of the result, by which those of the earlier one are found again; None: by the
                boxes of prototypes.

        Returns:
            Person ID of every track.

        Raises:
            UserError: The embeddings are those of another encoder, tracks seen at once have one person, a
                person is not there, or persons contradict what the user has decided.
            OutputError: The file cannot be written.
        """
        _validate_finite(prototypes)
        with self._write():
            return add_tracks(self._connection, prototypes, persons, frames)

    def persons(self) -> list[Person]:
        """Return all persons, by ID."""
        with self._read():
            return read_persons(self._connection)

    def person(self, person_id: int) -> Person:
        """Return one person. Raises: UserError if there is none of that ID."""
        with self._read():
            return read_persons(self._connection, current_person(self._connection, person_id))[0]

    def named(self, name: str) -> int | None:
        """Return the ID of the person of a name; None if there is none."""
        with self._read():
            row = self._connection.execute(
                "SELECT id FROM person WHERE name = ?", (printable(name),)
            ).fetchone()
            return None if row is None else id_of(row[0])

    @property
    def next_id(self) -> int:
        """The first person ID that was never used."""
        with self._read():
            return last_person_id(self._connection) + 1

    def name(self, person_id: int, name: str | None) -> None:
        """Name a person.

        Args:
            person_id: The person.
            name: 1 to 100 printable characters, which no other person has; None: no name.

        Raises:
            UserError: The name is no name or that of another person, or there is no such person.
        """
        if name is not None and not is_name(name):
            raise UserError(f"'{name:.60}': {NAME_RULE}")
        with self._write():
            current_person(self._connection, person_id)
            other = self._connection.execute("SELECT id FROM person WHERE name = ?", (name,)).fetchone()
            if other is not None and other[0] != person_id:
                raise UserError(
                    f"Person {other[0]} is named {name}. If they are one person: `kprtrack gallery merge"
                    f" {self.path} {other[0]} {person_id}`."
                )
            self._connection.execute("UPDATE person SET name = ? WHERE id = ?", (name, person_id))

    def note(self, person_id: int, notes: str) -> None:
        """Replace the notes of a person.

        Args:
            person_id: The person.
            notes: At most 2000 printable characters; "" removes them.

        Raises:
            UserError: The notes are too long or have line breaks, or there is no such person.
        """
        if not is_notes(notes):
            raise UserError(f"'{notes:.60}': {NOTES_RULE}")
        with self._write():
            current_person(self._connection, person_id)
            self._connection.execute("UPDATE person SET notes = ? WHERE id = ?", (notes, person_id))

    def merge(self, into: int, other: int, *, preview: bool = False, relink: bool = True) -> Correction:
        """Make two persons one; that they are one is kept for ever (must-link).

        Args:
            into: The person who is left, with the name of either; a second name is kept in the notes.
            other: The person whose sightings move; the ID is not used again.
            preview: Change nothing.
            relink: Also link persons without name, notes or decision to the one who is left, as `link` does.

        Returns:
            What changes.

        Raises:
            UserError: One of them is not there, or they are seen at once.
        """

        def correct() -> Correction:
            done = corrections.merge(self._connection, into, other)
            return corrections.relink(self._connection, done, [into]) if relink else done

        return self._corrected(correct, preview)

    def split(
        self, person_id: int, places: Sequence[TrackPlace], *, preview: bool = False, relink: bool = True
    ) -> Correction:
        """Make some sightings of a person a new person; that they are two is kept for ever (cannot-link).

        Args:
            person_id: The person, who keeps the name.
            places: sha256 of the video and track ID of some sightings, not of all.
            preview: Change nothing.
            relink: Also link persons without name, notes or decision to one of the two, as `link` does.

        Returns:
            What changes.

        Raises:
            UserError: The person or a sighting is not there, or all sightings are given.
        """

        def correct() -> Correction:
            done = corrections.split(self._connection, person_id, places)
            if not relink:
                return done
            return corrections.relink(self._connection, done, [person_id, done.person_id])

        return self._corrected(correct, preview)

    def remove(self, *person_ids: int, videos: Sequence[str] = ()) -> None:
        """Remove persons or videos with everything about them; the bytes are overwritten in the file.

        Args:
            person_ids: The persons; their IDs are not used again.
            videos: Names of files, or the beginnings of their sha256. Persons without a name or notes who
                are in no other video are removed, too.

        Raises:
            UserError: There is no such person or video, or there are several videos of that name; nothing is
                removed.
        """
        with self._write():
            for person_id in person_ids:
                corrections.remove(self._connection, person_id)
            for video in videos:
                corrections.remove_video(self._connection, reading.find_video(self._connection, video))
        if not self._connection.in_transaction:
            with translated(self.path):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # no copy is left there

    def constraints(self) -> Constraints:
        """Return what the user has decided by merging and splitting, as `link` takes it."""
        with self._read():
            return decisions.constraints(self._connection)

    def known(self) -> KnownPersons:
        """Return the mean embedding of every person, as `link` takes it."""
        with self._read():
            return reading.known_persons(self._connection)

    def videos(self, *, prototypes: bool = True) -> list[TrackPrototypes]:
        """Return what was added of each video, without keypoints, by name.

        Args:
            prototypes: False: only the tracks with their means, which is quicker in a large gallery.
        """
        with self._read():
            return reading.read_videos(self._connection, prototypes=prototypes)

    def search(self, query: Appearance, count: int = 20) -> list[Hit]:
        """Find the prototypes that are most similar to a person.

        Up to 100,000 prototypes, all are compared; above, those that an index selects. The distance is always
        exact: the mean over the parts visible in both (`kprtrack.core.appearance.part_distance`).

        Args:
            query: Q embeddings of one person, [Q, P, D]; a hit is as far as the nearest of them.
            count: At most so many hits.

        Returns:
            Hits, nearest first; prototypes without a part visible in both are left out.

        Raises:
            UserError: The query has other parts or dimensions than the gallery.
        """
        with self._read():
            self._signatures = read_signatures(self._connection, self._signatures)
            return search(self._connection, query, count, self._signatures)

    def prototypes_of(self, person_id: int) -> tuple[Appearance, list[Hit]]:
        """Return the prototypes of a person, [M, P, D], and where each was seen (distance 0).

        Args:
            person_id: The person.

        Raises:
            UserError: There is no such person.
        """
        with self._read():
            return reading.prototypes_of(self._connection, current_person(self._connection, person_id))

    def sighting(self, video: str, track_id: int) -> Sighting:
        """Return where a track was seen.

        Args:
            video: Name of the file, or the beginning of its sha256.
            track_id: In its result.

        Raises:
            UserError: There is none, or there are several videos of that name.
        """
        with self._read():
            return reading.find_sighting(self._connection, video, track_id)

    def _corrected(self, correct: Callable[[], Correction], preview: bool) -> Correction:
        try:
            with self._write():
                correction = correct()
                if preview:
                    raise _Undone
        except _Undone:
            pass
        return correction

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all calls within the `with` block one transaction: all are done, or none.

        Examples:
            >>> with Gallery.open("people.kprdb", create=True) as gallery, gallery.transaction():
            ...     first = gallery.add(read_prototypes("tracks.json"))
            ...     gallery.name(first[1], "Anna")
        """
        with self._write():
            yield

    @contextmanager
    def _read(self) -> Iterator[None]:
        with transaction(self._connection, self.path, write=False):
            yield

    @contextmanager
    def _write(self) -> Iterator[None]:
        with transaction(self._connection, self.path, write=True):
            yield


def _validate_finite(prototypes: TrackPrototypes) -> None:
    """Raises: ValueError for numbers that no run writes."""
    for name in ("first_s", "last_s", "times_s", "boxes", "quality"):
        if not np.isfinite(getattr(prototypes, name)).all():
            raise ValueError(f"{name} are not finite")
    for appearance in (prototypes.means, prototypes.embeddings):
        if not np.isfinite(appearance.features[appearance.visible]).all():
            raise ValueError("embeddings are not finite")
