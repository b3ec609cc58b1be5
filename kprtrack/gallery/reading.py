"""Read means, prototypes and videos of a gallery."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.errors import UserError, printable
from kprtrack.core.files.numbers import LAST_FRAME
from kprtrack.gallery.connection import DamagedError, whole
from kprtrack.gallery.persons import SIGHTING, last_person_id, read_persons, sighting_of
from kprtrack.gallery.records import Hit, Sighting
from kprtrack.gallery.rows import (
    appearance_of,
    array_of,
    box_of,
    frame_of,
    id_of,
    name_of,
    quality_of,
    shape_of,
    time_of,
)
from kprtrack.identity.persons import KnownPersons
from kprtrack.identity.prototypes import TrackPrototypes, unit_length

_SHORTEST_SHA256 = 6  # characters that name a video
# Columns of a hit; and of an embedding.
HIT = (
    "sighting.person, video.name, video.sha256, sighting.track_id, frame, time_s, x1, y1, x2, y2, quality"
    " FROM prototype JOIN sighting ON sighting.id = prototype.sighting"
    " JOIN video ON video.id = sighting.video"
)


def hit_of(columns: Sequence[object], distance: float) -> Hit:
    """Return the hit of a row with the columns of HIT."""
    person, video, sha256, track_id, frame, time_s, *box, quality = columns
    return Hit(
        id_of(person),
        name_of(video),
        name_of(sha256),
        id_of(track_id),
        frame_of(frame),
        time_of(time_s),
        box_of(box),
        quality_of(quality),
        distance,
    )


def known_persons(connection: sqlite3.Connection) -> KnownPersons:
    """Return all persons with their mean embeddings."""
    next_id = last_person_id(connection) + 1
    shape = shape_of(connection)
    if shape is None:
        return KnownPersons(next_id=next_id)
    persons = read_persons(connection)
    ids = np.array([person.id for person in persons], np.int64)
    rows = connection.execute("SELECT visible, 0, mean, person, weight FROM sighting ORDER BY id").fetchall()
    means = appearance_of([row[:3] for row in rows], shape)
    owners = np.array([id_of(row[3]) for row in rows], np.int64)
    if not np.isin(owners, ids).all():
        raise DamagedError("a sighting belongs to no person")
    at = np.searchsorted(ids, owners)
    counts = np.array([whole(row[4], "a weight", 0, LAST_FRAME) for row in rows], np.int64)
    sums = np.zeros((len(persons), *shape), np.float32)
    np.add.at(sums, at, means.features * (means.visible * np.maximum(counts, 1)[:, None])[:, :, None])
    visible = np.zeros(sums.shape[:2], bool)
    np.logical_or.at(visible, at, means.visible)
    weights = np.zeros(len(persons), np.int64)
    np.add.at(weights, at, counts)
    return KnownPersons(
        ids,
        Appearance(unit_length(sums), visible, np.zeros(len(persons), bool)),
        weights,
        next_id,
        {person.id: person.name for person in persons if person.name is not None},
    )


def prototypes_of(connection: sqlite3.Connection, person: int) -> tuple[Appearance, list[Hit]]:
    """Return the prototypes of a person and where they were seen, by video and frame."""
    rows = connection.execute(
        f"SELECT prototype.visible, prompted, embedding, {HIT} WHERE person = ?"
        " ORDER BY video.name, video.id, frame",
        (person,),
    ).fetchall()
    appearance = appearance_of([row[:3] for row in rows], shape_of(connection) or (0, 0))
    return appearance, [hit_of(row[3:], 0.0) for row in rows]


def read_videos(connection: sqlite3.Connection, *, prototypes: bool = True) -> list[TrackPrototypes]:
    """Return what was added of each video, but keypoints; without `prototypes` tracks and means alone."""
    rows = connection.execute("SELECT id, header, sha256, together FROM video ORDER BY name, id").fetchall()
    return [
        _video(connection, id_of(row), _header(header, sha256), together, prototypes=prototypes)
        for row, header, sha256, together in rows
    ]


def _video(
    connection: sqlite3.Connection,
    video: int,
    header: dict[str, Any],
    together: object,
    *,
    prototypes: bool,
) -> TrackPrototypes:
    shape = shape_of(connection)
    assert shape is not None
    sightings = connection.execute(
        "SELECT id, track_id, first_s, last_s, first_frame, last_frame, boxes_seen, weight, visible, 0, mean"
        " FROM sighting WHERE video = ? ORDER BY track_id",
        (video,),
    ).fetchall()
    kept = connection.execute(
        "SELECT sighting.track_id, frame, time_s, x1, y1, x2, y2, quality, prototype.visible, prompted,"
        " embedding FROM prototype JOIN sighting ON sighting.id = prototype.sighting WHERE video = ?"
        " ORDER BY sighting.track_id, frame LIMIT ?",
        (video, -1 if prototypes else 0),
    ).fetchall()
    track_ids = np.array([id_of(row[1]) for row in sightings], np.int64)
    owner = np.array([id_of(row[0]) for row in kept], np.int64)
    pairs = array_of(together, "the tracks seen at once", "i8", 2)

    def frames(rows: Sequence[Any], column: int) -> np.ndarray:
        return np.array([frame_of(row[column]) for row in rows], np.int64)

    def times(rows: Sequence[Any], column: int) -> np.ndarray:
        return np.array([time_of(row[column]) for row in rows], np.float64)

    return TrackPrototypes(
        header=header,
        track_ids=track_ids,
        first_s=times(sightings, 2),
        last_s=times(sightings, 3),
        first_frame=frames(sightings, 4),
        last_frame=frames(sightings, 5),
        boxes_seen=frames(sightings, 6),
        means=appearance_of([row[8:] for row in sightings], shape),
        weights=frames(sightings, 7),
        track_row=np.searchsorted(track_ids, owner),
        embeddings=appearance_of([row[8:] for row in kept], shape),
        frames=frames(kept, 1),
        times_s=times(kept, 2),
        boxes=np.array([box_of(row[3:7]) for row in kept], np.float32).reshape(-1, 4),
        keypoints=np.zeros((len(kept), 0, 3), np.float32),
        quality=np.array([quality_of(row[7]) for row in kept], np.float32),
        together=pairs[np.isin(pairs, track_ids).all(1)],
    )


def find_sighting(connection: sqlite3.Connection, video: str, track_id: int) -> Sighting:
    """Return where a track was seen. Arguments and errors: as `Gallery.sighting`."""
    found = [
        columns
        for row, _ in _videos_named(connection, video)
        for columns in connection.execute(
            f"SELECT {SIGHTING} WHERE video.id = ? AND track_id = ?",
            (row, track_id),
        )
    ]
    if not found:
        raise UserError(f"Video {video:.100} has no track {track_id} in the gallery.")
    if len(found) > 1:
        raise _several(video, [name_of(columns[1]) for columns in found])
    return sighting_of(found[0])


def find_video(connection: sqlite3.Connection, video: str) -> int:
    """Return the row ID of a video. Errors: as `Gallery.remove`."""
    found = _videos_named(connection, video)
    if len(found) > 1:
        raise _several(video, [sha256 for _, sha256 in found])
    return found[0][0]


def _videos_named(connection: sqlite3.Connection, video: str) -> list[tuple[int, str]]:
    """Row ID and sha256 of the videos of a name or beginning of a sha256; UserError if there is none."""
    prefix = f"{video}*" if len(video) >= _SHORTEST_SHA256 and video.isalnum() else ""
    rows = connection.execute(
        "SELECT id, sha256 FROM video WHERE name = ? OR sha256 GLOB ? ORDER BY id LIMIT 100",
        (printable(video), prefix),
    ).fetchall()
    if not rows:
        raise UserError(
            f"The gallery has no video '{video:.100}'. `kprtrack gallery show` lists the videos of a person."
        )
    return [(id_of(row), name_of(sha256)) for row, sha256 in rows]


def _several(video: str, hashes: Sequence[str]) -> UserError:
    shown = ", ".join(sha256[:12] for sha256 in hashes)
    return UserError(f"{len(hashes)} videos are named {video:.100}. Write one by its sha256: {shown}.")


def _header(value: object, sha256: object) -> dict[str, Any]:
    try:
        header = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or not all(
        isinstance(header.get(key), dict) for key in ("video", "reid")
    ):
        raise DamagedError("the header of a video is none")
    return {**header, "video": {**header["video"], "sha256": name_of(sha256)}}  # `video_key` returns it
