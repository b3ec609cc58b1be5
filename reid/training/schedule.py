"""The learning rate of every epoch: a linear warm-up, then half a cosine."""

import math
from dataclasses import dataclass

from kprtrack.core.config_files.ranges import validate_ranges


@dataclass(frozen=True)
class ScheduleConfig:
    """Source: docs/reference/kpr.md 4.1."""

    peak: float = 0.008  # SOLIDER: 2e-4
    floor: float = 1.6e-5  # where the warm-up starts and the cosine ends
    epochs: int = 120
    warmup_epochs: int = 5  # in a shorter schedule all epochs but the last

    def __post_init__(self) -> None:
        validate_ranges(self, "schedule.")


def learning_rate(epoch: int, config: ScheduleConfig) -> float:
    """The learning rate of an epoch, counted from 0.

    Args:
        epoch: Counted from 0.
        config: Warm-up, peak and floor.

    Returns:
        The rate, 0 to `config.peak`.
    """
    warmup = min(config.warmup_epochs, config.epochs - 1)
    if epoch < warmup:
        share = epoch / warmup
    else:
        progress = (epoch - warmup) / (config.epochs - warmup)
        share = (1 + math.cos(math.pi * progress)) / 2
    return config.floor + (config.peak - config.floor) * share
