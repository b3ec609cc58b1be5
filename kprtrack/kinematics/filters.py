"""Low-pass filters of trajectories: Butterworth, one-euro, Kalman smoother, Savitzky-Golay.

Each takes one run of frames without gaps, with its times. One-euro and Kalman use the times as they are;
Butterworth and Savitzky-Golay need even steps, to which a run of varying frame rate is resampled and back.
Definitions and sources: docs/reference/kinematics.md 3.4.
"""

import math
from collections.abc import Callable

import numpy as np

from kprtrack.kinematics.config import KinematicsConfig

# Amplitude 1 / (1 + (f / f0) ** (2 n)) is 1 / sqrt(2) at f = f0 * _HALF_POWER ** (1 / (2 n)).
_HALF_POWER = math.sqrt(2) - 1
_UNEVEN = 0.05  # of a step: deviations of times that still count as even
_FINEST = 4  # times the median rate: the finest grid for varying frame rates
_DIFFUSE = 1e8  # variance of the unknown first state, in those of a measurement


def butterworth(values: np.ndarray, times: np.ndarray, cutoff_hz: float, order: int = 4) -> np.ndarray:
    """Filter forwards and backwards, without lag, by half of the order each.

    The cut-off is that of both passes together (Winter, Biomechanics and Motor Control of Human Movement,
    2009, chapter 3): the frequency that keeps 71 % of its amplitude.

    Args:
        values: [T, C] without NaN.
        times: [T] seconds, increasing.
        cutoff_hz: Below half the frame rate.
        order: Of both passes together, even.

    Returns:
        [T, C].
    """
    from scipy.signal import butter, sosfiltfilt

    def even(values: np.ndarray, step: float) -> np.ndarray:
        passes = order // 2
        warped = math.tan(math.pi * cutoff_hz * step) / _HALF_POWER ** (1 / order)
        sections = butter(passes, math.atan(warped) / (math.pi * step), fs=1 / step, output="sos")
        longest = 3 * (2 * len(sections) + 1)  # frames that SciPy adds at both ends
        pad = {} if len(values) > longest else {"padlen": len(values) - 1}
        return sosfiltfilt(sections, values, axis=0, **pad)

    return _with_even_steps(values, times, even)


def savitzky_golay(values: np.ndarray, times: np.ndarray, window_s: float, polynomial: int = 3) -> np.ndarray:
    """Fit a polynomial to the frames around each one by least squares.

    Args:
        values: [T, C] without NaN.
        times: [T] seconds, increasing.
        window_s: Rounded to an odd number of frames, at least two more than the degree.
        polynomial: The degree.

    Returns:
        [T, C]; shorter runs than the window have one fit.
    """
    from scipy.signal import savgol_filter

    def even(values: np.ndarray, step: float) -> np.ndarray:
        window = max(2 * round((window_s / step - 1) / 2) + 1, polynomial + 2)
        window += 1 - window % 2
        window = min(window, len(values) - 1 + len(values) % 2)
        return savgol_filter(values, window, min(polynomial, window - 1), axis=0)

    return _with_even_steps(values, times, even)


def one_euro(values: np.ndarray, times: np.ndarray, cutoff_hz: float, beta: float) -> np.ndarray:
    """Filter by past frames alone, the less the faster a value changes (Casiez et al., CHI 2012).

    It lags behind, so it is for what runs live; for recordings the others are better.

    Args:
        values: [T, C] without NaN.
        times: [T] seconds, increasing.
        cutoff_hz: Cut-off at rest.
        beta: Hertz per unit of the values per second.

    Returns:
        [T, C].
    """
    smooth, speed = np.empty_like(values), np.zeros(values.shape[1])
    smooth[0] = values[0]
    for row in range(1, len(values)):
        step = times[row] - times[row - 1]
        change = (values[row] - smooth[row - 1]) / step
        speed += _weight(np.ones_like(speed), step) * (change - speed)
        weight = _weight(cutoff_hz + beta * np.abs(speed), step)
        smooth[row] = smooth[row - 1] + weight * (values[row] - smooth[row - 1])
    return smooth


