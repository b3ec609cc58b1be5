"""Plots of a person's kinematics as PNG: joint angles, segment angles, positions and speed."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kprtrack.core.atomic_file import reason, write_file
from kprtrack.core.errors import OutputError
from kprtrack.io.exports.tables import person_name
from kprtrack.kinematics.angles import keypoint, measure_angles
from kprtrack.kinematics.filters import runs
from kprtrack.kinematics.person import PersonKinematics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Colours that colour-blind readers can distinguish (Okabe and Ito, Color Universal Design, 2008).
_COLOURS = {"left": "#0072B2", "right": "#D55E00", "": "#009E73"}
_DPI = 110
_ROW_INCHES = 1.7
_POSITIONS = ("ankle", "knee", "hip", "wrist")


def draw_plots(people: Sequence[PersonKinematics], folder: Path) -> list[Path]:
    """Draw three plots of each person: angles of joints, angles of segments, heights and speed.

    Dots are the angles and positions before they were cleaned; grey bars are frames whose left and right were
    exchanged.

    Args:
        people: As `compute_kinematics` returns them.
        folder: Is made if it does not exist.

    Returns:
        The files: person1_joints.png, person1_segments.png, person1_motion.png and so on.

    Raises:
        OutputError: A file cannot be written.

    Examples:
        >>> people = compute_kinematics(read_tracks("tracks.json"))
        >>> [file.name for file in draw_plots(people[:1], Path("plots"))]
        ['person1_joints.png', 'person1_segments.png', 'person1_motion.png']
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder}: {reason(error)}.") from error
    files = []
    for person in people:
        for kind, draw in (("joints", _draw_joints), ("segments", _draw_segments), ("motion", _draw_motion)):
            path = folder / f"{person_name(person.track_id)}_{kind}.png"
            write_file(path, _png(draw(person)))
            files.append(path)
    return files


def _draw_joints(person: PersonKinematics) -> "Figure":
    return _draw_angles(person, [angle.name for angle in person.angles if angle.is_joint], "joint angles")


def _draw_segments(person: PersonKinematics) -> "Figure":
    names = [angle.name for angle in person.angles if not angle.is_joint]
    return _draw_angles(person, names, "segment angles")


def _draw_angles(person: PersonKinematics, names: list[str], title: str) -> "Figure":
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_without_side(name), []).append(name)
    raw = measure_angles(person.raw_pixels, person.names, person.clean.facing)
    figure, rows = _new_figure(person, len(groups), title)
    all_names = [angle.name for angle in person.angles]
    for axes, (group, sides) in zip(rows, groups.items(), strict=True):
        for name in sides:
            column = all_names.index(name)
            _draw_series(axes, person, raw[:, column], person.degrees[:, column], _side(name))
        axes.set_ylabel(f"{group} (°)", fontsize=8)
    return figure


def _draw_motion(person: PersonKinematics) -> "Figure":
    figure, rows = _new_figure(person, len(_POSITIONS) + 1, "height in the image and speed")
    if person.points.shape[2] == 3:
        figure.suptitle(f"{person_name(person.track_id)}: height above the floor and speed", fontsize=11)
    up = person.points.shape[2] - 1
    for axes, joint in zip(rows, _POSITIONS, strict=False):
        for side in ("left", "right"):
            column = person.names.index(f"{side}_{joint}")
            _draw_series(axes, person, person.raw[:, column, up], person.points[:, column, up], side)
        axes.set_ylabel(f"{joint} ({person.units})", fontsize=8)
    speed = np.linalg.norm(keypoint(person.velocities, person.names, "hips"), axis=1)
    rows[-1].plot(person.times, speed, color=_COLOURS[""], linewidth=1.4)
    rows[-1].set_ylabel(f"speed of the hips ({person.units}/s)", fontsize=8)
    return figure


def _draw_series(
    axes: "Axes", person: PersonKinematics, raw: np.ndarray, clean: np.ndarray, side: str
) -> None:
    colour = _COLOURS[side]
    turns = np.flatnonzero(np.diff(person.clean.facing)) + 1  # where signs change, no line is drawn
    axes.plot(person.times, raw, ".", color=colour, markersize=2.5, alpha=0.45)
    axes.plot(
        np.insert(person.times, turns, person.times[turns]),
        np.insert(clean, turns, np.nan),
        color=colour,
        linewidth=1.4,
    )


def _new_figure(person: PersonKinematics, count: int, title: str) -> tuple["Figure", "list[Axes]"]:
    from matplotlib.figure import Figure

    size = (9.0, 1.0 + _ROW_INCHES * count)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained", facecolor="white")
    rows = list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])
    figure.suptitle(f"{person_name(person.track_id)}: {title}", fontsize=11)
    exchanged = np.any(list(person.clean.swapped.values()), axis=0) if person.clean.swapped else None
    half = float(np.median(np.diff(person.times))) / 2
    for axes in rows:
        axes.grid(color="#e4e4e4", linewidth=0.7)
        axes.tick_params(labelsize=8)
        for start, stop in runs(exchanged) if exchanged is not None else ():
            axes.axvspan(
                person.times[start] - half,
                person.times[stop - 1] + half,
                color="#bbbbbb",
                alpha=0.5,
                zorder=0,
            )
    rows[-1].set_xlabel("time (s)", fontsize=9)
    handles = [_line(side) for side in ("left", "right")]
    figure.legend(handles, ["left", "right"], loc="outside lower center", ncols=2, fontsize=8)
    return figure, rows


def _line(side: str) -> "Line2D":
    from matplotlib.lines import Line2D

    return Line2D([], [], color=_COLOURS[side])


def _side(name: str) -> str:
    side = name.partition("_")[0]
    return side if side in ("left", "right") else ""


def _without_side(name: str) -> str:
    side, _, rest = name.partition("_")
    return rest if side in ("left", "right") else name


def _png(figure: "Figure") -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png")
    return target.getvalue()
