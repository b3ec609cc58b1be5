"""The index of a large gallery: a short signature of every prototype.

The embeddings of all parts side by side, 0 where a part is invisible, are one vector; so the scalar product
of two of them is the sum of the cosines of the parts visible in both, and a query with invisible parts needs
nothing of its own. A signature is that vector in the directions in which prototypes have most of their length
(principal components). A query is compared with the first numbers of all signatures, then with the whole
signatures of the nearest few per cent; the prototypes selected so are compared exactly (search.py).
"""

import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.gallery.connection import DamagedError, whole
from kprtrack.gallery.rows import appearance_of, array_of, blob_of, id_of, shape_of, visible_bits
from kprtrack.gallery.schema import MOST_PARTS

EXACT_UP_TO = 100_000  # prototypes; up to there all are compared
MOST_UNSIGNED = 1000  # prototypes without a signature yet; they are compared, too
# Numbers: with the package's encoder on CUHK03, 86 and 95 % of the squared length of the vectors.
_COARSE, _LENGTH = 32, 96
_SHARE = 0.015  # of the prototypes, whose whole signatures are compared
_MOST_MORE = 4.0  # times as many, if few parts of the query are visible
_SAMPLE = 20_000  # prototypes that the directions are chosen by
_ITERATIONS = 6
_CHANGED = 4  # times as many prototypes, or as few
_BLOCK = 4096  # prototypes
_AT_ONCE = 1 << 16  # prototypes
_ENOUGH, _MOST_SPARSE = 200, 16  # the limit of the nearest ones is the rank 200 or more of every 16th or more
_LARGEST = 1 << 62


@dataclass(frozen=True)
class Signatures:
    """The signatures of N prototypes in memory.

    Args:
        generation: Of the index that they were read from.
        last: ID of the last prototype that has a signature.
        basis: [k, P * D] float32.
        ids: [N] int64.
        visible: [N] unsigned, bit p is part p.
        coarse: [N, c] float32, the first numbers of the signatures.
        fine: [N, k - c] float16, the others.
    """

    generation: int
    last: int
    basis: np.ndarray
    ids: np.ndarray
    visible: np.ndarray
    coarse: np.ndarray
    fine: np.ndarray

    def nearest(self, query: Appearance, count: int) -> np.ndarray:
        """Select prototypes that may be the nearest ones.

        Args:
            query: [Q, P, D].
            count: How many for each row of the query; more if few of its parts are visible.

        Returns:
            IDs, rising.
        """
        wanted = _flat(query) @ self.basis.T
        bits = visible_bits(query.visible).astype(self.visible.dtype)
        # Fewer parts are a smaller share of a signature.
        more = np.minimum(query.visible.shape[1] / np.maximum(query.visible.sum(1), 1), _MOST_MORE)
        chosen = [
            self._nearest(wanted[row], bits[row], int(min(more[row], 2) * count), float(more[row]) * _SHARE)
            for row in range(len(query))
        ]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *chosen]))

    def _nearest(self, wanted: np.ndarray, bits: np.ndarray, count: int, share: float) -> np.ndarray:
        split, total = self.coarse.shape[1], len(self.ids)
        weights = np.zeros(MOST_PARTS + 1, np.float32)  # by the number of parts visible in both
        weights[1:] = 1 / np.arange(1, MOST_PARTS + 1)
        similarity = np.empty(total, np.float32)
        for start in range(0, total, _AT_ONCE):  # what is computed between stays in the processor's cache
            here = slice(start, start + _AT_ONCE)
            weight = weights[np.bitwise_count(self.visible[here] & bits)]
            np.matmul(self.coarse[here], wanted[:split], out=similarity[here])
            similarity[here] *= weight
            similarity[here][weight == 0] = -np.inf
        rows = np.flatnonzero(similarity >= _limit(similarity, max(2 * count, int(share * total))))
        weight = weights[np.bitwise_count(self.visible[rows] & bits)]
        similarity = similarity[rows] + weight * (self.fine[rows].astype(np.float32) @ wanted[split:])
        if len(rows) > count:
            rows = rows[np.argpartition(-similarity, count)[:count]]
        ids: np.ndarray = self.ids[rows]
        return ids


