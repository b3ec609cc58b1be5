"""The Accelerator of a training, the seeds of its batches, and the memory of the CPU."""

import sys
from typing import Literal

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs

from kprtrack.core.errors import UserError
from reid.training.config import Precision

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # parameters of mallopt(3)


def new_accelerator(device: Literal["auto", "cpu"], precision: Precision) -> Accelerator:
    """The Accelerator of this process; the number of processes comes from the environment.

    Args:
        device: "auto" takes a GPU where there is one.
        precision: Of the forward pass; weights and gradients are float32.

    Raises:
        UserError: The device cannot compute in this precision.
    """
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    on_cpu = device == "cpu" or not gpu
    if precision == "fp16" and on_cpu:
        raise UserError("precision=fp16 needs a GPU. Set precision=bf16 or fp32.")
    AcceleratorState._reset_state()  # an earlier training in this process may have had another precision
    return Accelerator(
        cpu=on_cpu,
        mixed_precision="no" if precision == "fp32" else precision,
        # Heads whose loss has no weight get no gradient.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def seed_batch(*entropy: int) -> None:
    """Seed torch's generator, so that dropout in a batch depends on these numbers only."""
    (state,) = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    torch.manual_seed(int(state) >> 1)


def keep_freed_memory() -> None:
    """Let glibc reuse freed memory instead of returning it to the system after each batch.

    Requesting it again takes two fifths of the time of a training on a CPU.
    """
    import ctypes

    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(library, "mallopt"):
        library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)  # type: ignore[union-attr]
        library.mallopt(_MMAP_MAX, 0)  # type: ignore[union-attr]
