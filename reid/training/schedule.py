"""The learning rate of every epoch: a linear warm-up, then half a cosine."""

import math
from dataclasses import dataclass

from kprtrack.core.errors import UserError


@dataclass(frozen=True)
class ScheduleConfig:
    """Source: docs/reference/kpr.md 4.1."""

    peak: float = 0.008  # SOLIDER: 2e-4
    floor: float = 1.6e-5  # where the warm-up starts and the cosine ends
    epochs: int = 120
    warmup_epochs: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.warmup_epochs < self.epochs:
            raise UserError(
                f"A warm-up of {self.warmup_epochs} epochs does not fit into {self.epochs} epochs; "
                "set schedule.warmup_epochs to less than schedule.epochs."
            )


def learning_rate(epoch: int, config: ScheduleConfig) -> float:
    """The learning rate of an epoch, counted from 0.

    Args:
        epoch: Counted from 0.
        config: Warm-up, peak and floor.

    Returns:
        The rate, 0 to `config.peak`.
    """
    if epoch < config.warmup_epochs:
        share = epoch / config.warmup_epochs
    else:
        progress = (epoch - config.warmup_epochs) / (config.epochs - config.warmup_epochs)
        share = (1 + math.cos(math.pi * progress)) / 2
    return config.floor + (config.peak - config.floor) * share
