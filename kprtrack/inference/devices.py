"""Where and how the networks compute."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Precision = Literal["fp32", "fp16", "bf16"]
BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]

_CONTAINER_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # "200000 100000": two processors' time; "max 100000": all


@dataclass(frozen=True)
class ComputeConfig:
    """A concrete device and number format; `auto` of these has been resolved before one is made."""

    device: str = "cpu"  # "cpu", "cuda", "cuda:1", "mps"
    precision: Precision = "fp32"
    batch: int = 16  # most images or crops in one forward pass of a network
    threads: int | None = None  # CPU threads a network may use; None leaves the library's own choice
    backend: BackendName = "torch"  # what computes the networks of torch; auto: see inference/compile.py


def usable_cores(limit: Path = _CONTAINER_LIMIT) -> int | None:
    """Cores this process may use, no more than its container is granted; None where the system does not tell.

    More threads than granted cores would be stopped together in the middle of every layer.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = map(int, limit.read_text().split())
    except (OSError, ValueError):  # no container, or one without a limit
        return cores
    return min(cores, max(1, math.ceil(quota / period)))
