"""TRC, the text format of markers of OpenSim, as Pose2Sim and Sports2D write it: one file for each person."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kprtrack.core.atomic_file import write_file
from kprtrack.io.exports.markers import Trajectories, person_paths, trajectories
from kprtrack.io.exports.tables import ConvertOptions
from kprtrack.io.header import TrackFile
from kprtrack.io.output_file import validate_target

_HEADER = (
    "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames"
)


def write_trc(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write one file for each person and return their paths.

    Raises:
        InputError: There are no people, or no keypoints.
        UserError: The frame rate is not known.
        OutputError: A file cannot be written.
    """
    return write_trajectories(list(trajectories(file, options, "TRC")), path)


def write_trajectories(people: Sequence[Trajectories], path: Path) -> list[Path]:
    """Write the markers of people to one file each and return their paths.

    Raises:
        OutputError: A file cannot be written.
    """
    validate_target(path)
    paths = person_paths(path, [markers.person for markers in people])
    for markers, target in zip(people, paths, strict=True):
        write_file(target, _document(markers, target.name).encode())
    return paths


def _document(markers: Trajectories, name: str) -> str:
    rate, count = f"{markers.rate:.6g}", len(markers.times)
    values = [rate, rate, count, len(markers.names), markers.units, rate, markers.first, count]
    axes = [f"{axis}{number + 1}" for number in range(len(markers.names)) for axis in "XYZ"]
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{name}",
        _HEADER,
        "\t".join(map(str, values)),
        "\t".join(["Frame#", "Time", *(f"{marker}\t\t" for marker in markers.names)]),
        "\t".join(["", "", *axes]),
        "",
    ]
    decimals = 6 if markers.units == "m" else 3
    for number, time_s, points in zip(markers.numbers, markers.times, markers.points, strict=True):
        cells = ["" if np.isnan(value) else f"{value:.{decimals}f}" for value in points.ravel()]
        lines.append("\t".join([str(number), f"{time_s:.6f}", *cells]))
    return "\n".join(lines) + "\n"
