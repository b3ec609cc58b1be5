"""From a result file to the kinematics of its people."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError, UserError
from kprtrack.io.exports.tables import (
    ConvertOptions,
    frame_rate,
    frame_times,
    image_size,
    pose_table,
)
from kprtrack.io.header import TrackFile
from kprtrack.kinematics.angles import angles_of, measure_angles
from kprtrack.kinematics.calibration import (
    Calibration,
    Floor,
    floor_of,
    place_on_floor,
    scale_of_height,
    stand_on_floor,
)
from kprtrack.kinematics.config import KinematicsConfig
from kprtrack.kinematics.filters import apply_filter
from kprtrack.kinematics.gaps import fill_gaps
from kprtrack.kinematics.person import (
    CleanPoints,
    PersonKinematics,
    angular_velocities,
    clean_points,
    derivative,
)
from kprtrack.selection import EVERYONE, PeopleSelection, select_people

FEWEST_FRAMES = 5  # of a person, with a known keypoint
_PURPOSE = "kinematics"  # in messages


def compute_kinematics(
    file: TrackFile,
    config: KinematicsConfig | None = None,
    calibration: Calibration | None = None,
    *,
    people: PeopleSelection = EVERYONE,
    fps: float | None = None,
    source: Path = Path("the result"),
) -> list[PersonKinematics]:
    """Compute clean trajectories, angles and velocities of the people of a result file.

    Args:
        file: Tracks with poses.
        config: Gaps, outliers, filter; None: the defaults.
        calibration: What is known about the size of things; None: pixels.
        people: The people to keep.
        fps: Frames per second; None: as the file and its times say.
        source: The file, for messages.

    Returns:
        One for each person with keypoints in at least 5 frames, by track ID.

    Raises:
        InputError: The file has no people or no keypoints, or those of all people are too few.
        UserError: A chosen person does not exist or has too few frames, the frame rate is not known, or the
            cut-off is too high for it.

    Examples:
        >>> found = compute_kinematics(read_tracks("tracks.json"), KinematicsConfig(filter="kalman"))
        >>> [person.track_id for person in found]
        [1, 2]
    """
    config, calibration = config or KinematicsConfig(), calibration or Calibration()
    options = ConvertOptions(fps=fps, source=source)
    frames = select_people(file.frames, people, fps=fps or file.header.fps, source=source)
    file = replace(file, frames=frames)
    rate = frame_rate(file, options, _PURPOSE)
    table = pose_table(file, options, _PURPOSE)
    times = frame_times(table, rate, options)
    names = file.header.skeleton.names
    ids = table.ids.tolist()
    for person in calibration.heights_m:
        if person not in ids:
            raise UserError(f"There is no person {person} of known height among {_listed(ids)}.")
    parts = {person: _frames_of(table.keypoints[:, column], config) for column, person in enumerate(ids)}
    chosen = [person for person in ids if parts[person] is not None]
    _validate_chosen(people.only, chosen, source, config)
    cleaned = {
        person: clean_points(
            table.keypoints[parts[person], ids.index(person)], names, times[parts[person]], config
        )
        for person in chosen
    }
    to_units = _Units(calibration, cleaned, names, image_size(file.header), config)
    found = []
    for person in chosen:
        rows = parts[person]
        found.append(
            _person(
                person, names, table.numbers[rows], times[rows], rate / table.step, cleaned[person], to_units
            )
        )
    if not any(np.isfinite(person.degrees).any() for person in found):
        raise InputError(
            f"No angle can be measured in {source}: the confidence of neighbouring joints is never"
            f" {config.min_confidence:g}. Lower the least confidence, or use another pose estimator."
        )
    return found


def _frames_of(keypoints: np.ndarray, config: KinematicsConfig) -> slice | None:
    """The rows from the first to the last with a confident keypoint; None: too few of them."""
    rows = np.flatnonzero((keypoints[..., 2] >= config.min_confidence).any(axis=1))
    return slice(rows[0], rows[-1] + 1) if len(rows) >= FEWEST_FRAMES else None


def _validate_chosen(
    named: Sequence[int], chosen: Sequence[int], source: Path, config: KinematicsConfig
) -> None:
    """Raises: InputError if all people, or one who was named, have too few frames."""
    short = [person for person in named if person not in chosen]
    if not short and chosen:
        return
    who = f"Person {short[0]} of {source} has" if short else f"All people of {source} have"
    raise InputError(
        f"{who} keypoints with a confidence of {config.min_confidence:g} in fewer than {FEWEST_FRAMES}"
        " frames, too few for kinematics. Choose others, or lower the least confidence."
    )


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids[:20])) + (", ..." if len(ids) > 20 else "")


class _Units:
    """Turns pixels into the units of the results."""

    def __init__(
        self,
        calibration: Calibration,
        cleaned: dict[int, CleanPoints],
        names: Sequence[str],
        size: tuple[int, int] | None,
        config: KinematicsConfig,
    ) -> None:
        self.units, self.names, self._config = calibration.units, names, config
        self._height_px = size[1] if size else 0
        self.floor: Floor | None = floor_of(calibration) if calibration.floor_px else None
        self._scales = {}
        for person, height in calibration.heights_m.items():
            if person not in cleaned:
                raise InputError(
                    f"Person {person} has too few frames for a scale. Give another one's height."
                )
            self._scales[person] = scale_of_height(cleaned[person].points, names, height)
        self._scale = calibration.metres_per_pixel or next(iter(self._scales.values()), 1.0)

    def place(self, points: np.ndarray, times: np.ndarray) -> np.ndarray | None:
        """Where a person is on the floor, [T, 2] pixels, filled and filtered like a keypoint."""
        if self.floor is None:
            return None
        place = place_on_floor(points, self.names, self.floor)
        filled = fill_gaps(place[:, None], times, self._config.max_gap_s)[:, 0]
        return apply_filter(filled, times, self._config)

    def convert(self, person: int, points: np.ndarray, place: np.ndarray | None) -> np.ndarray:
        """Turn [T, K, 2] pixels, y down, into the results' units and axes."""
        if self.floor is not None and place is not None:
            return stand_on_floor(points, place, self.floor)
        scale = self._scales.get(person, self._scale)
        return np.stack([points[..., 0], self._height_px - points[..., 1]], axis=-1) * scale


def _person(
    track_id: int,
    names: Sequence[str],
    numbers: np.ndarray,
    times: np.ndarray,
    rate: float,
    clean: CleanPoints,
    units: _Units,
) -> PersonKinematics:
    place = units.place(clean.points, times)
    points = units.convert(track_id, clean.points, place)
    velocities = derivative(points.reshape(len(points), -1), times).reshape(points.shape)
    angles = tuple(angles_of(names))
    degrees = measure_angles(clean.points * [1.0, -1.0], names, clean.facing)
    return PersonKinematics(
        track_id=track_id,
        names=tuple(names),
        numbers=numbers,
        times=times,
        rate=rate,
        units=units.units,
        raw=units.convert(track_id, clean.raw, place),
        points=points,
        velocities=velocities,
        angles=angles,
        degrees=degrees,
        angular_velocities=angular_velocities(degrees, times, angles, clean.facing),
        floor_m=None if place is None or units.floor is None else units.floor.to_metres(place),
        clean=clean,
    )