def _weight(cutoff_hz: np.ndarray, step: float) -> np.ndarray:
    """Weight of a new value in exponential smoothing."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz * step))


def kalman(values: np.ndarray, times: np.ndarray, cutoff_hz: float) -> np.ndarray:
    """Smooth forwards and backwards with a model of nearly constant velocity (Rauch, Tung, Striebel, 1965).

    The ratio of its noises follows from the cut-off: the amplitude of frequency f becomes
    1 / (1 + 0.414 (f / cutoff_hz)^4), that of `butterworth` of order 4.

    Args:
        values: [T, C] without NaN.
        times: [T] seconds, increasing, in steps of any length.
        cutoff_hz: Frequency that keeps 71 % of its amplitude.

    Returns:
        [T, C].
    """
    count = len(values)
    steps = np.diff(times)
    power = (2 * math.pi * cutoff_hz) ** 4 / _HALF_POWER * float(np.median(steps))
    start = values[0]
    state = np.zeros((count, 2, values.shape[1]))  # position and velocity
    predicted = np.zeros_like(state)
    covariance, before = np.zeros((count, 2, 2)), np.zeros((count, 2, 2))
    before[0] = np.diag([_DIFFUSE, _DIFFUSE * (2 * math.pi * cutoff_hz) ** 2])
    moves = [np.array([[1.0, step], [0.0, 1.0]]) for step in steps]
    for row in range(count):
        if row:
            step, move = steps[row - 1], moves[row - 1]
            noise = power * np.array([[step**3 / 3, step**2 / 2], [step**2 / 2, step]])
            predicted[row] = move @ state[row - 1]
            before[row] = move @ covariance[row - 1] @ move.T + noise
        gain = before[row][:, 0] / (before[row][0, 0] + 1)
        state[row] = predicted[row] + gain[:, None] * (values[row] - start - predicted[row][0])
        keep = np.eye(2) - np.outer(gain, [1.0, 0.0])
        covariance[row] = keep @ before[row] @ keep.T + np.outer(gain, gain)  # symmetric in any rounding
    for row in range(count - 2, -1, -1):
        back = covariance[row] @ moves[row].T @ np.linalg.inv(before[row + 1])
        state[row] += back @ (state[row + 1] - predicted[row + 1])
    return state[:, 0] + start


def apply_filter(values: np.ndarray, times: np.ndarray, config: KinematicsConfig) -> np.ndarray:
    """Filter every run of known values by itself; what is unknown stays so.

    Args:
        values: [T, C], NaN where unknown.
        times: [T] seconds.
        config: The filter and its settings.

    Returns:
        [T, C]; single frames as they are.
    """
    filters: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
        "butterworth": lambda run, at: butterworth(run, at, config.cutoff_hz, config.order),
        "one-euro": lambda run, at: one_euro(run, at, config.cutoff_hz, config.beta),
        "kalman": lambda run, at: kalman(run, at, config.cutoff_hz),
        "savitzky-golay": lambda run, at: savitzky_golay(run, at, config.window_s, config.polynomial),
        "none": lambda run, at: run,
    }
    run_filter = filters[config.filter]
    smooth = values.copy()
    for (start, stop), columns in _columns_by_run(values).items():
        if stop - start > 1:
            smooth[start:stop, columns] = run_filter(values[start:stop, columns], times[start:stop])
    return smooth


def runs(known: np.ndarray) -> list[tuple[int, int]]:
    """Return the first row and the end of each run of true values of [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _columns_by_run(values: np.ndarray) -> dict[tuple[int, int], list[int]]:
    """The columns that have each run, so that those of the same run are filtered at once."""
    found: dict[tuple[int, int], list[int]] = {}
    for column in range(values.shape[1]):
        for run in runs(np.isfinite(values[:, column])):
            found.setdefault(run, []).append(column)
    return found


def _with_even_steps(
    values: np.ndarray, times: np.ndarray, run_filter: Callable[[np.ndarray, float], np.ndarray]
) -> np.ndarray:
    """Filter a run in even steps; where the frame rate varies, on a grid and interpolated back."""
    steps = np.diff(times)
    step = float(steps.mean())
    if np.abs(times - times[0] - step * np.arange(len(times))).max() <= _UNEVEN * step:
        return run_filter(values, step)
    from scipy.interpolate import CubicSpline

    finest = max(float(steps.min()), float(np.median(steps)) / _FINEST)
    grid = np.linspace(times[0], times[-1], math.ceil((times[-1] - times[0]) / finest - 1e-9) + 1)
    smooth = run_filter(CubicSpline(times, values)(grid), grid[1] - grid[0])
    return CubicSpline(grid, smooth)(times)
