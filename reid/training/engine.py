"""What a training runs on: Accelerate's engine, the network with its loss, and the optimiser."""

import sys
from collections.abc import Mapping

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import nn

from kprtrack.core.errors import UserError
from reid.model.kpr import Kpr
from reid.training.config import OptimiserConfig, ReidTrainConfig
from reid.training.distillation import Distillation
from reid.training.distributed import gather, gather_output
from reid.training.losses import LossConfig, kpr_loss

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3)


class TrainStep(nn.Module):
    """The encoder with its loss, over the batches of all processes together."""

    def __init__(self, model: Kpr, config: LossConfig, distillation: Distillation | None) -> None:
        super().__init__()
        self.model = model
        self.distillation = distillation
        self._config = config

    def forward(
        self,
        images: torch.Tensor,
        heatmaps: torch.Tensor,
        cameras: torch.Tensor,
        identities: torch.Tensor,
        part_labels: torch.Tensor | None,
        teacher_features: torch.Tensor | None,
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """The loss, and what is logged of the batch."""
        own = self.model(images, heatmaps, cameras)
        output = gather_output(own, self._config)
        labels = part_labels if part_labels is None else gather(part_labels)
        losses = kpr_loss(output, gather(identities), labels, self._config)
        told = losses.terms | losses.watched
        if self.distillation is None or teacher_features is None:
            return losses.total, told
        loss, terms = self.distillation(own, gather(teacher_features))
        return losses.total + loss, told | terms


def new_accelerator(config: ReidTrainConfig) -> Accelerator:
    """The engine; it learns from the environment how many processes there are.

    Raises: UserError for a precision that the device does not have.
    """
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    on_cpu = config.computing.device == "cpu" or not gpu
    if config.precision == "fp16" and on_cpu:
        raise UserError("precision=fp16 needs a GPU. Set precision=bf16 or fp32.")
    AcceleratorState._reset_state()  # of an earlier training in this process, which may have had another
    return Accelerator(
        cpu=on_cpu,
        mixed_precision="no" if config.precision == "fp32" else config.precision,
        # Heads whose loss has no weight get no gradient.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def new_optimiser(model: nn.Module, config: OptimiserConfig, rate: float) -> torch.optim.Optimizer:
    """One group of all parameters that learn."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.name == "adamw":
        return torch.optim.AdamW(learning, rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(learning, rate, momentum=config.momentum, weight_decay=config.weight_decay)


def seed_batch(*places: int) -> None:
    """Let everything that the networks draw from here on depend on these numbers alone."""
    (state,) = np.random.SeedSequence(places).generate_state(1, np.uint64)
    torch.manual_seed(int(state) >> 1)


def keep_memory() -> None:
    """Let the processor's memory, once used, be used again instead of given back after each batch.

    Fetching it anew takes two fifths of a training's time on a CPU. Only glibc can be told.
    """
    import ctypes

    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(library, "mallopt"):
        library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)  # type: ignore[union-attr]
        library.mallopt(_MMAP_MAX, 0)  # type: ignore[union-attr]
