"""Executes torch modules, and converts them to ONNX; batch norms are folded first.

The output of a converted network is compared with torch's before it is used, so that the choice of a backend
changes results by at most TOLERANCE.
"""

import copy
import io
import warnings
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kprtrack.inference.backends import run_exported
from kprtrack.inference.conversions import ConversionError
from kprtrack.inference.devices import BackendName, ComputeConfig, Precision
from kprtrack.inference.pixels import PixelFormat
from kprtrack.inference.source import NetworkSource, OpenNetwork, Outputs

# Largest accepted difference between a backend and torch, relative to the largest absolute output.
# Both compute in float32 and differ by 1e-6 (docs/benchmarks.md); float16 differs by 1e-3, bfloat16 by 1e-2.
TOLERANCE = 1e-4
TORCH_TYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
OPSET = 17


class PixelNetwork(nn.Module):
    """A network of images as a function of uint8 pixels, computed in the type of its weights.

    Args:
        network: From images [N, 3, H, W] to one tensor.
        pixels: How the network wants its pixels.
        dtype: Type in which it computes; the normalisation is always float32.
    """

    def __init__(self, network: nn.Module, pixels: PixelFormat, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network, self._dtype = network.to(dtype), dtype
        for name, values in pixels.tensors().items():
            self.register_buffer(name, torch.from_numpy(values))

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute the output, float32, of RGB images [N, H, W, 3] uint8."""
        mean, std, order = (self.get_buffer(name) for name in ("mean", "std", "order"))
        found: Tensor = self.network(_normalised(pixels, mean, std, order).to(self._dtype))
        return found.float()


def normalised(pixels: Tensor, wanted: PixelFormat) -> Tensor:
    """Convert images to the input of a network.

    Args:
        pixels: [N, H, W, 3] uint8 RGB, on any device.
        wanted: Order and normalisation of the channels.

    Returns:
        [N, 3, H, W] float32.
    """
    mean, std, order = (torch.from_numpy(each).to(pixels.device) for each in wanted.tensors().values())
    return _normalised(pixels, mean, std, order)


def _normalised(pixels: Tensor, mean: Tensor, std: Tensor, order: Tensor) -> Tensor:
    return (pixels.permute(0, 3, 1, 2).index_select(1, order).float() - mean) / std


class _Autocast(nn.Module):
    """A network whose layers choose their types, with float32 outputs."""

    def __init__(self, network: nn.Module, compute: ComputeConfig) -> None:
        super().__init__()
        self.network, self._compute = network, compute

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        with autocast(self._compute):
            outputs = _as_tuple(self.network(*inputs))
        return tuple(one.float() if one.is_floating_point() else one for one in outputs)


def run_in_torch(source: NetworkSource, compute: ComputeConfig) -> OpenNetwork:
    """Execute a network with torch; sets the number of CPU threads of torch, for the whole process.

    Args:
        source: The network; a module that is handed in is left unchanged.
        compute: Device, precision and threads.

    Returns:
        The network.

    Raises:
        WeightsError: The weights are damaged or for another network.
    """
    configure_threads(compute)
    device = torch.device(compute.device)
    network = folded(source.network())
    if source.pixels is not None:
        module: Any = PixelNetwork(network, source.pixels, TORCH_TYPES[compute.precision])
    else:
        module = network if compute.precision == "fp32" else _Autocast(network, compute)
    module = module.to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def launch(*inputs: np.ndarray) -> Callable[[], Outputs]:
        outputs = _as_tuple(module(*(torch.from_numpy(one).to(device) for one in inputs)))
        return lambda: [one.cpu().numpy() for one in outputs]

    return OpenNetwork(launch, f"torch {torch.__version__}")


def configure_threads(compute: ComputeConfig) -> None:
    """Set the number of CPU threads of torch, for the whole process."""
    if compute.threads:
        torch.set_num_threads(compute.threads)


def autocast(compute: ComputeConfig) -> torch.autocast:
    """Make the context in which torch modules compute in the configured precision."""
    enabled = compute.precision != "fp32"
    dtype = TORCH_TYPES[compute.precision] if enabled else None
    return torch.autocast(torch.device(compute.device).type, dtype, enabled=enabled)


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


def relative_difference(output: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference divided by the largest absolute expected value; infinite if shapes differ."""
    if output.shape != expected.shape:
        return float("inf")
    wanted = expected.astype(np.float64)
    difference = np.abs(output.astype(np.float64) - wanted).max(initial=0)
    return float(difference / max(np.abs(wanted).max(initial=0), np.finfo(np.float32).tiny))


def converted(
    source: NetworkSource, name: BackendName, compute: ComputeConfig
) -> tuple[bytes, Callable[..., Outputs]]:
    """Convert a network to ONNX and compare the output of a backend with torch's.

    Args:
        source: The network.
        name: "onnxruntime" or "openvino", which must be installed.
        compute: Threads.

    Returns:
        Content of the ONNX file, and the function that executes it.

    Raises:
        WeightsError: The weights are damaged or for another network.
        ConversionError: The backend cannot execute it, or not with the same result.
    """
    network = folded(source.network())
    kind = type(network).__name__
    module = PixelNetwork(network, source.pixels) if source.pixels else network
    try:
        model = exported(module, source)
        run = run_exported(model, name, compute)
        # One row where the example has two: checks that the batch size is free.
        output = run(*(one[:1] for one in source.example))
    # The libraries raise exceptions of many types; whatever it is, the network cannot be converted.
    except Exception as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ConversionError(
            f"{name} cannot compute {kind} ({type(error).__name__}: {first_line})."
        ) from error
    with torch.inference_mode():
        expected = [one.numpy() for one in _as_tuple(module(*(one[:1] for one in _example(source))))]
    difference = max(map(relative_difference, output, expected))
    if not difference <= TOLERANCE:  # written so that NaN is rejected
        raise ConversionError(
            f"{name} {version(name)} computes {kind} differently on this machine: by {difference:.1e} of the"
            f" largest output, {TOLERANCE:.0e} is allowed."
        )
    return model, run


def exported(module: nn.Module, source: NetworkSource, *, as_it_is: bool = False) -> bytes:
    """Export a module to ONNX.

    Args:
        module: The module of `source`, in evaluation mode.
        source: Its example, free axes, and names of inputs and outputs.
        as_it_is: Keep every tensor of the module as it is, under its name; else they are combined.

    Returns:
        Content of the file.
    """
    axes = {axis: "batch" if axis == 0 else f"axis{axis}" for axis in source.free_axes}
    # The number of boxes depends on the size of the images.
    output_axes = {0: "batch"} | ({1: "cells"} if len(source.free_axes) > 1 else {})
    mode = torch.onnx.TrainingMode
    written: Any = io.BytesIO()  # torch 2.15 declares paths only
    # The warnings concern constants in the graph, whose errors the comparison with torch would find, and the
    # newer exporter, which needs another package and takes several times as long.
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(_example(source)),
            written,
            input_names=list(source.inputs),
            output_names=list(source.outputs),
            dynamic_axes=dict.fromkeys(source.inputs, axes) | dict.fromkeys(source.outputs, output_axes),
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=not as_it_is,
            training=mode.PRESERVE if as_it_is else mode.EVAL,
        )
    content: bytes = written.getvalue()
    return content


def _example(source: NetworkSource) -> list[Tensor]:
    return [torch.from_numpy(one) for one in source.example]


def _as_tuple(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)
