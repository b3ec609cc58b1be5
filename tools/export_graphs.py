"""Export the networks of the package as ONNX graphs without weights, into kprtrack/inference/graphs.

    python tools/export_graphs.py            export all again, after a change of a network
    python tools/export_graphs.py lite_hrnet only those whose name contains the word

It needs the extra `torch`. Weights are added when a network is loaded, so new weights need no new export.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from kprtrack.core.tensors import COUNTER
from kprtrack.detectors.yolox import YoloxConfig, yolox_architecture, yolox_source
from kprtrack.detectors.yolox_network import Yolox
from kprtrack.inference.compile import PixelNetwork, exported
from kprtrack.inference.graphs import ARCHITECTURE, GRAPHS, TENSORS, UNUSED, architecture_text
from kprtrack.inference.source import NetworkSource
from kprtrack.poses.hrnet import HrnetConfig, hrnet_architecture, hrnet_source
from kprtrack.poses.hrnet_network import Hrnet
from kprtrack.poses.shapes import LiteHrnetShape, PoseShape, SmallPoseShape
from kprtrack.poses.small import small_pose_architecture, small_pose_source
from kprtrack.poses.small_network import new_pose_network
from kprtrack.reid_encoders.kpr import KprEncoderConfig, kpr_architecture, kpr_source
from reid.model.config import KprConfig
from reid.model.kpr import Kpr

PREFIXES = ("network.", "model.")  # of the tensors of a network, from the modules around it


class Export(NamedTuple):
    """A graph to make."""

    architecture: dict[str, Any]
    source: NetworkSource


def yolox(size: Any) -> Export:
    """A YOLOX with one class."""
    config = YoloxConfig(size)
    return Export(yolox_architecture(config), yolox_source(Yolox(size, 1), config))


def pose(shape: PoseShape) -> Export:
    """A pose network of this project."""
    _, source = small_pose_source(new_pose_network(shape))
    return Export(small_pose_architecture(shape), source)


def hrnet(config: HrnetConfig) -> Export:
    """An HRNet."""
    return Export(hrnet_architecture(config), hrnet_source(Hrnet(config.width), config))


def kpr(config: KprConfig) -> Export:
    """A KPR encoder."""
    _, source = kpr_source(KprEncoderConfig(), Kpr(config))
    return Export(kpr_architecture(config), source)


# Name of the file -> what makes it: the networks with weights in the package.
EXPORTS: dict[str, Callable[[], Export]] = {
    "yolox_nano": lambda: yolox("nano"),
    "lite_hrnet_256": lambda: pose(LiteHrnetShape(256, 192)),
    "lite_hrnet_160": lambda: pose(LiteHrnetShape(160, 120)),
    "small_pose": lambda: pose(SmallPoseShape()),
    "small_kpr": lambda: kpr(
        KprConfig("small_cnn", 192, 96, parts=5, prompt_groups="cck6", fused_width=256, dimensions=128)
    ),
}


def make_graph(export: Export) -> bytes:
    """Content of the file of a graph."""
    network = export.source.network().eval()
    module = network if export.source.pixels is None else PixelNetwork(network, export.source.pixels)
    example = [torch.from_numpy(one) for one in export.source.example]
    import onnx

    model = onnx.load_model_from_string(
        exported(with_numbers(module), example, export.source.free_axes, as_it_is=True)
    )
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
    """Export the graphs that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("word", nargs="?", default="", help="part of the names of the graphs to export")
    word = parser.parse_args().word
    GRAPHS.mkdir(exist_ok=True)
    for name, make in EXPORTS.items():
        if word in name:
            content = make_graph(make())
            (GRAPHS / f"{name}.onnx").write_bytes(content)
            sys.stdout.write(f"{name}: {len(content) / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
