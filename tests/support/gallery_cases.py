"""Prototypes of made videos: every person has an embedding, and every sighting differs a little from it."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.identity import TrackPrototypes, prototypes_path, write_prototypes
from kprtrack.io import RunHeader, TrackFile, write_tracks
from support.tracks_cases import tracks_of

PARTS, DIMENSIONS = 3, 8
ENCODER = {"name": "small", "weights": "small-kpr", "sha256": "ab" * 32}


def person_embedding(person: int, parts: int = PARTS, dimensions: int = DIMENSIONS) -> np.ndarray:
    """[P, D] of unit length per part, always the same for a person."""
    features = np.random.default_rng(person).standard_normal((parts, dimensions))
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def video_prototypes(
    name: str,
    tracks: Mapping[int, int],
    *,
    together: Sequence[tuple[int, int]] = (),
    each: int = 3,
    seed: int = 0,
    reid: Mapping[str, str] = ENCODER,
    sha256: str | None = None,
) -> TrackPrototypes:
    """Prototypes of a video.

    Args:
        name: Of the video; its sha256 is made from it.
        tracks: The person that each track is.
        together: Pairs of tracks seen at once.
        each: Prototypes of each track; track t is at x = 100 t, at the frames 10 t, 10 t + 1, ...
        seed: Of the noise and the invisible parts.
        reid: The encoder.
        sha256: Of the video, if not made from the name.
    """
    random = np.random.default_rng([seed, len(tracks)])
    ids = np.array(sorted(tracks), np.int64)
    row = np.repeat(np.arange(len(ids)), each)
    features = np.array([person_embedding(tracks[one]) for one in ids[row].tolist()])
    features = features.reshape(-1, PARTS, DIMENSIONS)
    features = features + 0.1 * random.standard_normal(features.shape)
    visible = random.random(features.shape[:2]) < 0.8
    visible[:, 0] = True
    unit = (features / np.linalg.norm(features, axis=2, keepdims=True)).astype(np.float16).astype(np.float32)
    means = np.array([person_embedding(tracks[one]) for one in ids.tolist()], np.float32)
    frames = 10 * ids[row] + np.tile(np.arange(each), len(ids))
    boxes = np.stack([100 * ids[row], 0 * frames, 100 * ids[row] + 50, 0 * frames + 150], 1)
    return TrackPrototypes(
        header={
            "video": {
                "path": f"videos/{name}",
                "sha256": sha256 or hashlib.sha256(name.encode()).hexdigest(),
            },
            "reid": dict(reid),
            "complete": True,
        },
        track_ids=ids,
        first_s=ids.astype(np.float64),
        last_s=ids + (each - 1) / 10,
        first_frame=10 * ids,
        last_frame=10 * ids + each - 1,
        boxes_seen=np.full(len(ids), each),
        means=Appearance(
            means.reshape(-1, PARTS, DIMENSIONS), np.ones((len(ids), PARTS), bool), np.zeros(len(ids), bool)
        ),
        weights=np.full(len(ids), each),
        track_row=row,
        embeddings=Appearance(unit, visible, np.ones(len(row), bool)),
        frames=frames,
        times_s=frames / 10,
        boxes=boxes.astype(np.float32),
        keypoints=np.zeros((len(row), 17, 3), np.float32),
        quality=np.full(len(row), 0.5, np.float32),
        together=np.array(sorted(together), np.int64).reshape(-1, 2),
    )


def sha(name: str) -> str:
    """The sha256 of a made video."""
    return hashlib.sha256(name.encode()).hexdigest()


def write_result(path: Path, video: str, tracks: Mapping[int, int], **options: Any) -> None:
    """A result file with its prototypes beside it; arguments as of `video_prototypes`."""
    prototypes = video_prototypes(video, tracks, **options)
    frames = [
        tracks_of(
            {
                track: prototypes.boxes[row].tolist()
                for track, row in zip(
                    prototypes.track_ids[prototypes.track_row].tolist(), range(99), strict=False
                )
                if prototypes.frames[row] == number
            },
            number=number,
            time_s=number / 10,
        )
        for number in range(int(prototypes.frames.max()) + 1)
    ]
    write_tracks(TrackFile(RunHeader(video=prototypes.header["video"]), frames, True), path)
    write_prototypes(prototypes, prototypes_path(path))
