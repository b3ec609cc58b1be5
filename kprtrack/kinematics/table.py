"""Kinematics as CSV, one row for each person and frame, and as TRC for OpenSim."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kprtrack.core.atomic_file import write_file
from kprtrack.io.exports.markers import Trajectories, marker_name
from kprtrack.io.exports.trc import write_trajectories
from kprtrack.io.output_file import validate_target
from kprtrack.kinematics.angles import FACING_NAMES, keypoint
from kprtrack.kinematics.person import PersonKinematics, derivative

_DECIMALS = {"px": 2, "m": 4}
_DEGREE_DECIMALS = 2


def column_names(person: PersonKinematics) -> list[str]:
    """Return the names of the columns of `write_csv`; each ends in its unit.

    Args:
        person: Any person of the file.

    Returns:
        Frame, time and person; what was changed; joints and segments in degrees and degrees per second;
        keypoints and their velocities; speed of the hips; with a floor, the place on it and the speed there.
    """
    unit, axes = person.units, "xyz"[: person.points.shape[2]]
    start = ["frame", "time", "track_id", "facing", "swapped", "filled", "outliers"]
    degrees = [f"{angle.name}_deg{per}" for per in ("", "_s") for angle in person.angles]
    places = [f"{name}_{axis}_{unit}" for name in person.names for axis in axes]
    speeds = [f"{name}_v{axis}_{unit}_s" for name in person.names for axis in axes]
    floor = ["floor_x_m", "floor_y_m", "floor_speed_m_s"] if person.floor_m is not None else []
    return [*start, *degrees, *places, *speeds, f"hips_speed_{unit}_s", *floor]


def write_csv(people: Sequence[PersonKinematics], path: Path) -> None:
    """Write all people into one file; unknown numbers are empty cells.

    Args:
        people: As `compute_kinematics` returns them.
        path: The file.

    Raises:
        OutputError: The file cannot be written.

    Examples:
        >>> people = compute_kinematics(read_tracks("tracks.json"))
        >>> write_csv(people, Path("kinematics.csv"))
    """
    validate_target(path)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column_names(people[0]))
    for person in people:
        writer.writerows(_rows(person))
    write_file(path, text.getvalue().encode())


def write_trc(people: Sequence[PersonKinematics], path: Path) -> list[Path]:
    """Write the clean trajectories as TRC, y up, one file for each person.

    Without floor points x is to the right, z 0 and the origin the lower left corner of the image. With floor
    points x is that of the floor, y the height above it and z minus the y of the floor.

    Args:
        people: As `compute_kinematics` returns them.
        path: NAME.trc; of several people NAME_person3.trc and so on.

    Returns:
        The files.

    Raises:
        OutputError: A file cannot be written.

    Examples:
        >>> people = compute_kinematics(read_tracks("tracks.json"))
        >>> [file.name for file in write_trc(people, Path("athlete.trc"))]
        ['athlete_person1.trc', 'athlete_person2.trc']
    """
    return write_trajectories([_trajectories(person) for person in people], path)


def _trajectories(person: PersonKinematics) -> Trajectories:
    points = np.zeros((*person.points.shape[:2], 3))
    if person.points.shape[2] == 3:
        points[:] = person.points[..., [0, 2, 1]] * [1, 1, -1]
    else:
        points[..., :2] = person.points
    points[np.isnan(person.points).any(axis=2)] = np.nan
    return Trajectories(
        person=person.track_id,
        names=[marker_name(name) for name in person.names],
        first=int(person.numbers[0]),
        step=int(person.numbers[1] - person.numbers[0]),
        times=person.times,
        rate=person.rate,
        points=points,
        units=person.units,
    )


def _rows(person: PersonKinematics) -> Iterator[list[str]]:
    count, decimals = len(person.times), _DECIMALS[person.units]
    hips = keypoint(person.velocities, person.names, "hips")
    columns = [
        *_texts(person.degrees, _DEGREE_DECIMALS),
        *_texts(person.angular_velocities, _DEGREE_DECIMALS),
        *_texts(person.points.reshape(count, -1), decimals),
        *_texts(person.velocities.reshape(count, -1), decimals),
        *_texts(np.linalg.norm(hips, axis=1)[:, None], decimals),
    ]
    if person.floor_m is not None:
        columns += _texts(person.floor_m, decimals)
        columns += _texts(floor_speed(person)[:, None], decimals)
    clean = person.clean
    for row in range(count):
        yield [
            str(person.numbers[row]),
            f"{person.times[row]:.6f}",
            str(person.track_id),
            FACING_NAMES[int(clean.facing[row])],
            " ".join(chain for chain, frames in clean.swapped.items() if frames[row]),
            " ".join(name for name, there in zip(person.names, clean.filled[row], strict=True) if there),
            " ".join(name for name, there in zip(person.names, clean.removed[row], strict=True) if there),
            *(column[row] for column in columns),
        ]


def floor_speed(person: PersonKinematics) -> np.ndarray:
    """Return [T] metres per second on the floor. Raises: ValueError without floor points."""
    if person.floor_m is None:
        raise ValueError("the kinematics have no floor")
    return np.linalg.norm(derivative(person.floor_m, person.times), axis=1)


def _texts(values: np.ndarray, decimals: int) -> list[list[str]]:
    """The cells of each column of [T, C]."""
    rounded = np.round(values, decimals) + 0.0  # no -0
    return [
        ["" if cell != cell else f"{cell:.{decimals}f}" for cell in column] for column in rounded.T.tolist()
    ]
