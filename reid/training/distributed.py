"""Training in several processes: gathered features, synchronised batch norm and shared validation.

Source of the synchronised batch norm: Peng et al., MegDet, CVPR 2018.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from reid.model.heads import PerHead, at_least_float32
from reid.model.kpr import KprOutput
from reid.training.losses import HeadWeights, LossConfig

T = TypeVar("T")
R = TypeVar("R")


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def mean_of_processes(value: torch.Tensor) -> torch.Tensor:
    """The mean of a value over all processes; without gradient.

    Args:
        value: Of the same shape in every process.

    Returns:
        The mean, of the same shape.
    """
    return _Sum.forward(None, value.detach()) / processes() if processes() > 1 else value


def map_in_processes(function: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R]:
    """Compute the results of all items, each process those of its share.

    Args:
        function: Gives one result for each item; results must be picklable.
        items: The same in all processes.

    Returns:
        The results of all items in their order, in every process.
    """
    count = processes()
    if count == 1:
        return list(function(items))
    own = function(items[dist.get_rank() :: count] or items[:1])
    shares: list[Sequence[R]] = [[] for _ in range(count)]
    dist.all_gather_object(shares, list(own))
    return [shares[row % count][row // count] for row in range(len(items))]


def gather(values: torch.Tensor) -> torch.Tensor:
    """The rows of all processes, in their order; differentiable.

    Each process must have as many rows, and use the result in the same way. The gradient is the sum over the
    processes.

    Args:
        values: [N, ...], as many rows in every process.

    Returns:
        [P N, ...] for P processes.
    """
    return _Gather.apply(values) if processes() > 1 else values


def gather_output(output: KprOutput, config: LossConfig) -> KprOutput:
    """The output of all processes, where the loss reads it.

    Args:
        output: Of N crops.
        config: Weights of the loss; what has no weight is not gathered.

    Returns:
        The output of P N crops for P processes.
    """
    if processes() == 1:
        return output
    return replace(
        output,
        reduced=_gather_heads(output.reduced, config.triplet),
        identity_logits=_gather_heads(output.identity_logits, config.identity),
        part_logits=gather(output.part_logits) if config.part_prediction else output.part_logits,
        visible=gather(output.visible),
    )


def share_statistics(model: nn.Module) -> None:
    """Replace every batch norm below the model by a SharedBatchNorm; parameters and names stay.

    Args:
        model: Changed in place.
    """
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                setattr(parent, name, SharedBatchNorm(child))


class SharedBatchNorm(_BatchNorm):
    """Batch norm over the batch of all processes, which have equal shares of it."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            setattr(self, name, getattr(norm, name))
        self.train(norm.training)

    def _check_input_dim(self, input: torch.Tensor) -> None:
        """Accept maps and vectors."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(input)
        # Sums in half precision would lose digits, as in torch's own.
        with torch.autocast(input.device.type, enabled=False):
            values = at_least_float32(input)
            axes = [0, *range(2, values.ndim)]
            along = (1, -1, *[1] * (values.ndim - 2))
            mean = _share(values.mean(dim=axes)) / processes()
            centred = values - mean.reshape(along)
            variance = _share(centred.square().mean(dim=axes)) / processes()
            self._update_statistics(mean.detach(), variance.detach(), values.numel() // values.shape[1])
            scale = self.weight * torch.rsqrt(variance + self.eps)
            return (centred * scale.reshape(along) + self.bias.reshape(along)).to(input.dtype)

    @torch.no_grad()
    def _update_statistics(self, mean: torch.Tensor, variance: torch.Tensor, own: int) -> None:
        count = own * processes()
        assert self.running_mean is not None and self.running_var is not None
        assert self.momentum is not None and self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)


def _gather_heads(heads: PerHead, weights: HeadWeights) -> PerHead:
    used = [name for name, weight in vars(weights).items() if weight]
    return replace(heads, **{name: gather(getattr(heads, name)) for name in used})


def _share(values: torch.Tensor) -> torch.Tensor:
    """The sum over all processes; differentiable."""
    return _Sum.apply(values)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _Sum.forward(context, gradient.contiguous())


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        context.rows = len(values)
        parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(processes())]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = _Sum.forward(context, gradient.contiguous())
        return total[dist.get_rank() * context.rows :][: context.rows]
