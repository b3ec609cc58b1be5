"""Executes ONNX and OpenVINO networks as functions on numpy arrays."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.extras import require
from kprtrack.core.files.folders import is_file
from kprtrack.inference.devices import PROVIDERS, BackendName, ComputeConfig, Precision
from kprtrack.inference.onnx_file import validate_onnx

_log = logging.getLogger(__name__)
_OPENVINO_PRECISION: dict[Precision, str] = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
_ONNX_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# A batch is split into at most this many parts, each computed in a thread of its own. The backends spread a
# call over threads layer by layer, and the layers of small networks are too short to gain from that
# (docs/benchmarks.md).
_MAX_PARTS = 4
_Run = Callable[..., list[np.ndarray]]
Shape = tuple[int | None, ...]  # None: an axis of any size


@dataclass(frozen=True)
class NetworkFile:
    """A network loaded from a file, with a single image input."""

    # [N, C, H, W] float32 -> all outputs. Raises: WeightsError if the backend cannot compute them.
    run: Callable[[np.ndarray], list[np.ndarray]]
    input_shape: Shape
    output_shapes: tuple[Shape | None, ...]  # as the file declares them; None: it does not


def shape_text(shape: Shape) -> str:
    """Write a shape as in messages, such as [any, 17, 64, 48]."""
    return f"[{', '.join('any' if axis is None else str(axis) for axis in shape)}]"


def open_network_file(weights: Path, compute: ComputeConfig) -> NetworkFile:
    """Load the network of an .onnx file, or of an OpenVINO .xml file with its .bin beside it.

    Args:
        weights: The file.
        compute: Device and threads. The precision applies to OpenVINO; ONNX files compute in the number
            format they were exported with.

    Returns:
        The network, ready to run.

    Raises:
        WeightsError: The file is missing, damaged or not a network with one image input.
        UserError: The backend is not installed or does not support the device.
    """
    if not is_file(weights):
        raise WeightsError(f"No weights at {weights}.")
    if weights.suffix == ".onnx":
        return _open_onnx(weights, compute)
    if weights.suffix == ".xml":
        return _open_openvino(weights, compute)
    raise WeightsError(f"{weights} is neither an .onnx file nor the .xml file of an OpenVINO model.")


def run_exported(model: bytes, name: BackendName, compute: ComputeConfig) -> _Run:
    """Load an ONNX model whose batch size is free.

    Args:
        model: Content of an .onnx file.
        name: "onnxruntime" or "openvino", which must be installed.
        compute: Device, threads and precision; OpenVINO computes on the CPU.

    Returns:
        A function from the inputs of the model to its outputs.

    Raises:
        Exception: Any error of the backend about a model that it cannot execute.
    """
    parts = _parts(compute) if compute.device == "cpu" else 1
    if name == "openvino":
        import openvino

        core = _shared_core(openvino)
        compiled = core.compile_model(core.read_model(model), "CPU", _openvino_options(compute, parts))
        return _in_parts([_openvino_run(compiled) for _ in range(parts)])
    import onnxruntime

    session = _onnx_session(onnxruntime, model, compute, parts)
    names = [one.name for one in session.get_inputs()]

    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        outputs: list[np.ndarray] = session.run(None, dict(zip(names, inputs, strict=True)))
        return outputs

    return _in_parts([run] * parts)


def _open_onnx(weights: Path, compute: ComputeConfig) -> NetworkFile:
    require(str(weights), "onnxruntime")
    import onnxruntime

    validate_onnx(weights)
    parts = _parts(compute) if compute.device == "cpu" else 1
    session = _onnx_session(onnxruntime, weights, compute, parts)
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _ONNX_TYPES:
        found = ", ".join(f"{one.name} {one.type}" for one in inputs)
        raise WeightsError(f"{weights} has the inputs {found}; expected one image in float32 or float16.")
    if not inputs[0].shape or not session.get_outputs():
        raise WeightsError(f"{weights} has no output, or an input that is no image.")
    name, number_type = inputs[0].name, _ONNX_TYPES[inputs[0].type]
    # A named axis ("batch") accepts any size.
    shape = _onnx_shape(inputs[0].shape)
    if shape[0] is not None and parts > 1:  # a batch of fixed size cannot be split: one call with all threads
        parts, session = 1, _onnx_session(onnxruntime, weights, compute, 1)

    def run(images: np.ndarray) -> list[np.ndarray]:
        outputs: list[np.ndarray] = session.run(None, {name: images.astype(number_type, copy=False)})
        return outputs

    outputs = tuple(_onnx_shape(one.shape) or None for one in session.get_outputs())
    return NetworkFile(_reporting(_in_parts([run] * parts), weights), shape, outputs)


def _onnx_shape(axes: Sequence[int | str | None]) -> Shape:
    return tuple(axis if isinstance(axis, int) else None for axis in axes)


def _reporting(run: _Run, weights: Path) -> _Run:
    """Turn what a backend raises while it computes into a WeightsError."""

    def reporting(*inputs: np.ndarray) -> list[np.ndarray]:
        try:
            return run(*inputs)
        except MemoryError:
            raise
        # The errors of the backends have no common base class but Exception.
        except Exception as error:
            raise WeightsError(f"{weights} cannot be computed: {_one_line(error)}") from error

    return reporting


def _one_line(error: Exception) -> str:
    words = " ".join(str(error).split())[:300]
    return "".join(letter if letter.isprintable() else "?" for letter in words)


def _onnx_session(onnxruntime: Any, model: Path | bytes, compute: ComputeConfig, parts: int) -> Any:
    """Create a session that `parts` threads will call at the same time."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors are exceptions, too, and its warnings are for exporters
    if compute.threads is not None:
        # Each calling thread computes, too; only the others are the session's own.
        options.intra_op_num_threads = compute.threads - parts + 1
    # Threads that spin while they wait take CPU time from torch and OpenCV.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if compute.device.startswith("directml"):  # as its documentation demands
        options.enable_mem_pattern = False
    providers = _providers(compute.device, onnxruntime.get_available_providers())
    try:
        return onnxruntime.InferenceSession(model, options, providers=providers)
    # The errors of onnxruntime have no common base class but Exception; all of them concern the file.
    except Exception as error:
        source = model if isinstance(model, Path) else "the network"
        raise WeightsError(f"onnxruntime cannot read {source}: {_one_line(error)}") from error


