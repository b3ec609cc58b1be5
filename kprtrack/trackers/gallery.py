"""Lost tracks that may still be re-identified: their embeddings in rows that are allocated once."""

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.part_distance import Metric, Parts, compare, prepare, squared_lengths
from kprtrack.trackers.track_store import TrackStore

_FIRST_ROWS = 128  # allocated at first; doubled whenever they are full


class Gallery:
    """Embeddings of up to `max_tracks` lost tracks, the latest; R rows, some of them free.

    A row is used again when its track was removed, so time and memory depend on the number of tracks in the
    gallery, not on the number that ever were.
    """

    def __init__(self, metric: Metric, max_tracks: int | None) -> None:
        self._metric: Metric = metric
        self._max_tracks = max_tracks
        self.ids = np.zeros(0, np.int64)  # [R]
        self.first_seen_s = np.zeros(0)  # [R]
        self.last_seen_s = np.zeros(0)  # [R] -inf: the row is free
        # Ready to be compared by one matrix product: without weight in free rows.
        nothing = np.zeros((0, 0), np.float32)
        self._parts = Parts(nothing[:, :, None], nothing, nothing, zeroed=True)

    def __len__(self) -> int:
        return int(np.count_nonzero(np.isfinite(self.last_seen_s)))

    @property
    def nbytes(self) -> int:
        """Memory of all rows, in bytes."""
        parts = self._parts.features, self._parts.weights, self._parts.squares
        return sum(array.nbytes for array in (self.ids, self.first_seen_s, self.last_seen_s, *parts))

    def add(self, store: TrackStore, rows: np.ndarray) -> None:
        """Add the tracks `rows` [K] of the store; without room, those lost for longest are removed."""
        if self._max_tracks is not None and len(rows) > self._max_tracks:
            rows = rows[np.argsort(-store.last_seen_s[rows], kind="stable")[: self._max_tracks]]
        if not len(rows):
            return
        embeddings = store.embeddings_of(rows)
        embeddings.features[~embeddings.visible] = 0
        free = self._free_rows(len(rows), embeddings.features.shape[1:])
        self.ids[free] = store.ids[rows]
        self.first_seen_s[free] = store.first_seen_s[rows]
        self.last_seen_s[free] = store.last_seen_s[rows]
        self._parts.features[free] = embeddings.features
        self._parts.weights[free] = embeddings.visible
        self._parts.squares[free] = squared_lengths(embeddings.features)

    def remove(self, rows: np.ndarray) -> None:
        """Free the rows `rows` (indices or a mask); some may be free already."""
        self.last_seen_s[rows] = -np.inf
        self._parts.weights[rows] = 0

    def distances(self, people: Appearance) -> np.ndarray:
        """[A, R] part distance of A people to every row; inf for free rows."""
        if not len(self.ids):
            return np.zeros((len(people), 0), np.float32)
        return compare(
            prepare(people.features, people.visible, self._metric), self._parts, metric=self._metric
        )

    def parts_of(self, row: int) -> Parts:
        """The embedding of a row."""
        return self._parts[slice(row, row + 1)]

    def _free_rows(self, count: int, shape: tuple[int, ...]) -> np.ndarray:
        """Indices of `count` free rows, made free if need be; `shape` is that of an embedding, P and D."""
        free = np.flatnonzero(np.isneginf(self.last_seen_s))
        capacity = len(self.ids)
        if len(free) < count and capacity != self._max_tracks:
            wanted = max(_FIRST_ROWS, 2 * capacity, capacity + count)
            self._resize(wanted if self._max_tracks is None else min(wanted, self._max_tracks), shape)
            free = np.flatnonzero(np.isneginf(self.last_seen_s))
        if len(free) < count:
            missing = count - len(free)
            last_seen_s = np.where(np.isneginf(self.last_seen_s), np.inf, self.last_seen_s)
            self.remove(np.argsort(last_seen_s, kind="stable")[:missing])
            free = np.flatnonzero(np.isneginf(self.last_seen_s))
        return free[:count]

    def _resize(self, capacity: int, shape: tuple[int, ...]) -> None:
        """Make room for `capacity` rows, not fewer than before."""
        used, parts = len(self.ids), shape[0]

        def larger(old: np.ndarray, *shape: int) -> np.ndarray:
            new = np.zeros((capacity, *shape), old.dtype)  # the system provides memory where it is written
            if used:
                new[:used] = old
            return new

        self.ids = larger(self.ids)
        self.first_seen_s = larger(self.first_seen_s)
        self.last_seen_s = larger(self.last_seen_s)
        self.last_seen_s[used:] = -np.inf
        self._parts = Parts(
            larger(self._parts.features, *shape),
            larger(self._parts.weights, parts),
            larger(self._parts.squares, parts),
            zeroed=True,
        )
