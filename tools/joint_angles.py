"""Draws how the joint angles of docs/reference/kinematics.md 2.1 are counted."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BONE, MARK, ANGLE = "#3d4c66", "#8a94a6", "#0a8f4d"
DEGREES = {"hip": 50.0, "knee": 65.0, "ankle": 12.0, "shoulder": 55.0, "elbow": 60.0}
SHIFTS = {"hip": (-0.11, 0.04), "knee": (0.02, 0), "ankle": (0.02, 0), "elbow": (0.02, 0)}  # of their names
SHIFTS |= {"shoulder": (-0.12, 0.06)}
TRUNK = 84.0  # against the horizontal


def joint_angles() -> Figure:
    """Draw one side of a person who faces to the right, with its five joint angles."""
    figure, axis = plt.subplots(figsize=(5.6, 6.4), layout="constrained")
    down = TRUNK - 180
    hips = np.zeros(2)
    neck = hips + 0.55 * _direction(TRUNK)
    thigh = down + DEGREES["hip"]
    knee = hips + 0.45 * _direction(thigh)
    shank = thigh - DEGREES["knee"]
    ankle = knee + 0.45 * _direction(shank)
    foot = shank + 90 + DEGREES["ankle"]
    heel, toes = ankle - 0.07 * _direction(foot), ankle + 0.2 * _direction(foot)
    arm = down + DEGREES["shoulder"]
    elbow = neck + 0.34 * _direction(arm)
    forearm = arm + DEGREES["elbow"]
    wrist = elbow + 0.3 * _direction(forearm)
    for bone in ((neck, hips, knee, ankle), (heel, toes), (neck, elbow, wrist)):
        axis.plot(*np.transpose(bone), color=BONE, linewidth=5, solid_capstyle="round", marker="o", zorder=2)
    head = neck + 0.2 * _direction(TRUNK)
    axis.add_patch(plt.Circle(tuple(head), 0.11, fill=False, color=BONE, linewidth=4))
    nose = head + 0.11 * _direction(0)
    axis.plot(*np.transpose([nose, nose + 0.05 * _direction(-25)]), color=BONE, linewidth=4)
    _mark(axis, hips, down, thigh, "hip")
    _mark(axis, knee, thigh, shank, "knee")
    _mark(axis, ankle, shank + 90, foot, "ankle")
    _mark(axis, neck, down, arm, "shoulder")
    _mark(axis, elbow, arm, forearm, "elbow")
    axis.annotate("", (0.85, 0.8), (0.55, 0.8), arrowprops={"arrowstyle": "->", "color": MARK, "lw": 2})
    axis.text(0.7, 0.84, "facing right", color=MARK, ha="center", fontsize=11)
    axis.set_aspect("equal")
    axis.set_xlim(-0.45, 1.05)
    axis.set_ylim(-0.95, 0.92)
    axis.axis("off")
    return figure


def _direction(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def _mark(axis: Axes, joint: np.ndarray, start: float, end: float, name: str) -> None:
    """Draw the neutral direction as a dashed line, the arc from it and the name with the size."""
    axis.plot(
        *np.transpose([joint, joint + 0.3 * _direction(start)]), "--", color=MARK, linewidth=1.5, zorder=1
    )
    turn = np.radians(np.linspace(start, end, 30))
    arc = joint + 0.2 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    axis.plot(*arc[:-1].T, color=ANGLE, linewidth=2, zorder=3)
    axis.annotate("", arc[-1], arc[-3], arrowprops={"arrowstyle": "->", "color": ANGLE, "lw": 2}, zorder=3)
    x, y = joint + 0.25 * _direction((start + end) / 2)
    text = f"{name} +{DEGREES[name]:.0f}°"
    right, down = SHIFTS[name]
    axis.text(x + right, y - down, text, color=ANGLE, ha="left", va="top", fontsize=11)
