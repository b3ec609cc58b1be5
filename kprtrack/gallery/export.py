"""The persons of a gallery as a table or a JSON document."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict

from kprtrack.gallery.records import Person

COLUMNS = (
    "person",
    "name",
    "notes",
    "video",
    "sha256",
    "track",
    "first_s",
    "last_s",
    "prototypes",
)


def persons_csv(persons: Iterable[Person]) -> bytes:
    """Return CSV with one row per person and track; a person who was not seen has one row without a track."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for person in persons:
        about = (person.id, person.name or "", person.notes)
        for one in person.sightings:
            seen = (one.video, one.sha256, one.track_id, one.first_s, one.last_s, one.prototypes)
            writer.writerow((*about, *seen))
        if not person.sightings:
            writer.writerow((*about, *[""] * 6))
    return text.getvalue().encode()


def persons_json(persons: Iterable[Person]) -> bytes:
    """Return a JSON list of persons with where they were seen."""
    listed = []
    for person in persons:
        tracks = [
            {("track" if key == "track_id" else key): value for key, value in asdict(one).items()}
            for one in person.sightings
        ]
        listed.append({"person": person.id, "name": person.name, "notes": person.notes, "tracks": tracks})
    return json.dumps(listed, indent=2, ensure_ascii=False).encode() + b"\n"
