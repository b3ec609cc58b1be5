"""Converts the arrays of a checkpoint to tensors, and checks their values."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from kprtrack.core.checkpoints import Checkpoint, read_checkpoint
from kprtrack.core.errors import WeightsError

_SHOWN = 5  # names in a message


def tensors_of(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint on the CPU; they share its memory."""
    return {name: torch.from_numpy(array) for name, array in checkpoint.tensors.items()}


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint file. Raises: as read_checkpoint."""
    return tensors_of(read_checkpoint(path))


def validate_finite(tensors: Mapping[str, torch.Tensor], names: Iterable[str], where: Path | str) -> None:
    """Reject weights that a diverged training or a damaged file has left.

    Args:
        tensors: Tensors of any type and shape, by name.
        names: Those that the network uses; names that `tensors` lacks are skipped.
        where: The file, for the message.

    Raises:
        WeightsError: A tensor holds an infinite or undefined number.
    """
    broken = [name for name in names if name in tensors and not torch.isfinite(tensors[name]).all()]
    if broken:
        shown = ", ".join(f"'{name}'" for name in broken[:_SHOWN]) + (", ..." if len(broken) > _SHOWN else "")
        raise WeightsError(
            f"{where} is damaged: {shown} contain infinite or undefined numbers. Use another file of weights."
        )
