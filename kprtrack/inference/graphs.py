"""Graphs of the networks of the package: ONNX models without weights, made by tools/export_graphs.py.

The weights are added when a network is loaded, from any file of weights of that architecture. So the package
holds each network once, and a CPU runs it without torch.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.tensors import Shapes
from kprtrack.inference.pixels import PixelFormat
from kprtrack.inference.protobuf import fields, written_field

GRAPHS = Path(__file__).parent / "graphs"
# Metadata of a graph: the architecture it was made for, shapes of its tensors, and tensors of the same
# network that only training uses.
ARCHITECTURE, TENSORS, UNUSED = "architecture", "tensors", "unused"
# Of onnx.proto: ModelProto.graph and metadata_props, GraphProto.initializer, TensorProto.dims, data_type,
# name and raw_data, and the types of numbers.
_GRAPH, _METADATA, _INITIALIZER = 7, 14, 5
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA = 1, 2, 8, 9
_FLOAT, _INT64 = 1, 7


@dataclass(frozen=True)
class Graph:
    """An ONNX model without weights."""

    content: bytes
    shapes: Shapes  # of its tensors, by their name in the state dict
    unused: frozenset[str]  # tensors of the network that the graph does not compute with


def packaged_graph(architecture: Mapping[str, Any]) -> Graph | None:
    """Find the graph of an architecture.

    Args:
        architecture: All that the structure of the network depends on.

    Returns:
        The graph; None if the package has none for it.
    """
    wanted = architecture_text(architecture)
    for path in sorted(GRAPHS.glob("*.onnx")):
        content = path.read_bytes()
        metadata = _metadata(content)
        if metadata[ARCHITECTURE] == wanted:
            shapes = {name: tuple(shape) for name, shape in json.loads(metadata[TENSORS]).items()}
            return Graph(content, shapes, frozenset(json.loads(metadata[UNUSED])))
    return None


def architecture_text(architecture: Mapping[str, Any]) -> str:
    """Write an architecture as text, the same for equal architectures."""
    return json.dumps(architecture, sort_keys=True)


def with_tensors(graph: Graph, tensors: Mapping[str, np.ndarray], pixels: PixelFormat | None = None) -> bytes:
    """Complete a graph with weights.

    Args:
        graph: From `packaged_graph`.
        tensors: Every tensor of `graph.shapes`, of that shape; others are left out.
        pixels: For a network of images.

    Returns:
        Content of an ONNX file, float32.
    """
    given = {name: tensors[name] for name in graph.shapes} | (pixels.tensors() if pixels else {})
    initializers = b"".join(written_field(_INITIALIZER, _tensor(name, each)) for name, each in given.items())
    model = []
    for number, value in fields(memoryview(graph.content)):
        content = value if isinstance(value, int) else bytes(value)
        if isinstance(content, bytes) and number == _GRAPH:
            content += initializers
        model.append(written_field(number, content))
    return b"".join(model)


def _tensor(name: str, values: np.ndarray) -> bytes:
    kind, dtype = (_INT64, "<i8") if values.dtype.kind == "i" else (_FLOAT, "<f4")
    return b"".join(
        (
            *(written_field(_DIMS, size) for size in values.shape),
            written_field(_DATA_TYPE, kind),
            written_field(_NAME, name.encode()),
            written_field(_RAW_DATA, values.astype(dtype).tobytes()),
        )
    )


def _metadata(content: bytes) -> dict[str, str]:
    found = {}
    for number, value in fields(memoryview(content)):
        if number == _METADATA and isinstance(value, memoryview):
            entry = {key: bytes(text).decode() for key, text in fields(value) if isinstance(text, memoryview)}
            found[entry[1]] = entry.get(2, "")
    return found
