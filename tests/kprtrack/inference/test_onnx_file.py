"""ONNX files are checked before anything is opened: sizes, places of external data, operators.

The files are written by the onnx package; where nothing is wrong, onnxruntime opens them.
"""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.limited import run_limited
from support.onnx_files import write_embedding_network, write_heatmap_network

from kprtrack.core.errors import WeightsError
from kprtrack.detectors.ultralytics import UltralyticsConfig, UltralyticsDetector
from kprtrack.inference.backends import open_network_file
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.onnx_file import validate_onnx
from kprtrack.inference.protobuf import fields, written_field
from kprtrack.poses.heatmap import HeatmapConfig, HeatmapPose
from kprtrack.reid_encoders.onnx import OnnxConfig, OnnxEncoder

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper, FLOAT, INT64 = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
Change = Callable[["onnx.ModelProto", Path], None]


def network(
    folder: Path, change: Change | None = None, shape: tuple[int | str, ...] = ("N", 3, 8, 4)
) -> Path:
    """A network that adds a constant to its images, changed before it is written."""
    constant = onnx.numpy_helper.from_array(np.float32([[[[1]], [[2]], [[3]]]]), "constant")
    graph = helper.make_graph(
        [helper.make_node("Add", ["images", "constant"], ["out"])],
        "toy",
        [helper.make_tensor_value_info("images", FLOAT, shape)],
        [helper.make_tensor_value_info("out", FLOAT, shape)],
        [constant],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("other", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    if change:
        change(model, folder)
    path = folder / "network.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def external(location: str, offset: str = "0", length: str = "12") -> Change:
    def change(model: "onnx.ModelProto", folder: Path) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=value)

    return change


def dims(*sizes: int) -> Change:
    def change(model: "onnx.ModelProto", folder: Path) -> None:
        model.graph.initializer[0].dims[:] = sizes

    return change


def sized(
    operator: str, shape: list[int], *, first: bool = False, raw: bool = True, node: bool = False
) -> Change:
    """Add an operator whose output has the size of a constant."""

    def change(model: "onnx.ModelProto", folder: Path) -> None:
        values = np.array(shape, np.int64)
        tensor = (
            onnx.numpy_helper.from_array(values, "shape")
            if raw
            else helper.make_tensor("shape", INT64, [len(shape)], shape)
        )
        if node:
            model.graph.node.append(helper.make_node("Constant", [], ["shape"], value=tensor))
        else:
            model.graph.initializer.append(tensor)
        model.graph.node.append(
            helper.make_node(operator, ["shape"] if first else ["constant", "shape"], ["big"])
        )

    return change


def with_node(node: "onnx.NodeProto") -> Change:
    return lambda model, folder: model.graph.node.append(node)


def in_a_branch(model: "onnx.ModelProto", folder: Path) -> None:
    branch = helper.make_graph([helper.make_node("PyOp", [], ["x"], domain="ai.onnx.contrib")], "b", [], [])
    node = helper.make_node("If", ["images"], ["y"], then_branch=branch, else_branch=branch)
    model.graph.node.append(node)


def in_a_function(model: "onnx.ModelProto", folder: Path) -> None:
    inner = helper.make_node("Anything", ["a"], ["b"], domain="elsewhere")
    model.functions.append(
        helper.make_function("mine", "F", ["a"], ["b"], [inner], [helper.make_opsetid("", 17)])
    )


def in_a_constant(model: "onnx.ModelProto", folder: Path) -> None:
    tensor = onnx.numpy_helper.from_array(np.zeros(1, np.float32))
    tensor.dims[:] = [10**9]
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def sparse(model: "onnx.ModelProto", folder: Path) -> None:
    values = onnx.numpy_helper.from_array(np.float32([1]), "values")
    indices = onnx.numpy_helper.from_array(np.int64([0]), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [10**5, 10**5]))


