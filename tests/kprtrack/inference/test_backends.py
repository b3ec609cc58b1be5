"""Networks in files of their own: a batch is shared out among threads and put together again."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kprtrack.inference.backends import NetworkFile, open_network_file
from kprtrack.inference.devices import ComputeConfig

onnx = pytest.importorskip("onnx")

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
def test_every_output_has_its_images_in_order_whatever_the_threads(tmp_path, suffix, threads):
    network = network_file(tmp_path, suffix, threads=threads)
    for count in (1, 2, 3, 4, 9):  # fewer images than threads, as many, more, and shares of unequal size
        given = images(count)
        doubled, mean = network.run(given)
        np.testing.assert_array_equal(doubled, given * 2)
        np.testing.assert_allclose(mean[:, :, 0, 0], given.mean((2, 3)), atol=1e-6)


@SUFFIXES
def test_answers_stay_as_they_are_when_the_network_runs_again(tmp_path, suffix):
    network = network_file(tmp_path, suffix)
    first = network.run(images(4))
    kept = [output.copy() for output in first]
    network.run(images(4) + 1)
    for output, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(output, copy)


@SUFFIXES
def test_images_may_be_read_only_and_lie_anyhow_in_memory(tmp_path, suffix):
    given = images(5).transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2)
    given.setflags(write=False)
    np.testing.assert_array_equal(network_file(tmp_path, suffix).run(given)[0], given * 2)


@SUFFIXES
def test_a_mistake_in_one_share_is_not_swallowed(tmp_path, suffix):
    with pytest.raises(Exception, match=r"(?i)dimension|shape|rank"):
        network_file(tmp_path, suffix).run(images(4)[:, :2])


def test_a_fixed_batch_is_run_whole(tmp_path):
    network = network_file(tmp_path, ".onnx", batch=4)
    assert network.input_shape[0] == 4
    np.testing.assert_array_equal(network.run(images(4))[0], images(4) * 2)


def test_ctrl_c_is_heard_when_the_networks_are_gone(tmp_path: Path) -> None:
    """A signal needs a stack, which must not go with the backend; a lost one ends the process at once."""
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
    print("heard")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert run.stdout == "heard\n", run.stderr
