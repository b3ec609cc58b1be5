"""Add the tracks of a result to a gallery, or replace those of an earlier result of the same video."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import UserError
from kprtrack.gallery import decisions
from kprtrack.gallery.matching import Boxes, same_tracks
from kprtrack.gallery.persons import current_person, last_person_id, remove_empty
from kprtrack.gallery.rows import (
    blob_of,
    boxes_of_sighting,
    embedding_blobs,
    frame_of,
    id_of,
    shape_of,
    validate_shape,
    visible_bits,
)
from kprtrack.gallery.signatures import forget, update
from kprtrack.identity.persons import video_key, video_name
from kprtrack.identity.prototypes import TrackPrototypes


@dataclass(frozen=True)
class _Earlier:
    """What the gallery has of a video: row IDs, and persons by track ID."""

    video: int
    persons: dict[int, int]  # track ID -> person ID
    same: dict[int, int]  # track ID -> track ID in the new result


def add_tracks(
    connection: sqlite3.Connection,
    prototypes: TrackPrototypes,
    persons: Mapping[int, int] | None,
    frames: Sequence[Tracks] | None,
) -> dict[int, int]:
    """Add a result, within a transaction. Arguments, result and errors: as `Gallery.add`."""
    validate_encoder(connection, prototypes)
    earlier = _earlier(connection, prototypes, frames)
    found = decisions.find_places(connection, earlier.video, prototypes, frames, earlier.same)
    groups = decisions.groups_of_places(connection)
    group = {track_id: groups[place] for track_id, place in found.items() if place in groups}
    apart = _apart(prototypes, group)
    _validate_apart(persons or {}, apart, video_name(prototypes))
    chosen = _given(connection, prototypes, persons or {})
    decided = decisions.persons_of_places(connection, found)
    before = {new: earlier.persons[old] for old, new in earlier.same.items()}
    excluded = decisions.excluded_persons(connection, found)
    for candidates in (decided, before):
        for track_id, person in sorted(candidates.items()):
            others = {chosen.get(other) for other in apart.get(track_id, ())} | excluded.get(track_id, set())
            if track_id not in chosen and person not in others:
                chosen[track_id] = person
    _add_persons(connection, prototypes, chosen, group)
    _remove_sightings(connection, earlier.video)
    _insert(connection, earlier.video, prototypes, chosen)
    decisions.validate(connection)
    remove_empty(connection, earlier.persons.values())
    update(connection)
    return dict(sorted(chosen.items()))


def validate_encoder(connection: sqlite3.Connection, prototypes: TrackPrototypes) -> None:
    """Raise UserError for embeddings of another encoder than the gallery's; an empty gallery takes any."""
    reid = prototypes.header.get("reid")
    reid = reid if isinstance(reid, Mapping) else {}
    name = str(reid.get("weights") or reid.get("file") or reid.get("name") or "unknown")
    sha256 = str(reid.get("sha256") or "")
    shape: tuple[int, int] = prototypes.means.features.shape[1:]
    validate_shape(shape)
    row = connection.execute("SELECT name, sha256 FROM encoder").fetchone()
    if row is None:
        connection.execute("INSERT INTO encoder VALUES (1, ?, ?, ?, ?)", (name[:100], sha256, *shape))
        return
    known = shape_of(connection)
    if known != shape or (sha256 != row[1] if sha256 and row[1] else name[:100] != row[0]):
        raise UserError(
            f"The embeddings of {video_name(prototypes)} are by the ReID encoder {name} (sha256"
            f" {sha256[:12] or 'unknown'}), those of the gallery by {row[0]} (sha256"
            f" {row[1][:12] or 'unknown'}). Track the video with that, or use another gallery."
        )


def _apart(prototypes: TrackPrototypes, group: Mapping[int, int]) -> dict[int, set[int]]:
    """Tracks seen at once with each track; what the user has merged overrules the video."""
    apart: dict[int, set[int]] = {}
    for one, other in prototypes.together.tolist():
        if one not in group or group[one] != group.get(other):
            apart.setdefault(one, set()).add(other)
            apart.setdefault(other, set()).add(one)
    return apart


def _validate_apart(persons: Mapping[int, int], apart: Mapping[int, set[int]], video: str) -> None:
    for track_id, person in persons.items():
        for other in sorted(apart.get(track_id, ())):
            if persons.get(other) == person:
                raise UserError(
                    f"Tracks {track_id} and {other} of {video} are seen at once, so they cannot both be"
                    f" person {person}. Correct the tracks with `kprtrack edit`, or link again."
                )


