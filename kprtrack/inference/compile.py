"""Prepares torch networks for inference: batch norm folded, on a CPU optionally converted to another backend.

The output of a converted network is compared with torch's before it is used, so that the choice of a backend
changes results by at most TOLERANCE.
"""

import copy
import io
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kprtrack.core.errors import UserError
from kprtrack.inference.backends import run_exported
from kprtrack.inference.devices import BackendName, ComputeConfig, Precision

_log = logging.getLogger(__name__)

# Largest accepted difference between a backend and torch, relative to the largest absolute output.
# Both compute in float32 and differ by 1e-6 (docs/benchmarks.md); float16 differs by 1e-3, bfloat16 by 1e-2.
TOLERANCE = 1e-4
# Order in which `auto` tries them, docs/benchmarks.md.
FASTEST: tuple[BackendName, ...] = ("onnxruntime", "openvino")
EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino"}  # of pip install "kprtrack[…]"
TORCH_TYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
_OPSET = 17
_Run = Callable[..., tuple[Tensor, ...]]


class ConversionError(Exception):
    """A network that a backend cannot execute, or not with the same result."""


@dataclass(frozen=True)
class CompiledNetwork:
    """A network ready for inference with batches of any size."""

    run: _Run  # input tensors -> output tensors, on the configured device
    backend: str  # name and version of what executes it, such as "torch 2.11.0"


def compile_model(
    network: nn.Module,
    example: Sequence[Tensor],
    compute: ComputeConfig,
    *,
    dtype: torch.dtype = torch.float32,
    free_axes: Sequence[int] = (0,),
) -> CompiledNetwork:
    """Copy a network for inference with the configured backend.

    Args:
        network: Left unchanged.
        example: Input tensors, float32 on the CPU, with two rows each.
        compute: Device, precision, threads and backend. `auto` falls back to torch with a warning where the
            network cannot be converted.
        dtype: Type of weights and inputs in torch; the other backends compute in float32.
        free_axes: Axes of the inputs whose size may change from call to call.

    Returns:
        The copy and the name of its backend.

    Raises:
        UserError: The backend was chosen by name and is not installed or cannot execute the network.
    """
    network = folded(network)
    for name in _candidates(compute):
        try:
            run = _converted(network, example, compute, name=name, free_axes=free_axes)
        except ConversionError as error:
            if compute.backend == name:
                raise UserError(f"--backend {name}: {error} Choose --backend torch.") from error
            _log.warning("%s Using torch instead, with the same results.", error)
            continue
        return CompiledNetwork(run, f"{name} {version(name)}")
    network = network.to(compute.device, dtype).to(memory_format=torch.channels_last)

    def run_torch(*inputs: Tensor) -> tuple[Tensor, ...]:
        return _as_tuple(network(*inputs))

    return CompiledNetwork(run_torch, f"torch {torch.__version__}")


def autocast(compute: ComputeConfig) -> torch.autocast:
    """Make the context in which torch modules compute in the configured precision."""
    enabled = compute.precision != "fp32"
    dtype = TORCH_TYPES[compute.precision] if enabled else None
    return torch.autocast(torch.device(compute.device).type, dtype, enabled=enabled)


def noise(*shape: int) -> Tensor:
    """Make an example input: numbers in [0, 1), the same in every call."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def folded(network: nn.Module) -> nn.Module:
    """Copy a network and fold every batch norm into the convolution before it: same output, not trainable.

    A norm belongs to the convolution registered directly before it in the same module; tests check this for
    every network of the project. Other norms, such as the BN necks of KPR, are kept.
    """
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        children = list(module.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(children):
            # Not isinstance: subclasses of the norm may contain an activation.
            if isinstance(conv, nn.Conv2d) and type(norm) is nn.BatchNorm2d:
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
    return network


def relative_difference(output: Tensor, expected: Tensor) -> float:
    """Largest difference divided by the largest absolute expected value; infinite if shapes differ."""
    if output.shape != expected.shape:
        return float("inf")
    difference = (output.double() - expected.double()).abs().max()
    return float(difference / expected.double().abs().max().clamp(min=torch.finfo(torch.float32).tiny))


def _candidates(compute: ComputeConfig) -> list[BackendName]:
    """List the backends to try before torch. Raises: UserError if the chosen one cannot be used here."""
    if compute.backend == "torch":
        return []
    supported = compute.device == "cpu" and compute.precision == "fp32"
    if compute.backend == "auto":
        return [name for name in FASTEST if not _missing(name)] if supported else []
    if not supported:
        raise UserError(
            f"--backend {compute.backend} computes on the CPU in fp32, not on '{compute.device}' in"
            f" {compute.precision}. Add --device cpu --precision fp32, or leave --backend out."
        )
    if missing := _missing(compute.backend):
        raise UserError(
            f"--backend {compute.backend} needs {' and '.join(missing)}:"
            f' pip install "kprtrack[{EXTRAS[compute.backend]}]".'
        )
    return [compute.backend]


def _missing(name: BackendName) -> list[str]:
    # Both backends read ONNX, which torch exports with the package of that name.
    return [package for package in (name, "onnx") if find_spec(package) is None]


def _converted(
    network: nn.Module,
    example: Sequence[Tensor],
    compute: ComputeConfig,
    *,
    name: BackendName,
    free_axes: Sequence[int],
) -> _Run:
    """Convert the network and compare its output with torch's. Raises: ConversionError."""
    kind = type(network).__name__
    try:
        run_arrays = run_exported(_exported(network, example, free_axes), name, compute)

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            return tuple(map(torch.from_numpy, run_arrays(*(one.contiguous().numpy() for one in inputs))))

        # One row where the example has two: checks that the batch size is free.
        output = run(*(one[:1] for one in example))
    # The libraries raise exceptions of many types; whatever it is, the network cannot be converted.
    except Exception as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ConversionError(
            f"{name} cannot compute {kind} ({type(error).__name__}: {first_line})."
        ) from error
    with torch.inference_mode():
        expected = _as_tuple(network(*(one[:1] for one in example)))
    difference = max(map(relative_difference, output, expected))
    if not difference <= TOLERANCE:  # written so that NaN is rejected
        raise ConversionError(
            f"{name} {version(name)} computes {kind} differently on this machine: by {difference:.1e} of the"
            f" largest output, {TOLERANCE:.0e} is allowed."
        )
    return run


def _exported(network: nn.Module, example: Sequence[Tensor], free_axes: Sequence[int]) -> bytes:
    """Export the network to ONNX."""
    names = [f"input{number}" for number in range(len(example))]
    axes = {axis: f"axis{axis}" for axis in free_axes}
    written: Any = io.BytesIO()  # torch 2.15 declares paths only
    # The warnings concern constants in the graph, whose errors the comparison with torch would find, and the
    # newer exporter, which needs another package and takes several times as long.
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            tuple(example),
            written,
            input_names=names,
            dynamic_axes=dict.fromkeys(names, axes),
            opset_version=_OPSET,
            dynamo=False,
        )
    exported: bytes = written.getvalue()
    return exported


def _as_tuple(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)
