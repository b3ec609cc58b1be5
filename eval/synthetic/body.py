"""A walking skeleton: joint positions in metres from the motion of a person.

World coordinates: x to the right of the image, y up from the ground, z away from the camera. At yaw 0 a
person walks away from the camera, at a quarter turn to the right.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Joints = Mapping[str, np.ndarray]  # by name: [F, 3] metres

# Angles of an arm, radians: forward from hanging, outward, bend of the elbow, forearm turned inward.
ARM_ANGLES = 4
LEFT, RIGHT = -1.0, 1.0
SIDES = (("left", LEFT), ("right", RIGHT))

# Degrees at every tenth of the gait cycle, from heel strike (textbook curves of normal walking).
_HIP_DEG = (30, 26, 18, 8, -2, -9, -8, 6, 23, 31)
_KNEE_DEG = (5, 16, 17, 11, 7, 12, 36, 60, 54, 20)
_ANKLE_DEG = (0, -4, 3, 7, 9, 4, -14, -8, 0, 1)
_STRIDE_PER_HEIGHT = 0.86  # metres of a full cycle (two steps) per metre of height, at full swing

# Lengths relative to height.
_THIGH, _SHANK, _ANKLE_HEIGHT = 0.245, 0.243, 0.042
_HEEL, _TOE = 0.028, 0.1
_SPINE, _UPPER_ARM, _FOREARM, _HAND = 0.285, 0.172, 0.15, 0.075
_HIP_WIDTH, _SHOULDER_WIDTH = 0.052, 0.106
_NECK, _HEAD_CENTRE, _HEAD_RADIUS = 0.035, 0.107, 0.064


@dataclass(frozen=True)
class Build:
    """The proportions of one body."""

    height_m: float
    girth: float  # thickness of trunk and limbs, relative to the average
    shoulders: float  # width of the shoulders, relative to the average


@dataclass(frozen=True)
class Motion:
    """The motion of one person; all arrays are [F] except `place` and `arms`."""

    place: np.ndarray  # [F, 2] x z on the ground, metres
    yaw: np.ndarray  # direction of the chest, radians
    phase: np.ndarray  # gait cycles walked
    swing: np.ndarray  # 0 standing, 1 walking with full steps
    arms: np.ndarray  # [F, 2, ARM_ANGLES] left and right arm, used where `gesture` is 1
    gesture: np.ndarray  # 0 arms swing with the walk, 1 arms as in `arms`
    lean: np.ndarray  # forward lean of the trunk, radians
    head_turn: np.ndarray  # head relative to the chest, to the right, radians


def stride_m(height_m: float, swing: np.ndarray) -> np.ndarray:
    """Return the metres walked in one gait cycle."""
    return _STRIDE_PER_HEIGHT * height_m * np.maximum(swing, 0.3)


def move(motion: Motion, build: Build) -> dict[str, np.ndarray]:
    """Return the joint positions [F, 3] in metres, by name.

    Returns:
        COCO's 17 keypoints, and pelvis, chest (between the shoulders), neck (base of the skull), head (its
        centre), head_top, chin and, for each side, hand, heel and toe.
    """
    height = build.height_m
    cycle = 2 * np.pi * motion.phase
    hips_yaw = motion.yaw + 0.07 * motion.swing * np.sin(cycle)
    chest_yaw = motion.yaw - 0.10 * motion.swing * np.sin(cycle)
    joints: dict[str, np.ndarray] = {"pelvis": np.zeros((len(cycle), 3))}
    for (side, sign), shift in zip(SIDES, (0.0, 0.5), strict=True):
        _add_leg(joints, side, motion, hips_yaw, height, sign, motion.phase + shift)
    ground = np.minimum.reduce(
        [joints[f"{side}_{part}"][:, 1] for side, _ in SIDES for part in ("heel", "toe")]
    )
    joints["chest"] = _swung(motion.lean, motion.yaw) * -_SPINE * height
    for (side, sign), shift in zip(SIDES, (0.5, 0.0), strict=True):
        _add_arm(joints, side, motion, chest_yaw, build, sign, motion.phase + shift)
    _add_head(joints, motion, chest_yaw, height)
    # The body sways over the standing foot.
    sway = 0.018 * height * motion.swing * np.sin(cycle + 0.9)
    root = np.stack((motion.place[:, 0], -ground, motion.place[:, 1]), axis=1) + sway[:, None] * _right(
        motion.yaw
    )
    return {name: np.round(joint + root, 5) for name, joint in joints.items()}


def forward(yaw: np.ndarray) -> np.ndarray:
    """Return unit vectors [F, 3] in the direction of a yaw."""
    return np.stack((np.sin(yaw), np.zeros_like(yaw), np.cos(yaw)), axis=-1)


def _right(yaw: np.ndarray) -> np.ndarray:
    return np.stack((np.cos(yaw), np.zeros_like(yaw), -np.sin(yaw)), axis=-1)


def _swung(angle: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Return unit vectors [F, 3] that point down, rotated forward by an angle."""
    hanging = forward(yaw) * np.sin(angle)[:, None]
    hanging[:, 1] = -np.cos(angle)
    return hanging


