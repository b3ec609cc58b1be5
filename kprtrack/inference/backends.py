"""Networks in a file with a backend of its own, ONNX or OpenVINO, as a function on numpy arrays."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kprtrack.core.errors import UserError, WeightsError
from kprtrack.inference.devices import BackendName, ComputeConfig, Precision

_log = logging.getLogger(__name__)
_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}
_OPENVINO_PRECISION: dict[Precision, str] = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
_ONNX_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# Most parts a batch is cut into, each computed by a thread of its own. Both backends spread one call over
# threads layer by layer; the layers of small networks are too short for that to help (docs/benchmarks.md).
_MOST_PARTS = 4
_Run = Callable[..., list[np.ndarray]]


@dataclass(frozen=True)
class NetworkFile:
    """A network with one image input."""

    run: Callable[[np.ndarray], list[np.ndarray]]  # [N, C, H, W] float32 -> every output
    input_shape: tuple[int | None, ...]  # None where any size is taken


def open_network_file(weights: Path, compute: ComputeConfig) -> NetworkFile:
    """The network of an .onnx file or of an OpenVINO .xml file (its .bin beside it).

    Raises: WeightsError for a missing, damaged or other file; UserError if the backend is not installed.
    """
    if not weights.is_file():
        raise WeightsError(f"No weights at {weights}.")
    if weights.suffix == ".onnx":
        return _open_onnx(weights, compute)
    if weights.suffix == ".xml":
        return _open_openvino(weights, compute)
    raise WeightsError(f"{weights} is neither an .onnx file nor the .xml file of an OpenVINO model.")


def run_exported(model: bytes, name: BackendName, compute: ComputeConfig) -> Callable[..., list[np.ndarray]]:
    """An ONNX model that takes batches of any size, as a function from its inputs to its outputs.

    name: onnxruntime or openvino, which must be installed. Computes on the CPU.
    Raises: whatever they raise for a model they cannot compute.
    """
    parts = _parts(compute)
    if name == "openvino":
        import openvino

        core = _only_core(openvino)
        compile_model = core.compile_model(core.read_model(model), "CPU", _openvino_options(compute, parts))
        return _in_parts([_openvino_run(compile_model) for _ in range(parts)])
    import onnxruntime

    session = _onnx_session(onnxruntime, model, compute, parts)
    names = [one.name for one in session.get_inputs()]

    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        return session.run(None, dict(zip(names, inputs, strict=True)))

    return _in_parts([run] * parts)


def _open_onnx(weights: Path, compute: ComputeConfig) -> NetworkFile:
    """An ONNX file computes in the number format it was exported with, whatever compute.precision says."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f'{weights} needs onnxruntime: pip install "kprtrack[onnx]".') from error
    parts = _parts(compute) if compute.device == "cpu" else 1
    session = _onnx_session(onnxruntime, weights, compute, parts)
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _ONNX_TYPES:
        found = ", ".join(f"{one.name} {one.type}" for one in inputs)
        raise WeightsError(f"{weights} wants the inputs {found}; expected one image in float32 or float16.")
    name, number_type = inputs[0].name, _ONNX_TYPES[inputs[0].type]
    # A named axis ("batch") takes any size.
    shape = tuple(axis if isinstance(axis, int) else None for axis in inputs[0].shape)
    if shape[0] is not None and parts > 1:  # cannot be cut: all threads for the whole
        parts, session = 1, _onnx_session(onnxruntime, weights, compute, 1)

    def run(images: np.ndarray) -> list[np.ndarray]:
        return session.run(None, {name: images.astype(number_type, copy=False)})

    return NetworkFile(_in_parts([run] * parts), shape)


def _onnx_session(onnxruntime: Any, weights: Path | bytes, compute: ComputeConfig, parts: int) -> Any:
    """A session that `parts` threads of ours will call at the same time."""
    options = onnxruntime.SessionOptions()
    if compute.threads is not None:
        # Every caller brings its own thread; the rest are shared.
        options.intra_op_num_threads = compute.threads - parts + 1
    # Threads that wait busily for the next image steal the processor from torch and OpenCV.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = _providers(compute.device, onnxruntime.get_available_providers())
    try:
        return onnxruntime.InferenceSession(weights, options, providers=providers)
    # onnxruntime's own errors share no base class but Exception; the file is at fault in each of them.
    except Exception as error:
        source = weights if isinstance(weights, Path) else "the network"
        raise WeightsError(f"onnxruntime cannot read {source}: {error}") from error