def function(name: str, *called: str, operators: int = 0) -> "onnx.FunctionProto":
    """A function of the domain "mine" that calls others, one after another."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    steps = [("mine", each) for each in called] + [("", "Abs")] * operators
    names = ["a", *(f"t{number}" for number in range(len(steps) - 1)), "b"]
    body = [
        helper.make_node(operator, [names[row]], [names[row + 1]], domain=domain)
        for row, (domain, operator) in enumerate(steps)
    ]
    return helper.make_function("mine", name, ["a"], ["b"], body, opsets)


def functions(*defined: "onnx.FunctionProto") -> Change:
    """Define functions, and call the first."""

    def change(model: "onnx.ModelProto", folder: Path) -> None:
        model.functions.extend(defined)
        model.opset_import.append(helper.make_opsetid("mine", 1))
        model.graph.node.append(helper.make_node(defined[0].name, ["images"], ["x"], domain="mine"))

    return change


def doubling(levels: int) -> Change:
    """Each function calls the next one twice: few bytes become 2^levels operators."""
    calls = [function(f"F{level}", f"F{level + 1}", f"F{level + 1}") for level in range(levels)]
    return functions(*calls, function(f"F{levels}", operators=1))


def claimed_again(model: "onnx.ModelProto", folder: Path) -> None:
    (folder / "network.data").write_bytes(bytes(1 << 20))
    for number in range(200):
        tensor = model.graph.initializer.add(name=f"w{number}", data_type=FLOAT, dims=[1 << 18])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="network.data")


def huge_outside(model: "onnx.ModelProto", folder: Path) -> None:
    with (folder / "sparse.data").open("wb") as file:
        file.truncate(4 * 10**9)  # nothing is written: the file takes no space
    external("sparse.data", "0", str(4 * 10**9))(model, folder)
    model.graph.initializer[0].dims[:] = [10**9]


def undefined_operator(model: "onnx.ModelProto", folder: Path) -> None:
    functions(function("F", operators=1))(model, folder)
    model.graph.node.append(helper.make_node("G", ["images"], ["y"], domain="mine"))


def with_link(model: "onnx.ModelProto", folder: Path) -> None:
    (folder.parent / "secret").write_bytes(bytes(100))
    (folder / "link").symlink_to(folder.parent / "secret")
    external("link")(model, folder)


BAD: dict[str, tuple[Change, str]] = {
    "outside, upwards": (external("../secret"), "outside its folder"),
    "outside, absolute": (external("/etc/passwd"), "outside its folder"),
    "outside, by a link": (with_link, "outside its folder"),
    "outside, in the middle": (external("a/../../secret"), "outside its folder"),
    "no file": (external("missing.bin"), "which is not there"),
    "no name": (external(""), "outside its folder"),
    "the folder": (external("."), "which is not there"),
    "behind the end": (external("network.data", "8"), "does not have"),
    "before the start": (external("network.data", "-4"), "does not have"),
    "other length": (external("network.data", "0", "4"), "does not have"),
    "no number": (external("network.data", "x"), "at a place that is no number"),
    "10^9 elements": (dims(10**9), "claims 1000000000 elements, but holds 12 bytes"),
    "2^80 elements": (dims(2**40, 2**40), "elements, but holds 12 bytes"),
    "too few elements": (dims(2), "claims 2 elements, but holds 12 bytes"),
    "negative size": (dims(-3), r"of the size \[-3\]"),
    "in a constant": (in_a_constant, "claims 1000000000 elements"),
    "sparse": (sparse, "a sparse tensor"),
    "ConstantOfShape": (
        sized("ConstantOfShape", [10**5, 10**5], first=True),
        "ConstantOfShape with an output",
    ),
    "ConstantOfShape, typed": (
        sized("ConstantOfShape", [10**10], first=True, raw=False),
        "ConstantOfShape with",
    ),
    "Expand": (sized("Expand", [1000, 1000, 1000, 3]), "Expand with an output of"),
    "Expand, constant": (sized("Expand", [1000, 1000, 1000, 3], node=True), "Expand with an output of"),
    "Tile": (sized("Tile", [10**9, 1, 1, 1]), "Tile with an output of"),
    "Pad": (sized("Pad", [0, 0, 10**10, 0, 0, 0, 0, 0]), "Pad with an output of"),
    "Python": (with_node(helper.make_node("PyOp", ["images"], ["x"], domain="ai.onnx.contrib")), "runs code"),
    "Python of onnxruntime": (
        with_node(helper.make_node("PythonOp", ["images"], ["x"], domain="com.microsoft")),
        "'PythonOp' of 'com.microsoft', which runs code that is not in the file",
    ),
    "library": (with_node(helper.make_node("Mine", ["images"], ["x"], domain="other")), "'Mine' of 'other'"),
    "other program": (
        with_node(helper.make_node("EPContext", [], ["x"], domain="com.microsoft")),
        "EPContext",
    ),
    "in a branch": (in_a_branch, "'PyOp'"),
    "in a function": (in_a_function, "'Anything' of 'elsewhere'"),
    "of a function's domain": (
        undefined_operator,
        "'G' of 'mine', which runs code that is not in the file",
    ),
    "2^60 operators": (doubling(60), "functions that call each other, more than 50,000 operators"),
    "a function of itself": (functions(function("F", "F")), "functions that call each other"),
    "functions in a circle": (functions(function("F", "G"), function("G", "F")), "functions that call each"),
    "bytes claimed again": (claimed_again, "claim the bytes of 'network.data' again and again"),
    "10^9 elements outside": (huge_outside, r"the tensor 'constant' of 1\.0e\+09 elements"),
}


@pytest.fixture
def nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object, **__: object) -> None:
        pytest.fail("the file was opened")

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_claims_too_much_is_not_opened(
    name: str, tmp_path: Path, nothing_is_opened: None
) -> None:
    change, message = BAD[name]
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "network.data").write_bytes(bytes(12))
    path = network(folder, change)
    with pytest.raises(WeightsError, match=message) as caught:
        open_network_file(path, ComputeConfig())
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_an_attribute_with_two_values_which_libraries_merge_is_rejected(tmp_path: Path) -> None:
    tensor = onnx.numpy_helper.from_array(np.zeros(1000, np.float32)).SerializeToString()
    attribute = written_field(1, b"value") + written_field(20, 4) + 2 * written_field(5, tensor)
    node = written_field(2, b"c") + written_field(4, b"Constant") + written_field(5, attribute)
    content = written_field(1, 9) + written_field(7, written_field(1, node))
    merged = onnx.load_from_string(content).graph.node[0].attribute[0].t
    assert list(merged.dims) == [1000, 1000]  # of 4000 bytes
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match="an attribute with two values"):
        validate_onnx(tmp_path / "a.onnx")


def test_functions_that_are_called_often_but_stay_small_are_fine(tmp_path: Path) -> None:
    path = network(tmp_path, doubling(8))
    assert validate_onnx(path) == {}
    images = np.zeros((1, 3, 8, 4), np.float32)
    assert open_network_file(path, ComputeConfig()).run(images)[0][0, :, 0, 0].tolist() == [1, 2, 3]


def test_an_input_larger_than_any_image_is_not_opened(tmp_path: Path, nothing_is_opened: None) -> None:
    path = network(tmp_path, shape=("N", 3, 10**5, 10**5))
    with pytest.raises(WeightsError, match="an input of"):
        open_network_file(path, ComputeConfig())


def test_files_that_are_fine_are_opened(tmp_path: Path) -> None:
    (tmp_path / "network.data").write_bytes(np.float32([5, 6, 7]).tobytes())
    images = np.zeros((1, 3, 8, 4), np.float32)
    plain, outside = network(tmp_path), None
    assert open_network_file(plain, ComputeConfig()).run(images)[0][0, :, 0, 0].tolist() == [1, 2, 3]
    outside = network(tmp_path, external("network.data"))
    assert open_network_file(outside, ComputeConfig()).run(images)[0][0, :, 0, 0].tolist() == [5, 6, 7]
    with_function = network(
        tmp_path,
        lambda model, folder: model.functions.append(
            helper.make_function(
                "mine",
                "F",
                ["a"],
                ["b"],
                [helper.make_node("Abs", ["a"], ["b"])],
                [helper.make_opsetid("", 17)],
            )
        ),
    )
    assert validate_onnx(with_function) == {}


def test_the_size_and_the_task_of_networks_are_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network of another task is an error before it computes anything."""
    embedding = write_embedding_network(tmp_path / "reid.onnx", ("N", 3, 64, 32))
    heatmaps = write_heatmap_network(tmp_path)
    assert open_network_file(embedding, ComputeConfig()).output_shapes == ((None, 3),)
    assert open_network_file(heatmaps, ComputeConfig()).output_shapes == ((None, 17, 64, 48),)

    def computed(*_: object) -> None:
        pytest.fail("the network was run")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", computed)
    with pytest.raises(WeightsError, match="not one embedding per person"):
        OnnxEncoder(OnnxConfig(), heatmaps, ComputeConfig())
    other = write_embedding_network(tmp_path / "fixed.onnx", ("N", 3, 256, 192))
    with pytest.raises(WeightsError, match="of heatmaps"):
        HeatmapPose(HeatmapConfig(), other, ComputeConfig())


