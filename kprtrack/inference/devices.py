"""Device, precision, batch size, threads and backend of the networks, and trust in their files."""

import math
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.extras import missing_modules, require

Precision = Literal["fp32", "fp16", "bf16"]
BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]

# By kind of device: the execution provider of onnxruntime.
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "mps": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
_NUMBERED = ("cuda", "tensorrt", "directml")
_TORCH_DEVICES = ("auto", "cpu", "cuda", "mps")

# Files of GPU drivers: NVIDIA's on Linux, in the Linux of Windows and on Windows, and AMD's.
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", r"C:\Windows\System32\nvcuda.dll", "/dev/kfd")
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: "200000 100000" is two cores, "max 100000" all


@dataclass(frozen=True)
class ComputeConfig:
    """How the networks are executed, with the device already resolved (never `auto`).

    Args:
        device: "cpu", "cuda", "cuda:1" or "mps"; with onnxruntime also "tensorrt" and "directml".
        precision: fp32, fp16 or bf16.
        batch: Largest number of images or crops in a forward pass, 1 or more.
        threads: CPU threads of a network; None: the library's default.
        backend: What executes the networks; auto: on a CPU the fastest installed, on a GPU torch.
        trust_code: Open files that can run code of their own (ultralytics' .pt, configurations of mmpose).

    Examples:
        >>> ComputeConfig("cuda", precision="fp16").batch
        16
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    batch: int = 16
    threads: int | None = None
    backend: BackendName = "auto"
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


def usable_device(name: str, backend: BackendName = "auto") -> str:
    """Resolve the name of a device.

    torch is imported only for a device that it alone can use: `auto` on a machine without a GPU driver is
    the CPU.

    Args:
        name: auto, cpu, cuda, cuda:1 or mps; with onnxruntime also tensorrt and directml, and their numbers.
        backend: What is to compute on it.

    Returns:
        `name`; for auto CUDA, else Apple's MPS, else the CPU.

    Raises:
        UserError: There is no such device, or what computes on it is not installed.
    """
    if name != "auto" and backend == "onnxruntime":
        return _onnxruntime_device(name)
    if name == "cpu" or (name == "auto" and (not _has_gpu_driver() or missing_modules(["torch"]))):
        return "cpu"
    kind, _, number = name.partition(":")
    if kind in PROVIDERS and kind not in _TORCH_DEVICES:
        raise UserError(f"--device {name}: only onnxruntime computes on it. Add --backend onnxruntime.")
    if kind not in _TORCH_DEVICES:
        raise unknown_name("device", name, _TORCH_DEVICES)
    if number and kind != "cuda":
        raise UserError(f"--device {name}: only CUDA devices are numbered; write --device {kind}.")
    require(f"--device {name}", "torch")
    import torch

    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    there = [device for device, present in has.items() if present]
    if name == "auto":
        return there[0]
    if kind not in there:
        raise UserError(
            f"--device {name}: this machine has no such device that torch can use. It has:"
            f" {', '.join(sorted(there))}."
        )
    if number and not (number.isdigit() and int(number) < torch.cuda.device_count()):
        raise UserError(
            f"--device {name}: there are {torch.cuda.device_count()} CUDA devices, counted from 0."
        )
    return name


def _onnxruntime_device(name: str) -> str:
    """Check that the installed onnxruntime computes on a device. Raises: UserError if it does not."""
    kind, _, number = name.partition(":")
    if kind not in PROVIDERS:
        raise unknown_name("device", name, PROVIDERS)
    if number and not (kind in _NUMBERED and number.isdigit()):
        raise UserError(f"--device {name}: write --device {kind}{':0' if kind in _NUMBERED else ''}.")
    require("--backend onnxruntime", "onnxruntime")
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if PROVIDERS[kind] not in available:
        raise UserError(
            f"--device {name}: the installed onnxruntime does not support it (it has {', '.join(available)})."
            " Install the package of onnxruntime for that device, such as onnxruntime-gpu, instead of"
            " onnxruntime, or choose --device cpu."
        )
    return name


def _has_gpu_driver() -> bool:
    """Whether it is worth the seconds to import torch and ask it for a GPU."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return any(Path(driver).exists() for driver in _DRIVERS)
