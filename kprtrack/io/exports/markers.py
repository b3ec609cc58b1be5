"""Marker trajectories of one person for TRC and C3D: x to the right, y up, z 0; pixels or metres."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.errors import UserError
from kprtrack.io.exports.tables import (
    ConvertOptions,
    frame_rate,
    frame_times,
    image_size,
    person_name,
    pose_table,
)
from kprtrack.io.header import TrackFile

# Names of markers as Pose2Sim and Sports2D write them, and their OpenSim marker sets expect them.
_SHORT = {"head_bottom": "Neck", "head_top": "Head"}


def marker_name(keypoint: str) -> str:
    """Return the name of a marker: RKnee for right_knee, LBigToe for left_big_toe."""
    if keypoint in _SHORT:
        return _SHORT[keypoint]
    side, *words = keypoint.split("_")
    return "".join(
        [side[0].upper() if words and side in ("left", "right") else side.capitalize()]
        + [word.capitalize() for word in words]
    )


@dataclass(frozen=True)
class Trajectories:
    """The markers of one person, from the first frame in which there is one to the last."""

    person: int  # track ID
    names: list[str]
    first: int  # frame number of the first row
    step: int  # difference of the frame numbers of two rows
    times: np.ndarray  # [F] seconds
    rate: float  # rows per second
    points: np.ndarray  # [F, K, 3] float64, x y z; NaN if unknown
    units: str  # "px" or "m"

    @property
    def numbers(self) -> np.ndarray:
        """[F] frame numbers in the video."""
        return self.first + self.step * np.arange(len(self.times))


def trajectories(file: TrackFile, options: ConvertOptions, format: str) -> Iterator[Trajectories]:
    """Yield the markers of each person that has any.

    The origin is the lower left corner of the image: y = height - y of the image. If the height is not known,
    the origin is the upper left corner, and y is negative.

    Raises:
        InputError: The file has no people or no keypoints.
        UserError: The frame rate is not known.
    """
    rate = frame_rate(file, options, format)
    table = pose_table(file, options, format)
    times = frame_times(table, rate, options)
    size = image_size(file.header)
    scale = options.metres_per_pixel or 1.0
    for column, track_id in enumerate(table.ids):
        pixels = table.keypoints[:, column, :, :2].astype(np.float64)
        rows = np.flatnonzero(np.isfinite(pixels).any(axis=(1, 2)))
        if not len(rows):
            continue
        part = slice(rows[0], rows[-1] + 1)
        points = np.zeros((*pixels[part].shape[:2], 3))
        points[..., 0] = pixels[part, :, 0]
        points[..., 1] = (size[1] if size else 0) - pixels[part, :, 1]
        points[np.isnan(points).any(axis=2)] = np.nan
        yield Trajectories(
            int(track_id),
            [marker_name(name) for name in file.header.skeleton.names],
            int(table.numbers[rows[0]]),
            table.step,
            times[part],
            rate / table.step,
            points * scale,
            "m" if options.metres_per_pixel else "px",
        )


def person_paths(path: Path, people: list[int]) -> list[Path]:
    """Return one file for each person: NAME.trc for one, else NAME_person3.trc and so on."""
    if len(people) == 1:
        return [path]
    return [path.with_name(f"{path.stem}_{person_name(person)}{path.suffix}") for person in people]


def validate_constant_rate(markers: Trajectories, options: ConvertOptions, format: str) -> None:
    """Raises: UserError if a frame is more than half a frame away from where a constant rate puts it."""
    even = markers.times[0] + np.arange(len(markers.times)) / markers.rate
    for row in np.flatnonzero(np.abs(markers.times - even) > 0.5 / markers.rate)[:1]:
        raise UserError(
            f"The frame rate of {options.source} varies: frame {markers.numbers[row]} is at"
            f" {markers.times[row]:.3f} s, not at {even[row]:.3f} s. {format} has one constant rate: export"
            " TRC, which has times, or set --fps to count frames alone."
        )
