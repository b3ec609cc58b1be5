"""Exchanged labels of left and right limbs.

Pose estimators confuse left and right where one limb hides the other. A confusion makes both limbs jump to
each other's place and back. For each chain of joints the labelling with the least acceleration is found by
dynamic programming over two frames (Viterbi). Changes have a price, so that crossing limbs keep their labels.
"""

from collections.abc import Sequence

import numpy as np

# Joints by which an exchange is found.
CHAINS: dict[str, tuple[str, ...]] = {
    "legs": ("knee", "ankle"),
    "arms": ("elbow", "wrist"),
    "trunk": ("shoulder", "hip"),
}
# Starts of the names of what is exchanged with them.
_ENDS = {
    "legs": ("heel", "big_toe", "small_toe", "foot_index"),
    "arms": ("hand_root", "thumb", "index", "pinky", "forefinger", "middle_finger", "ring_finger"),
    "trunk": (),
}
# Accelerations are counted in standard deviations of noise, which the sum of left and right shows: it is the
# same whatever the labels are.
_LEAST_NOISE = 0.045  # in lengths of the trunk, of a second difference
_PRICE = 20.0  # of a change between the labels as they are and exchanged, in half squares of deviations
_MOST = 25.0  # of one joint in one frame, so that an outlier cannot decide
_PER_FRAME = 2.0  # of an exchanged frame: exchanges of more than about 100 frames are not found
_LONGEST_GAP_S = 0.5  # after it, labels are compared anew


def chain_rows(names: Sequence[str], *, ends: bool = False) -> dict[str, np.ndarray]:
    """Return the rows [2, J] of left and right joints of each chain that the skeleton has.

    Args:
        names: [K] names of the keypoints.
        ends: With hands and feet.
    """
    both = [name[len("left_") :] for name in names if name.startswith("left_")]
    found = {}
    for chain, joints in CHAINS.items():
        there = [joint for joint in joints if joint in both and f"right_{joint}" in names]
        there += [joint for joint in both if ends and joint.startswith(_ENDS[chain])]
        rows = [[names.index(f"{side}_{joint}") for joint in there] for side in ("left", "right")]
        if there:
            found[chain] = np.array(rows)
    return found


def find_swaps(
    points: np.ndarray, names: Sequence[str], times: np.ndarray, body_px: float
) -> dict[str, np.ndarray]:
    """Find the frames in which the labels of left and right are exchanged.

    Which of two labellings is the right one is not known from motion alone: the more frequent one is taken.

    Args:
        points: [T, K, 2] pixels, NaN where unknown.
        names: [K] names of the keypoints.
        times: [T] seconds.
        body_px: Length of the trunk.

    Returns:
        Chain -> [T] bool, true where left and right are exchanged.
    """
    return {
        chain: _exchanged(points[:, rows.T] / body_px, times) for chain, rows in chain_rows(names).items()
    }


def exchange(points: np.ndarray, names: Sequence[str], swapped: dict[str, np.ndarray]) -> np.ndarray:
    """Return a copy of [T, K, ...] in which left and right are exchanged where a chain is swapped."""
    fixed = points.copy()
    for chain, (left, right) in chain_rows(names, ends=True).items():
        frames = np.flatnonzero(swapped[chain])[:, None]
        fixed[frames, left], fixed[frames, right] = points[frames, right], points[frames, left]
    return fixed


def _exchanged(joints: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Decide for a chain. Args: joints: [T, J, 2 sides, 2] in lengths of the trunk. Returns: [T] bool."""
    known = np.isfinite(joints).all(axis=(2, 3)).any(axis=1)
    rows = np.flatnonzero(known)
    swapped = np.zeros(len(joints), bool)
    breaks = np.flatnonzero(np.diff(times[rows]) > _LONGEST_GAP_S) + 1
    for part in np.split(rows, breaks):
        if len(part) > 2:
            labels = _least_acceleration(joints[part], times[part])
            swapped[part] = labels if 2 * labels.sum() <= len(labels) else ~labels
    return swapped


def _least_acceleration(joints: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Viterbi over the labels of two frames. Args: joints: [T, J, 2, 2]. Returns: [T] bool."""
    both = np.stack([joints, joints[:, :, ::-1]])  # [label, T, J, side, xy]
    count = len(times)
    variance = _noise(joints.sum(axis=2), times) ** 2
    price = _PRICE * (1 - np.eye(2))
    exchanged = np.array([0.0, _PER_FRAME])
    pairs = price + exchanged[:, None] + exchanged  # of the labels of the first two frames
    chosen = np.zeros((count, 2, 2), np.int8)  # the label two frames before
    for row in range(2, count):
        three = (both[:, None, None, row - 2], both[None, :, None, row - 1], both[None, None, :, row])
        bend = _second_difference(three, times[row - 2 : row + 1], float(np.median(np.diff(times))))
        squares = np.nan_to_num((bend**2).sum(axis=-1) / (2 * variance))  # [2, 2, 2, J, side]
        total = pairs[:, :, None] + np.minimum(squares, _MOST).sum(axis=(3, 4))
        chosen[row] = total.argmin(axis=0)
        pairs = total.min(axis=0) + price + exchanged
    labels = np.zeros(count, np.int8)
    labels[-2], labels[-1] = np.unravel_index(pairs.argmin(), (2, 2))
    for row in range(count - 1, 1, -1):
        labels[row - 2] = chosen[row, labels[row - 1], labels[row]]
    return labels.astype(bool)


def _second_difference(three: Sequence[np.ndarray], times: np.ndarray, step: float) -> np.ndarray:
    """The second difference of three values, as if they were `step` seconds apart."""
    before, after = times[1] - times[0], times[2] - times[1]
    rise = (three[2] - three[1]) / after - (three[1] - three[0]) / before
    return rise * 2 * step**2 / (before + after)


def _noise(sums: np.ndarray, times: np.ndarray) -> float:
    """Standard deviation of a coordinate's second difference, from [T, J, 2] sums of left and right."""
    step = float(np.median(np.diff(times)))
    at = np.arange(1, len(times) - 1)
    bends = _second_difference(
        (sums[at - 1], sums[at], sums[at + 1]),
        np.stack([times[at - 1], times[at], times[at + 1]])[..., None, None],
        step,
    )
    known = np.abs(bends[np.isfinite(bends)])
    spread = 1.4826 * float(np.median(known)) / np.sqrt(2) if len(known) else 0.0
    return max(spread, _LEAST_NOISE)