def _curve(knots_deg: tuple[int, ...], phase: np.ndarray) -> np.ndarray:
    """Return the radians of a periodic Catmull-Rom curve through its knots."""
    knots = np.radians(knots_deg)
    place = (phase % 1) * len(knots)
    whole = np.floor(place).astype(int)
    t = place - whole
    a, b, c, d = (knots[(whole + step) % len(knots)] for step in (-1, 0, 1, 2))
    return b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def _add_leg(
    joints: dict[str, np.ndarray],
    side: str,
    motion: Motion,
    yaw: np.ndarray,
    height: float,
    sign: float,
    phase: np.ndarray,
) -> None:
    hip_angle = _curve(_HIP_DEG, phase) * motion.swing
    shank_angle = hip_angle - _curve(_KNEE_DEG, phase) * motion.swing - 0.02
    foot_angle = shank_angle + _curve(_ANKLE_DEG, phase) * motion.swing + np.pi / 2
    sideways = _right(yaw) * sign * height
    spread = sideways * (0.02 * (1 - motion.swing))[:, None]  # a standing person has feet apart
    hip = sideways * _HIP_WIDTH
    knee = hip + _swung(hip_angle, yaw) * _THIGH * height + spread
    ankle = knee + _swung(shank_angle, yaw) * _SHANK * height + spread / 2
    toes, sole = _swung(foot_angle, yaw), _swung(foot_angle - np.pi / 2, yaw)
    outward = sideways * 0.012
    joints[f"{side}_hip"], joints[f"{side}_knee"], joints[f"{side}_ankle"] = hip, knee, ankle
    joints[f"{side}_heel"] = ankle - toes * _HEEL * height + sole * _ANKLE_HEIGHT * height
    joints[f"{side}_toe"] = ankle + toes * _TOE * height + sole * _ANKLE_HEIGHT * height + outward


def _add_arm(
    joints: dict[str, np.ndarray],
    side: str,
    motion: Motion,
    yaw: np.ndarray,
    build: Build,
    sign: float,
    phase: np.ndarray,
) -> None:
    height, swing = build.height_m, motion.swing
    reach = np.cos(2 * np.pi * phase)
    idle = [reach * 0.45 * swing - 0.02, np.full_like(swing, 0.1), 0.15 + 0.3 * swing * (1 + reach) / 2]
    angles = np.stack([*idle, np.full_like(swing, 0.12)])  # [ARM_ANGLES, F]
    angles += (motion.arms[:, 0 if sign == LEFT else 1].T - angles) * motion.gesture
    lift, out, bend, turn = angles
    sideways = _right(yaw) * sign
    shoulder = joints["chest"] + sideways * _SHOULDER_WIDTH * build.shoulders * height
    upper = _swung(lift, yaw) * np.cos(out)[:, None] + sideways * np.sin(out)[:, None]
    fore = (
        _swung(lift + bend, yaw) * np.cos(turn - out)[:, None] - sideways * np.sin(turn - out * 0.6)[:, None]
    )
    fore /= np.linalg.norm(fore, axis=1, keepdims=True)
    elbow = shoulder + upper * _UPPER_ARM * height
    wrist = elbow + fore * _FOREARM * height
    joints[f"{side}_shoulder"], joints[f"{side}_elbow"], joints[f"{side}_wrist"] = shoulder, elbow, wrist
    joints[f"{side}_hand"] = wrist + fore * _HAND * height


def _add_head(joints: dict[str, np.ndarray], motion: Motion, chest_yaw: np.ndarray, height: float) -> None:
    yaw = chest_yaw + motion.head_turn
    up = -_swung(motion.lean * 0.6, yaw)
    ahead, right = forward(yaw), _right(yaw)
    radius = _HEAD_RADIUS * height
    joints["neck"] = joints["chest"] + up * _NECK * height + ahead * 0.006 * height
    joints["head"] = head = joints["chest"] + up * _HEAD_CENTRE * height + ahead * 0.018 * height
    joints["head_top"], joints["chin"] = head + up * radius, head - up * radius
    joints["nose"] = head + ahead * 0.86 * radius - up * 0.15 * radius
    for side, sign in SIDES:
        joints[f"{side}_eye"] = head + (ahead * 0.68 + right * sign * 0.28 + up * 0.1) * radius
        joints[f"{side}_ear"] = head + (right * sign * 0.7 - up * 0.03) * radius
