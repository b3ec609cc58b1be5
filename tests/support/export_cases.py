"""Tracks of two people with a gap, a frame without people and an unknown keypoint, to be exported."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.io import ConvertOptions, RunHeader, convert, open_writer

WIDTH, HEIGHT, FPS = 640, 480, 25.0
HEADER = RunHeader(video={"path": "clip.mp4", "width": WIDTH, "height": HEIGHT, "fps": FPS, "frames": 8})
# Frame number -> track IDs. Frame 3 has no people, frame 5 is not in the file, person 7 is away in frame 4.
PRESENT = {0: (2, 7), 1: (2, 7), 2: (2, 7), 3: (), 4: (2,), 6: (2, 7)}
UNKNOWN = KEYPOINTS.index("left_wrist")  # of person 7
LEFT_KNEE = KEYPOINTS.index("left_knee")


def keypoints_of(track_id: int, frame: int) -> np.ndarray:
    """[17, 3] float64: every coordinate says person, frame and keypoint."""
    rows = np.arange(17)
    points = np.stack(
        [20 * track_id + 10 * rows + frame, 30 + 2 * rows + 5 * frame, 0.5 + rows / 100], axis=1
    )
    if track_id == 7:
        points[UNKNOWN] = 0
    return points


def box_of(track_id: int, frame: int) -> np.ndarray:
    """[4] x1 y1 x2 y2."""
    return np.array([20.5 * track_id + frame, 25.25, 20.5 * track_id + frame + 180, 120.75])


def tracks_of(frame: int, ids: tuple[int, ...]) -> Tracks:
    count = len(ids)
    return Tracks(
        frame,
        frame / FPS,
        np.array(ids, np.int64),
        np.array([box_of(each, frame) for each in ids], np.float32).reshape(count, 4),
        np.array([0.9 if each == 2 else 0.75 for each in ids], np.float32),
        np.array([keypoints_of(each, frame) for each in ids], np.float32).reshape(count, 17, 3),
        np.full(count, np.nan, np.float32),
        np.full(count, np.nan, np.float32),
        np.zeros((count, 0), bool),
        np.zeros(count, bool),
    )


FRAMES = [tracks_of(frame, ids) for frame, ids in PRESENT.items()]


def write_source(folder: Path, frames: list[Tracks] = FRAMES, header: RunHeader = HEADER) -> Path:
    """Write tracks.json and return its path."""
    path = folder / "tracks.json"
    with open_writer(path, header) as writer:
        for tracks in frames:
            writer.write(tracks)
    return path


def export(
    folder: Path,
    name: str,
    format: str | None = None,
    *,
    frames: list[Tracks] = FRAMES,
    header: RunHeader = HEADER,
    options: ConvertOptions = ConvertOptions(),  # noqa: B008
) -> list[Path]:
    """Convert the tracks to a file of that name and return the files that were written."""
    return convert(write_source(folder, frames, header), folder / name, None, format, options=options)


def without(name: str) -> RunHeader:
    """The header without one fact about the video."""
    return replace(HEADER, video={key: value for key, value in HEADER.video.items() if key != name})


def without_times(frames: list[Tracks] = FRAMES) -> list[Tracks]:
    return [replace(tracks, time_s=np.nan) for tracks in frames]
