"""Metres from pixels: a constant scale, the known height of a person, or four points of the floor."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kprtrack.core.errors import InputError, UserError
from kprtrack.kinematics.angles import keypoint

# Lengths of segments as fractions of the height of a person who stands (Drillis and Contini, 1966, as given
# by Winter, Biomechanics and Motor Control of Human Movement, 2009, figure 4.1): ankle to knee 0.285 - 0.039,
# knee to hip 0.530 - 0.285, hip to shoulder 0.818 - 0.530.
_FRACTIONS = {("ankle", "knee"): 0.246, ("knee", "hip"): 0.245}
_TRUNK_FRACTION = 0.288
_ANKLE_M = 0.07  # above the floor: 0.039 of a height of 1.8 m
HEIGHTS_M = (0.4, 2.8)  # of a person
_FEWEST = 4  # points of a floor
_LEAST_AREA = 1e-4  # of the triangle of three floor points, in the square of their extent


@dataclass(frozen=True)
class Calibration:
    """What is known about the size of things; nothing: results are in pixels.

    Args:
        metres_per_pixel: One scale for all people.
        heights_m: Heights of people in metres by track ID. A person without one has the scale of the first.
        floor_px: Four or more points of the floor in the image, (x, y) from the upper left corner.
        floor_m: The same points on the floor in metres, (X, Y); seen from above, X to Y is counter-clockwise.

    Raises:
        UserError: More than one way is given, a number is out of range, or the points do not span a floor.

    Examples:
        >>> Calibration(heights_m={3: 1.82}).units
        'm'
        >>> Calibration().units
        'px'
    """

    metres_per_pixel: float | None = None
    heights_m: Mapping[int, float] = field(default_factory=dict)
    floor_px: Sequence[tuple[float, float]] = ()
    floor_m: Sequence[tuple[float, float]] = ()

    def __post_init__(self) -> None:
        scale = self.metres_per_pixel
        if (scale is not None) + bool(self.heights_m) + bool(self.floor_px) > 1:
            raise UserError("Give one of a scale, heights of people, and floor points, not several.")
        if scale is not None and not (math.isfinite(scale) and scale > 0):
            raise UserError(f"A scale must be above 0 metres per pixel, not {scale:g}.")
        for person, height in self.heights_m.items():
            if not HEIGHTS_M[0] <= height <= HEIGHTS_M[1]:
                raise UserError(
                    f"The height of person {person} must be from {HEIGHTS_M[0]} to {HEIGHTS_M[1]} metres,"
                    f" not {height:g}."
                )
        if len(self.floor_px) != len(self.floor_m):
            raise UserError(
                f"There are {len(self.floor_px)} floor points in pixels and {len(self.floor_m)} in metres:"
                " give as many of both."
            )
        if self.floor_px:
            _validate_floor(self.floor_px, "pixels")
            _validate_floor(self.floor_m, "metres")

    @property
    def units(self) -> str:
        """The unit of lengths: "m" or "px"."""
        return "m" if self.metres_per_pixel or self.heights_m or self.floor_px else "px"


def _validate_floor(points: Sequence[tuple[float, float]], unit: str) -> None:
    """Raises: UserError for fewer than four points, or three on a line."""
    if len(points) < _FEWEST:
        raise UserError(f"A floor needs {_FEWEST} points or more; there are {len(points)} in {unit}.")
    places = np.array(points, np.float64)
    if not np.isfinite(places).all():
        raise UserError(f"A floor point in {unit} is not a finite number.")
    extent = np.ptp(places, axis=0).max()
    for first in range(_FEWEST):
        a, b, c = np.delete(places[:_FEWEST], first, axis=0)
        area = abs((b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0]) / 2
        if area <= _LEAST_AREA * extent**2:
            raise UserError(
                f"Three of the first four floor points in {unit} are on a line: choose corners of an area."
            )


def scale_of_height(points: np.ndarray, names: Sequence[str], height_m: float) -> float:
    """Return the metres per pixel at a person of known height.

    The median lengths of shanks, thighs and trunk are compared with what they are of people's height on
    average (77.9 %). The person moves parallel to the plane of the image.

    Args:
        points: [T, K, 2] pixels, NaN where unknown.
        names: [K] names of the keypoints.
        height_m: Height of the person who stands, in metres.

    Raises:
        InputError: A segment is unknown in all frames.
    """
    pixels, fraction = 0.0, _TRUNK_FRACTION
    pixels += _median_length(points, names, ("hips",), "neck")
    for (lower, upper), part in _FRACTIONS.items():
        sides = tuple(f"{side}_{lower}" for side in ("left", "right"))
        pixels += _median_length(points, names, sides, upper)
        fraction += part
    return height_m * fraction / pixels


def _median_length(points: np.ndarray, names: Sequence[str], lower: tuple[str, ...], upper: str) -> float:
    """Median over the frames of a segment's length, the mean of both sides if they are known."""
    lengths = []
    for start in lower:
        end = upper if len(lower) == 1 else f"{start.partition('_')[0]}_{upper}"
        length = np.linalg.norm(keypoint(points, names, end) - keypoint(points, names, start), axis=1)
        if np.isfinite(length).any():
            lengths.append(float(np.nanmedian(length)))
    if not lengths or min(lengths) <= 0:
        joints = " and ".join((*lower, upper))
        raise InputError(
            f"The scale of a person of known height needs {joints}, which are known in no frame."
            " Choose another person, or give --metres-per-pixel."
        )
    return float(np.mean(lengths))


