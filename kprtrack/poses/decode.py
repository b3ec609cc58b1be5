"""Decodes heatmaps to keypoints, in the three ways of HRNet's published weights.

Heatmaps are [N, K, h, w]. Points are in input pixels; scores are the maximum of each map, not clipped: they
may exceed 1 or be negative. A map without a positive value has its point at cell -1 -1.
Source: docs/reference/detector_and_pose.md 2.4.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Decode = Literal["msra", "dark", "udp"]
Decoded = tuple[np.ndarray, np.ndarray]  # points [N, K, 2] float32, input pixels; scores [N, K] float32

_BLUR_TAPS = 11
_BLUR_SIGMA = 2.0  # OpenCV's default for 11 taps: 0.3 * ((11 - 1) / 2 - 1) + 0.8


def decode_msra(heatmaps: np.ndarray, input_width: int, input_height: int) -> Decoded:
    """Take the highest cell, moved a quarter cell towards its higher neighbour.

    Source: Simple Baselines (Xiao et al., ECCV 2018).
    """
    cells, scores = _peaks(heatmaps)
    h, w = heatmaps.shape[-2:]
    x, y = cells[..., 0], cells[..., 1]
    patches = _patches(heatmaps, cells, reach=1)
    # Asymmetric limits (cell 1 does not move, row 0 prevents a move along x), as in the published evaluation.
    move_x = np.sign(patches[..., 1, 2] - patches[..., 1, 0]) * ((x > 1) & (x < w - 1) & (y > 0))
    move_y = np.sign(patches[..., 2, 1] - patches[..., 0, 1]) * ((y > 1) & (y < h - 1) & (x > 0))
    points = cells + np.stack((move_x, move_y), axis=-1) * 0.25
    return (points * (input_width / w, input_height / h)).astype(np.float32), scores


def decode_dark(heatmaps: np.ndarray, input_width: int, input_height: int) -> Decoded:
    """Take the highest cell plus one Taylor step on the logarithm of the blurred map.

    Source: DARK (Zhang et al., CVPR 2020).
    """
    cells, scores = _peaks(heatmaps)
    h, w = heatmaps.shape[-2:]
    x, y = cells[..., 0], cells[..., 1]
    p = np.log(np.maximum(_patches(_blur(heatmaps, scores), cells, reach=2), 1e-10)).astype(np.float64)
    gradient = np.stack((p[..., 2, 3] - p[..., 2, 1], p[..., 3, 2] - p[..., 1, 2]), axis=-1) * 0.5
    dxx = (p[..., 2, 4] - 2 * p[..., 2, 2] + p[..., 2, 0]) * 0.25
    dyy = (p[..., 4, 2] - 2 * p[..., 2, 2] + p[..., 0, 2]) * 0.25
    dxy = (p[..., 3, 3] - p[..., 1, 3] - p[..., 3, 1] + p[..., 1, 1]) * 0.25
    inside = (x > 1) & (x < w - 2) & (y > 1) & (y < h - 2)
    points = cells + _newton_step(gradient, dxx, dxy, dyy) * inside[..., None]
    return (points * (input_width / w, input_height / h)).astype(np.float32), scores


def decode_udp(heatmaps: np.ndarray, input_width: int, input_height: int) -> Decoded:
    """Take the highest cell plus one unbounded Newton step between pixel centres.

    Without a positive value the official program divides 0 by 0; here there is no step.
    Source: UDP (Huang et al., CVPR 2020).
    """
    cells, scores = _peaks(heatmaps)
    h, w = heatmaps.shape[-2:]
    blurred = np.clip(_blur(heatmaps, scores), 1e-3, 50)
    p = np.log(_patches(blurred, cells, reach=1)).astype(np.float64)
    centre, left, right, up, down = p[..., 1, 1], p[..., 1, 0], p[..., 1, 2], p[..., 0, 1], p[..., 2, 1]
    gradient = np.stack((right - left, down - up), axis=-1) * 0.5
    dxy = 0.5 * (p[..., 2, 2] - right - down + 2 * centre - left - up + p[..., 0, 0])
    ridge = np.finfo(np.float32).eps
    dxx, dyy = right - 2 * centre + left + ridge, down - 2 * centre + up + ridge
    points = cells + _newton_step(gradient, dxx, dxy, dyy) * (scores > 0)[..., None]
    return (points * (input_width / (w - 1), input_height / (h - 1))).astype(np.float32), scores


DECODERS: dict[Decode, Callable[[np.ndarray, int, int], Decoded]] = {
    "msra": decode_msra,
    "dark": decode_dark,
    "udp": decode_udp,
}


def unmirror(heatmaps: np.ndarray, mirror: tuple[int, ...], decode: Decode) -> np.ndarray:
    """Flip the heatmaps of mirrored crops back, so that they align with those of the crops.

    Except for UDP they are shifted one column to the right, which compensates for the shift by mirroring
    (docs/reference/detector_and_pose.md 2.4).
    """
    upright = heatmaps[:, mirror, :, ::-1]
    if decode == "udp":
        return upright
    return np.concatenate((upright[..., :1], upright[..., :-1]), axis=-1)


def _peaks(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the first highest cell x y [N, K, 2] int64, -1 -1 without a positive value, and its value."""
    count, channels, h, w = heatmaps.shape
    flat = heatmaps.reshape(count, channels, h * w)
    best = flat.argmax(axis=-1)
    scores = np.take_along_axis(flat, best[..., None], axis=-1)[..., 0]
    cells = np.stack((best % w, best // w), axis=-1)
    return np.where((scores > 0)[..., None], cells, -1), scores.astype(np.float32)


def _patches(heatmaps: np.ndarray, cells: np.ndarray, reach: int) -> np.ndarray:
    """Cut the cells around each peak, [N, K, 2*reach+1, 2*reach+1], row first; edges are repeated."""
    side = 2 * reach + 1
    padded = np.pad(heatmaps, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    views = sliding_window_view(padded, (side, side), axis=(-2, -1))
    person, channel = np.ogrid[: cells.shape[0], : cells.shape[1]]
    x, y = np.moveaxis(np.maximum(cells, 0), -1, 0)
    return views[person, channel, y, x]


def _blur(heatmaps: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Blur with zero padding and scale each map to its former maximum."""
    h, w = heatmaps.shape[-2:]
    blurred = _blur_matrix(h) @ heatmaps @ _blur_matrix(w)
    highest = blurred.max(axis=(-2, -1))
    # An empty map stays 0.
    scale = np.divide(peaks, highest, out=np.ones_like(peaks), where=highest != 0)
    return blurred * scale[..., None, None]


def _blur_matrix(length: int) -> np.ndarray:
    """Make the band matrix [length, length] float32 of a Gaussian blur."""
    distance = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    taps = np.exp(-(np.arange(-(_BLUR_TAPS // 2), _BLUR_TAPS // 2 + 1) ** 2) / (2 * _BLUR_SIGMA**2))
    weights = np.exp(-(distance**2) / (2 * _BLUR_SIGMA**2)) / taps.sum()
    return np.where(distance <= _BLUR_TAPS // 2, weights, 0).astype(np.float32)


def _newton_step(gradient: np.ndarray, dxx: np.ndarray, dxy: np.ndarray, dyy: np.ndarray) -> np.ndarray:
    """Compute -H^-1 g, [N, K, 2]; 0 where the Hessian is singular."""
    determinant = dxx * dyy - dxy**2
    gx, gy = gradient[..., 0], gradient[..., 1]
    step = np.stack((dxy * gy - dyy * gx, dxy * gx - dxx * gy), axis=-1)
    regular = (determinant != 0)[..., None]
    return np.divide(step, determinant[..., None], out=np.zeros_like(step), where=regular)
