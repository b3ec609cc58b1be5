"""Small ONNX and OpenVINO networks whose output is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    pytest.importorskip("onnx")
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
    return _saved(model, folder / f"toy{suffix}")


def write_simcc_network(
    folder: Path,
    suffix: str = ".onnx",
    *,
    batch: int | str = "N",
    keypoints: int = 17,
    declared: bool = True,
    columns_first: bool = True,
) -> Path:
    """Write a network for crops of 256 x 192: the score of a column or row is the first channel.s maximum.

    Args:
        folder: Where `simcc.onnx` or `simcc.xml` is written.
        suffix: ".onnx" or ".xml".
        batch: Fixed batch size, or a name for any size.
        keypoints: K of the outputs simcc_x [N, K, 384] and simcc_y [N, K, 512].
        declared: State K in the outputs, which some published files leave open.
        columns_first: False exchanges the outputs.
    """
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    first = np.zeros((keypoints, 3, 1, 1), np.float32)
    first[:, 0] = 1
    nodes = [helper.make_node("Conv", ["input", "first"], ["maps"])]
    outputs = []
    for name, axis, cells in (("simcc_x", 2, 384), ("simcc_y", 3, 512)):
        nodes += [
            helper.make_node("ReduceMax", ["maps"], [f"{name}_single"], axes=[axis], keepdims=0),
            helper.make_node(
                "Resize",
                [f"{name}_single", "", "twice"],
                [name],
                mode="nearest",
                nearest_mode="floor",
                coordinate_transformation_mode="asymmetric",
            ),
        ]
        shape = [batch, keypoints if declared else "K", cells]
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    graph = helper.make_graph(
        nodes,
        "simcc",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, 256, 192])],
        outputs if columns_first else outputs[::-1],
        [
            numpy_helper.from_array(first, "first"),
            numpy_helper.from_array(np.array([1, 1, 2], np.float32), "twice"),
        ],
    )
    return _saved(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        folder / f"simcc{suffix}",
    )


def write_yolox_network(
    folder: Path, suffix: str = ".onnx", *, batch: int | str = "N", classes: int = 80
) -> Path:
    """Write a network for canvases of 96 x 96 with the raw output of a YOLOX, [N, 189, 5 + classes].

    The objectness of each cell of 8 x 8 pixels is the maximum of its last channel there, 0..1; that of larger
    cells is 0. Every box is a square of 32 pixels around the middle of its cell, certainly a person.

    Args:
        folder: Where `yolox.onnx` or `yolox.xml` is written.
        suffix: ".onnx" or ".xml".
        batch: Fixed batch size, or a name for any size.
        classes: C of the output.
    """
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    # From the maximum: x, y, width, height, objectness, person, other classes.
    scale = np.array([0, 0, 0, 0, 1 / 255] + classes * [0], np.float32)
    offset = np.array([0.5, 0.5, np.log(4), np.log(4), 0, 1] + (classes - 1) * [0], np.float32)
    nodes, levels = [], []
    for stride in (8, 16, 32):
        side = [stride, stride]
        weight = "scale" if stride == 8 else "nothing"
        nodes += [
            helper.make_node("MaxPool", ["images"], [f"pooled{stride}"], kernel_shape=side, strides=side),
            helper.make_node("Conv", [f"pooled{stride}", weight, "offset"], [f"maps{stride}"]),
            helper.make_node("Reshape", [f"maps{stride}", "flat"], [f"flat{stride}"]),
        ]
        levels.append(f"flat{stride}")
    nodes += [
        helper.make_node("Concat", levels, ["joined"], axis=2),
        helper.make_node("Transpose", ["joined"], ["output"], perm=[0, 2, 1]),
    ]
    kernel = np.zeros((5 + classes, 3, 1, 1), np.float32)
    kernel[:, 2, 0, 0] = scale
    graph = helper.make_graph(
        nodes,
        "yolox",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, 96, 96])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, 189, 5 + classes])],
        [
            numpy_helper.from_array(kernel, "scale"),
            numpy_helper.from_array(np.zeros_like(kernel), "nothing"),
            numpy_helper.from_array(offset, "offset"),
            numpy_helper.from_array(np.array([0, 5 + classes, -1], np.int64), "flat"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return _saved(model, folder / f"yolox{suffix}")


def write_suppressing_network(folder: Path, side: int | str = 64) -> Path:
    """Write a network that gives boxes after non-maximum suppression, as OpenMMLab exports a YOLOX.

    dets [1, 4, 5] has the boxes 8 8 24 40, 32 8 48 40, 8 8 24 39 and 0 0 0 0 with 0.9, 0.8, 0.7 and 0 times
    the maximum of the last channel as score, where 255 is 1; labels [1, 4] are 0, 1, 0, 0.

    Args:
        folder: Where `suppressing.onnx` is written.
        side: Of the square canvas, or a name for any size.
    """
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    boxes = np.array([[[8, 8, 24, 40], [32, 8, 48, 40], [8, 8, 24, 39], [0, 0, 0, 0]]], np.float32)
    constants = {
        "boxes": boxes,
        "shares": np.array([0.9, 0.8, 0.7, 0], np.float32).reshape(1, 4, 1) / 255,
        "last": np.array([2], np.int64),
        "labels_of_boxes": np.array([[0, 1, 0, 0]], np.int64),
    }
    nodes = [
        helper.make_node("GlobalMaxPool", ["input"], ["maxima"]),
        helper.make_node("Gather", ["maxima", "last"], ["maximum"], axis=1),
        helper.make_node("Squeeze", ["maximum", "axis"], ["row"]),
        helper.make_node("Mul", ["row", "shares"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["dets"], axis=2),
        helper.make_node("Identity", ["labels_of_boxes"], ["labels"]),
    ]
    constants["axis"] = np.array([3], np.int64)
    kinds = TensorProto.FLOAT, TensorProto.INT64
    graph = helper.make_graph(
        nodes,
        "suppressing",
        [helper.make_tensor_value_info("input", kinds[0], [1, 3, side, side])],
        [
            helper.make_tensor_value_info("dets", kinds[0], [1, "boxes_found", 5]),
            helper.make_tensor_value_info("labels", kinds[1], [1, "boxes_found"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return _saved(model, folder / "suppressing.onnx")


def _saved(model: Any, path: Path) -> Path:
    """Write a model as ONNX, or convert it to OpenVINO."""
    onnx = pytest.importorskip("onnx")
    onnx.save(model, path.with_suffix(".onnx"))
    if path.suffix == ".onnx":
        pytest.importorskip("onnxruntime")
        return path
    openvino = pytest.importorskip("openvino")
    read = openvino.Core().read_model(path.with_suffix(".onnx"))
    openvino.save_model(read, path, compress_to_fp16=False)
    return path


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


def write_rtmo_network(
    folder: Path, *, keypoints: int = 17, batch: int | str = "N", boxes_first: bool = True
) -> Path:
    """Write a network with the outputs of OpenMMLab's RTMO, for canvases of 96 x 96.

    dets [N, 4, 5] has the boxes 8 8 24 40, 32 16 64 80, 40 8 56 40 and 0 0 0 0 with 0.8, 0.9, 0.1 and 0 times
    the maximum of the last channel as score, where 255 is 1; keypoint j of box i is at 10 i + j, 20 i + j
    with the score (j + 1) / (K + 1).

    Args:
        folder: Where `rtmo.onnx` is written.
        keypoints: K of the output keypoints [N, 4, K, 3].
        batch: Fixed batch size, or a name for any size.
        boxes_first: False exchanges the outputs.
    """
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    boxes = np.array([[8, 8, 24, 40], [32, 16, 64, 80], [40, 8, 56, 40], [0, 0, 0, 0]], np.float32)
    i, j = np.mgrid[:4, :keypoints]
    points = np.stack([10 * i + j, 20 * i + j, (j + 1) / (keypoints + 1)], axis=2)
    constants = {
        "boxes": np.concatenate([boxes, np.zeros((4, 1), np.float32)], axis=1)[None],
        "shares": (np.array([[0, 0, 0, 0, share] for share in (0.8, 0.9, 0.1, 0)], np.float32) / 255)[None],
        "points": points.astype(np.float32)[None],
        "last": np.array([2], np.int64),
        "axis": np.array([3], np.int64),
        "nothing": np.zeros((1, 1, 1), np.float32),
    }
    nodes = [
        helper.make_node("GlobalMaxPool", ["input"], ["maxima"]),
        helper.make_node("Gather", ["maxima", "last"], ["maximum"], axis=1),
        helper.make_node("Squeeze", ["maximum", "axis"], ["row"]),  # [N, 1, 1]
        helper.make_node("Mul", ["row", "shares"], ["scores"]),
        helper.make_node("Add", ["scores", "boxes"], ["dets"]),
        helper.make_node("Mul", ["maximum", "nothing"], ["zero"]),  # [N, 1, 1, 1]
        helper.make_node("Add", ["zero", "points"], ["keypoints"]),
    ]
    kind = TensorProto.FLOAT
    outputs = [
        helper.make_tensor_value_info("dets", kind, [batch, "M", 5]),
        helper.make_tensor_value_info("keypoints", kind, [batch, "M", keypoints, 3]),
    ]
    graph = helper.make_graph(
        nodes,
        "rtmo",
        [helper.make_tensor_value_info("input", kind, [batch, 3, 96, 96])],
        outputs if boxes_first else outputs[::-1],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return _saved(model, folder / "rtmo.onnx")
