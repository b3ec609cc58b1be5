"""Augmentation of a person for pose networks: crop window, colours, degradations, occlusion.

One affine map takes the frame to the network's input, so that the image is resampled once. Randomness comes
from the generator that is handed in.
Source: window and half body as in docs/reference/detector_and_pose.md 2.7; the rest is our
own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from kprtrack.core.config_files.ranges import validate_ranges
from kprtrack.core.errors import UserError
from kprtrack.core.skeleton import FLIP, POSETRACK_FLIP
from kprtrack.poses.crops import cut_crops, pose_windows, standard_matrices, udp_matrices
from kprtrack.poses.topdown import TopDown
from kprtrack.training.degradations import WorseCamera, worsened

_UPPER = tuple(range(11))  # head and arms; the rest are hips and legs, in both skeletons
_HALF_BODY_FROM = 8  # visible keypoints that half a body needs to be cut out
_HALF_BODY_LEAST = 2  # of them in the half
_HALF_BODY_PADDING = 1.5  # box relative to the half's keypoints
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601
Range = tuple[float, float]


@dataclass(frozen=True)
class PoseAugmentConfig:
    """How often (a probability) and how far each change goes; the window's defaults are HRNet's."""

    flip: float = 0.5
    half_body: float = 0.3
    shift: float = 0.3
    shift_share: float = 0.16  # of the window's size
    scale_share: float = 0.5  # window 0.5 to 1.5 times as large
    rotate: float = 0.6
    rotate_deg: float = 80.0
    stretch: float = 0.0  # along any axis, as much thinner across: limbs come to lie at other angles
    stretch_share: float = 0.3  # at most 1.3 times as long
    colour: float = 0.0  # brightness, contrast, saturation and the balance of the channels
    colour_share: float = 0.3
    shrink: float = 0.0  # made small and large again, as people far away are
    shrink_to: Range = (0.15, 0.7)  # of the input's size
    camera: WorseCamera = field(default_factory=WorseCamera)
    erase: float = 0.0  # a rectangle of one colour or of noise
    paste: float = 0.0  # a piece of another image
    hidden_share: Range = (0.1, 0.5)  # of the input's height and width, for both

    def __post_init__(self) -> None:
        validate_ranges(self, "augment.")
        for name in ("shrink_to", "hidden_share"):
            least, greatest = getattr(self, name)
            if not 0 < least <= greatest:
                raise UserError(f"augment.{name} is {(least, greatest)}; it needs 0 < least <= greatest.")
        for name in ("scale_share", "colour_share", "stretch_share"):
            if getattr(self, name) == 1:
                raise UserError(f"augment.{name} is {getattr(self, name)}; give less than 1.")


@dataclass(frozen=True)
class Person:
    """An annotated person in an image."""

    image: np.ndarray  # [H, W, 3] uint8 RGB, the whole image
    box: np.ndarray  # [4] x1 y1 x2 y2, pixels
    keypoints: np.ndarray  # [17, 3] x y weight, pixels of the image; 0: unknown, below: not visible


@dataclass(frozen=True)
class PoseSample:
    """An input of the network, and the keypoints in it."""

    crop: np.ndarray  # [H, W, 3] uint8 RGB, of the network's input size
    points: np.ndarray  # [17, 2] pixels of the crop
    weights: np.ndarray  # [17] likewise


def augment(
    person: Person,
    layout: TopDown,
    *,
    config: PoseAugmentConfig,
    rng: np.random.Generator,
    others: Callable[[np.random.Generator], np.ndarray],
) -> PoseSample:
    """Augment a person at random. others: draws a piece of another image, [h, w, 3] uint8.

    Args:
        person: Image, box and keypoints.
        layout: Input and heatmap size of the network.
        config: Chances and ranges of the augmentation.
        rng: Source of the draws.
        others: Draws a piece of another image, [h, w, 3] uint8.

    Returns:
        The crop in the size of the input, keypoints in its pixels and their weights.
    """
    box = person.box
    if rng.random() < config.half_body:
        box = _half_body(person, rng)
    window, angle_deg = _draw_window(box, layout, config, rng)
    mirrored = bool(rng.random() < config.flip)
    stretched = _draw_stretch(config, rng)
    sample = _cut(person, layout, window, angle_deg=angle_deg, mirrored=mirrored, stretched=stretched)
    crop = _occlude(sample.crop, config, rng, others)
    crop = _shrink(_change_colours(crop, config, rng), config, rng)
    return PoseSample(worsened(crop, config.camera, rng), sample.points, sample.weights)


def plain(person: Person, layout: TopDown) -> PoseSample:
    """The person as in use: cut out by the box, nothing changed.

    Args:
        person: Image, box and keypoints.
        layout: Input and heatmap size of the network.

    Returns:
        The crop in the size of the input, keypoints in its pixels and their weights.
    """
    window = pose_windows(person.box, layout.input_width, layout.input_height, padding=layout.box_padding)[0]
    return _cut(person, layout, window, angle_deg=0.0, mirrored=False, stretched=np.eye(2))


def _cut(
    person: Person,
    layout: TopDown,
    window: np.ndarray,
    *,
    angle_deg: float,
    mirrored: bool,
    stretched: np.ndarray,
) -> PoseSample:
    width, height = layout.input_width, layout.input_height
    matrix = crop_matrix(window, layout, angle_deg=angle_deg, mirrored=mirrored, stretched=stretched)
    crop = cut_crops(person.image, matrix[None], width, height)[0]
    points = person.keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    weights = person.keypoints[:, 2]
    if mirrored:
        rows = list(FLIP if layout.skeleton == "coco" else POSETRACK_FLIP)
        points, weights = points[rows], weights[rows]
    return PoseSample(crop, points, weights)


def crop_matrix(
    window: np.ndarray, layout: TopDown, *, angle_deg: float, mirrored: bool, stretched: np.ndarray
) -> np.ndarray:
    """The affine map [2, 3] from frame to input pixels of a turned and mirrored window (cx cy w h).

    Positive angles turn the person clockwise; the mirror is that of the input. stretched: [2, 2], what
    happens to the person about the window's centre before that.

    Args:
        window: [4] centre x, centre y, width, height in pixels of the frame.
        layout: Input size of the network and how it maps pixels.
        angle_deg: Clockwise turn of the person, in degrees.
        mirrored: Mirror the input.
        stretched: [2, 2], applied to the person about the centre of the window before the turn.

    Returns:
        [2, 3], from frame to input pixels.
    """
    width, height = layout.input_width, layout.input_height
    straight = udp_matrices if layout.decode == "udp" else standard_matrices
    matrix = straight(window[None], width, height)[0]
    centre = window[:2].astype(np.float64)
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    turn = np.array([[cos, -sin], [sin, cos]]) @ stretched
    linear = matrix[:, :2] @ turn
    shift = matrix[:, :2] @ (centre - turn @ centre) + matrix[:, 2]
    if mirrored:
        linear[0], shift[0] = -linear[0], width - 1 - shift[0]
    return np.column_stack((linear, shift))


def _half_body(person: Person, rng: np.random.Generator) -> np.ndarray:
    """A box around the upper or the lower body; the person's own if too little of either is known."""
    known = np.flatnonzero(person.keypoints[:, 2] > 0)
    halves = [known[np.isin(known, _UPPER)], known[~np.isin(known, _UPPER)]]
    fit = [rows for rows in halves if len(rows) >= _HALF_BODY_LEAST]
    if len(known) < _HALF_BODY_FROM or not fit:
        return person.box
    points = person.keypoints[fit[rng.integers(len(fit))], :2]
    low, high = points.min(axis=0), points.max(axis=0)
    if not (high > low).all():
        return person.box
    centre, reach = (low + high) / 2, (high - low) / 2 * _HALF_BODY_PADDING
    return np.concatenate((centre - reach, centre + reach))


