"""Networks in ONNX and OpenVINO files: a batch is split among threads and joined again in order."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kprtrack.core.errors import UserError
from kprtrack.inference.backends import NetworkFile, open_network_file, run_exported
from kprtrack.inference.devices import PROVIDERS, ComputeConfig, usable_device

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SUFFIXES = pytest.mark.parametrize("suffix", [".onnx", ".xml"])


def network_file(
    folder: Path, suffix: str, *, batch: int | str = "N", threads: int | None = 2
) -> NetworkFile:
    """A network with two outputs: every image doubled, and the mean of each of its channels."""
    h = onnx.helper
    nodes = [
        h.make_node("Add", ["images", "images"], ["doubled"]),
        h.make_node("GlobalAveragePool", ["images"], ["mean"]),
    ]
    kind = onnx.TensorProto.FLOAT
    shapes = {"images": [batch, 3, 4, 2], "doubled": [batch, 3, 4, 2], "mean": [batch, 3, 1, 1]}
    values = {name: h.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()}
    graph = h.make_graph(nodes, "g", [values["images"]], [values["doubled"], values["mean"]])
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), folder / "toy.onnx")
    pytest.importorskip({".onnx": "onnxruntime", ".xml": "openvino"}[suffix])
    if suffix == ".xml":
        import openvino

        model = openvino.Core().read_model(folder / "toy.onnx")
        openvino.save_model(model, folder / "toy.xml", compress_to_fp16=False)
    return open_network_file(folder / f"toy{suffix}", ComputeConfig(threads=threads))


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).random((count, 3, 4, 2), dtype=np.float32)


@SUFFIXES
@pytest.mark.parametrize("threads", [None, 1, 2, 7])
def test_outputs_are_in_the_order_of_the_images_for_any_number_of_threads(tmp_path, suffix, threads):
    network = network_file(tmp_path, suffix, threads=threads)
    for count in (1, 2, 3, 4, 9):  # fewer images than threads, as many, more, and parts of unequal size
        pixels = images(count)
        doubled, mean = network.run(pixels)
        np.testing.assert_array_equal(doubled, pixels * 2)
        np.testing.assert_allclose(mean[:, :, 0, 0], pixels.mean((2, 3)), atol=1e-6)


@SUFFIXES
def test_outputs_are_not_overwritten_by_the_next_run(tmp_path, suffix):
    network = network_file(tmp_path, suffix)
    first = network.run(images(4))
    kept = [output.copy() for output in first]
    network.run(images(4) + 1)
    for output, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(output, copy)


@SUFFIXES
def test_images_may_be_read_only_and_not_contiguous(tmp_path, suffix):
    pixels = images(5).transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2)
    pixels.setflags(write=False)
    np.testing.assert_array_equal(network_file(tmp_path, suffix).run(pixels)[0], pixels * 2)


@SUFFIXES
def test_an_error_in_one_part_of_a_batch_is_raised(tmp_path, suffix):
    with pytest.raises(Exception, match=r"(?i)dimension|shape|rank"):
        network_file(tmp_path, suffix).run(images(4)[:, :2])


def test_a_fixed_batch_is_not_split(tmp_path):
    network = network_file(tmp_path, ".onnx", batch=4)
    assert network.input_shape[0] == 4
    np.testing.assert_array_equal(network.run(images(4))[0], images(4) * 2)


def test_ctrl_c_works_after_the_networks_are_deleted(tmp_path: Path) -> None:
    """OpenVINO frees the signal stack with its last Core; a signal without a stack ends the process."""
    network_file(tmp_path, ".xml").run(images(1))
    program = f"""
import signal, threading
from pathlib import Path
from kprtrack.inference.backends import open_network_file
from kprtrack.inference.devices import ComputeConfig
networks = [open_network_file(Path({str(tmp_path / "toy.xml")!r}), ComputeConfig(threads=2))]
thread = threading.Thread(target=networks.clear)
thread.start()
thread.join()
try:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert run.stdout == "interrupted\n", run.stderr


@pytest.mark.parametrize(
    ("device", "available", "providers"),
    [
        ("cpu", ["cpu"], ["CPUExecutionProvider"]),
        ("cuda:1", ["cuda", "cpu"], [("CUDAExecutionProvider", {"device_id": 1}), "CPUExecutionProvider"]),
        (
            "tensorrt",
            ["tensorrt", "cuda", "cpu"],
            [
                ("TensorrtExecutionProvider", {"device_id": 0}),
                ("CUDAExecutionProvider", {"device_id": 0}),
                "CPUExecutionProvider",
            ],
        ),
        (
            "directml",
            ["directml", "cpu"],
            [("DmlExecutionProvider", {"device_id": 0}), "CPUExecutionProvider"],
        ),
        ("mps", ["mps", "cpu"], ["CoreMLExecutionProvider", "CPUExecutionProvider"]),
    ],
)
def test_execution_providers_of_a_device(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    available: list[str],
    providers: list[object],
) -> None:
    """The session itself is one of the CPU: only the provider of the CPU is at hand."""
    asked = []
    create = onnxruntime.InferenceSession

    def session(model: bytes, options: object, providers: list[object]) -> object:
        asked.append(providers)
        return create(model, options, providers=["CPUExecutionProvider"])

    network_file(tmp_path, ".onnx")
    names = [PROVIDERS[kind] for kind in available]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    assert usable_device(device, "onnxruntime") == device
    run_exported(
        (tmp_path / "toy.onnx").read_bytes(), "onnxruntime", ComputeConfig(device, backend="onnxruntime")
    )
    assert asked == [providers]


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", "the installed onnxruntime does not support it"),
        ("cuda:x", "write --device cuda:0"),
        ("cpu:1", "write --device cpu"),
        ("tpu", "Unknown device 'tpu'"),
    ],
)
def test_a_device_that_onnxruntime_lacks_is_an_error(device: str, message: str) -> None:
    if PROVIDERS.get(device) in onnxruntime.get_available_providers():
        pytest.skip(f"onnxruntime has {device}")
    with pytest.raises(UserError, match=message):
        usable_device(device, "onnxruntime")


def test_a_device_of_onnxruntime_alone_needs_that_backend() -> None:
    with pytest.raises(UserError, match="Add --backend onnxruntime"):
        usable_device("directml")
