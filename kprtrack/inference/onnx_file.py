"""Checks an ONNX file before a library opens it: what it claims, what it refers to, and what it would run.

Numbers of the fields: onnx.proto of ONNX 1.23. The file is mapped, not read; a check takes milliseconds.
"""

import math
import mmap
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kprtrack.core.errors import WeightsError
from kprtrack.core.files.paths import real_path
from kprtrack.inference.onnx_calls import Body, Name, called_operators, operator_name
from kprtrack.inference.protobuf import Field, WireError, fields, signed, varints

# Domains of operators that the backends implement themselves. Others are loaded from libraries or Python.
_DOMAINS = frozenset(
    ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc")
)
_CODE = frozenset(("ATen", "EPContext", "PyCustomOp", "PyOp", "PythonOp", "PythonOpGrad"))  # run other code
_MAX_ELEMENTS = 2**28  # of a tensor that is not in the file: 1 GB in float32
# Tensors in other files may claim so many times the size of these files, and any so many bytes.
_MOST_SHARED, _SMALL_BYTES = 2, 64 << 20
_MAX_NODES = 1_000_000
_MAX_CALLED = 50_000  # operators in place of calls of functions
_MAX_DEPTH = 16  # of graphs within nodes
# Operators whose output has the size that an input gives -> the number of that input.
_SIZED_BY = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1, "Pad": 1}
# TensorProto.DataType -> bits of an element; text (8) has none.
_BITS = {
    **{1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128},
    **{16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2},
}
_INT64, _TEXT = 7, 8
_MAX_SHAPE = 64  # longest constant that is read as a shape


@dataclass
class _Tensor:
    """A TensorProto."""

    dims: list[int] = field(default_factory=list)
    data_type: int = 0
    name: str = ""
    raw: memoryview | None = None
    typed_bytes: int = 0  # of the fields for single types
    integers: list[int] = field(default_factory=list)
    texts: int = 0
    external: dict[str, str] = field(default_factory=dict)
    is_external: bool = False


def validate_onnx(path: Path) -> dict[str, str]:
    """Check an ONNX file without loading it.

    Args:
        path: The file.

    Returns:
        The metadata that its exporter wrote.

    Raises:
        WeightsError: It is damaged, claims tensors that are larger than what it holds or than any network
            needs, refers to files outside its folder, or has operators that run other code.
    """
    if path.stat().st_size == 0:
        raise WeightsError(f"{path} is empty. Download it again.")
    with path.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    checker = _Checker(path)
    try:
        checker.model(content)
    except (WireError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path} is no ONNX file, cut short or damaged ({error}).") from error
    return checker.metadata


