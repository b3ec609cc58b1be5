"""What the training loop needs: the task that it trains, and how long."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.data import Dataset

from kprtrack.core.errors import UserError
from kprtrack.training.ema import RAMP_UPDATES
from kprtrack.training.loading import BatchSampler
from reid.training.config import ComputingConfig, Precision


class Task(Protocol):
    """What is trained: a network with its data, loss, schedule and validation."""

    @property
    def train_step(self) -> nn.Module:
        """Called with a batch; returns the loss, and detached terms to log by name."""
        ...

    @property
    def network(self) -> nn.Module:
        """The part of train_step that is averaged, validated and saved."""
        ...

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Of all trainable parameters of train_step."""
        ...

    @property
    def examples(self) -> "Dataset[Any]":
        """The training set, indexed by the sampler's draws."""
        ...

    @property
    def sampler(self) -> BatchSampler:
        """Draws the batches."""
        ...

    @property
    def collate(self) -> Callable[[list[Any]], Any]:
        """Makes a batch of examples."""
        ...

    @property
    def seed(self) -> int:
        """Of the training."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """All settings, for the run folder."""
        ...

    @property
    def resume_fingerprint(self) -> Mapping[str, Any]:
        """What must be equal for an interrupted run to be resumed."""
        ...

    def begin_epoch(self, epoch: int) -> None:
        """Prepare train_step, which is in training mode, for an epoch.

        Args:
            epoch: Its number, counted from 0.
        """
        ...

    def learning_rate(self, epochs: float) -> float:
        """Return the rate of the next step.

        Args:
            epochs: Epochs trained before it, fractions included.

        Returns:
            The rate.
        """
        ...

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Score the network; called in all processes.

        Args:
            network: The network, in evaluation mode.

        Returns:
            Scores, first the one that decides about the best weights; empty without validation data.
        """
        ...

    def weights_file(self, network: nn.Module) -> bytes:
        """Return the network as a file of weights.

        Args:
            network: The network.

        Returns:
            The content of the file.
        """
        ...


@dataclass(frozen=True)
class LoopConfig:
    """How long to train, and when to validate and save."""

    epochs: int
    ema_decay: float | None = None  # of the averaged network; None: the network itself is validated and saved
    ema_ramp: int = RAMP_UPDATES  # updates over which the decay grows
    validate_every_epochs: int | None = None
    validate_at_end: bool = True
    clip_gradient: float | None = None  # greatest norm
    precision: Precision = "fp32"
    computing: ComputingConfig = field(default_factory=ComputingConfig)

    def __post_init__(self) -> None:
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise UserError(f"ema_decay is {self.ema_decay}, but must lie between 0 and 1, or be none.")

    def validation_is_due(self, epoch: int) -> bool:
        """Return whether to validate after an epoch.

        Args:
            epoch: Its number, counted from 0.

        Returns:
            Whether it is due.
        """
        every, last = self.validate_every_epochs, epoch + 1 == self.epochs
        return bool((every and (epoch + 1) % every == 0) or (last and self.validate_at_end))

    def checkpoint_is_due(self, batch: int, since_s: float) -> bool:
        """Return whether to save a checkpoint after a batch.

        Args:
            batch: Batches of the epoch so far.
            since_s: Seconds since the last checkpoint.

        Returns:
            Whether it is due.
        """
        every = self.computing.save_every_batches
        return since_s >= 60 * self.computing.save_every_min or bool(every and batch % every == 0)
