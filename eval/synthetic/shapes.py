"""Build the tubes of a clothed person from a skeleton, projected by a camera."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from eval.synthetic.body import SIDES, forward
from eval.synthetic.drawing import Tube
from eval.synthetic.patterns import Paint
from eval.synthetic.people import PersonAppearance

# Body parts of the label maps; 0 is background.
PARTS = (
    *("background", "head", "torso", "left_upper_arm", "right_upper_arm", "left_forearm", "right_forearm"),
    *("left_thigh", "right_thigh", "left_shank", "right_shank", "left_foot", "right_foot", "bag"),
)
_HEAD, _TORSO, _BAG = PARTS.index("head"), PARTS.index("torso"), PARTS.index("bag")
_UP = np.array([0.0, 1.0, 0.0])
_GLASSES = Paint((40, 42, 50), weave=0)


@dataclass(frozen=True)
class Camera:
    """A level pinhole camera that only pans; lengths are in pixels of the canvas."""

    focal: float
    centre: float  # column of the point straight ahead, before panning
    horizon: float  # row of points at the height of the camera
    height_m: float = 2.0

    def project(self, points: np.ndarray, pan: float = 0) -> np.ndarray:
        """Project points onto the image.

        Args:
            points: [..., 3] x y z in metres.
            pan: Column of the backdrop at the left edge of the image.

        Returns:
            [..., 3]: x y in pixels and depth in metres.
        """
        depth = points[..., 2]
        scale = self.focal / depth
        column = self.centre - pan + scale * points[..., 0]
        return np.stack((column, self.horizon + scale * (self.height_m - points[..., 1]), depth), axis=-1)


class Shape(NamedTuple):
    """Differences of a tube from a round one."""

    bulge_m: float = 0  # additional radius in the middle
    blunt: tuple[float, float] = (1, 1)  # flatness of its ends
    flat: float = 1  # thickness from front to back relative to the width


_ROUND = Shape()


class GarmentBuilder:
    """Builds the tubes of one clothed person in one frame.

    Args:
        joints: Positions [3] in metres by name.
        appearance: Body and clothes.
        yaw: Yaw of the chest, radians.
        camera: The camera.
        pan: Column of the backdrop at the left edge of the canvas.
    """

    def __init__(
        self,
        joints: Mapping[str, np.ndarray],
        appearance: PersonAppearance,
        yaw: float,
        *,
        camera: Camera,
        pan: float,
    ) -> None:
        self._joints, self._appearance, self._yaw = joints, appearance, yaw
        self._camera, self._pan = camera, pan
        self._ahead = forward(np.array(yaw))
        self._right = np.array([self._ahead[2], 0, -self._ahead[0]])
        self._thick = appearance.build.height_m / 1.75 * appearance.build.girth
        self._tubes: list[Tube] = []

    def tubes(self) -> list[Tube]:
        """Return all tubes of the person; their order does not matter."""
        self._trunk()
        for side, _ in SIDES:
            self._arm(side)
            self._leg(side)
        self._head()
        self._extras()
        return self._tubes

    def _add(
        self,
        ends: tuple[np.ndarray, np.ndarray],
        radii_m: tuple[float, float],
        part: int,
        paint: Paint,
        shape: Shape = _ROUND,
    ) -> None:
        first, last = self._camera.project(np.array(ends), self._pan)
        sin, _, cos = self._ahead
        wide, deep = (math.hypot(a, shape.flat * b) for a, b in ((cos, sin), (sin, cos)))
        near, far = self._camera.focal / first[2], self._camera.focal / last[2]
        self._tubes.append(
            Tube(
                first,
                last,
                radii_m[0] * near * wide,
                radii_m[1] * far * wide,
                max(radii_m) * deep,
                part,
                paint,
                bulge=shape.bulge_m * (near + far) / 2,
                blunt=shape.blunt,
                yaw=self._yaw,
            )
        )

    def _trunk(self) -> None:
        appearance, joints, thick = self._appearance, self._joints, self._thick
        pelvis, chest = joints["pelvis"], joints["chest"]
        spine = chest - pelvis
        wide = 0.08 * appearance.build.shoulders * appearance.build.height_m / 1.75 + 0.095 * thick
        ends = pelvis - _UP * 0.4 * appearance.coat, pelvis + 0.96 * spine
        body = Shape(-0.014 * thick, (7, 2.4), 0.7)
        self._add(ends, (0.166 * thick, wide), _TORSO, appearance.shirt, body)
        for side, _ in SIDES:
            ends = chest + 0.1 * spine, joints[f"{side}_shoulder"] - 0.02 * _UP
            self._add(ends, (0.052 * thick, 0.05 * thick), _TORSO, appearance.shirt_plain)
        ends = chest - 0.02 * spine, joints["chin"] + 0.035 * _UP
        self._add(ends, (0.062 * thick, 0.053 * thick), _HEAD, appearance.skin)
        if appearance.leg_style in ("skirt", "dress"):
            left, right = joints["left_knee"], joints["right_knee"]
            stride = float(np.hypot(*(left - right)[[0, 2]])) * 0.41  # the hem is as wide as the step
            ends = pelvis + 0.2 * spine, pelvis + 0.82 * ((left + right) / 2 - pelvis)
            radii = 0.13 * thick, max(0.19, stride + 0.085) * thick
            self._add(ends, radii, _TORSO, appearance.hips, Shape(0, (6, 6), 0.92))
        else:
            ends = pelvis - 0.03 * _UP, pelvis + 0.06 * _UP
            self._add(ends, (0.142 * thick, 0.146 * thick), _TORSO, appearance.hips, Shape(0, (2, 2), 0.7))

    def _arm(self, side: str) -> None:
        appearance, thick = self._appearance, self._thick
        shoulder, elbow, wrist, hand = self._named(side, "shoulder", "elbow", "wrist", "hand")
        upper, fore = (PARTS.index(f"{side}_{name}") for name in ("upper_arm", "forearm"))
        loose = 0.006 if appearance.long_sleeves else 0
        radii = 0.057 * thick, 0.043 * thick + loose
        self._add((shoulder, elbow), radii, upper, appearance.sleeve, Shape(0.003))
        radii = 0.042 * thick + loose, 0.029 * thick + loose
        self._add((elbow, wrist), radii, fore, appearance.cuff, Shape(0.004))
        ends = wrist + 0.15 * (hand - wrist), hand
        self._add(ends, (0.033 * thick, 0.026 * thick), fore, appearance.skin, Shape(0.008))

    def _leg(self, side: str) -> None:
        appearance, thick = self._appearance, self._thick
        hip, knee, ankle, heel, toe = self._named(side, "hip", "knee", "ankle", "heel", "toe")
        thigh, shank, foot = (PARTS.index(f"{side}_{name}") for name in ("thigh", "shank", "foot"))
        trousers = appearance.leg_style == "trousers"
        loose = 0.01 if trousers else 0
        radii = 0.086 * thick, 0.058 * thick + loose
        self._add((hip + 0.12 * (knee - hip), knee), radii, thigh, appearance.legs, Shape(0.004))
        radii = 0.055 * thick + loose, 0.036 * thick + loose
        calf = Shape(0.006 if trousers else 0.016 * thick)
        self._add((knee, ankle), radii, shank, appearance.shins, calf)
        self._add((heel + 0.039 * _UP, toe + 0.03 * _UP), (0.042, 0.034), foot, appearance.shoe, Shape(0.004))
        self._add((ankle, (ankle + toe) / 2), (0.043, 0.032), foot, appearance.shoe)

    def _head(self) -> None:
        appearance, joints = self._appearance, self._joints
        head = joints["head"]
        up = joints["head_top"] - head
        radius = float(np.linalg.norm(up))
        nose = joints["nose"] - head
        body_yaw, self._yaw = self._yaw, math.atan2(nose[0], nose[2])
        ahead = forward(np.array(self._yaw)) * radius
        skull = Shape(0, (1.02, 1.02))
        self._add(
            (head - 0.3 * up, head + 0.3 * up), (0.64 * radius, 0.74 * radius), _HEAD, appearance.head, skull
        )
        for side, _ in SIDES:
            ear = joints[f"{side}_ear"]
            self._add(
                (ear - 0.12 * up, ear + 0.1 * up), (0.1 * radius, 0.15 * radius), _HEAD, appearance.skin
            )
            if appearance.glasses:
                eye = joints[f"{side}_eye"] + ahead * 0.12
                self._add((eye, eye), (0.17 * radius,) * 2, _HEAD, _GLASSES)
        tip = joints["nose"] - ahead * 0.14
        self._add(
            (tip + 0.28 * up - ahead * 0.1, tip), (0.06 * radius, 0.13 * radius), _HEAD, appearance.skin
        )
        self._hair(head, up, ahead)
        self._yaw = body_yaw

    def _hair(self, head: np.ndarray, up: np.ndarray, ahead: np.ndarray) -> None:
        """Add hair and hats; `up` and `ahead` are as long as half the height of the head."""
        appearance = self._appearance
        radius = float(np.linalg.norm(up))
        # Start and end in units of up and ahead; both radii.
        tufts: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
            "curly": ((0.3, -0.16), (0.4, -0.16), (0.9, 0.82)),
            "long": ((0.25, -0.3), (-1.7, -0.3), (0.76, 0.56)),
            "ponytail": ((0.25, -0.8), (-1.15, -1.05), (0.24, 0.15)),
            "bun": ((0.62, -0.62), (0.77, -0.62), (0.36, 0.33)),
        }
        if appearance.hair_style in tufts:
            start, end, (first, last) = tufts[appearance.hair_style]
            ends = head + start[0] * up + start[1] * ahead, head + end[0] * up + end[1] * ahead
            self._add(ends, (first * radius, last * radius), _HEAD, appearance.hair)
        if appearance.extra in ("cap", "beanie"):
            crown = head + 0.5 * up
            cap = Shape(0, (1.25, 1.25))
            self._add((crown, crown + 0.1 * up), (0.82 * radius,) * 2, _HEAD, appearance.extra_paint, cap)
        if appearance.extra == "cap":
            brim = head + 0.52 * up + 0.8 * ahead
            self._add((brim, brim + 0.5 * ahead), (0.16 * radius,) * 2, _HEAD, appearance.extra_paint)

    def _extras(self) -> None:
        appearance, thick, ahead = self._appearance, self._thick, self._ahead
        chest, pelvis = self._joints["chest"], self._joints["pelvis"]
        down, paint = pelvis - chest, appearance.extra_paint
        if appearance.extra == "scarf":
            neck = self._joints["neck"] - 0.025 * _UP
            self._add((neck, neck - 0.02 * _UP), (0.085 * thick,) * 2, _TORSO, paint, Shape(0, (1.5, 1.5)))
            front = neck + ahead * 0.11 * thick
            self._add((front, front + 0.5 * down), (0.035, 0.045), _TORSO, paint, Shape(0, (3, 3)))
        if appearance.extra == "backpack":
            back = chest - ahead * 0.17 * thick
            bag = Shape(0, (1.8, 1.8), 0.7)
            self._add((back + 0.12 * down, back + 0.72 * down), (0.13, 0.15), _BAG, paint, bag)
            for _, sign in SIDES:
                strap = chest + self._right * sign * 0.1 + ahead * 0.1 * thick
                self._add((strap + 0.02 * _UP, strap + 0.5 * down), (0.022, 0.02), _BAG, paint)
        if appearance.extra == "shoulder bag":
            top = pelvis + self._right * 0.2 * thick + 0.05 * _UP
            self._add((top, top - 0.13 * _UP), (0.08, 0.1), _BAG, paint, Shape(0, (2.2, 2.2)))
            shoulder = self._joints["right_shoulder"] + 0.04 * _UP
            for way in (0.1, -0.1):
                middle = (shoulder + top) / 2 + way * thick * ahead
                self._add((shoulder, middle), (0.014,) * 2, _BAG, paint)
                self._add((middle, top), (0.014,) * 2, _BAG, paint)

    def _named(self, side: str, *names: str) -> list[np.ndarray]:
        return [self._joints[f"{side}_{name}"] for name in names]