class _Checker:
    """Walks through one file."""

    def __init__(self, path: Path) -> None:
        self.metadata: dict[str, str] = {}
        self._path, self._folder = path, real_path(path).parent
        self._nodes_left = _MAX_NODES
        self._functions: dict[Name, Body] = {}  # that the file itself defines
        self._calls: Counter[Name] = Counter()  # of functions in the graph that is being checked
        self._external_files: dict[Path, int] = {}  # its size
        self._external_bytes = 0  # that all tensors claim

    def model(self, message: memoryview) -> None:
        """ModelProto: metadata (14), functions (25), then the graph (7)."""
        graphs, functions = [], []
        for number, value in fields(message):
            if isinstance(value, memoryview):
                if number == 7:
                    graphs.append(value)
                elif number == 14:
                    key, text = self._entry(value)
                    self.metadata[key] = text
                elif number == 25:
                    functions.append(value)
        if len(graphs) != 1:
            raise WireError("it has no graph")
        self._functions = {_function_name(function): Body() for function in functions}
        for function in functions:
            self._functions[_function_name(function)].add(self._body(function, node=7))
        if called_operators(self._body(graphs[0]), self._functions, _MAX_CALLED) is None:
            raise self._error(f"functions that call each other, more than {_MAX_CALLED:,} operators in all")

    def _body(self, message: memoryview, node: int = 1) -> Body:
        """Check a graph or a function; what it holds."""
        left, self._calls = self._nodes_left, Counter()
        self._graph(message, node=node)
        return Body(left - self._nodes_left, self._calls)

    def _entry(self, message: memoryview) -> tuple[str, str]:
        found = {number: _text(value) for number, value in fields(message)}
        return found.get(1, ""), found.get(2, "")

    def _graph(self, message: memoryview, depth: int = 0, *, node: int = 1) -> None:
        """GraphProto: nodes (1), tensors (5, 15), inputs (11); of a function only the nodes (7)."""
        if depth > _MAX_DEPTH:
            raise self._error(f"graphs within graphs, more than {_MAX_DEPTH} deep")
        shapes: dict[str, list[int]] = {}
        nodes = []
        for number, value in fields(message):
            if not isinstance(value, memoryview):
                continue
            if number == node:
                nodes.append(value)
            elif node == 1 and number == 5:
                tensor = self._tensor(value)
                shapes[tensor.name] = _integers(tensor)
            elif node == 1 and number == 15:
                self._sparse(value)
            elif node == 1 and number == 11:
                self._input(value)
        for one in nodes:
            self._node(one, shapes, depth)

    def _node(self, message: memoryview, shapes: dict[str, list[int]], depth: int) -> None:
        """NodeProto: inputs (1), outputs (2), operator (4), attributes (5), domain (7)."""
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise self._error(f"more than {_MAX_NODES:,} operators")
        inputs, outputs, constants = [], [], []
        names = {4: "", 7: ""}
        for number, value in fields(message):
            if number == 1:
                inputs.append(_text(value))
            elif number == 2:
                outputs.append(_text(value))
            elif number in names:
                names[number] = _text(value)
            elif number == 5 and isinstance(value, memoryview):
                constants += self._attribute(value, depth)
        operator, domain = names.values()
        if operator == "Constant" and constants:
            shapes.update(dict.fromkeys(outputs, constants[0]))
        self._operator(operator, domain, [shapes.get(name, []) for name in inputs])

    def _operator(self, operator: str, domain: str, shapes: list[list[int]]) -> None:
        """Check what an operator runs, and the size of its output if `shapes`, its inputs, give one."""
        name = operator_name(domain, operator)
        if name in self._functions:
            self._calls[name] += 1
        elif domain not in _DOMAINS or operator in _CODE:
            raise self._error(
                f"the operator {operator[:60]!r} of {domain[:60]!r}, which runs code that is not in the file"
            )
        place = _SIZED_BY.get(operator)
        if place is not None and place < len(shapes):
            count = math.prod(max(abs(one), 1) for one in shapes[place])
            if count > _MAX_ELEMENTS:
                raise self._error(f"the operator {operator} with an output of {count:.1e} elements")

    def _attribute(self, message: memoryview, depth: int) -> list[list[int]]:
        """AttributeProto: integers (8), tensors (5, 10), graphs (6, 11), sparse tensors (22, 23)."""
        constants = []
        integers: list[int] = []
        seen: set[int] = set()
        for number, value in fields(message):
            if number in (5, 6, 22) and number in seen:  # a library would merge them
                raise self._error("an attribute with two values")
            seen.add(number)
            if number == 8 and len(integers) < _MAX_SHAPE:
                integers += _numbers(value)[:_MAX_SHAPE]
            if not isinstance(value, memoryview):
                continue
            if number in (5, 10):
                constants.append(_integers(self._tensor(value)))
            elif number in (6, 11):
                self._graph(value, depth + 1)
            elif number in (22, 23):
                self._sparse(value)
        return [*constants, *([integers] if integers else [])]

    def _sparse(self, message: memoryview) -> None:
        """SparseTensorProto: values (1), indices (2), dense size (3)."""
        dims: list[int] = []
        seen: set[int] = set()
        for number, value in fields(message):
            if number in (1, 2) and number in seen:
                raise self._error("a sparse tensor with two values")
            seen.add(number)
            if number == 3:
                dims += _numbers(value)
            elif number in (1, 2) and isinstance(value, memoryview):
                self._tensor(value)
        if min(dims, default=0) < 0 or math.prod(dims) > _MAX_ELEMENTS:
            raise self._error(f"a sparse tensor of {dims[:8]} elements")

    def _input(self, message: memoryview) -> None:
        """ValueInfoProto: type (2), its tensor (1), shape (2), axes (1), fixed sizes (1)."""
        known = [message]
        for wanted in (2, 1, 2, 1):
            known = [
                value
                for each in known
                for number, value in fields(each)
                if number == wanted and isinstance(value, memoryview)
            ]
        sizes = [
            signed(value)
            for axis in known
            for number, value in fields(axis)
            if number == 1 and isinstance(value, int)
        ]
        if math.prod(max(size, 1) for size in sizes) > _MAX_ELEMENTS:
            raise self._error(f"an input of {sizes[:8]} elements")

    def _tensor(self, message: memoryview) -> _Tensor:
        tensor = _Tensor()
        for number, value in fields(message):
            self._tensor_field(tensor, number, value)
        count = math.prod(tensor.dims)
        if min(tensor.dims, default=0) < 0:
            raise self._error(f"the tensor {tensor.name[:60]!r} of the size {tensor.dims[:8]}")
        bits = _BITS.get(tensor.data_type, 0)
        if tensor.is_external and count > _MAX_ELEMENTS:
            raise self._error(f"the tensor {tensor.name[:60]!r} of {count:.1e} elements")
        if tensor.is_external:
            self._external(tensor, -(-count * bits // 8))
            return tensor
        if tensor.raw is not None:
            held, fits = len(tensor.raw), len(tensor.raw) == -(-count * bits // 8)
        elif tensor.data_type == _TEXT:
            held, fits = tensor.texts, tensor.texts == count
        else:  # a byte at least for each element, or for two of four bits
            held, fits = tensor.typed_bytes, count <= tensor.typed_bytes * max(8 // max(bits, 1), 1)
        if not fits:
            raise self._error(
                f"the tensor {tensor.name[:60]!r} claims {count} elements, but holds {held} bytes"
            )
        return tensor

    def _tensor_field(self, tensor: _Tensor, number: int, value: Field) -> None:
        """TensorProto: size 1, type 2, numbers 4, 5, 7, 10, 11, text 6, name 8, bytes 9, file 13, 14."""
        if number == 1:
            tensor.dims += _numbers(value)
        elif number == 2 and isinstance(value, int):
            tensor.data_type = value
        elif number in (4, 5, 7, 10, 11):
            tensor.typed_bytes += len(value) if isinstance(value, memoryview) else 1
            if number == 7 and len(tensor.integers) < _MAX_SHAPE:
                tensor.integers += _numbers(value)[:_MAX_SHAPE]
        elif number == 6:
            tensor.texts += 1
        elif number == 8:
            tensor.name = _text(value)
        elif number == 9 and isinstance(value, memoryview):
            tensor.raw = value
        elif number == 13 and isinstance(value, memoryview):
            key, text = self._entry(value)
            tensor.external[key], tensor.is_external = text, True
        elif number == 14:
            tensor.is_external = tensor.is_external or value == 1

    def _external(self, tensor: _Tensor, size: int) -> None:
        """Check numbers in another file: it must lie in the folder of the network and be long enough."""
        location = tensor.external.get("location", "")
        file = self._folder / location
        name = f"the tensor {tensor.name[:60]!r}"
        if not location or not real_path(file).is_relative_to(self._folder):
            raise self._error(f"{name} in the file {location[:60]!r}, which is outside its folder")
        if not file.is_file():
            raise self._error(f"{name} in the file {location[:60]!r}, which is not there")
        try:
            offset, length = (int(tensor.external.get(key) or 0) for key in ("offset", "length"))
        except ValueError:
            raise self._error(f"{name} at a place that is no number") from None
        if offset < 0 or length not in (0, size) or offset + size > file.stat().st_size:
            raise self._error(f"{name}, which claims {size} bytes that {location[:60]!r} does not have")
        self._external_files[real_path(file)] = file.stat().st_size
        self._external_bytes += size
        if self._external_bytes > max(_MOST_SHARED * sum(self._external_files.values()), _SMALL_BYTES):
            raise self._error(f"tensors that claim the bytes of {location[:60]!r} again and again")

    def _error(self, what: str) -> WeightsError:
        shown = "".join(letter if letter.isprintable() else "?" for letter in what)
        return WeightsError(f"{self._path} is not opened: it has {shown}. Export the network again.")


def _function_name(function: memoryview) -> Name:
    """FunctionProto: name (1), domain (10)."""
    found = {number: _text(value) for number, value in fields(function) if number in (1, 10)}
    return operator_name(found.get(10, ""), found.get(1, ""))


def _text(value: Field) -> str:
    return bytes(value).decode("utf-8") if isinstance(value, memoryview) else ""


def _numbers(value: Field) -> list[int]:
    """Signed integers, one or several in a row."""
    return [signed(value)] if isinstance(value, int) else [signed(one) for one in varints(value)]


def _integers(tensor: _Tensor) -> list[int]:
    """The values of a short tensor of int64, which may be a shape; none of any other."""
    if tensor.data_type != _INT64 or math.prod(tensor.dims) > _MAX_SHAPE:
        return []
    return np.frombuffer(tensor.raw, "<i8").tolist() if tensor.raw is not None else tensor.integers
