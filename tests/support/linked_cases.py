"""Results of made videos, whose boxes are those of their prototypes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.identity.prototypes_file import write_beside_result
from kprtrack.io import RunHeader, TrackFile, write_tracks
from support.gallery_cases import video_prototypes


def write_result(
    folder: Path,
    name: str,
    tracks: Mapping[int, int],
    together: tuple[tuple[int, int], ...] = (),
    seed: int = 0,
) -> Path:
    """Write the result of a video with its prototypes, and return its path.

    Args:
        folder: Where to.
        name: Of the video.
        tracks: The person that each track is.
        together: Pairs of tracks seen at once.
        seed: Of the noise.
    """
    prototypes = video_prototypes(f"{name}.mp4", tracks, together=together, seed=seed)
    frames = []
    for number in sorted(set(prototypes.frames.tolist())):
        rows = np.flatnonzero(prototypes.frames == number)
        count = len(rows)
        frames.append(
            Tracks(
                number,
                number / 10,
                prototypes.track_ids[prototypes.track_row[rows]],
                prototypes.boxes[rows],
                np.full(count, 0.9, np.float32),
                prototypes.keypoints[rows],
                np.full(count, np.nan, np.float32),
                np.full(count, np.nan, np.float32),
                np.zeros((count, 0), bool),
                np.zeros(count, bool),
            )
        )
    path = folder / f"{name}.tracks.json"
    header = RunHeader({**prototypes.header["video"], "fps": 10.0})
    write_tracks(TrackFile(header, frames, True), path)
    write_beside_result(prototypes, path)
    return path
