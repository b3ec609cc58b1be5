"""Remove sightings, also from the index."""

import sqlite3
from collections.abc import Iterable


def forget(connection: sqlite3.Connection, sightings: Iterable[int]) -> None:
    """Remove sightings (row IDs) with their prototypes."""
    rows = [(sighting,) for sighting in sightings]
    connection.executemany("DELETE FROM prototype WHERE sighting = ?", rows)
    connection.executemany("DELETE FROM sighting WHERE id = ?", rows)
