"""Device, precision, batch size, threads and backend of the networks, and trust in their files."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Precision = Literal["fp32", "fp16", "bf16"]
BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]

_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: "200000 100000" is two cores, "max 100000" all


@dataclass(frozen=True)
class ComputeConfig:
    """How the networks are executed, with the device already resolved (never `auto`).

    Args:
        device: "cpu", "cuda", "cuda:1" or "mps".
        precision: fp32, fp16 or bf16.
        batch: Largest number of images or crops in a forward pass, 1 or more.
        threads: CPU threads of a network; None: the library's default.
        backend: What executes torch networks; auto: the fastest installed.
        trust_code: Open files that can run code of their own (ultralytics' .pt, configurations of mmpose).

    Examples:
        >>> ComputeConfig("cuda", precision="fp16").batch
        16
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    batch: int = 16
    threads: int | None = None
    backend: BackendName = "torch"
    trust_code: bool = False


def usable_cores(cpu_quota: Path = _CPU_QUOTA) -> int | None:
    """Count the CPU cores that this process may use, within the quota of its container.

    Threads above the quota are all suspended in the middle of a layer, which makes a network slower.

    Args:
        cpu_quota: File with the container's quota and period in microseconds.

    Returns:
        At least 1; None where the system does not report it.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = map(int, cpu_quota.read_text().split())
    except (OSError, ValueError):  # no container, or one without a quota
        return cores
    return min(cores, max(1, math.ceil(quota / period)))
