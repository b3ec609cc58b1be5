"""The kinematics of one person: clean trajectories, angles and velocities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.kinematics.angles import Angle, find_facing, keypoint
from kprtrack.kinematics.config import KinematicsConfig, validate_cutoff
from kprtrack.kinematics.filters import apply_filter, runs
from kprtrack.kinematics.gaps import fill_gaps
from kprtrack.kinematics.outliers import find_outliers
from kprtrack.kinematics.swaps import exchange, find_swaps

_FACING = {"right": 1, "left": -1, "front": 0}
_TRUNK_PART = 0.35  # of the extent of a figure, where the trunk is never known


@dataclass(frozen=True)
class CleanPoints:
    """Trajectories of one person after swaps, outliers, gaps and noise have been treated; pixels, y down."""

    raw: np.ndarray  # [T, K, 2] above the confidence, as labelled by the pose estimator; NaN where unknown
    points: np.ndarray  # [T, K, 2] fixed, filled and filtered
    removed: np.ndarray  # [T, K] bool, outliers
    filled: np.ndarray  # [T, K] bool, gaps that were filled
    swapped: dict[str, np.ndarray]  # chain -> [T] bool, left and right were exchanged
    facing: np.ndarray  # [T] 1 right, -1 left, 0 front


@dataclass(frozen=True)
class PersonKinematics:
    """The kinematics of one person, from the first to the last frame in which a keypoint is known.

    Args:
        track_id: The person.
        names: Names of the K keypoints.
        numbers: [T] frame numbers.
        times: [T] seconds.
        rate: Frames per second.
        units: Of lengths: "px" or "m".
        raw: [T, K, D] positions before swaps, outliers, gaps and noise were treated; NaN where unknown.
        points: [T, K, D] positions. D = 2: x to the right and y up, from the lower left corner of the image.
            D = 3: x and y on the floor, z up.
        velocities: [T, K, D] units per second.
        angles: The A angles, joints and segments.
        degrees: [T, A] degrees.
        angular_velocities: [T, A] degrees per second.
        floor_m: [T, 2] place on the floor in metres; None without floor points.
        clean: What was done to each keypoint.

    Examples:
        >>> person = compute_kinematics(read_tracks("tracks.json"))[0]
        >>> person.column("left_knee").shape == person.times.shape
        True
    """

    track_id: int
    names: tuple[str, ...]
    numbers: np.ndarray
    times: np.ndarray
    rate: float
    units: str
    raw: np.ndarray
    points: np.ndarray
    velocities: np.ndarray
    angles: tuple[Angle, ...]
    degrees: np.ndarray
    angular_velocities: np.ndarray
    floor_m: np.ndarray | None
    clean: CleanPoints

    @property
    def raw_pixels(self) -> np.ndarray:
        """[T, K, 2] positions before they were treated, pixels, y up from the upper edge of the image."""
        return self.clean.raw * [1.0, -1.0]

    def column(self, angle: str) -> np.ndarray:
        """Return [T] degrees of an angle by its name. Raises: KeyError if there is none of that name."""
        names = [each.name for each in self.angles]
        if angle not in names:
            raise KeyError(angle)
        return self.degrees[:, names.index(angle)]


def clean_points(
    keypoints: np.ndarray, names: Sequence[str], times: np.ndarray, config: KinematicsConfig
) -> CleanPoints:
    """Treat swaps, outliers, gaps and noise of one person, in this order.

    Args:
        keypoints: [T, K, 3] x, y in pixels (y down) and confidence; NaN where unknown.
        names: [K] names of the keypoints.
        times: [T] seconds, increasing.
        config: The settings.

    Returns:
        The trajectories and what was changed.

    Raises:
        InputError: Times do not increase.
        UserError: The cut-off is not below half of the frame rate.
    """
    steps = np.diff(times)
    if len(steps) and not (steps > 0).all():
        row = int(np.flatnonzero(~(steps > 0))[0])
        raise InputError(
            f"Times must increase, but {times[row + 1]:g} s follows {times[row]:g} s. Set --fps."
        )
    if len(steps):
        validate_cutoff(config, 1 / float(np.median(steps)))
    confident = keypoints[..., 2] >= config.min_confidence
    raw = np.where(confident[..., None], keypoints[..., :2], np.nan).astype(np.float64)
    body_px = trunk_length(raw, names)
    swapped = find_swaps(raw, names, times, body_px) if config.swaps != "off" else {}
    points = exchange(raw, names, swapped) if config.swaps == "fix" else raw.copy()
    facing = (
        find_facing(points, names, times, body_px)
        if config.facing == "auto"
        else np.full(len(times), _FACING[config.facing])
    )
    removed = find_outliers(points, times, body_px, config.outlier_deviation, config.outlier_window_s)
    points[removed] = np.nan
    known = np.isfinite(points[..., 0])
    points = fill_gaps(points, times, config.max_gap_s)
    filled = np.isfinite(points[..., 0]) & ~known
    columns = points.reshape(len(points), -1)
    smooth = apply_filter(columns, times, config).reshape(points.shape)
    return CleanPoints(raw, smooth, removed, filled, swapped, facing)


def trunk_length(points: np.ndarray, names: Sequence[str]) -> float:
    """Return the median length of the trunk in pixels; if it is never known, by the extent of the figure."""
    lengths = np.linalg.norm(keypoint(points, names, "neck") - keypoint(points, names, "hips"), axis=1)
    known = lengths[np.isfinite(lengths)]
    if len(known) and np.median(known) > 0:
        return float(np.median(known))
    there = points[np.isfinite(points[..., 0])]
    extent = float(np.ptp(there[:, 1])) if len(there) else 0.0
    return max(_TRUNK_PART * extent, 1.0)


def derivative(values: np.ndarray, times: np.ndarray, breaks: np.ndarray | None = None) -> np.ndarray:
    """Return the rate of change of [T, C] per second, of second order also for uneven steps.

    Args:
        values: [T, C], NaN where unknown.
        times: [T] seconds.
        breaks: [T] bool, rows whose values do not continue those before.

    Returns:
        [T, C]; NaN where a value or both of its neighbours are unknown.
    """
    rates = np.full_like(values, np.nan)
    for column in range(values.shape[1]):
        for start, stop in _unbroken(values[:, column], breaks):
            if stop - start > 1:
                part = slice(start, stop)
                order: Literal[1, 2] = 2 if stop - start > 2 else 1  # at both ends
                rates[part, column] = np.gradient(values[part, column], times[part], edge_order=order)
    return rates


def _unbroken(values: np.ndarray, breaks: np.ndarray | None) -> list[tuple[int, int]]:
    """The runs of known values of [T] that no break divides."""
    found: list[tuple[int, int]] = []
    for start, stop in runs(np.isfinite(values)):
        inner = [] if breaks is None else (np.flatnonzero(breaks[start + 1 : stop]) + start + 1).tolist()
        found += zip([start, *inner], [*inner, stop], strict=True)
    return found


def angular_velocities(
    degrees: np.ndarray, times: np.ndarray, angles: Sequence[Angle], facing: np.ndarray
) -> np.ndarray:
    """Return [T, A] degrees per second, without the jumps from 180 to -180 degrees and those of turning."""
    turned = np.diff(facing, prepend=facing[:1]) != 0
    unwrapped = degrees.copy()
    for column, angle in enumerate(angles):
        for start, stop in _unbroken(degrees[:, column], turned):
            unwrapped[start:stop, column] = np.unwrap(degrees[start:stop, column], period=angle.period)
    return derivative(unwrapped, times, turned)
