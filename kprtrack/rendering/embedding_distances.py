"""How far the embedding of each person is from that person's others, and from the nearest other person."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kprtrack.core.appearance import Appearance, part_distance
from kprtrack.core.assignment import assign
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.core.geometry import iou
from kprtrack.io import ObservationFile, TrackFile
from kprtrack.io.same_video import validate_size, video_size

MIN_IOU = 0.5  # of the box of a track and that of its observation


@dataclass(frozen=True)
class EmbeddingDistances:
    """Distances of the people of a frame; NaN where there is no embedding, or nothing to compare with."""

    own: np.ndarray  # [M] float32, to the mean of the person's embeddings in all other frames
    other: np.ndarray  # [M] float32, to the nearest mean of another person


def embedding_distances(tracks: TrackFile, observations: ObservationFile) -> dict[int, EmbeddingDistances]:
    """Compare every embedding with the mean embedding of each identity of the result.

    Memory: one mean for each identity.

    Args:
        tracks: The result.
        observations: The observations of the same video.

    Returns:
        Frame number -> distances, of the frames that both have.

    Raises:
        InputError: The videos have different sizes, there are no embeddings, or none of the boxes is in both.
    """
    size = video_size(observations.header.video)
    validate_size(tracks.header.video, "the tracks", size, str(observations.path))
    by_frame = {each.frame_number: each for each in tracks.frames}
    ids = sorted({track_id for each in tracks.frames for track_id in each.ids.tolist()})
    place = {track_id: row for row, track_id in enumerate(ids)}
    sums, counts = _sums(by_frame, observations, place)
    means = _appearance(sums, counts)
    found = {}
    for number, rows, embeddings in _matched(by_frame, observations):
        frame = by_frame[number]
        owners = np.array([place[track_id] for track_id in frame.ids[rows].tolist()], np.int64)
        own, other = (np.full(len(frame), np.nan, np.float32) for _ in range(2))
        distances = part_distance(embeddings, means)
        distances[np.arange(len(owners)), owners] = np.inf
        other[rows] = distances.min(axis=1, initial=np.inf)
        own[rows] = [
            _to_others(embeddings, row, sums[owner], counts[owner]) for row, owner in enumerate(owners)
        ]
        for values in (own, other):
            values[np.isinf(values)] = np.nan
        found[number] = EmbeddingDistances(own, other)
    return found


def _sums(
    frames: dict[int, Tracks], observations: ObservationFile, place: dict[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Sum [I, P, D] and number [I, P] of the visible embeddings of each identity."""
    sums, counts = np.zeros((0, 0, 0)), np.zeros((0, 0))
    for number, rows, embeddings in _matched(frames, observations):
        if not len(rows):
            continue
        if not sums.size:
            sums = np.zeros((len(place), *embeddings.features.shape[1:]))
            counts = np.zeros(sums.shape[:2])
        owners = [place[track_id] for track_id in frames[number].ids[rows].tolist()]
        np.add.at(sums, owners, embeddings.features * embeddings.visible[..., None])
        np.add.at(counts, owners, embeddings.visible)
    if not counts.any():
        raise InputError(
            f"{observations.path} has no embeddings of the people in the tracks. Make it of the same video,"
            " with a ReID encoder: kprtrack observe VIDEO --out obs.npz"
        )
    return sums, counts


def _matched(
    frames: dict[int, Tracks], observations: ObservationFile
) -> Iterator[tuple[int, np.ndarray, Appearance]]:
    """Frame number, rows of tracks with an observation, and the embeddings of these."""
    for observation in observations:
        tracks = frames.get(observation.frame_number)
        if tracks is None:
            continue
        pairs = assign(1 - iou(tracks.boxes, observation.detections.boxes), 1 - MIN_IOU)
        given = observation.embeddings
        columns = pairs.columns
        yield (
            observation.frame_number,
            pairs.rows,
            Appearance(given.features[columns], given.visible[columns], given.prompted[columns]),
        )


def _appearance(sums: np.ndarray, counts: np.ndarray) -> Appearance:
    """The directions of the sums [I, P, D]."""
    length = np.linalg.norm(sums, axis=2, keepdims=True)
    features = np.divide(sums, length, out=np.zeros_like(sums), where=length > 0)
    return Appearance(features.astype(np.float32), counts > 0, np.zeros(len(sums), bool))


def _to_others(embeddings: Appearance, row: int, total: np.ndarray, count: np.ndarray) -> float:
    """Distance of one embedding to the mean of the others of its identity."""
    one = Appearance(
        embeddings.features[row : row + 1],
        embeddings.visible[row : row + 1],
        embeddings.prompted[row : row + 1],
    )
    without = (total - one.features[0] * one.visible[0, :, None])[None]
    return float(part_distance(one, _appearance(without, (count - one.visible[0])[None]))[0, 0])
