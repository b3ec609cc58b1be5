"""Angles of joints and segments, and the direction that a person faces.

Definitions, signs and sides: docs/reference/kinematics.md 2. All angles are measured in the plane of the
image, with x in the direction that the person faces and y up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RIGHT, FRONT, LEFT = 1, 0, -1  # directions that a person faces; front: towards or away from the camera
FACING_NAMES = {RIGHT: "right", FRONT: "front", LEFT: "left"}
_WINDOW_S = 0.5  # before and after a frame, for the median
_SIDEWAYS = 0.08  # of the trunk's length: nose before or behind the ears; smaller: front
_FRONTAL = 0.5  # of the trunk's length: horizontal distance of the shoulders; larger: front
_MIDPOINTS = {"neck": ("left_shoulder", "right_shoulder"), "hips": ("left_hip", "right_hip")}


@dataclass(frozen=True)
class Angle:
    """An angle between two directions, or of one direction against the horizontal.

    Args:
        name: As Sports2D names it, with underscores.
        distal: Keypoints at the start and the end of the direction that is measured.
        proximal: Of the direction from which it is measured; None: the horizontal, a segment angle.
        sign: 1: counter-clockwise is positive, for a person who faces to the right; -1: clockwise.
        offset: Degrees of the neutral position.
    """

    name: str
    distal: tuple[str, str]
    proximal: tuple[str, str] | None = None
    sign: int = 1
    offset: float = 0.0

    @property
    def is_joint(self) -> bool:
        """Whether it is the angle of a joint, not of a segment."""
        return self.proximal is not None

    @property
    def period(self) -> int:
        """Degrees after which it repeats: 180 of pelvis and shoulders, which have no direction, else 360."""
        return 180 if self.name in ("pelvis", "shoulders") else 360

    @property
    def keypoints(self) -> tuple[str, ...]:
        """The keypoints that it needs."""
        ends = (*self.distal, *(self.proximal or ()))
        return tuple(name for end in ends for name in _MIDPOINTS.get(end, (end,)))


def _of_both_sides(
    name: str, distal: str, proximal: str = "", sign: int = 1, offset: float = 0
) -> list[Angle]:
    """The angle of the left and of the right side; "a-b" is the direction from a to b, trunk that of both."""

    def direction(text: str, side: str) -> tuple[str, str]:
        start, _, end = text.partition("-")
        return ("neck", "hips") if text == "trunk" else (f"{side}_{start}", f"{side}_{end}")

    return [
        Angle(
            f"{side}_{name}",
            direction(distal, side),
            direction(proximal, side) if proximal else None,
            sign,
            offset,
        )
        for side in ("left", "right")
    ]


# Of one name, the keypoints that different skeletons have for it.
ANGLES = (
    *_of_both_sides("ankle", "heel-big_toe", "knee-ankle", offset=90),
    *_of_both_sides("ankle", "heel-foot_index", "knee-ankle", offset=90),  # BlazePose
    *_of_both_sides("knee", "knee-ankle", "hip-knee", sign=-1),
    *_of_both_sides("hip", "hip-knee", "trunk"),
    *_of_both_sides("shoulder", "shoulder-elbow", "trunk"),
    *_of_both_sides("elbow", "elbow-wrist", "shoulder-elbow"),
    *_of_both_sides("wrist", "wrist-index", "elbow-wrist"),  # BlazePose
    *_of_both_sides("wrist", "wrist-forefinger1", "elbow-wrist"),  # COCO-WholeBody
    *_of_both_sides("foot", "heel-big_toe"),
    *_of_both_sides("foot", "heel-foot_index"),
    *_of_both_sides("shank", "knee-ankle"),
    *_of_both_sides("thigh", "hip-knee"),
    *_of_both_sides("arm", "shoulder-elbow"),
    *_of_both_sides("forearm", "elbow-wrist"),
    *_of_both_sides("hand", "wrist-index"),
    *_of_both_sides("hand", "wrist-forefinger1"),
    Angle("pelvis", ("right_hip", "left_hip")),
    Angle("shoulders", ("right_shoulder", "left_shoulder")),
    Angle("trunk", ("hips", "neck")),
    Angle("head", ("head_bottom", "head_top")),  # PoseTrack
    Angle("head", ("neck", "head")),  # Halpe
)


def angles_of(names: Sequence[str]) -> list[Angle]:
    """Return the angles whose keypoints a skeleton has."""
    return [angle for angle in ANGLES if set(angle.keypoints) <= set(names)]


def measure_angles(points: np.ndarray, names: Sequence[str], facing: np.ndarray) -> np.ndarray:
    """Measure the angles of `angles_of(names)`.

    Args:
        points: [T, K, 2] in pixels or metres, y up, NaN where unknown.
        names: [K] names of the keypoints.
        facing: [T] 1 right, -1 left, 0 front or back. Where it is 0 the sign is not known: joints have
            their size alone.

    Returns:
        [T, A] degrees, above -180 and at most 180; NaN where a keypoint is unknown.

    Examples:
        >>> import numpy as np
        >>> names = ["left_hip", "left_knee", "left_ankle"]
        >>> points = np.array([[[0.0, 2.0], [0.0, 1.0], [-1.0, 1.0]]])  # the heel behind, at a right angle
        >>> angles = measure_angles(points, names, facing=np.array([1]))
        >>> dict(zip([angle.name for angle in angles_of(names)], angles[0].tolist()))
        {'left_knee': 90.0, 'left_shank': 180.0, 'left_thigh': -90.0}
    """
    mirrored = points.copy()
    mirrored[facing == LEFT, :, 0] *= -1
    columns = [_measure(angle, mirrored, names, facing) for angle in angles_of(names)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(points), 0))


def _measure(angle: Angle, points: np.ndarray, names: Sequence[str], facing: np.ndarray) -> np.ndarray:
    u = _direction(points, names, angle.distal)
    v = _direction(points, names, angle.proximal) if angle.proximal else np.array([1.0, 0.0])
    turn = np.arctan2(v[..., 0] * u[..., 1] - v[..., 1] * u[..., 0], (u * v).sum(axis=-1))
    degrees = angle.sign * np.degrees(turn)
    if angle.is_joint:
        degrees = np.where(facing == FRONT, np.abs(degrees), degrees)
    half = angle.period / 2
    wrapped = half - (half - (degrees - angle.offset)) % angle.period
    return np.where((u == 0).all(axis=-1), np.nan, wrapped)


def _direction(points: np.ndarray, names: Sequence[str], ends: tuple[str, str]) -> np.ndarray:
    start, end = (keypoint(points, names, name) for name in ends)
    return end - start


def keypoint(points: np.ndarray, names: Sequence[str], name: str) -> np.ndarray:
    """Return [T, D] of a keypoint, of "neck" (between the shoulders) or "hips" (between the hips)."""
    if name in _MIDPOINTS:
        left, right = (points[:, names.index(each)] for each in _MIDPOINTS[name])
        return (left + right) / 2
    return points[:, names.index(name)]


def find_facing(points: np.ndarray, names: Sequence[str], times: np.ndarray, body_px: float) -> np.ndarray:
    """Find the direction that a person faces, from the nose and the ears, and from the shoulders.

    The nose is before the ears in that direction. People whose shoulders are further apart in the image than
    half of the trunk's length, or whose nose is less than 8 % of it before or behind the ears, are seen from
    the front or from behind. Medians of a second are compared; where none is known, the nearest frame counts.

    Args:
        points: [T, K, 2] pixels, NaN where unknown.
        names: [K] names of the keypoints.
        times: [T] seconds.
        body_px: Length of the trunk.

    Returns:
        [T] RIGHT, LEFT or FRONT; all FRONT where the head is never known.
    """
    before = _median_of_a_second(_nose_before_ears(points, names) / body_px, times)
    left, right = (points[:, names.index(name), 0] for name in _MIDPOINTS["neck"])
    width = _median_of_a_second(np.abs(left - right) / body_px, times)
    front = ~(np.abs(before) >= _SIDEWAYS) | (width > _FRONTAL)
    return np.where(front, FRONT, np.sign(np.nan_to_num(before))).astype(int)


def _median_of_a_second(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """[T] medians around each frame, of the nearest frame where none is known; NaN if all are unknown."""
    known = np.isfinite(values)
    if not known.any():
        return values
    at, there = times[known], values[known]
    first, last = np.searchsorted(at, times - _WINDOW_S), np.searchsorted(at, times + _WINDOW_S, side="right")
    medians = [np.median(there[i:j]) if j > i else np.nan for i, j in zip(first, last, strict=True)]
    rows = np.flatnonzero(np.isfinite(medians))
    middles = (times[rows][1:] + times[rows][:-1]) / 2
    return np.array(medians)[rows[np.searchsorted(middles, times)]]


def _nose_before_ears(points: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """[T] pixels to the right; of the ears that are known, and of the shoulders where none is."""
    before = np.full(len(points), np.nan)
    if "nose" not in names:
        return before
    nose = points[:, names.index("nose"), 0]
    for pair in (("left_ear", "right_ear"), _MIDPOINTS["neck"]):
        if not set(pair) <= set(names):
            continue
        sides = points[:, [names.index(each) for each in pair], 0]
        known = np.isfinite(sides)
        middle = np.where(known, sides, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        offset = np.where(known.any(axis=1), nose - middle, np.nan)
        before = np.where(np.isfinite(before), before, offset)
    return before
