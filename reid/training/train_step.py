"""The forward pass of a training: the encoder with its loss, over the batches of all processes."""

from collections.abc import Mapping

import torch
from torch import nn

from reid.model.kpr import Kpr
from reid.training.config import OptimiserConfig
from reid.training.data import Batch
from reid.training.distillation import Distillation
from reid.training.distributed import gather, gather_output
from reid.training.losses import LossConfig, kpr_loss


class TrainStep(nn.Module):
    """The encoder with its loss."""

    def __init__(self, model: Kpr, config: LossConfig, distillation: Distillation | None) -> None:
        super().__init__()
        self.model = model
        self.distillation = distillation
        self._config = config

    def forward(self, batch: Batch) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """Compute the loss of this process's share of a batch.

        Args:
            batch: The share.

        Returns:
            The loss, and detached terms to log.
        """
        device = next(self.model.parameters()).device
        sample, features = batch.sample, batch.teacher_features
        own = self.model(sample.image.to(device), sample.heatmaps.to(device), batch.cameras.to(device))
        output = gather_output(own, self._config)
        labels = None if sample.part_labels is None else gather(sample.part_labels.to(device))
        losses = kpr_loss(output, gather(batch.identities.to(device)), labels, self._config)
        logged = losses.terms | losses.watched
        if self.distillation is None or features is None:
            return losses.total, logged
        loss, terms = self.distillation(own, gather(features.to(device)))
        return losses.total + loss, logged | terms


def new_optimiser(model: nn.Module, config: OptimiserConfig, rate: float) -> torch.optim.Optimizer:
    """The optimiser of all trainable parameters, in one group.

    Args:
        model: The encoder and the heads of the loss.
        config: Kind of optimiser, momentum and weight decay.
        rate: Learning rate of the first step.

    Returns:
        The optimiser.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.name == "adamw":
        return torch.optim.AdamW(learning, rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(learning, rate, momentum=config.momentum, weight_decay=config.weight_decay)
