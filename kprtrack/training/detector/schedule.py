"""The learning rate of YOLOX: a quadratic warm-up, half a cosine, then constant while nothing is augmented.

Source: YOLOX's "yoloxwarmcos" (docs/reference/detector_and_pose.md 1.9).
"""

import math
from dataclasses import dataclass

from kprtrack.core.errors import UserError


@dataclass(frozen=True)
class YoloxSchedule:
    """Epochs and learning rates."""

    epochs: int = 300
    rate_per_image: float = 0.01 / 64  # peak rate divided by the batch size
    floor: float = 0.05  # the smallest rate after the warm-up, as a share of the greatest
    warmup_epochs: int = 5
    plain_epochs: int = 15  # the last ones: no mosaic, no mixup, and an L1 loss on the boxes

    def __post_init__(self) -> None:
        spare = self.epochs - self.warmup_epochs - self.plain_epochs
        if min(self.warmup_epochs, self.plain_epochs) < 0 or spare < 0 or self.epochs < 1:
            raise UserError(
                f"schedule.warmup_epochs={self.warmup_epochs} and plain_epochs={self.plain_epochs} do not "
                f"fit into epochs={self.epochs}. Set epochs to their sum or more."
            )
        if not (self.rate_per_image > 0 and 0 <= self.floor <= 1):
            raise UserError(
                f"schedule.rate_per_image={self.rate_per_image} must be above 0, floor={self.floor} in 0..1."
            )

    def is_plain(self, epoch: int) -> bool:
        """Return whether an epoch is one of the last, without mosaic and mixup.

        Args:
            epoch: Its number, counted from 0.

        Returns:
            Whether it is.
        """
        return epoch >= self.epochs - self.plain_epochs

    def rate(self, done: float, batch: int) -> float:
        """Return the learning rate of a step.

        Args:
            done: Epochs trained before it, fractions included.
            batch: Images of a step, over all processes.

        Returns:
            The rate; 0 at the very beginning of a warm-up.
        """
        greatest = self.rate_per_image * batch
        least, turning = self.floor * greatest, self.epochs - self.warmup_epochs - self.plain_epochs
        if done <= self.warmup_epochs and self.warmup_epochs:
            return greatest * (done / self.warmup_epochs) ** 2
        if done >= self.epochs - self.plain_epochs:
            return least
        progress = (done - self.warmup_epochs) / turning
        return least + (greatest - least) * (1 + math.cos(math.pi * progress)) / 2
