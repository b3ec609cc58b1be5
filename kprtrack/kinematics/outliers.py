"""Keypoints that are far from where their neighbours in time put them."""

import numpy as np

_LEAST_FRAMES = 3  # on each side, where the window is shorter
_FEWEST = 5  # known neighbours; with fewer, a keypoint is kept
_LEAST_BODY = 0.1  # of the trunk's length: what is nearer is noise, for the filter
_L1_STEPS, _BISQUARE_STEPS = 5, 5
_BISQUARE = 4.685  # standard deviations: 95 % efficiency for normal errors (Holland and Welsch, 1977)
_RAYLEIGH_MEDIAN = 1.1774  # sqrt(2 ln 2): median distance in the plane, in standard deviations of one axis


def find_outliers(
    points: np.ndarray, times: np.ndarray, body_px: float, deviation: float, window_s: float
) -> np.ndarray:
    """Find keypoints that deviate from a local robust fit.

    A parabola is fitted to the neighbours of each frame, without itself, by iteratively reweighted least
    squares: absolute deviations first, then Tukey's bisquare. An outlier is further from it than `deviation`
    robust standard deviations of that keypoint and than a tenth of the trunk's length. So a wrong position is
    found that lasts for less than half of the neighbours.

    Args:
        points: [T, K, 2] pixels, NaN where unknown.
        times: [T] seconds.
        body_px: Length of the trunk.
        deviation: In robust standard deviations; 0: no keypoint is an outlier.
        window_s: Seconds before and after that the fit uses, at least three frames.

    Returns:
        [T, K] bool.
    """
    outliers = np.zeros(points.shape[:2], bool)
    if not deviation or len(points) <= _FEWEST:
        return outliers
    half = max(_LEAST_FRAMES, round(window_s / float(np.median(np.diff(times)))))
    offsets = np.concatenate([np.arange(-half, 0), np.arange(1, half + 1)])
    rows = np.arange(len(points))[:, None] + offsets  # [T, W]
    inside = (rows >= 0) & (rows < len(points))
    rows = rows.clip(0, len(points) - 1)
    reach = times[rows] - times[:, None]
    inside &= np.abs(reach) <= max(window_s, 2 * half * float(np.median(np.diff(times))))
    for keypoint in range(points.shape[1]):
        series = points[:, keypoint]
        distances, widths = _deviations(series, series[rows], reach, inside)
        known = np.isfinite(distances)
        if known.sum() > _FEWEST:
            spread = np.median(distances[known] / widths[known]) / _RAYLEIGH_MEDIAN
            limit = np.maximum(deviation * spread * widths[known], _LEAST_BODY * body_px)
            outliers[known, keypoint] = distances[known] > limit
    return outliers


def _deviations(
    series: np.ndarray, neighbours: np.ndarray, reach: np.ndarray, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far [T] each point is from the fit, NaN if unknown, and the fit's own uncertainty.

    Args:
        series: [T, 2].
        neighbours: [T, W, 2].
        reach: [T, W] seconds from the frame.
        inside: [T, W] whether the neighbour exists.

    Returns:
        Distances, and their standard deviations in those of a keypoint; larger at the ends.
    """
    known = inside & np.isfinite(neighbours).all(axis=2)
    distances, widths = np.full(len(series), np.nan), np.ones(len(series))
    enough = known.sum(axis=1) >= _FEWEST
    if not enough.any():
        return distances, widths
    known, targets = known[enough], np.where(known[..., None], neighbours, 0.0)[enough]
    scale = float(np.abs(reach).max())
    design = (reach[enough] / scale)[..., None] ** np.arange(3)  # [E, W, 3]
    weights = known.astype(np.float64)
    middle = (known.sum(axis=1, keepdims=True) - 1) // 2  # of the known errors in order
    for step in range(_L1_STEPS + _BISQUARE_STEPS):
        normal, fit = _solve(design, weights, targets)
        errors = np.linalg.norm(targets - design @ fit, axis=2)  # [E, W]
        ordered = np.sort(np.where(known, errors, np.inf), axis=1)
        spread = np.take_along_axis(ordered, middle, axis=1) / _RAYLEIGH_MEDIAN
        spread = np.maximum(spread, 1e-6)
        if step < _L1_STEPS:
            weights = known / np.maximum(errors, 0.1 * spread)
        else:
            weights = known * np.clip(1 - (errors / (_BISQUARE * spread)) ** 2, 0, None) ** 2
    distances[enough] = np.linalg.norm(series[enough] - fit[:, 0], axis=1)  # the constant is at the frame
    widths[enough] = np.sqrt(1 + np.linalg.inv(normal)[:, 0, 0])
    return distances, widths


def _solve(design: np.ndarray, weights: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares of every frame: the normal matrices [T, 3, 3] and the fits [T, 3, 2]."""
    unit = weights / np.maximum(weights.max(axis=1, keepdims=True), 1e-12)
    weighted = design * unit[..., None]
    normal = np.einsum("twi,twj->tij", weighted, design) + 1e-9 * np.eye(3)
    return normal, np.linalg.solve(normal, np.einsum("twi,twd->tid", weighted, targets))
