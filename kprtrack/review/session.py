"""A result with its edits file, as the page shows it."""

import threading
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kprtrack.core.errors import UserError
from kprtrack.core.tables.drawing import MIN_CONFIDENCE, colour_of
from kprtrack.edits import EditedTracks, Edits
from kprtrack.edits.state import DELETED, EditState
from kprtrack.io import TrackFile
from kprtrack.review.moments import risky_moments

MOST_FRAMES = 256  # whose boxes are sent at once
_CANDIDATES = 12  # the largest boxes, of which the least overlapped one becomes the thumbnail
_THUMBNAIL_OVERLAP = 0.15  # of a box by others, from which on it is a bad thumbnail


class OutdatedError(UserError):
    """The edits have changed since the page has seen them."""


@dataclass(frozen=True)
class Snapshot:
    """The corrected result after some edits.

    Args:
        version: Of the edits file.
        edits: The edits.
        edited: What they make of the result.
    """

    version: str
    edits: Edits
    edited: EditedTracks

    @cached_property
    def state(self) -> EditState:
        """The boxes as columns."""
        return EditState.of(self.edited.tracks)

    @cached_property
    def moments(self) -> list[dict[str, object]]:
        """The riskiest moments."""
        return [asdict(moment) for moment in risky_moments(self.edited.tracks)]

    @cached_property
    def summary(self) -> dict[str, object]:
        """All tracks, as spans of frames, and all edits."""
        names, state = self.edited.names, self.state
        order = np.lexsort((state.frame, state.ids))
        ids, starts = np.unique(state.ids[order], return_index=True)
        tracks = []
        for track_id, rows in zip(ids.tolist(), np.split(order, starts[1:]) if len(ids) else [], strict=True):
            if track_id == DELETED:
                continue
            at = state.frame[rows]
            ends = np.flatnonzero(np.diff(at) > 1)
            firsts, lasts = at[np.append(0, ends + 1)], at[np.append(ends, len(at) - 1)]
            tracks.append(
                {
                    "id": track_id,
                    "name": names.get(track_id, ""),
                    "colour": "#{:02x}{:02x}{:02x}".format(*colour_of(track_id)),
                    "boxes": len(rows),
                    "spans": np.stack([firsts, lasts], axis=1).ravel().tolist(),
                }
            )
        tracks.sort(key=lambda each: (each["spans"][0], each["id"]))
        results = {each.edit.number: each for each in self.edited.report}
        edits = [
            {
                "number": edit.number,
                "text": edit.text,
                "status": results[edit.number].status if edit.number in results else "undone",
                "details": results[edit.number].details if edit.number in results else "",
            }
            for edit in self.edits.edits
        ]
        return {"version": self.version, "tracks": tracks, "edits": edits}

    def boxes(self, first: int, count: int) -> list[list[list[object]]]:
        """Return the people of some frames: track ID, score, box and keypoints (x, y; None: unsure)."""
        found = []
        for tracks in self.edited.tracks.frames[first : first + min(count, MOST_FRAMES)]:
            people: list[list[object]] = []
            for person in tracks:
                points = np.round(person.keypoints[:, :2], 1)
                sure = (person.keypoints[:, 2] > MIN_CONFIDENCE) & np.isfinite(points).all(axis=1)
                flat = [
                    value
                    for point, ok in zip(points.tolist(), sure, strict=True)
                    for value in (point if ok else (None, None))
                ]
                people.append(
                    [person.track_id, round(person.score, 3), np.round(person.box, 1).tolist(), flat]
                )
            found.append(people)
        return found

    def best_box(self, track_id: int) -> tuple[int, np.ndarray] | None:
        """Return the index of a frame, and the box, that show a track well: large, overlapped by few others.

        It is from the middle third of the track; None: there is no such track.
        """
        state = self.state
        rows = state.rows(track_id)
        if not len(rows):
            return None
        rows = rows[len(rows) // 3 :][: max(len(rows) // 3, 1)]
        areas = np.prod(state.boxes[rows, 2:] - state.boxes[rows, :2], axis=1)
        best = 2.0, int(rows[0])
        for row in rows[np.argsort(-areas)][:_CANDIDATES].tolist():
            others = state.in_frame(int(state.frame[row]))
            covered = _covered(state.boxes[row], state.boxes[others[others != row]])
            best = min(best, (covered, row), key=lambda one: one[0])
            if covered < _THUMBNAIL_OVERLAP:
                break
        return int(state.frame[best[1]]), state.boxes[best[1]]


class ReviewSession:
    """A result and its edits file, which other windows and programs may change, too.

    Args:
        tracks: The result, without edits.
        path: The edits file, which need not exist.

    Raises:
        InputError: The edits file has a line that is wrong.
    """

    def __init__(self, tracks: TrackFile, path: Path) -> None:
        self.tracks, self.path = tracks, path
        self._lock = threading.RLock()
        self._stamp: tuple[int, int] | None = None
        self._snapshot: Snapshot | None = None
        self.snapshot()

    def snapshot(self) -> Snapshot:
        """Return the result after the edits that the file has now.

        Raises:
            InputError: A line of the file is wrong.
        """
        with self._lock:
            stamp = self._file_stamp()
            if self._snapshot is None or stamp != self._stamp:
                edits = Edits.read(self.path) if stamp != (0, 0) else Edits(self.path)
                version = f"{len(edits.records)}.{stamp[0]}"
                self._snapshot = Snapshot(version, edits, edits.apply(self.tracks))
                self._stamp = stamp
            assert self._snapshot is not None
            return self._snapshot

    def add(self, text: str, version: str) -> Snapshot:
        """Add an edit to the file; it is on the disk when this returns.

        Args:
            text: Such as "7 = 3" or "undo".
            version: Of the snapshot whose track IDs the text names.

        Raises:
            OutdatedError: The file has other edits by now.
            UserError: The text is wrong, or does not fit the result.
            OutputError: The file cannot be written.
        """
        with self._lock:
            self._validate_version(version)
            self.snapshot().edits.append(self.tracks, text)
            self._snapshot = None  # read again: another program may have added edits, too
            return self.snapshot()

    def preview(self, text: str, version: str) -> str:
        """Return what an edit would change. Arguments and errors: as `add`."""
        with self._lock:
            self._validate_version(version)
            before = self.snapshot().edits
            after = before.preview(self.tracks, text)
            if len(after.edits) == len(before.edits):
                [number] = after.undone - before.undone
                return f"edit {number}, {after.edits[number - 1].text}, no longer counts"
            return after.apply(self.tracks).report[-1].details

    def _validate_version(self, version: str) -> None:
        if self.snapshot().version != version:
            raise OutdatedError("The edits have changed in another window. Look again, and repeat the edit.")

    def _file_stamp(self) -> tuple[int, int]:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return 0, 0
        return stat.st_size, stat.st_mtime_ns


def _covered(box: np.ndarray, others: np.ndarray) -> float:
    """The largest part of a box that one of others covers."""
    if not len(others):
        return 0.0
    size = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    area = max(float(np.prod(box[2:] - box[:2])), 1e-9)
    return float(np.prod(np.maximum(size, 0), axis=1).max()) / area
