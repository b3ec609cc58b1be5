"""Converts the arrays of a checkpoint to tensors."""

from pathlib import Path

import torch

from kprtrack.core.checkpoints import Checkpoint, read_checkpoint


def tensors_of(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint on the CPU; they share its memory."""
    return {name: torch.from_numpy(array) for name, array in checkpoint.tensors.items()}


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint file. Raises: as read_checkpoint."""
    return tensors_of(read_checkpoint(path))
