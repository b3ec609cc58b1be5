"""Networks of torch, ready to use and fast: batch norm folded, on processors also by another backend.

`compiled` is all that a network needs. What another backend answers is compared with torch's answer before it
is used, so that a choice of backend never changes a result by more than TOLERANCE.
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

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kprtrack.core.errors import UserError
from kprtrack.inference.backends import run_exported
from kprtrack.inference.devices import BackendName, ComputeConfig, Precision

_log = logging.getLogger(__name__)

# Largest difference of another backend's answer to torch's, relative to the largest number of the answer.
# Both compute in float32 and differ by 1e-6 (docs/benchmarks.md); float16 differs by 1e-3, bfloat16 by 1e-2.
TOLERANCE = 1e-4
# Which one `auto` takes of those that are installed, docs/benchmarks.md.
FASTEST: tuple[BackendName, ...] = ("openvino", "onnxruntime")
EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino"}  # of pip install "kprtrack[…]"
TORCH_TYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
_OPSET = 17
_Run = Callable[..., tuple[Tensor, ...]]


class ConversionError(Exception):
    """A network that another backend cannot compute, or not with the same result."""


@dataclass(frozen=True)
class Compiled:
    """A network in use; batches of any size."""

    run: _Run  # tensors -> tensors, on the backend's device
    backend: str  # such as "torch 2.11.0": what computes it


def compile_model(
    network: nn.Module,
    example: Sequence[Tensor],
    compute: ComputeConfig,
    *,
    dtype: torch.dtype = torch.float32,
    free_axes: Sequence[int] = (0,),
) -> Compiled:
    """A copy of the network for inference, in the backend that was asked for.

    example: float32 inputs on the CPU with two rows; of their axes all may change that are in free_axes.
    dtype: of the weights and inputs in torch; the other backends compute in float32.
    Raises: UserError if a backend was asked for by name that is not installed or cannot do it. `auto` takes
    torch then, with a note in the log if it was for the network.
    """
    network = folded(network)
    for name in _candidates(compute):
        try:
            found = _converted(network, example, compute, name=name, free_axes=free_axes)
        except ConversionError as error:
            if compute.backend == name:
                raise UserError(f"--backend {name}: {error} Choose --backend torch.") from error
            _log.warning("%s; torch computes it, with the same results", error)
            continue
        return Compiled(found, f"{name} {version(name)}")
    network = network.to(compute.device, dtype).to(memory_format=torch.channels_last)

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        return _as_tuple(network(*inputs))

    return Compiled(run, f"torch {torch.__version__}")


def noise(*shape: int) -> Tensor:
    """Numbers in [0, 1), the same every time: an example of an input."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def folded(network: nn.Module) -> nn.Module:
    """A copy whose convolutions hold the batch norm that follows them: same output, faster, not trainable.

    "Follows" is told by the order in which a module names its children. The tests prove it for every network
    here; norms elsewhere, such as KPR's BN necks, stay as they are.
    """
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        children = list(module.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(children):
            # Subclasses of the norm may hold an activation as well.
            if isinstance(conv, nn.Conv2d) and type(norm) is nn.BatchNorm2d:
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
    return network


def _candidates(compute: ComputeConfig) -> list[BackendName]:
    """The other backends to try, best first.

    Raises: UserError if the one that was asked for is not installed or computes elsewhere.
    """
    if compute.backend == "torch":
        return []
    fits = compute.device == "cpu" and compute.precision == "fp32"
    if compute.backend == "auto":
        return [name for name in FASTEST if not _missing(name)] if fits else []
    if not fits:
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
    # Both read the network in the form of ONNX, which torch writes with the package of that name.
    return [package for package in (name, "onnx") if find_spec(package) is None]


def _converted(
    network: nn.Module,
    example: Sequence[Tensor],
    compute: ComputeConfig,
    *,
    name: BackendName,
    free_axes: Sequence[int],
) -> _Run:
    """The network in the other backend, after it has given torch's results.

    Raises: ConversionError.
    """
    kind = type(network).__name__
    try:
        run_arrays = run_exported(_exported(network, example, free_axes), name, compute)

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            return tuple(map(torch.from_numpy, run_arrays(*(one.contiguous().numpy() for one in inputs))))

        # One row, where the example has two: the number of rows is free.
        answer = run(*(one[:1] for one in example))
    # What these libraries raise has no base class but Exception; any of it means that they cannot.
    except Exception as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ConversionError(
            f"{name} cannot compute {kind} ({type(error).__name__}: {first_line})."
        ) from error
    with torch.inference_mode():
        wanted = _as_tuple(network(*(one[:1] for one in example)))
    difference = max(map(relative_difference, answer, wanted))
    # Written so that NaN is a difference.
    if not difference <= TOLERANCE:
        raise ConversionError(
            f"{name} {version(name)} computes {kind} differently on this machine: by {difference:.1e} of the"
            f" largest number, {TOLERANCE:.0e} is allowed."
        )
    return run


def relative_difference(answer: Tensor, wanted: Tensor) -> float:
    """Largest difference, in parts of the largest wanted number."""
    if answer.shape != wanted.shape:
        return np.inf
    apart = (answer.double() - wanted.double()).abs().max()
    return float(apart / wanted.double().abs().max().clamp(min=torch.finfo(torch.float32).tiny))


def _exported(network: nn.Module, example: Sequence[Tensor], free_axes: Sequence[int]) -> bytes:
    """The network as ONNX file."""
    names = [f"input{number}" for number in range(len(example))]
    axes = {axis: f"axis{axis}" for axis in free_axes}
    written: Any = io.BytesIO()  # torch 2.15 declares paths alone
    # The warnings are about constants in the graph, which the comparison afterwards would find wrong, and
    # about newer ways to export, which need one package more and take several times as long.
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
    return written.getvalue()


def _as_tuple(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)