def _earlier(
    connection: sqlite3.Connection, prototypes: TrackPrototypes, frames: Sequence[Tracks] | None
) -> _Earlier:
    """Find or make the row of the video, and find its tracks again."""
    key, name = video_key(prototypes), video_name(prototypes)[:200]
    header = json.dumps(dict(prototypes.header), sort_keys=True, default=str)
    pairs = blob_of(prototypes.together, "i8")
    row = connection.execute("SELECT id FROM video WHERE sha256 = ?", (key,)).fetchone()
    if row is None:
        video = connection.execute(
            "INSERT INTO video (sha256, name, header, together) VALUES (?, ?, ?, ?)",
            (key, name, header, pairs),
        ).lastrowid
        return _Earlier(id_of(video), {}, {})
    video = id_of(row[0])
    connection.execute(
        "UPDATE video SET name = ?, header = ?, together = ? WHERE id = ?", (name, header, pairs, video)
    )
    sightings = connection.execute(
        "SELECT id, track_id, person, first_frame, last_frame FROM sighting WHERE video = ?", (video,)
    ).fetchall()
    stored, persons = {}, {}
    for sighting, track_id, person, first, last in sightings:
        persons[id_of(track_id)] = id_of(person)
        at, boxes = boxes_of_sighting(connection, id_of(sighting))
        stored[track_id] = Boxes(track_id, at, boxes, (frame_of(first), frame_of(last)))
    return _Earlier(video, persons, same_tracks(stored, prototypes, frames))


def _given(
    connection: sqlite3.Connection, prototypes: TrackPrototypes, persons: Mapping[int, int]
) -> dict[int, int]:
    """Persons that were given, made if their IDs were never used."""
    if unknown := sorted(set(persons) - set(prototypes.track_ids.tolist())):
        raise UserError(f"There is no track {unknown[0]} in the result of {video_name(prototypes)}.")
    return {track_id: _person(connection, person) for track_id, person in persons.items()}


def _add_persons(
    connection: sqlite3.Connection,
    prototypes: TrackPrototypes,
    chosen: dict[int, int],
    group: Mapping[int, int],
) -> None:
    """Make the tracks without a person new persons; those that the user has merged are one (`group`)."""
    known = {group[track_id]: person for track_id, person in chosen.items() if track_id in group}
    for track_id in prototypes.track_ids.tolist():
        if track_id in chosen:
            continue
        person = known.get(group[track_id]) if track_id in group else None
        if person is None:
            person = id_of(connection.execute("INSERT INTO person DEFAULT VALUES").lastrowid)
        chosen[track_id] = person
        if track_id in group:
            known[group[track_id]] = person


def _person(connection: sqlite3.Connection, person: int) -> int:
    """Return a person who was given, made if the ID was never used."""
    if person > last_person_id(connection):
        connection.execute("INSERT INTO person (id) VALUES (?)", (id_of(person),))
        return person
    return current_person(connection, person, follow=True)


def _remove_sightings(connection: sqlite3.Connection, video: int) -> None:
    rows = connection.execute("SELECT id FROM sighting WHERE video = ?", (video,)).fetchall()
    forget(connection, [row[0] for row in rows])


def _insert(
    connection: sqlite3.Connection, video: int, prototypes: TrackPrototypes, persons: Mapping[int, int]
) -> None:
    means, embeddings = embedding_blobs(prototypes.means), embedding_blobs(prototypes.embeddings)
    mean_bits, bits = visible_bits(prototypes.means.visible), visible_bits(prototypes.embeddings.visible)
    columns = [
        getattr(prototypes, name).tolist()
        for name in ("track_ids", "first_s", "last_s", "first_frame", "last_frame", "boxes_seen", "weights")
    ]
    sightings = []
    for row, values in enumerate(zip(*columns, strict=True)):
        cursor = connection.execute(
            "INSERT INTO sighting (video, person, track_id, first_s, last_s, first_frame, last_frame,"
            " boxes_seen, weight, visible, mean) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (video, persons[values[0]], *values, int(mean_bits[row]), means[row]),
        )
        sightings.append(cursor.lastrowid)
    connection.executemany(
        "INSERT INTO prototype (sighting, frame, time_s, x1, y1, x2, y2, quality, prompted, visible,"
        " embedding) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (sightings[at], frame, time_s, *box, quality, int(prompted), int(seen), blob)
            for at, frame, time_s, box, quality, prompted, seen, blob in zip(
                prototypes.track_row.tolist(),
                prototypes.frames.tolist(),
                prototypes.times_s.tolist(),
                prototypes.boxes.tolist(),
                prototypes.quality.tolist(),
                prototypes.embeddings.prompted.tolist(),
                bits.tolist(),
                embeddings,
                strict=True,
            )
        ),
    )