def test_an_error_while_computing_is_one_line(tmp_path: Path) -> None:
    opened = open_network_file(network(tmp_path), ComputeConfig())
    with pytest.raises(WeightsError, match="cannot be computed") as caught:
        opened.run(np.zeros((1, 3, 9, 4), np.float32))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["__import__('os').mkdir('MARK')", "[].append(1)", "{0: open('x')}", "(" * 9000]
)
def test_metadata_that_older_versions_of_ultralytics_would_run_is_rejected(
    value: str, tmp_path: Path
) -> None:
    path = network(tmp_path, lambda model, folder: model.metadata_props.add(key="names", value=value))
    with pytest.raises(WeightsError, match="its metadata 'names' is no plain value"):
        UltralyticsDetector(UltralyticsConfig(), path, ComputeConfig())


def test_the_metadata_is_returned(tmp_path: Path) -> None:
    path = network(
        tmp_path, lambda model, folder: model.metadata_props.add(key="names", value="{0: 'person'}")
    )
    assert validate_onnx(path) == {"names": "{0: 'person'}"}


def test_fields_are_those_of_the_protobuf_library() -> None:
    model = helper.make_tensor("a", INT64, [3], [1, -2, 2**40])
    read = [
        (number, value if isinstance(value, int) else bytes(value))
        for number, value in fields(memoryview(model.SerializeToString()))
    ]
    theirs = {field.number for field, _ in model.ListFields()}
    assert {number for number, _ in read} == theirs
    assert (8, b"a") in read and (2, INT64) in read


