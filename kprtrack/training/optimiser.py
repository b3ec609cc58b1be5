"""Parameter groups of optimisers and their learning rate."""

from typing import Any

import torch
from torch import nn


def weight_decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups: weights of convolutions decay, biases and batch norms do not."""
    decaying = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the same rate.

    The official KPR config sets twice the rate on biases, which its scheduler then resets
    (docs/reference/kpr.md 4.1).
    """
    for group in optimiser.param_groups:
        group["lr"] = rate
