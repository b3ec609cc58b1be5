"""Kinematics of tracked people: clean trajectories, joint and segment angles, velocities, metres.

Needs the extra `kinematics` (SciPy; Matplotlib for plots).

Examples:
    >>> from kprtrack.kinematics import KinematicsConfig, compute_kinematics
    >>> people = compute_kinematics(read_tracks("tracks.json"), KinematicsConfig(cutoff_hz=4.0))
    >>> people[0].units
    'px'
"""

from kprtrack.kinematics.angles import ANGLES, Angle, angles_of, measure_angles
from kprtrack.kinematics.calibration import Calibration
from kprtrack.kinematics.compute import compute_kinematics
from kprtrack.kinematics.config import KinematicsConfig
from kprtrack.kinematics.gaps import fill_gaps
from kprtrack.kinematics.person import CleanPoints, PersonKinematics
from kprtrack.kinematics.plots import draw_plots
from kprtrack.kinematics.table import write_csv, write_trc

__all__ = [
    "ANGLES",
    "Angle",
    "Calibration",
    "CleanPoints",
    "KinematicsConfig",
    "PersonKinematics",
    "angles_of",
    "compute_kinematics",
    "draw_plots",
    "fill_gaps",
    "measure_angles",
    "write_csv",
    "write_trc",
]
