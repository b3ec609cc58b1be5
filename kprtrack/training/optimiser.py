"""Parameter groups of optimisers and their learning rate."""

from typing import Any

import torch
from torch import nn


def weight_decay_groups(
    network: nn.Module, weight_decay: float, *, convolution_rate: float = 1.0
) -> list[dict[str, Any]]:
    """Two parameter groups: weights of convolutions decay, biases and batch norms do not.

    Args:
        network: Parameters that require no gradient are left out.
        weight_decay: Of the weights of convolutions.
        convolution_rate: Their learning rate, relative to that of the others.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decaying = [parameter for parameter in trained if parameter.ndim > 1]
    others = [parameter for parameter in trained if parameter.ndim <= 1]
    return [
        {"params": decaying, "weight_decay": weight_decay, "rate": convolution_rate},
        {"params": others, "weight_decay": 0.0, "rate": 1.0},
    ]


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the rate, times its own `rate` if it has one.

    The official KPR config sets twice the rate on biases, which its scheduler then resets
    (docs/reference/kpr.md 4.1).

    Args:
        optimiser: Whose groups are changed.
        rate: The learning rate, 0 or more.
    """
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("rate", 1.0)
