"""Networks in a file with a runtime of its own, ONNX or OpenVINO, as a function on numpy arrays."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.runtime import Precision, Runtime
from reid.errors import UserError, WeightsError

_log = logging.getLogger(__name__)
_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}
_OPENVINO_PRECISION: dict[Precision, str] = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
_ONNX_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


@dataclass(frozen=True)
class Engine:
    """A network with one image input."""

    run: Callable[[np.ndarray], list[np.ndarray]]  # [N, C, H, W] float32 -> every output
    input_shape: tuple[int | None, ...]  # None where any size is taken


def open_engine(weights: Path, runtime: Runtime) -> Engine:
    """The network of an .onnx file or of an OpenVINO .xml file (its .bin beside it).

    Raises: WeightsError for a missing, damaged or other file; UserError if the runtime is not installed.
    """
    if not weights.is_file():
        raise WeightsError(f"No weights at {weights}.")
    if weights.suffix == ".onnx":
        return _open_onnx(weights, runtime)
    if weights.suffix == ".xml":
        return _open_openvino(weights, runtime)
    raise WeightsError(f"{weights} is neither an .onnx file nor the .xml file of an OpenVINO model.")


def _open_onnx(weights: Path, runtime: Runtime) -> Engine:
    """An ONNX file computes in the number format it was exported with, whatever runtime.precision says."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f'{weights} needs onnxruntime: pip install "kprtrack[onnx]".') from error
    options = onnxruntime.SessionOptions()
    if runtime.threads is not None:
        options.intra_op_num_threads = runtime.threads
    providers = _providers(runtime.device, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(weights, options, providers=providers)
    # onnxruntime's own errors share no base class but Exception; the file is at fault in each of them.
    except Exception as error:
        raise WeightsError(f"onnxruntime cannot read {weights}: {error}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _ONNX_TYPES:
        found = ", ".join(f"{one.name} {one.type}" for one in inputs)
        raise WeightsError(f"{weights} wants the inputs {found}; expected one image in float32 or float16.")
    name, number_type = inputs[0].name, _ONNX_TYPES[inputs[0].type]

    def run(images: np.ndarray) -> list[np.ndarray]:
        return session.run(None, {name: images.astype(number_type, copy=False)})

    # A named axis ("batch") takes any size.
    return Engine(run, tuple(axis if isinstance(axis, int) else None for axis in inputs[0].shape))


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


def _open_openvino(weights: Path, runtime: Runtime) -> Engine:
    try:
        import openvino
    except ImportError as error:
        raise UserError(f'{weights} needs OpenVINO: pip install "kprtrack[openvino]".') from error
    if runtime.device != "cpu":
        _log.warning("OpenVINO models run on the CPU; %s is not used for %s", runtime.device, weights.name)
    if not weights.with_suffix(".bin").is_file():
        raise WeightsError(f"{weights} needs {weights.with_suffix('.bin').name} beside it.")
    options: dict[str, Any] = {
        # A pinned thread would slow down torch and OpenCV in the same process.
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": _OPENVINO_PRECISION[runtime.precision],
    }
    if runtime.threads is not None:
        options["INFERENCE_NUM_THREADS"] = runtime.threads
    core = openvino.Core()
    try:
        model = core.read_model(weights)
        if len(model.inputs) != 1:
            raise WeightsError(f"{weights} has {len(model.inputs)} inputs; expected one image.")
        compiled = _compile_any_batch(core, model, options) or core.compile_model(weights, "CPU", options)
    except RuntimeError as error:
        raise WeightsError(f"OpenVINO cannot use {weights}: {error}") from error
    request = compiled.create_infer_request()

    def run(images: np.ndarray) -> list[np.ndarray]:
        request.infer([images])
        return [np.array(tensor.data) for tensor in request.output_tensors]

    shape = compiled.input().partial_shape
    return Engine(run, tuple(axis.get_length() if axis.is_static else None for axis in shape))


def _compile_any_batch(core: Any, model: Any, options: dict[str, Any]) -> Any | None:
    """The model for any number of images; None if its graph fixes that number."""
    try:
        model.reshape([-1, *list(model.input().partial_shape)[1:]])
        return core.compile_model(model, "CPU", options)
    except RuntimeError:
        return None
