"""Small ONNX and OpenVINO networks whose output is known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest


def write_heatmap_network(
    folder: Path, suffix: str = ".onnx", *, batch: int | str = "N", channels: int = 17, rank: int = 4
) -> Path:
    """Write a network for crops of 256 x 192 whose heatmaps are the first channel averaged over 4x4 pixels.

    Args:
        folder: Where `toy.onnx` or `toy.xml` is written.
        suffix: ".onnx" or ".xml".
        batch: Fixed batch size, or a name for any size.
        channels: Number of heatmaps.
        rank: 2 flattens the output.
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    first = np.zeros((channels, 3, 1, 1), np.float32)
    first[:, 0] = 1
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["pooled", "first"], ["maps"]),
    ]
    shape = [batch, channels, 64, 48]
    if rank == 2:
        nodes[-1] = helper.make_node("Conv", ["pooled", "first"], ["unflattened"])
        nodes.append(helper.make_node("Flatten", ["unflattened"], ["maps"]))
        shape = [batch, channels * 64 * 48]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 256, 192])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(first, "first")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "toy.onnx"
    onnx.save(model, path)
    if suffix == ".onnx":
        pytest.importorskip("onnxruntime")
        return path
    openvino = pytest.importorskip("openvino")
    openvino.save_model(openvino.Core().read_model(path), folder / "toy.xml", compress_to_fp16=False)
    return folder / "toy.xml"


def write_embedding_network(path: Path, shape: Sequence[int | str], *, flat: bool = True) -> Path:
    """Write a network whose embedding is the mean of each colour channel, [N, 3] or [N, 3, 1, 1]."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [helper.make_node("GlobalAveragePool", ["images"], ["pooled"])]
    if flat:
        nodes.append(helper.make_node("Flatten", ["pooled"], ["embedding"]))
    name = "embedding" if flat else "pooled"
    output = helper.make_tensor_value_info(name, kind, [shape[0], 3] if flat else [shape[0], 3, 1, 1])
    graph = helper.make_graph(nodes, "toy", [helper.make_tensor_value_info("images", kind, shape)], [output])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path
