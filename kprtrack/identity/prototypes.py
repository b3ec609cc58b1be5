"""Prototypes: embeddings by which the tracks of a video can be recognised without running a network again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Tracks, check_shape
from kprtrack.core.geometry import iou
from kprtrack.identity.evidence import EVIDENCE, evidence_of, evidence_to_json, relabelled_evidence

_SAME_BOX_IOU = 0.9  # text formats round boxes


@dataclass(frozen=True)
class TrackPrototypes:
    """What a run keeps of the T tracks of a video: M prototypes, and the mean embedding of each track.

    A prototype is the embedding of one unoccluded sighting. Those of a track differ from each other as much
    as its sightings allow.

    Args:
        header: "video" and "reid" as in a result file, "skeleton", "complete", "kprtrack", "evidence" of
            re-identifications (`kprtrack.identity.evidence`).
        track_ids: [T] int64, rising.
        first_s: [T] float64, seconds, of the first detection.
        last_s: [T] float64, of the last one.
        first_frame: [T] int64, frame number of the first detection.
        last_frame: [T] int64, of the last one.
        boxes_seen: [T] int64, frames with a detection.
        means: [T, P, D] mean of the unoccluded embeddings, per part; a part never seen is invisible.
        weights: [T] int64, how many embeddings are in the mean.
        track_row: [M] int64, row of the track of each prototype, rising.
        embeddings: [M, P, D] the prototypes.
        frames: [M] int64, frame numbers, rising within a track.
        times_s: [M] float64, seconds.
        boxes: [M, 4] float32, x1 y1 x2 y2, pixels.
        keypoints: [M, K, 3] float32, x y confidence.
        quality: [M] float32 in [0, 1]: score x share of visible parts x share of the box not occluded x size.
        together: [C, 2] int64, pairs of track IDs seen in one frame, the smaller first: two people.

    Raises:
        ValueError: The shapes do not fit.
    """

    header: Mapping[str, Any]
    track_ids: np.ndarray
    first_s: np.ndarray
    last_s: np.ndarray
    first_frame: np.ndarray
    last_frame: np.ndarray
    boxes_seen: np.ndarray
    means: Appearance
    weights: np.ndarray
    track_row: np.ndarray
    embeddings: Appearance
    frames: np.ndarray
    times_s: np.ndarray
    boxes: np.ndarray
    keypoints: np.ndarray
    quality: np.ndarray
    together: np.ndarray

    def __post_init__(self) -> None:
        count, kept = len(self.track_ids), len(self.track_row)
        for name in ("first_s", "last_s", "first_frame", "last_frame", "boxes_seen", "weights"):
            check_shape(f"TrackPrototypes.{name}", getattr(self, name), (count,))
        for name in ("frames", "times_s", "quality"):
            check_shape(f"TrackPrototypes.{name}", getattr(self, name), (kept,))
        check_shape("TrackPrototypes.boxes", self.boxes, (kept, 4))
        check_shape("TrackPrototypes.keypoints", self.keypoints, (kept, None, 3))
        check_shape("TrackPrototypes.together", self.together, (None, 2))
        check_shape("TrackPrototypes.means", self.means.features, (count, None, None))
        check_shape("TrackPrototypes.embeddings", self.embeddings.features, (kept, None, None))

    def __len__(self) -> int:
        return len(self.track_ids)

    def of(self, track_id: int) -> np.ndarray:
        """Return the rows [m] of the prototypes of a track."""
        return np.flatnonzero(self.track_ids[self.track_row] == track_id)

    def relabelled(self, frames: Sequence[Tracks]) -> Self:
        """Return the prototypes with the track IDs of a corrected result of the same run.

        The mean of a track that was merged or split is that of its prototypes.

        Args:
            frames: The corrected tracks; a prototype belongs to the track at its box, or to none.
        """
        ids = self._ids_in(frames)
        kept = np.flatnonzero(ids > 0)
        order = kept[np.lexsort((self.frames[kept], ids[kept]))]
        spans = _spans(frames)
        track_ids = np.array(sorted(spans), np.int64)
        track_row = np.searchsorted(track_ids, ids[order])
        embeddings = self.embeddings[order]
        sources = [np.unique(self.track_row[ids == track_id]) for track_id in track_ids.tolist()]
        targets = [np.unique(ids[self.track_row == row]) for row in range(len(self))]
        features, visible = _means(embeddings, track_row, len(track_ids))
        weights = np.bincount(track_row, minlength=len(track_ids)).astype(np.int64)
        for row, source in enumerate(sources):
            if len(source) == 1 and len(targets[source[0]]) == 1:  # the same track as before
                features[row] = self.means.features[source[0]]
                visible[row] = self.means.visible[source[0]]
                weights[row] = self.weights[source[0]]
        times = [spans[track_id] for track_id in track_ids.tolist()]
        names = {  # by the last prototype of a track, of those that are still there
            int(self.track_ids[row]): int(ids[rows[-1]])
            for row in range(len(self))
            if len(rows := np.flatnonzero((self.track_row == row) & (ids > 0)))
        }
        evidence = relabelled_evidence(evidence_of(self.header), frames, names)
        header = {**self.header, EVIDENCE: evidence_to_json(evidence)}
        header.pop("identity_confidence", None)  # of other tracks
        return replace(
            self,
            header=header,
            track_ids=track_ids,
            first_s=np.array([first.time_s for first, _, _ in times], np.float64),
            last_s=np.array([last.time_s for _, last, _ in times], np.float64),
            first_frame=np.array([first.frame_number for first, _, _ in times], np.int64),
            last_frame=np.array([last.frame_number for _, last, _ in times], np.int64),
            boxes_seen=np.array([seen for _, _, seen in times], np.int64),
            means=Appearance(features, visible, np.zeros(len(track_ids), bool)),
            weights=weights,
            track_row=track_row,
            embeddings=embeddings,
            **{name: getattr(self, name)[order] for name in _OF_PROTOTYPES},
            together=pairs_together(frames),
        )

    def _ids_in(self, frames: Sequence[Tracks]) -> np.ndarray:
        """[M] the track ID at the box of each prototype; 0: there is none."""
        ids = np.zeros(len(self.frames), np.int64)
        by_number = {tracks.frame_number: tracks for tracks in frames}
        for row, number in enumerate(self.frames.tolist()):
            tracks = by_number.get(number)
            if tracks is not None and len(tracks):
                overlap = iou(self.boxes[row : row + 1], tracks.boxes)[0]
                if overlap.max() >= _SAME_BOX_IOU:
                    ids[row] = tracks.ids[int(overlap.argmax())]
        return ids


_OF_PROTOTYPES = ("frames", "times_s", "boxes", "keypoints", "quality")


def pairs_together(frames: Sequence[Tracks]) -> np.ndarray:
    """Return the pairs of track IDs seen in one frame, [C, 2] int64, sorted, the smaller first."""
    pairs: set[tuple[int, int]] = set()
    before: list[int] = []
    for tracks in frames:
        add_together(pairs, before, sorted(tracks.ids.tolist()))
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def add_together(pairs: set[tuple[int, int]], before: list[int], ids: list[int]) -> None:
    """Add the pairs of a frame.

    Args:
        pairs: Of all frames before; extended.
        before: The IDs of the frame before; replaced by `ids`.
        ids: Those of this frame, rising.
    """
    old = set(before)
    for number in ids:
        if number not in old:  # the pairs of the others are known
            pairs.update((min(number, other), max(number, other)) for other in ids if other != number)
    before[:] = ids


def _spans(frames: Sequence[Tracks]) -> dict[int, tuple[Tracks, Tracks, int]]:
    """First and last frame of each track, and the number of its boxes."""
    spans: dict[int, tuple[Tracks, Tracks, int]] = {}
    for tracks in frames:
        for number in tracks.ids.tolist():
            first, _, seen = spans.get(number, (tracks, tracks, 0))
            spans[number] = first, tracks, seen + 1
    return spans


def _means(embeddings: Appearance, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the visible parts of each track, of unit length, [T, P, D], and what is visible, [T, P]."""
    sums = np.zeros((count, *embeddings.features.shape[1:]), np.float32)
    np.add.at(sums, rows, embeddings.features * embeddings.visible[:, :, None])
    visible = np.zeros(sums.shape[:2], bool)
    np.logical_or.at(visible, rows, embeddings.visible)
    return unit_length(sums), visible


def unit_length(features: np.ndarray) -> np.ndarray:
    """Scale embeddings [..., D] to unit length; 0 stays 0."""
    lengths = np.sqrt(np.einsum("...d,...d->...", features, features))[..., None]
    scaled: np.ndarray = features / np.maximum(lengths, 1e-12)
    return scaled
