"""The tracker settings that can be tuned, their ranges, and the choice of the next settings to try."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kprtrack.config import ComponentConfig, configure
from kprtrack.core.errors import unknown_name
from kprtrack.trackers.bytetrack import ByteTrackConfig
from kprtrack.trackers.kpr_config import KprTrackerConfig

Settings = dict[str, float]

_MAX_CHANGES = 3  # settings changed in one trial
_STEP = 0.1  # standard deviation of a small change, relative to the range
_DIGITS = 3


@dataclass(frozen=True)
class Space:
    """The tunable settings of one tracker.

    Attributes:
        config: The tracker's configuration class.
        ranges: Name of a setting -> lowest and highest value; two integers for an integer setting.
    """

    config: type[Any]
    ranges: Mapping[str, tuple[float, float]]

    def values(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all tunable settings under some options.

        Args:
            options: Options of the tracker; the others have their defaults.

        Returns:
            Name -> value.

        Raises:
            UserError: The tracker has no such option.
        """
        config: Any = configure(self.config, options)
        return {name: getattr(config, name) for name in self.ranges}

    def change(self, values: Mapping[str, Any], random: np.random.Generator) -> Settings:
        """Return values with one to three of them resampled, in the whole range or near the old value.

        Args:
            values: Name -> value of all tunable settings.
            random: Generator of the search.

        Returns:
            The new values.
        """
        names = random.choice(list(self.ranges), size=random.integers(1, _MAX_CHANGES + 1), replace=False)
        return {**values, **{str(name): self._draw(str(name), values[str(name)], random) for name in names}}

    def _draw(self, name: str, value: float | None, random: np.random.Generator) -> float:
        low, high = self.ranges[name]
        drawn = random.uniform(low, high)
        if value is not None and random.random() < 0.5:
            drawn = np.clip(random.normal(value, _STEP * (high - low)), low, high)
        return round(drawn) if isinstance(low, int) else round(float(drawn), _DIGITS)


# Not tuned: inter_identity_distance, which is estimated from the video, and max_lost_s, which is unlimited.
SPACES: dict[str, Space] = {
    "kpr": Space(
        KprTrackerConfig,
        {
            "high_score": (0.4, 0.8),  # not below the highest low_score
            "low_score": (0.05, 0.4),
            "new_track_score": (0.4, 0.9),
            "min_track_age_s": (0.0, 0.5),
            "tentative_score": (0.1, 0.8),
            "momentum": (0.5, 0.98),
            "max_occlusion": (0.2, 1.0),
            "appearance_weight": (0.0, 3.0),
            "box_weight": (0.1, 3.0),
            "pose_weight": (0.0, 2.0),
            "match_cost": (0.3, 0.95),
            "low_match_cost": (0.3, 0.95),
            "tentative_match_cost": (0.3, 0.95),
            "gating_distance": (0.3, 1.5),
            "recent_s": (0.2, 10.0),
            "reid_max_distance": (0.2, 1.2),
            "reid_min_margin": (0.0, 0.4),
            "reid_min_updates": (1, 8),
            "reid_window_s": (0.0, 4.0),
            "output_delay_s": (0.0, 4.0),
        },
    ),
    "bytetrack": Space(
        ByteTrackConfig,
        {"track_thresh": (0.3, 0.8), "match_thresh": (0.5, 0.95), "max_lost_s": (0.2, 5.0)},
    ),
}


def space_of(tracker: ComponentConfig) -> Space:
    """Return the tunable settings of a tracker.

    Raises:
        UserError: The tracker is unknown.
    """
    if tracker.name not in SPACES:
        raise unknown_name("tracker to tune", tracker.name, SPACES)
    return SPACES[tracker.name]