MUTATE = """
import random
from pathlib import Path
from kprtrack.core.errors import WeightsError
from kprtrack.inference.onnx_file import validate_onnx
whole, target = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
draw, read = random.Random(0), 0
for number in range(1500):
    content = bytearray(whole[: draw.randrange(1, len(whole))] if number % 5 == 0 else whole)
    for _ in range(draw.randrange(4)):
        content[draw.randrange(len(content))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    target.write_bytes(content)
    try:
        validate_onnx(target)
        read += 1
    except WeightsError as error:
        assert len(str(error).splitlines()) == 1, str(error)
print(read)
"""


def test_damaged_files_are_read_or_rejected_in_one_line(tmp_path: Path) -> None:
    path = write_heatmap_network(tmp_path)
    (lines,) = run_limited(MUTATE, path, tmp_path / "changed.onnx")
    assert 0 < int(lines) < 1500


def test_nested_graphs_and_endless_integers_are_rejected(tmp_path: Path) -> None:
    def bytes_field(number: int, content: bytes) -> bytes:
        length, encoded = len(content), b""
        while True:
            encoded += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
            length >>= 7
            if not length:
                return bytes([number << 3 | 2]) + encoded + content

    nested = b""
    for _ in range(2000):  # a graph with a node with an attribute with a graph
        nested = bytes_field(1, bytes_field(5, bytes_field(6, nested)))
    for content, message in (
        (bytes_field(7, nested), "graphs within graphs"),
        (b"\x80" * 100, "an integer without end"),
        (b"\x3a\xff\xff\xff\xff\x0f", "claims 4294967295 bytes"),
        (b"\x3b" + struct.pack("<q", 1), "unknown kind 3"),
        (b"\x08\x07", "has no graph"),
        (b"", "is empty"),
    ):
        (tmp_path / "a.onnx").write_bytes(content)
        with pytest.raises(WeightsError, match=message):
            validate_onnx(tmp_path / "a.onnx")


def test_a_network_without_output_is_an_error(tmp_path: Path) -> None:
    path = network(tmp_path, lambda model, folder: model.graph.ClearField("output"))
    with pytest.raises(WeightsError):
        OnnxEncoder(OnnxConfig(), path, ComputeConfig())
