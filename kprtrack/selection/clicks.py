"""Find the track at a point of the image, as if it were clicked on."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import UserError

REACH_S = 0.5  # how far from its time a click also finds a track, where that frame has none at the point


@dataclass(frozen=True)
class Click:
    """A point of the image at a time.

    Args:
        time_s: Seconds of the video.
        x: Pixels from the left edge.
        y: Pixels from the upper edge.

    Examples:
        >>> print(Click(12.4, 640, 310))
        12.4s@640,310
    """

    time_s: float
    x: float
    y: float

    def __str__(self) -> str:
        return f"{self.time_s:g}s@{self.x:g},{self.y:g}"


def track_at(frames: Sequence[Tracks], click: Click, fps: float | None, source: object) -> int:
    """Return the ID of the track whose box holds a point.

    Where several boxes do, it is the one whose middle is nearest, measured in widths and heights of the box.
    Where none does, the frames up to REACH_S earlier and later are searched, the nearest first.

    Args:
        frames: The tracks of all frames, in order of time.
        click: Point and time.
        fps: Frame rate, for tracks without times; None: unknown.
        source: The file of the tracks, for messages.

    Raises:
        UserError: There are no times, the time is outside the tracks, or no box is there.
    """
    times = frame_times(frames, fps)
    if times is None:
        raise UserError(f"--at {click}: {source} has no times and no frame rate. Name track IDs: --only 1,3.")
    if not len(times) or not times[0] - REACH_S <= click.time_s <= times[-1] + REACH_S:
        span = f"from {times[0]:.2f} to {times[-1]:.2f} s" if len(times) else "for no frame"
        raise UserError(f"--at {click}: {source} has tracks {span}. Give a time in this span.")
    for index in _nearest_first(times, click.time_s):
        tracks = frames[index]
        away = _distances(tracks.boxes, click)
        if len(away) and away.min() <= 0.5:
            return int(tracks.ids[away.argmin()])
    raise UserError(f"--at {click}: no person is at this point. {_nearest(frames, times, click)}")


def frame_times(frames: Sequence[Tracks], fps: float | None) -> np.ndarray | None:
    """Return the times of frames in seconds, from the frame rate where the tracks have none.

    Args:
        frames: The tracks of all frames.
        fps: Frame rate; None: unknown.

    Returns:
        [F] float64; None: there are neither times nor a frame rate.
    """
    times = np.array([tracks.time_s for tracks in frames], np.float64)
    if not np.isnan(times).any():
        return times
    return np.array([tracks.frame_number for tracks in frames]) / fps if fps else None


def _nearest_first(times: np.ndarray, time_s: float) -> Iterator[int]:
    away = np.abs(times - time_s)
    for index in np.argsort(away, kind="stable").tolist():
        if away[index] > max(REACH_S, away.min() + 1e-9):
            return
        yield index


def _distances(boxes: np.ndarray, click: Click) -> np.ndarray:
    """From the middles of boxes [N, 4] to the point, in widths or heights; up to 0.5: the point is inside."""
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    away: np.ndarray = (np.abs(np.array([click.x, click.y]) - middles) / sizes).max(axis=1)
    return away


def _nearest(frames: Sequence[Tracks], times: np.ndarray, click: Click) -> str:
    tracks = frames[int(np.abs(times - click.time_s).argmin())]
    if not len(tracks):
        return f"Frame {tracks.frame_number} has no tracks."
    point = np.array([click.x, click.y])
    outside = np.maximum(tracks.boxes[:, :2] - point, point - tracks.boxes[:, 2:])
    row = int(np.hypot(*np.maximum(outside, 0).T).argmin())
    box = ",".join(f"{math.floor(value)}" for value in tracks.boxes[row].tolist())
    return f"The nearest in frame {tracks.frame_number} is person {int(tracks.ids[row])} with the box {box}."