def _parts(compute: ComputeConfig) -> int:
    return min(compute.threads or 1, _MOST_PARTS)


def _in_parts(runs: list[_Run]) -> _Run:
    """A network that computes equal shares of the images at the same time, one by each of `runs`."""
    if len(runs) == 1:
        return runs[0]
    pool = ThreadPoolExecutor(len(runs))

    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        count = min(len(runs), max(len(inputs[0]), 1))
        shares = [np.array_split(one, count) for one in inputs]
        found = list(pool.map(lambda one, *share: one(*share), runs[:count], *shares))
        return [np.concatenate(output) for output in zip(*found, strict=True)]

    return run


def _providers(device: str, available: list[str]) -> list[Any]:
    kind, _, number = device.partition(":")
    provider = _PROVIDERS.get(kind)
    if provider not in available:
        raise UserError(
            f"The installed onnxruntime cannot compute on '{device}' (it offers {', '.join(available)}). "
            "For CUDA install onnxruntime-gpu in the place of onnxruntime, or choose --device cpu."
        )
    if kind == "cuda":
        return [(provider, {"device_id": int(number or 0)}), _PROVIDERS["cpu"]]
    return [provider, _PROVIDERS["cpu"]] if kind != "cpu" else [provider]


def _open_openvino(weights: Path, compute: ComputeConfig) -> NetworkFile:
    try:
        import openvino
    except ImportError as error:
        raise UserError(f'{weights} needs OpenVINO: pip install "kprtrack[openvino]".') from error
    if compute.device != "cpu":
        _log.warning("OpenVINO models run on the CPU; %s is not used for %s", compute.device, weights.name)
    if not weights.with_suffix(".bin").is_file():
        raise WeightsError(f"{weights} needs {weights.with_suffix('.bin').name} beside it.")
    core = _only_core(openvino)
    try:
        model = core.read_model(weights)
        if len(model.inputs) != 1:
            raise WeightsError(f"{weights} has {len(model.inputs)} inputs; expected one image.")
        parts = _parts(compute)
        compile_model = _compile_any_batch(core, model, _openvino_options(compute, parts))
        if compile_model is None:
            parts, compile_model = 1, core.compile_model(weights, "CPU", _openvino_options(compute, 1))
    except RuntimeError as error:
        raise WeightsError(f"OpenVINO cannot use {weights}: {error}") from error
    shape = tuple(
        axis.get_length() if axis.is_static else None for axis in compile_model.input().partial_shape
    )
    return NetworkFile(_in_parts([_openvino_run(compile_model) for _ in range(parts)]), shape)


def _openvino_options(compute: ComputeConfig, parts: int) -> dict[str, Any]:
    """For a model that `parts` threads of ours will call at the same time."""
    options = {
        # A pinned thread would slow down torch and OpenCV in the same process.
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": _OPENVINO_PRECISION[compute.precision],
        "NUM_STREAMS": parts,
    }
    return options | ({} if compute.threads is None else {"INFERENCE_NUM_THREADS": compute.threads})


@cache
def _only_core(openvino: ModuleType) -> Any:
    """One for the process, never ended.

    OpenVINO 2026.4 gives the main thread a signal stack and frees it with its last Core: the next Ctrl-C
    would end the process with a segmentation fault.
    """
    return openvino.Core()


def _compile_any_batch(core: Any, model: Any, options: dict[str, Any]) -> Any | None:
    """The model for any number of images; None if its graph fixes that number."""
    try:
        model.reshape([-1, *list(model.input().partial_shape)[1:]])
        return core.compile_model(model, "CPU", options)
    except RuntimeError:
        return None


def _openvino_run(compile_model: Any) -> _Run:
    request = compile_model.create_infer_request()

    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        request.infer(list(inputs), share_inputs=True)
        return [np.array(tensor.data) for tensor in request.output_tensors]

    return run
