"""Short gaps of trajectories, filled between the known frames on both sides."""

import numpy as np

from kprtrack.kinematics.filters import runs

_FEWEST = 4  # known frames of a curve; between fewer, gaps are filled by a straight line


def fill_gaps(points: np.ndarray, times: np.ndarray, max_gap_s: float) -> np.ndarray:
    """Fill gaps by a modified Akima interpolation, which does not overshoot as splines do.

    Nothing is added before the first and after the last known frame of a keypoint.

    Args:
        points: [T, K, D], NaN where unknown.
        times: [T] seconds.
        max_gap_s: Longest gap, in seconds between the known frames on both sides.

    Returns:
        [T, K, D] with the gaps that are short enough filled.

    Examples:
        >>> import numpy as np
        >>> points = np.array([0.0, 1.0, np.nan, 3.0, 4.0]).reshape(5, 1, 1)
        >>> fill_gaps(points, np.arange(5) / 25, max_gap_s=0.1).ravel().tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    filled = points.copy()
    for keypoint in range(points.shape[1]):
        known = np.isfinite(points[:, keypoint]).all(axis=1)
        rows = np.flatnonzero(known)
        gaps = [
            (start, stop)
            for start, stop in runs(~known)
            if start > 0 and stop < len(known) and times[stop] - times[start - 1] <= max_gap_s + 1e-9
        ]
        if not gaps:
            continue
        missing = np.concatenate([np.arange(start, stop) for start, stop in gaps])
        filled[missing, keypoint] = _interpolate(times[rows], points[rows, keypoint], times[missing])
    return filled


def _interpolate(times: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    if len(times) < _FEWEST:
        return np.stack([np.interp(wanted, times, column) for column in values.T], axis=1)
    from scipy.interpolate import Akima1DInterpolator

    return Akima1DInterpolator(times, values, method="makima")(wanted)
