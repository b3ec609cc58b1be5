"""Export the networks of the package as ONNX graphs without weights, into kprtrack/inference/graphs.

    python tools/export_graphs.py    after a change of a network, or for weights of a new architecture

There is one graph for each architecture among the weights in kprtrack/weights. It needs the extra `torch`.
Weights are added when a network is loaded, so other weights of the same architecture need no new export.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.tensors import COUNTER
from kprtrack.detectors.yolox import YoloxConfig, yolox_architecture, yolox_source
from kprtrack.detectors.yolox_network import Yolox
from kprtrack.detectors.yolox_weights import STORED_SETTINGS
from kprtrack.hub.cache import PACKAGE_WEIGHTS
from kprtrack.inference.compile import PixelNetwork, exported
from kprtrack.inference.graphs import ARCHITECTURE, GRAPHS, TENSORS, UNUSED, architecture_text
from kprtrack.inference.source import NetworkSource
from kprtrack.poses.shapes import read_small_pose
from kprtrack.poses.small import small_pose_architecture, small_pose_source
from kprtrack.poses.small_network import new_pose_network
from kprtrack.reid_encoders.kpr import KprEncoderConfig, kpr_architecture, kpr_source
from reid.model.kpr import Kpr
from reid.model.stored import HEADER, read_kpr

PREFIXES = ("network.", "model.")  # of the tensors of a network, from the modules around it


class Export(NamedTuple):
    """A graph to make."""

    name: str  # of its file
    architecture: dict[str, Any]
    source: NetworkSource


def export_of(weights: Path) -> Export:
    """The graph of the network that a file of weights of the package belongs to."""
    header = read_checkpoint(weights).meta
    if STORED_SETTINGS in header:
        config = YoloxConfig(json.loads(header[STORED_SETTINGS])["size"])
        source = yolox_source(Yolox(config.size, 1), config)
        return Export(f"yolox_{config.size}", yolox_architecture(config), source)
    if HEADER in header:
        shape = read_kpr(weights).config
        name = f"kpr_{shape.backbone}_{shape.height}x{shape.width}"
        return Export(name, kpr_architecture(shape), kpr_source(KprEncoderConfig(), Kpr(shape))[1])
    pose = read_small_pose(weights).shape
    architecture = small_pose_architecture(pose)
    name = f"{architecture['network']}_{pose.input_height}x{pose.input_width}"
    return Export(name, architecture, small_pose_source(new_pose_network(pose))[1])


def make_graph(export: Export) -> bytes:
    """Content of the file of a graph."""
    import onnx

    network = export.source.network().eval()
    module = network if export.source.pixels is None else PixelNetwork(network, export.source.pixels)
    model = onnx.load_model_from_string(exported(with_numbers(module), export.source, as_it_is=True))
    stored = {short(name): tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    renamed = {tensor.name: short(tensor.name) for tensor in model.graph.initializer}
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.name = ""
    shorten_values(model.graph, {*renamed.values()})
    shapes = {short(one.name): tuple(one.dims) for one in model.graph.initializer}
    pixels = set(export.source.pixels.tensors()) if export.source.pixels else set()
    if unknown := set(shapes) - set(stored) - pixels:
        raise SystemExit(f"The exporter has made tensors of its own: {sorted(unknown)}.")
    del model.graph.initializer[:]
    del model.graph.value_info[:]
    used = {name: shape for name, shape in shapes.items() if name not in pixels}
    unused = sorted(name for name in stored if name not in used and not name.endswith(COUNTER))
    for key, value in (
        (ARCHITECTURE, architecture_text(export.architecture)),
        (TENSORS, json.dumps(used)),
        (UNUSED, json.dumps(unused)),
    ):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return model.SerializeToString(deterministic=True)


def with_numbers(module: nn.Module) -> nn.Module:
    """The module with random tensors: the exporter joins equal ones, such as the means of new batch norms."""
    torch.manual_seed(0)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.1 if name.endswith("running_var") else -0.1, 0.2)
    return module


def short(name: str) -> str:
    """The name of a tensor in its file of weights."""
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def shorten_values(graph: Any, kept: set[str]) -> None:
    """Replace the long names of values between nodes by numbers."""
    kept = kept | {one.name for one in (*graph.input, *graph.output)}
    numbers: dict[str, str] = {}
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [
                name if name in kept or not name else numbers.setdefault(name, f"v{len(numbers)}")
                for name in names
            ]


def main() -> None:
    """Export all graphs, and remove those of former architectures."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    exports = {each.name: each for each in map(export_of, sorted(PACKAGE_WEIGHTS.glob("*.safetensors")))}
    GRAPHS.mkdir(exist_ok=True)
    for name, export in exports.items():
        content = make_graph(export)
        (GRAPHS / f"{name}.onnx").write_bytes(content)
        print(f"{name}: {len(content) / 1000:.0f} kB")
    for file in GRAPHS.glob("*.onnx"):
        if file.stem not in exports:
            file.unlink()


if __name__ == "__main__":
    main()
