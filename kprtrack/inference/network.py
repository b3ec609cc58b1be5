"""Opens a network of this project with the configured backend; the only place that chooses one.

A CPU computes with onnxruntime or OpenVINO: from a graph of the package and the weights, without torch; where
the package has no graph for an architecture, torch converts the network once, and the result is kept. A GPU,
half precision and `--backend torch` compute with torch.
"""

import logging
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.extras import missing_modules, require
from kprtrack.inference import conversions
from kprtrack.inference.backends import run_exported
from kprtrack.inference.devices import BackendName, ComputeConfig
from kprtrack.inference.graphs import packaged_graph, with_tensors
from kprtrack.inference.source import NetworkSource, OpenNetwork, Outputs

_log = logging.getLogger(__name__)

# Order in which `auto` tries them, docs/benchmarks.md.
FASTEST: tuple[BackendName, ...] = ("onnxruntime", "openvino")


def open_network(source: NetworkSource, compute: ComputeConfig) -> OpenNetwork:
    """Load a network for inference.

    Args:
        source: Where it comes from.
        compute: Device, precision, threads and backend. `auto` is torch for a module that is handed in, and
            falls back to torch with a warning where a network cannot be converted.

    Returns:
        The network.

    Raises:
        UserError: The chosen backend is not installed or cannot execute the network, or torch is needed and
            is not installed.
        WeightsError: The weights are damaged or for another network.
    """
    names = _candidates(source, compute)
    graph = packaged_graph(source.architecture) if names and source.architecture else None
    if graph is not None and source.tensors is not None:
        model = with_tensors(graph, source.tensors(graph), source.pixels)
        return _computed_by(names[0], run_exported(model, names[0], compute))
    for name in names:
        try:
            return _computed_by(name, _run_converted(source, name, compute))
        except conversions.ConversionError as error:
            if compute.backend == name:
                raise UserError(f"--backend {name}: {error} Choose --backend torch.") from error
            _log.warning("%s Using torch instead, with the same results.", error)
    require(_what(source, compute), "torch")
    from kprtrack.inference.compile import run_in_torch

    return run_in_torch(source, compute)


def onnx_model(source: NetworkSource) -> bytes:
    """Make an ONNX file of a network, with its weights.

    Args:
        source: A network of a file of weights.

    Returns:
        Content of the file; its output equals torch's to rounding.

    Raises:
        UserError: The network can only be converted by torch, which is not installed.
        WeightsError: The weights are damaged or for another network, or ONNX cannot hold the network.
    """
    graph = packaged_graph(source.architecture or {})
    if graph is not None and source.tensors is not None:
        return with_tensors(graph, source.tensors(graph), source.pixels)
    require(str(source.path), "torch", "onnx")
    from kprtrack.inference.compile import converted

    try:
        return converted(source, "onnxruntime", ComputeConfig())[0]
    except conversions.ConversionError as error:
        raise WeightsError(f"{source.path} cannot be exported: {error}") from error


def _candidates(source: NetworkSource, compute: ComputeConfig) -> list[BackendName]:
    """List the backends to try before torch. Raises: UserError if the chosen one cannot be used here."""
    if compute.backend == "torch" or (compute.backend == "auto" and source.architecture is None):
        return []
    on_cpu, precise = compute.device == "cpu", compute.precision == "fp32"
    if compute.backend == "auto":
        return [name for name in FASTEST if not missing_modules([name])] if on_cpu and precise else []
    if compute.backend == "onnxruntime" and not precise:
        raise UserError(
            f"--backend onnxruntime computes in fp32, not in {compute.precision}. Add --precision fp32, or"
            " leave --backend out."
        )
    if compute.backend == "openvino" and not (on_cpu and compute.precision != "fp16"):
        raise UserError(
            f"--backend openvino computes on the CPU in fp32 or bf16, not on '{compute.device}' in"
            f" {compute.precision}. Add --device cpu --precision fp32, or leave --backend out."
        )
    require(f"--backend {compute.backend}", compute.backend)
    return [compute.backend]


def _run_converted(
    source: NetworkSource, name: BackendName, compute: ComputeConfig
) -> Callable[..., Outputs]:
    """Load the network as converted before, else convert it. Raises: ConversionError; UserError."""
    there = source.path is not None and source.path.is_file()
    key = conversions.key_of(source.path, source.architecture) if source.path and there else None
    stored = conversions.stored(key)
    if stored is not None:
        try:
            return run_exported(stored, name, compute)
        # The libraries raise exceptions of many types about a damaged file; then it is converted anew.
        except Exception:
            _log.debug("converted network %s cannot be read", key)
    if missing := missing_modules(["torch", "onnx"]):
        if compute.backend == "auto" and "torch" not in missing:
            raise conversions.ConversionError(f"{name} needs onnx to convert the network.")
        require(_what(source, compute), *missing)
    from kprtrack.inference.compile import converted

    model, run = converted(source, name, compute)
    conversions.store(key, model)
    return run


def _computed_by(name: str, run: Callable[..., Outputs]) -> OpenNetwork:
    def launch(*inputs: np.ndarray) -> Callable[[], Outputs]:
        outputs = run(*inputs)
        return lambda: outputs

    return OpenNetwork(launch, f"{name} {version(name)}")


def _what(source: NetworkSource, compute: ComputeConfig) -> str:
    """What needs torch, for an error."""
    if compute.device != "cpu":
        return f"--device {compute.device}"
    if compute.precision != "fp32":
        return f"--precision {compute.precision}"
    return f"--backend {compute.backend}" if compute.backend != "auto" else str(source.path or "The network")