def _draw_window(
    box: np.ndarray, layout: TopDown, config: PoseAugmentConfig, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """A moved and scaled window around the box, and the angle to turn it by."""
    width, height = layout.input_width, layout.input_height
    window = pose_windows(box, width, height, padding=layout.box_padding)[0].astype(np.float64)
    if rng.random() < config.shift:
        window[:2] += _truncated(rng, 2) * config.shift_share * window[2:]
    window[2:] *= 1 + _truncated(rng, 1) * config.scale_share
    angle_deg = float(_truncated(rng, 1)[0]) * config.rotate_deg if rng.random() < config.rotate else 0.0
    return window, angle_deg


def _draw_stretch(config: PoseAugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """[2, 2] symmetric, of determinant 1: longer along one axis, shorter across it."""
    if config.stretch == 0 or rng.random() >= config.stretch:
        return np.eye(2)
    axis_rad, factor = rng.uniform(0, np.pi), (1 + config.stretch_share) ** rng.uniform(-1, 1)
    along = np.array((np.cos(axis_rad), np.sin(axis_rad)))
    return np.eye(2) / factor + (factor - 1 / factor) * np.outer(along, along)


def _truncated(rng: np.random.Generator, count: int) -> np.ndarray:
    """Standard normal numbers, drawn anew until they lie in (-1, 1)."""
    found = rng.standard_normal(count)
    while (outside := np.abs(found) >= 1).any():
        found[outside] = rng.standard_normal(int(outside.sum()))
    return found


def _occlude(
    crop: np.ndarray,
    config: PoseAugmentConfig,
    rng: np.random.Generator,
    others: Callable[[np.random.Generator], np.ndarray],
) -> np.ndarray:
    """Occlude parts of the person; the keypoints stay as targets."""
    if rng.random() < config.erase:
        rows, columns = _rectangle(crop, config, rng)
        crop = crop.copy()
        area = crop[rows, columns]
        shape = area.shape if rng.random() < 0.5 else (1, 1, 3)
        area[:] = rng.integers(0, 256, shape, dtype=np.uint8)
    if rng.random() < config.paste:
        rows, columns = _rectangle(crop, config, rng)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        crop = crop.copy()
        crop[rows, columns] = cv2.resize(others(rng), size, interpolation=cv2.INTER_AREA)
    return crop


def _rectangle(crop: np.ndarray, config: PoseAugmentConfig, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a rectangle whose centre is anywhere in the crop."""
    spans = []
    for length in crop.shape[:2]:
        size = max(1, round(rng.uniform(*config.hidden_share) * length))
        first = int(rng.integers(length)) - size // 2
        spans.append(slice(max(first, 0), max(min(first + size, length), 1)))
    return spans[0], spans[1]


def _change_colours(crop: np.ndarray, config: PoseAugmentConfig, rng: np.random.Generator) -> np.ndarray:
    if rng.random() >= config.colour:
        return crop
    contrast, brightness, saturation = rng.uniform(-1, 1, 3) * config.colour_share
    balance = 1 + rng.uniform(-1, 1, 3) * config.colour_share / 3
    # Contrast about the mean of the crop; one 3x3 matrix and a shift for everything.
    matrix = (1 + contrast) * balance[:, None] * ((1 + saturation) * np.eye(3) - saturation * np.array(_GREY))
    middle = np.array(cv2.mean(crop)[:3])
    shift = middle * (1 + brightness) - matrix @ middle
    return cv2.transform(crop, np.column_stack((matrix, shift)))


def _shrink(crop: np.ndarray, config: PoseAugmentConfig, rng: np.random.Generator) -> np.ndarray:
    if rng.random() >= config.shrink:
        return crop
    height, width = crop.shape[:2]
    share = rng.uniform(*config.shrink_to)
    size = (max(2, round(width * share)), max(2, round(height * share)))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
