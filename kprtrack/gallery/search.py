"""Find the prototypes that are most similar to a query."""

import sqlite3

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.errors import UserError
from kprtrack.core.part_distance import compare, prepare
from kprtrack.gallery.reading import HIT, hit_of
from kprtrack.gallery.records import Hit
from kprtrack.gallery.rows import appearance_of, shape_of

_PROTOTYPES = "SELECT id, visible, prompted, embedding FROM prototype"
_AT_ONCE = 1024  # prototypes: their features stay in the processor's cache


def search(connection: sqlite3.Connection, query: Appearance, count: int) -> list[Hit]:
    """Return the nearest prototypes, within a transaction. Arguments and errors: as `Gallery.search`."""
    shape = shape_of(connection)
    if shape is None or not len(query) or count < 1:
        return []
    if query.features.shape[1:] != shape:
        raise UserError(
            f"The query has embeddings of {' x '.join(map(str, query.features.shape[1:]))}, the gallery of"
            f" {shape[0]} x {shape[1]}. Use the ReID encoder of the gallery."
        )
    ids, distances = compared(connection, query, shape, f"{_PROTOTYPES} ORDER BY id")
    nearest = np.lexsort((ids, distances))[:count]
    return [
        hit_of(
            connection.execute(f"SELECT {HIT} WHERE prototype.id = ?", (int(ids[row]),)).fetchone(),
            float(distances[row]),
        )
        for row in nearest
        if np.isfinite(distances[row])
    ]


def compared(
    connection: sqlite3.Connection, query: Appearance, shape: tuple[int, int], statement: str
) -> tuple[np.ndarray, np.ndarray]:
    """Compare a query with prototypes.

    Args:
        connection: Of the gallery.
        query: [Q, P, D].
        shape: P and D.
        statement: Selects `id`, `visible`, `prompted` and `embedding`.

    Returns:
        IDs [N] int64 and exact distances [N] float32, those to the nearest of the query.
    """
    prepared = prepare(query.features, query.visible, "cosine")
    ids, distances = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    cursor = connection.execute(statement)
    while rows := cursor.fetchmany(_AT_ONCE):
        some = appearance_of([row[1:] for row in rows], shape)
        ids.append(np.array([row[0] for row in rows], np.int64))
        parts = prepare(some.features, some.visible, "cosine")
        distances.append(compare(prepared, parts, metric="cosine").min(0))
    return np.concatenate(ids), np.concatenate(distances)