def _limit(similarity: np.ndarray, few: int) -> float:
    """A similarity that about `few` of all [N] reach, found from some of them; at least finite."""
    step = int(np.clip(few // _ENOUGH, 1, _MOST_SPARSE))
    some, rank = similarity[::step], few // step
    limit = np.partition(some, len(some) - rank)[len(some) - rank] if 0 < rank < len(some) else -np.inf
    return max(float(limit), float(np.finfo(np.float32).min))


def read_signatures(connection: sqlite3.Connection, known: Signatures | None) -> Signatures | None:
    """Return the signatures of a gallery.

    Args:
        connection: Of the gallery, within a transaction.
        known: Those that were read before, returned if they are still those of the gallery.

    Returns:
        None: the gallery is too small to have an index.

    Raises:
        DamagedError: The index is damaged.
    """
    row = connection.execute("SELECT generation, last_prototype FROM search_space").fetchone()
    shape = shape_of(connection)
    if row is None or shape is None:
        return None
    generation, last = (whole(value, "a number of the index", 0, _LARGEST) for value in row)
    if known is not None and known.generation == generation:
        return known
    basis = _basis(connection, shape)
    blocks = [
        _block(values, len(basis))
        for values in connection.execute("SELECT prototypes, visible, signatures FROM block ORDER BY id")
    ]
    count, split = sum(len(ids) for ids, _, _ in blocks), min(_COARSE, len(basis))
    found = Signatures(
        generation,
        last,
        basis,
        np.zeros(count, np.int64),
        np.zeros(count, np.min_scalar_type((1 << shape[0]) - 1)),
        np.zeros((count, split), np.float32),
        np.zeros((count, len(basis) - split), np.float16),
    )
    end = 0
    for ids, visible, signatures in blocks:
        rows = slice(end, end := end + len(ids))
        found.ids[rows], found.visible[rows] = ids, visible
        found.coarse[rows], found.fine[rows] = signatures[:, :split], signatures[:, split:]
    return found


def update(connection: sqlite3.Connection) -> None:
    """Bring the index up to date, within a transaction; a small gallery has none."""
    (total,) = connection.execute("SELECT count(*) FROM prototype").fetchone()
    shape = shape_of(connection)
    if total <= EXACT_UP_TO or shape is None:
        connection.execute("DELETE FROM search_space")
        connection.execute("DELETE FROM block")
        return
    row = connection.execute("SELECT trained_on, last_prototype FROM search_space").fetchone()
    trained_on, last = (0, 0) if row is None else row
    if total > _CHANGED * trained_on or _CHANGED * total < trained_on:  # they may have other directions now
        connection.execute("DELETE FROM block")
        connection.execute(
            "INSERT OR REPLACE INTO search_space VALUES (1, 0, 0, ?, ?)",
            (total, blob_of(_trained(connection, shape), "f4")),
        )
        _sign(connection, shape, 0)
        return
    (unsigned,) = connection.execute("SELECT count(*) FROM prototype WHERE id > ?", (last,)).fetchone()
    if unsigned > MOST_UNSIGNED:
        _sign(connection, shape, last)


def forget(connection: sqlite3.Connection, sightings: Iterable[int]) -> None:
    """Remove sightings (row IDs) with their prototypes, also from the index."""
    rows = [(sighting,) for sighting in sightings]
    if connection.execute("SELECT 1 FROM search_space").fetchone():
        removed = [
            prototype
            for row in rows
            for (prototype,) in connection.execute("SELECT id FROM prototype WHERE sighting = ?", row)
        ]
        _remove(connection, np.array(removed, np.int64))
    connection.executemany("DELETE FROM prototype WHERE sighting = ?", rows)
    connection.executemany("DELETE FROM sighting WHERE id = ?", rows)


def _remove(connection: sqlite3.Connection, removed: np.ndarray) -> None:
    shape = shape_of(connection)
    if shape is None or not len(removed):
        return
    length = len(_basis(connection, shape))
    for row, values in connection.execute("SELECT id, prototypes FROM block").fetchall():
        if not np.isin(array_of(values, "a block", "i8", 1), removed).any():
            continue
        columns = connection.execute("SELECT prototypes, visible, signatures FROM block WHERE id = ?", (row,))
        ids, visible, signatures = _block(columns.fetchone(), length)
        left = ~np.isin(ids, removed)
        connection.execute("DELETE FROM block WHERE id = ?", (row,))
        _insert(connection, ids[left], visible[left], signatures[left])


def _insert(
    connection: sqlite3.Connection, ids: np.ndarray, visible: np.ndarray, signatures: np.ndarray
) -> None:
    """Add a block, and change the generation."""
    if len(ids):
        values = (blob_of(ids, "i8"), blob_of(visible, "i8"), blob_of(signatures, "f2"))
        connection.execute("INSERT INTO block (prototypes, visible, signatures) VALUES (?, ?, ?)", values)
    # Random, so that two programs that change copies or undo changes never have the same one.
    connection.execute("UPDATE search_space SET generation = ?", (secrets.randbits(62),))


def _sign(connection: sqlite3.Connection, shape: tuple[int, int], last: int) -> None:
    """Add the signatures of the prototypes after the last one that has one."""
    basis = _basis(connection, shape)
    for ids, some in _prototypes(connection, shape, "id > ?", (last,)):
        signatures = (_flat(some) @ basis.T).astype(np.float16)
        _insert(connection, ids, visible_bits(some.visible), signatures)
        connection.execute("UPDATE search_space SET last_prototype = ?", (int(ids[-1]),))


def _trained(connection: sqlite3.Connection, shape: tuple[int, int]) -> np.ndarray:
    """[k, P * D] the directions in which a sample of all prototypes has most of its length, sorted."""
    (last,) = connection.execute("SELECT max(id) FROM prototype").fetchone()
    random = np.random.default_rng(0)
    step = max(last // _SAMPLE, 1)
    some = _prototypes(connection, shape, "id % ? = ?", (step, int(random.integers(step))))
    sample = np.concatenate(
        [np.zeros((0, shape[0] * shape[1]), np.float32), *(_flat(one) for _, one in some)]
    )
    length = min(_LENGTH, sample.shape[1])
    basis = random.standard_normal((sample.shape[1], length)).astype(np.float32)
    for _ in range(_ITERATIONS):  # subspace iteration
        basis = np.linalg.qr(sample.T @ (sample @ basis))[0]
    within = sample @ basis
    order = np.linalg.eigh(within.T @ within)[1][:, ::-1]
    return np.ascontiguousarray((basis @ order).T)


def _prototypes(
    connection: sqlite3.Connection, shape: tuple[int, int], where: str, values: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, Appearance]]:
    """Yield the IDs and embeddings of prototypes, many at a time, by ID."""
    last = 0
    statement = f"SELECT id, visible, prompted, embedding FROM prototype WHERE {where}"
    while rows := connection.execute(
        f"{statement} AND id > ? ORDER BY id LIMIT ?", (*values, last, _BLOCK)
    ).fetchall():
        ids = np.array([id_of(row[0]) for row in rows], np.int64)
        yield ids, appearance_of([row[1:] for row in rows], shape)
        last = int(ids[-1])


def _block(row: tuple[object, ...], length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ids, visible = (array_of(value, "a block", "i8", 1)[:, 0] for value in row[:2])
    signatures = array_of(row[2], "a block", "f2", length)
    if not len(ids) == len(visible) == len(signatures):
        raise DamagedError("a block has columns of several lengths")
    return ids, visible, signatures


def _basis(connection: sqlite3.Connection, shape: tuple[int, int]) -> np.ndarray:
    (value,) = connection.execute("SELECT basis FROM search_space").fetchone()
    basis = array_of(value, "the index", "f4", shape[0] * shape[1])
    if len(basis) != min(_LENGTH, basis.shape[1]):
        raise DamagedError("the index has another length")
    return basis


def _flat(people: Appearance) -> np.ndarray:
    """[N, P * D], 0 where a part is invisible."""
    shown: np.ndarray = np.where(people.visible[:, :, None], people.features, 0).reshape(len(people), -1)
    return shown
