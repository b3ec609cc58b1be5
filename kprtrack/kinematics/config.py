"""Settings of the kinematics of tracked people, and their checks."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from kprtrack.core.errors import UserError, unknown_name

FilterName = Literal["butterworth", "one-euro", "kalman", "savitzky-golay", "none"]
Facing = Literal["auto", "right", "left", "front"]
Swaps = Literal["fix", "mark", "off"]


@dataclass(frozen=True)
class KinematicsConfig:
    """How keypoints become smooth trajectories and angles.

    The defaults suit people who walk or run, filmed at 25 frames per second or more.

    Args:
        min_confidence: Keypoints below it are removed, 0 to 1.
        swaps: Exchanged labels of left and right limbs: fix them, only mark them, or do not look for them.
        outlier_deviation: A keypoint is an outlier if it is this many robust standard deviations, and
            a tenth of the trunk's length, from a local robust fit through its neighbours; 0 keeps all.
        outlier_window_s: Seconds before and after a frame that the local fit uses.
        max_gap_s: Longest gap that is filled, in seconds between the known frames on both sides; 0: none.
        filter: butterworth (zero lag), one-euro, kalman (smoother), savitzky-golay or none.
        cutoff_hz: Of butterworth and kalman the frequency that keeps 71 % of its amplitude, of one-euro
            the cut-off at rest.
        order: Of butterworth, both passes together: 2, 4, 6 or 8.
        beta: Of one-euro, in hertz per pixel per second: how much the cut-off grows with speed.
        window_s: Of savitzky-golay, seconds.
        polynomial: Of savitzky-golay, the degree.
        facing: Direction that people face in the image; auto: by nose and ears, for each second.

    Raises:
        UserError: A value is outside its range.

    Examples:
        >>> KinematicsConfig(filter="kalman", cutoff_hz=4.0).max_gap_s
        0.2
    """

    min_confidence: float = 0.3
    swaps: Swaps = "fix"
    outlier_deviation: float = 5.0
    outlier_window_s: float = 0.2
    max_gap_s: float = 0.2
    filter: FilterName = "butterworth"
    cutoff_hz: float = 6.0
    order: int = 4
    beta: float = 0.01
    window_s: float = 0.3
    polynomial: int = 3
    facing: Facing = "auto"

    def __post_init__(self) -> None:
        for name, valid, range_ in _RANGES:
            value = getattr(self, name)
            if not (math.isfinite(value) and valid(value)):
                raise UserError(f"{name} must be {range_}, not {value:g}.")
        for name, names in (("filter", FilterName), ("facing", Facing), ("swaps", Swaps)):
            if getattr(self, name) not in get_args(names):
                raise unknown_name(name, str(getattr(self, name)), get_args(names))


_RANGES: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    ("min_confidence", lambda value: 0 <= value <= 1, "from 0 to 1"),
    ("outlier_deviation", lambda value: value >= 0, "0 or more"),
    ("outlier_window_s", lambda value: 0 < value <= 5, "above 0 and at most 5 seconds"),
    ("max_gap_s", lambda value: 0 <= value <= 60, "from 0 to 60 seconds"),
    ("cutoff_hz", lambda value: value > 0, "above 0"),
    ("order", lambda value: value in (2, 4, 6, 8), "2, 4, 6 or 8"),
    ("beta", lambda value: value >= 0, "0 or more"),
    ("window_s", lambda value: 0 < value <= 60, "above 0 and at most 60 seconds"),
    ("polynomial", lambda value: 1 <= value <= 6, "from 1 to 6"),
)


def validate_cutoff(config: KinematicsConfig, rate: float) -> None:
    """Raises: UserError if the filter needs a cut-off below half the frame rate, and it is not."""
    if config.filter in ("butterworth", "kalman") and config.cutoff_hz >= rate / 2:
        raise UserError(
            f"A cut-off of {config.cutoff_hz:g} Hz needs more than {2 * config.cutoff_hz:g} frames a second;"
            f" the tracks have {rate:.4g}. Choose one below {rate / 2:.4g} Hz."
        )