@dataclass(frozen=True)
class Floor:
    """The mapping between the image and the floor.

    Args:
        matrix: [3, 3] homography from pixels to metres.
    """

    matrix: np.ndarray

    def to_metres(self, pixels: np.ndarray) -> np.ndarray:
        """Map [..., 2] pixels to [..., 2] metres; NaN at and above the horizon."""
        mapped = np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=-1) @ self.matrix.T
        depth = np.where(mapped[..., 2:] > 0, mapped[..., 2:], np.nan)
        return mapped[..., :2] / depth

    def to_the_right(self, pixels: np.ndarray) -> np.ndarray:
        """Return how far [..., 2] metres on the floor one pixel to the right is, at [..., 2] pixels.

        For a camera that is held level this direction is parallel to the plane of the image, and its length
        is the scale of an upright figure at that place.
        """
        half = np.array([0.5, 0.0])
        return self.to_metres(pixels + half) - self.to_metres(pixels - half)


def floor_of(calibration: Calibration) -> Floor:
    """Return the mapping from the calibration's floor points, by least squares if there are more than four.

    Raises:
        UserError: The points are in no possible order.
    """
    import cv2

    pixels = np.array(calibration.floor_px, np.float64)
    metres = np.array(calibration.floor_m, np.float64)
    matrix, _ = cv2.findHomography(pixels, metres, 0)
    depths = None if matrix is None else matrix[2] @ np.concatenate([pixels, np.ones((len(pixels), 1))], 1).T
    if depths is None or not ((depths > 0).all() or (depths < 0).all()):
        raise UserError("No camera has these floor points: give pixels and metres in the same order.")
    return Floor(matrix if depths[0] > 0 else -matrix)


def place_on_floor(points: np.ndarray, names: Sequence[str], floor: Floor) -> np.ndarray:
    """Return where a person is on the floor, in pixels: below the hips, 7 cm below the lower ankle.

    Args:
        points: [T, K, 2] pixels from the upper left corner, NaN where unknown.
        names: [K] names of the keypoints.
        floor: The floor, below whose horizon the place has to be.

    Returns:
        [T, 2]; NaN where hips or both ankles are unknown.
    """
    hips = keypoint(points, names, "hips")
    ankles = points[:, [names.index(f"{side}_ankle") for side in ("left", "right")], 1]
    lower = np.fmax(ankles[:, 0], ankles[:, 1])
    place = np.stack([hips[:, 0], lower], axis=1)
    for _ in range(2):  # the scale is that of the place itself
        scale = np.linalg.norm(floor.to_the_right(place), axis=1)
        place = np.stack([hips[:, 0], lower + _ANKLE_M / scale], axis=1)
    unknown = ~np.isfinite(place).all(axis=1) | ~np.isfinite(floor.to_metres(place)).all(axis=1)
    return np.where(unknown[:, None], np.nan, place)


def stand_on_floor(points: np.ndarray, place: np.ndarray, floor: Floor) -> np.ndarray:
    """Return [T, K, 3] metres of an upright figure that is parallel to the plane of the image.

    Args:
        points: [T, K, 2] pixels from the upper left corner.
        place: [T, 2] pixels where the person is on the floor.
        floor: The floor.

    Returns:
        X and Y of the floor and the height above it.
    """
    right = floor.to_the_right(place)  # [T, 2] metres per pixel
    scale = np.linalg.norm(right, axis=1)[:, None]
    offset = points - place[:, None]
    ground = floor.to_metres(place)[:, None] + offset[..., :1] * right[:, None]
    return np.concatenate([ground, -offset[..., 1:] * scale[..., None]], axis=-1)
