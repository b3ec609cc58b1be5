"""What may be tuned, within which limits, and which settings to try next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kprtrack.config import ComponentConfig, configure
from kprtrack.core.errors import unknown_name
from kprtrack.trackers.bytetrack import ByteTrackConfig
from kprtrack.trackers.kpr_config import KprTrackerConfig

Settings = dict[str, float]

_MOST_CHANGES = 3  # settings changed in one trial
_STEP = 0.1  # deviation of a small change, as a share of the range
_DIGITS = 3


@dataclass(frozen=True)
class Space:
    """The settings of one tracker that are searched: name -> lowest and highest value, both whole or not."""

    config: type[Any]
    ranges: Mapping[str, tuple[float, float]]

    def values(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The values in force with these options. Raises: UserError for options the tracker does not have."""
        config: Any = configure(self.config, options)
        return {name: getattr(config, name) for name in self.ranges}

    def change(self, values: Mapping[str, Any], random: np.random.Generator) -> Settings:
        """`values` with one to three of them drawn anew: anywhere in their range, or a small step away."""
        names = random.choice(list(self.ranges), size=random.integers(1, _MOST_CHANGES + 1), replace=False)
        return {**values, **{str(name): self._draw(str(name), values[str(name)], random) for name in names}}

    def _draw(self, name: str, value: float | None, random: np.random.Generator) -> float:
        low, high = self.ranges[name]
        drawn = random.uniform(low, high)
        if value is not None and random.random() < 0.5:
            drawn = np.clip(random.normal(value, _STEP * (high - low)), low, high)
        return round(drawn) if isinstance(low, int) else round(float(drawn), _DIGITS)


# Left out: what is learned from the video (inter_identity_distance) and max_lost_s, unlimited on purpose.
SPACES: dict[str, Space] = {
    "kpr": Space(
        KprTrackerConfig,
        {
            "high_score": (0.4, 0.8),  # never below the highest low_score
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
    """What may be tuned of this tracker. Raises: UserError for a tracker that nobody knows."""
    if tracker.name not in SPACES:
        raise unknown_name("tracker to tune", tracker.name, SPACES)
    return SPACES[tracker.name]
