"""Exponential moving average (EMA) of a network's weights and statistics."""

import copy
import math

import torch
from torch import Tensor, nn

RAMP_UPDATES = 2000  # time constant with which the decay grows (docs/reference/detector_and_pose.md 1.9)


class Ema(nn.Module):
    """A network and the moving average of its floating-point state.

    Source: docs/reference/detector_and_pose.md 1.9.

    Args:
        network: The average starts as a copy of it, in evaluation mode.
        decay: Share of the average that a late update keeps, in (0, 1).
        ramp: Updates over which the decay grows; fewer for short trainings.
    """

    updates: Tensor

    def __init__(self, network: nn.Module, decay: float, ramp: int = RAMP_UPDATES) -> None:
        super().__init__()
        self._decay, self._ramp = decay, ramp
        self.mean = copy.deepcopy(network).eval().requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the network.

        Args:
            network: The network in training; of its buffers, whole numbers are copied.
        """
        self.updates += 1
        keep = ema_decay(int(self.updates), self._decay, self._ramp)
        old, new = (list(module.state_dict().values()) for module in (self.mean, network))
        floating = [row for row, value in enumerate(old) if value.is_floating_point()]
        torch._foreach_lerp_([old[row] for row in floating], [new[row] for row in floating], 1 - keep)


def ema_decay(updates: int, decay: float, ramp: int = RAMP_UPDATES) -> float:
    """Share of the average that an update, counted from 1, keeps.

    Args:
        updates: Number of this update, from 1.
        decay: Share after many updates, 0 to 1.
        ramp: Updates after which the share is about 0.63 of `decay`.

    Returns:
        Share in 0..1.
    """
    return decay * (1 - math.exp(-updates / ramp))
