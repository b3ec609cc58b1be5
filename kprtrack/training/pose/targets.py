"""From keypoints to the heatmaps a pose network learns, one encoding per decoding.

Points are input pixels, [N, K, 2]; a keypoint whose Gaussian misses the map, or that is not visible, has
weight 0 and an empty map. A Gaussian's peak is 1. Source: docs/reference/detector_and_pose.md 2.7.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kprtrack.poses.decode import Decode

Targets = tuple[
    np.ndarray, np.ndarray
]  # heatmaps [N, K, h, w] float32 in [0, 1]; weights [N, K] float32, 0 or 1


@dataclass(frozen=True)
class TargetSize:
    """Sizes of a pose network's input and output."""

    input_width: int = 192  # pixels
    input_height: int = 256
    width: int = 48  # heatmap cells
    height: int = 64
    sigma: float = 2.0  # heatmap cells; the published trainings use 2 at 64x48 and 3 at 96x72


def encode_msra(points: np.ndarray, visible: np.ndarray, size: TargetSize) -> Targets:
    """Gaussians centred on the nearest cell.

    Negative places are rounded towards zero, as the official program does (its sums over all maps agree).

    Args:
        points: [N, 17, 2] x y in pixels of the input.
        visible: [N, 17] bool; others get an empty heatmap.
        size: Sizes of input and heatmaps, and sigma.

    Returns:
        Heatmaps [N, 17, h, w] in 0..1 and the weight of each.
    """
    cells = np.trunc(points / _cell_size(size) + 0.5)
    return _gaussians(cells, cells, visible, size)


def encode_dark(points: np.ndarray, visible: np.ndarray, size: TargetSize) -> Targets:
    """Gaussians centred on the true place, over the whole map.

    Args:
        points: [N, 17, 2] x y in pixels of the input.
        visible: [N, 17] bool; others get an empty heatmap.
        size: Sizes of input and heatmaps, and sigma.

    Returns:
        Heatmaps [N, 17, h, w] in 0..1 and the weight of each.
    """
    centres = points / _cell_size(size)
    return _gaussians(centres, None, visible, size)


def encode_udp(points: np.ndarray, visible: np.ndarray, size: TargetSize) -> Targets:
    """Gaussians centred on the true place between pixel centres, cut around the nearest cell.

    Args:
        points: [N, 17, 2] x y in pixels of the input.
        visible: [N, 17] bool; others get an empty heatmap.
        size: Sizes of input and heatmaps, and sigma.

    Returns:
        Heatmaps [N, 17, h, w] in 0..1 and the weight of each.
    """
    pixels = np.array([size.input_width - 1, size.input_height - 1])
    centres = points / (pixels / np.array([size.width - 1, size.height - 1]))
    return _gaussians(centres, np.trunc(centres + 0.5), visible, size)


ENCODERS: dict[Decode, Callable[[np.ndarray, np.ndarray, TargetSize], Targets]] = {
    "msra": encode_msra,
    "dark": encode_dark,
    "udp": encode_udp,
}


def _cell_size(size: TargetSize) -> np.ndarray:
    """Input pixels per heatmap cell, x y."""
    return np.array([size.input_width / size.width, size.input_height / size.height])


def _gaussians(
    centres: np.ndarray, cells: np.ndarray | None, visible: np.ndarray, size: TargetSize
) -> Targets:
    """Gaussians at `centres`, cut to the square of 3 sigma around `cells` (not cut where None)."""
    radius = 3 * size.sigma
    middle = centres if cells is None else cells
    low, high = middle - radius, middle + radius + 1
    reached = ((low < (size.width, size.height)) & (high > 0)).all(axis=-1)
    weights = (reached & (visible >= 0.5)).astype(np.float32)
    profiles = []
    for axis, length in enumerate((size.width, size.height)):
        places = np.arange(length)
        profile = np.exp(-((places - centres[..., axis, None]) ** 2) / (2 * size.sigma**2))
        if cells is not None:
            profile *= np.abs(places - cells[..., axis, None]) <= radius
        profiles.append(profile)
    across, down = profiles
    maps = np.einsum("nkh,nkw,nk->nkhw", down, across, weights)
    return maps.astype(np.float32), weights
