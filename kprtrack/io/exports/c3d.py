"""C3D, the binary format of motion capture, by the library ezc3d: one file for each person."""

from pathlib import Path

import numpy as np

from kprtrack.core.errors import OutputError
from kprtrack.core.extras import missing_extra
from kprtrack.io.exports.markers import Trajectories, person_paths, trajectories, validate_constant_rate
from kprtrack.io.exports.tables import ConvertOptions, new_file
from kprtrack.io.header import TrackFile
from kprtrack.io.output_file import validate_target

MM_PER_M = 1000.0  # C3D is in millimetres by custom
MOST_FRAMES = 65_535  # the header counts them in 16 bits


def write_c3d(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write one file for each person and return their paths.

    Raises:
        InputError: There are no people, or no keypoints.
        UserError: ezc3d is not installed, or the frame rate is not known or varies.
        OutputError: A file cannot be written, or is longer than the format allows.
    """
    try:
        import ezc3d
    except ImportError as error:
        raise missing_extra("C3D", ["ezc3d"]) from error
    validate_target(path)
    people = list(trajectories(file, options, "C3D"))
    paths = person_paths(path, [markers.person for markers in people])
    for markers in people:
        validate_constant_rate(markers, options, "C3D")
        if len(markers.times) > MOST_FRAMES:
            raise OutputError(
                f"Cannot write {path}: person {markers.person} has {len(markers.times)} frames, and C3D at"
                f" most {MOST_FRAMES}. Export TRC, or track a shorter part with --start and --end."
            )
    for markers, target in zip(people, paths, strict=True):
        document = ezc3d.c3d()
        _fill_document(document, markers)
        with new_file(target) as part:
            document.write(str(part))
    return paths


def _fill_document(document: object, markers: Trajectories) -> None:
    """Put the markers of a person into an empty document of ezc3d."""
    scale = MM_PER_M if markers.units == "m" else 1.0
    points = np.ones((4, len(markers.names), len(markers.times)))  # x y z 1
    points[:3] = markers.points.transpose(2, 1, 0) * scale
    unknown = np.isnan(points[0])
    parameters, data = document["parameters"], document["data"]  # type: ignore[index]
    parameters["POINT"]["RATE"]["value"] = [markers.rate]
    parameters["POINT"]["LABELS"]["value"] = markers.names
    parameters["POINT"]["UNITS"]["value"] = ["mm" if markers.units == "m" else markers.units]
    document.add_parameter("POINT", "X_SCREEN", ["+X"])  # type: ignore[attr-defined]
    document.add_parameter("POINT", "Y_SCREEN", ["+Y"])  # type: ignore[attr-defined]
    document.add_parameter("SUBJECTS", "NAMES", [f"person{markers.person}"])  # type: ignore[attr-defined]
    data["points"] = points
    data["meta_points"]["residuals"] = np.where(unknown, -1.0, 0.0)[None]
    data["meta_points"]["camera_masks"] = np.zeros((7, *unknown.shape), bool)