def _parts(compute: ComputeConfig) -> int:
    return min(compute.threads or 1, _MAX_PARTS)


def _in_parts(runs: list[_Run]) -> _Run:
    """Split each batch into equal parts and compute them at the same time, one with each of `runs`."""
    if len(runs) == 1:
        return runs[0]
    pool = ThreadPoolExecutor(len(runs))

    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        count = min(len(runs), max(len(inputs[0]), 1))
        parts = [np.array_split(one, count) for one in inputs]
        found = list(pool.map(lambda one, *part: one(*part), runs[:count], *parts))
        return [np.concatenate(output) for output in zip(*found, strict=True)]

    return run


def _providers(device: str, available: list[str]) -> list[str | tuple[str, dict[str, int]]]:
    kind, _, number = device.partition(":")
    provider = PROVIDERS.get(kind)
    if provider is None or provider not in available:
        raise UserError(
            f"The installed onnxruntime does not support '{device}' (it supports {', '.join(available)}). "
            "For CUDA install onnxruntime-gpu instead of onnxruntime, or choose --device cpu."
        )
    if kind == "cpu":
        return [provider]
    if kind == "mps":
        return [provider, PROVIDERS["cpu"]]
    # What TensorRT cannot compute, CUDA does.
    chain = [provider, PROVIDERS["cuda"]] if kind == "tensorrt" else [provider]
    place = {"device_id": int(number or 0)}
    return [*((one, place) for one in chain if one in available), PROVIDERS["cpu"]]


def _open_openvino(weights: Path, compute: ComputeConfig) -> NetworkFile:
    require(str(weights), "openvino")
    import openvino

    if compute.device != "cpu":
        _log.warning("OpenVINO models run on the CPU; %s is not used for %s", compute.device, weights.name)
    if not weights.with_suffix(".bin").is_file():
        raise WeightsError(f"{weights} needs {weights.with_suffix('.bin').name} beside it.")
    core = _shared_core(openvino)
    try:
        model = core.read_model(weights)
        if len(model.inputs) != 1:
            raise WeightsError(f"{weights} has {len(model.inputs)} inputs; expected one image.")
        parts = _parts(compute)
        compiled = _compile_any_batch(core, model, _openvino_options(compute, parts))
        if compiled is None:
            parts, compiled = 1, core.compile_model(weights, "CPU", _openvino_options(compute, 1))
    except RuntimeError as error:
        raise WeightsError(f"OpenVINO cannot use {weights}: {_one_line(error)}") from error
    outputs = tuple(_openvino_shape(one.partial_shape) for one in compiled.outputs)
    run = _in_parts([_openvino_run(compiled) for _ in range(parts)])
    return NetworkFile(
        _reporting(run, weights), _openvino_shape(compiled.input().partial_shape) or (), outputs
    )


def _openvino_shape(shape: Any) -> Shape | None:
    if shape.rank.is_dynamic:
        return None
    return tuple(axis.get_length() if axis.is_static else None for axis in shape)


def _openvino_options(compute: ComputeConfig, parts: int) -> dict[str, Any]:
    """Options of a model that `parts` threads will call at the same time."""
    options = {
        # Pinned threads slow down torch and OpenCV in the same process.
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": _OPENVINO_PRECISION[compute.precision],
        "NUM_STREAMS": parts,
    }
    return options | ({} if compute.threads is None else {"INFERENCE_NUM_THREADS": compute.threads})


@cache
def _shared_core(openvino: ModuleType) -> Any:
    """Return the Core of this process, which is never destroyed.

    OpenVINO 2026.4 gives the main thread a signal stack and frees it with the last Core; the next Ctrl-C
    would then end the process with a segmentation fault.

    The first array that it converts must not come from two threads at once: they would wait for each other.
    """
    openvino.Tensor(np.zeros(1, np.float32))
    return openvino.Core()


def _compile_any_batch(core: Any, model: Any, options: dict[str, Any]) -> Any | None:
    """Compile the model for batches of any size; None if its graph fixes the size."""
    try:
        model.reshape([-1, *list(model.input().partial_shape)[1:]])
        return core.compile_model(model, "CPU", options)
    except RuntimeError:
        return None


def _openvino_run(compiled: Any) -> _Run:
    request = compiled.create_infer_request()

    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        request.infer(list(inputs), share_inputs=True)
        return [np.array(tensor.data) for tensor in request.output_tensors]

    return run
