"""Find the prototypes that are most similar to a query."""

import sqlite3
from collections.abc import Iterable, Iterator

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.errors import UserError
from kprtrack.core.part_distance import compare, prepare
from kprtrack.gallery.reading import HIT, hit_of
from kprtrack.gallery.records import Hit
from kprtrack.gallery.rows import appearance_of, shape_of
from kprtrack.gallery.signatures import Signatures

_Row = tuple[int, object, object, object]
_PROTOTYPES = "SELECT id, visible, prompted, embedding FROM prototype"
_RERANKED = 1000  # prototypes that the index selects; they are compared exactly
_RERANKED_PER_HIT = 10
_AT_ONCE = 1024  # prototypes: their features stay in the processor's cache


def search(
    connection: sqlite3.Connection, query: Appearance, count: int, signatures: Signatures | None
) -> list[Hit]:
    """Return the nearest prototypes, within a transaction. Arguments and errors: as `Gallery.search`."""
    shape = shape_of(connection)
    if shape is None or not len(query) or count < 1:
        return []
    if query.features.shape[1:] != shape:
        raise UserError(
            f"The query has embeddings of {' x '.join(map(str, query.features.shape[1:]))}, the gallery of"
            f" {shape[0]} x {shape[1]}. Use the ReID encoder of the gallery."
        )
    ids, distances = _compared(query, shape, _rows(connection, query, count, signatures))
    nearest = np.lexsort((ids, distances))[:count]
    return [
        hit_of(
            connection.execute(f"SELECT {HIT} WHERE prototype.id = ?", (int(ids[row]),)).fetchone(),
            float(distances[row]),
        )
        for row in nearest
        if np.isfinite(distances[row])
    ]


def _rows(
    connection: sqlite3.Connection, query: Appearance, count: int, signatures: Signatures | None
) -> Iterator[list[_Row]]:
    """Yield the prototypes to be compared, some at a time: all, or those that the index selects."""
    ids, last = np.zeros(0, np.int64), 0
    if signatures is not None:
        last = signatures.last
        ids = signatures.nearest(query, max(_RERANKED, _RERANKED_PER_HIT * count))
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE].tolist()
        yield connection.execute(f"{_PROTOTYPES} WHERE id IN ({', '.join('?' * len(some))})", some).fetchall()
    cursor = connection.execute(f"{_PROTOTYPES} WHERE id > ? ORDER BY id", (last,))
    while rows := cursor.fetchmany(_AT_ONCE):
        yield rows


def _compared(
    query: Appearance, shape: tuple[int, int], rows: Iterable[list[_Row]]
) -> tuple[np.ndarray, np.ndarray]:
    """IDs [N] int64 and exact distances [N] float32 of prototypes, to the nearest of the query."""
    prepared = prepare(query.features, query.visible, "cosine")
    ids, distances = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for some in rows:
        appearance = appearance_of([row[1:] for row in some], shape)
        ids.append(np.array([row[0] for row in some], np.int64))
        parts = prepare(appearance.features, appearance.visible, "cosine")
        distances.append(compare(prepared, parts, metric="cosine").min(0))
    return np.concatenate(ids), np.concatenate(distances)
