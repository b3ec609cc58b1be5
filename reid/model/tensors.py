"""Converts the arrays of a checkpoint to tensors."""

from collections.abc import Mapping

import numpy as np
import torch


def torch_tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Return arrays as tensors on the CPU; they share their memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
