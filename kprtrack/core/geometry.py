"""Similarity of boxes and poses: IoU, object keypoint similarity (OKS), and occlusion of boxes by boxes."""

import numpy as np

from kprtrack.core.skeleton import COCO_SKELETON, Skeleton

# COCO divides a squared distance by 2 (2 sigma)² and the person's area; this is the root of the former.
_NOWHERE = 1e15  # so far from its negative that the similarity is 0, but its square is a float32
_BLOCK = 65_536  # numbers
_PAIRS = 65_536  # of people that are compared at once
_SMALLEST_AREA = 1e-12  # pixels²; keeps 0 / 0 of two empty boxes at 0
_GRID = 8  # sample points per side of a box
_GRID_STEPS = ((np.arange(_GRID, dtype=np.float32) + 0.5) / _GRID)[None, :]  # [1, G], cell centres


def left_top_size(boxes: np.ndarray, *, exact: bool = False) -> np.ndarray:
    """Convert boxes x1 y1 x2 y2 to [N, 4] float64 left, top, width, height, to 0.01 pixels unless `exact`."""
    corners = boxes.astype(np.float64)
    sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return sizes if exact else np.round(sizes, 2)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair of boxes.

    Args:
        a: [A, 4] x1 y1 x2 y2.
        b: [B, 4].

    Returns:
        [A, B] in [0, 1], float32 if both are; 0 for two empty boxes.
    """
    return _iou(a, b, 0)


def iou_inclusive(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of boxes that include their last pixel: every side is one pixel longer.

    Source: the convention of ByteTrack's cython_bbox (docs/reference/tracking_and_evaluation.md 4.3).
    """
    return _iou(a, b, 1)


def _iou(a: np.ndarray, b: np.ndarray, extra_px: int) -> np.ndarray:
    left, top, right, bottom = a.T[:, :, None]  # each [A, 1]
    left_b, top_b, right_b, bottom_b = b.T  # each [B]
    overlap: np.ndarray = np.minimum(right, right_b)
    overlap -= np.maximum(left, left_b)
    height = np.minimum(bottom, bottom_b)
    height -= np.maximum(top, top_b)
    if extra_px:
        overlap += extra_px
        height += extra_px
    np.maximum(overlap, 0, out=overlap)
    overlap *= np.maximum(height, 0, out=height)
    area_a = (right - left + extra_px) * (bottom - top + extra_px)
    area_b = (right_b - left_b + extra_px) * (bottom_b - top_b + extra_px)
    union = area_a + area_b
    union -= overlap
    overlap /= np.maximum(union, _SMALLEST_AREA, out=union)
    return overlap


def oks(
    keypoints_a: np.ndarray,
    keypoints_b: np.ndarray,
    areas_a: np.ndarray,
    min_confidence: float,
    skeleton: Skeleton = COCO_SKELETON,
) -> np.ndarray:
    """Object keypoint similarity over the keypoints confident in both.

    Source: COCO's keypoint evaluation, its annotated keypoints replaced by the confident ones.

    Args:
        keypoints_a: [A, K, 3] x y confidence, pixels.
        keypoints_b: [B, K, 3].
        areas_a: [A] pixels², box areas of the people of `a`; below one pixel counts as one.
        min_confidence: A keypoint counts if its confidence is above it on both sides.
        skeleton: The set of K keypoints, with the sigma of each.

    Returns:
        [A, B] float32 in [0, 1], the mean of exp(-d² / (2 area (2 sigma)²)); NaN without a common keypoint.
    """
    points_a, known_a = _scaled_keypoints(keypoints_a, min_confidence, _NOWHERE, skeleton)
    points_b, known_b = _scaled_keypoints(keypoints_b, min_confidence, -_NOWHERE, skeleton)
    sharpness = -1 / np.maximum(areas_a, 1).astype(np.float32)[:, None]  # [A, 1]
    total = np.zeros((len(keypoints_a), len(keypoints_b)), np.float32)
    # As many keypoints at once as the processor's cache holds: 3 times faster for 200 people than all.
    step = max(1, _BLOCK // max(1, total.size))
    for first in range(0, len(skeleton), step):
        x_a, y_a = points_a[:, first : first + step, :, None]  # each [k, A, 1]
        x_b, y_b = points_b[:, first : first + step, None]  # each [k, 1, B]
        squared, vertical = x_a - x_b, y_a - y_b
        np.square(squared, out=squared)
        squared += np.square(vertical, out=vertical)
        squared *= sharpness
        total += np.exp(squared, out=squared).sum(0)
    shared = known_a.T @ known_b
    total /= np.maximum(shared, 1)
    total[shared == 0] = np.nan
    return total


def _scaled_keypoints(
    keypoints: np.ndarray, min_confidence: float, nowhere: float, skeleton: Skeleton
) -> tuple[np.ndarray, np.ndarray]:
    """[2, K, N] x y in units of each keypoint's spread, `nowhere` if unknown; [K, N] 1 where known."""
    x, y, confidence = np.asarray(keypoints, np.float32).T  # each [K, N]
    known = confidence > min_confidence
    scaled = np.stack((x, y)) / skeleton.oks_spread[:, None]
    return np.where(known, scaled, np.float32(nowhere)), known.astype(np.float32)


def occluded_fraction(boxes: np.ndarray) -> np.ndarray:
    """Estimate by boxes alone how much of each person is occluded by the others.

    The person whose feet (y2) are lower in the image is in front; of two whose feet are equally low, as where
    the edge of the image cuts both, each counts as occluded by the other.

    Args:
        boxes: [N, 4] x1 y1 x2 y2.

    Returns:
        [N] float32 in [0, 1], the fraction of the box under the union of all boxes in front of it, sampled at
        8 x 8 points.
    """
    left, top, right, bottom = boxes.T
    hidden = np.zeros(len(boxes), np.float32)
    # Of a crowd some people at a time, so that memory stays small.
    step = max(1, _PAIRS // max(1, len(boxes)))
    for first in range(0, len(boxes), step):
        rows = slice(first, first + step)
        # A box in front reaches the feet of the one behind: its left, top and right decide what it occludes.
        front = bottom >= bottom[rows, None]  # [R, N], column stands in front of row
        front[np.arange(len(front)), np.arange(len(front)) + first] = False
        front &= (left < right[rows, None]) & (right > left[rows, None]) & (top < bottom[rows, None])
        behind, before = np.nonzero(front)  # [K] pairs, in order of `behind`
        if not len(behind):
            continue
        x = (left[rows, None] + (right - left)[rows, None] * _GRID_STEPS)[behind]  # [K, G]
        y = (top[rows, None] + (bottom - top)[rows, None] * _GRID_STEPS)[behind]
        across = (x > left[before, None]) & (x < right[before, None])
        below = y > top[before, None]
        points = across[:, :, None] & below[:, None]  # [K, G, G]
        starts = np.flatnonzero(np.diff(behind, prepend=-1))
        union = np.logical_or.reduceat(points, starts)
        hidden[first + behind[starts]] = union.mean((1, 2), dtype=np.float32)
    return hidden
