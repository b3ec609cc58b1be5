"""Lite-HRNet without its channel weighting, as PP-TinyPose has it: 1.3 million parameters.

Four branches of shuffle units, at 4, 8, 16 and 32 pixels per cell, exchange their features after every two
units; a head joins them from coarse to fine (Yu et al., CVPR 2021; PaddleDetection's keypoint models). Batch
norms are folded into the convolutions, as published.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kprtrack.core.errors import WeightsError
from kprtrack.core.extras import require
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.poses.shapes import LiteHrnetShape

_WIDTHS = (40, 80, 160, 320)  # channels of the branches
_MODULES = {2: 2, 3: 4, 4: 2}  # branches -> modules in a row
_STEM_WIDTH = 32


class LiteHrnet(nn.Module):
    """Network with one heatmap per keypoint, of a quarter of the input size."""

    def __init__(self, shape: LiteHrnetShape | None = None) -> None:
        super().__init__()
        self.shape = shape or LiteHrnetShape()
        self.stem = _Stem(self.shape.cells(0))
        self.first = _separable(_STEM_WIDTH, _WIDTHS[0])
        inputs = (_STEM_WIDTH, *_WIDTHS[1:-1])
        self.wider = nn.ModuleList(
            _separable(before, width, stride=2) for before, width in zip(inputs, _WIDTHS[1:], strict=True)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(_Exchange(list(map(self.shape.cells, range(branches)))) for _ in range(count))
            for branches, count in _MODULES.items()
        )
        self.joins = nn.ModuleList(_separable(width, max(width // 2, _WIDTHS[0])) for width in _WIDTHS[::-1])
        self.head = nn.Conv2d(_WIDTHS[0], len(KEYPOINTS), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Compute heatmaps [N, 17, H/4, W/4], about 0..1, of normalised RGB images [N, 3, H, W]."""
        features = self.stem(images)
        branches = [self.first(features)]
        for wider, stage in zip(self.wider, self.stages, strict=True):
            branches.append(wider(features))
            for exchange in cast(nn.ModuleList, stage):
                branches = exchange(branches)
            features = branches[-1]
        *finer, coarsest = branches
        joined = self.joins[0](coarsest)
        for level in range(len(finer) - 1, -1, -1):
            size = self.shape.cells(level)
            grown = F.interpolate(joined, size=size, mode="bilinear", align_corners=True)
            joined = self.joins[len(finer) - level](finer[level] + grown)
        heatmaps: Tensor = self.head(joined)
        return heatmaps


class _Exchange(nn.Module):
    """Two shuffle units in each branch; then each branch receives the sum of all."""

    def __init__(self, cells: list[tuple[int, int]]) -> None:
        super().__init__()
        self.cells = cells
        branches = range(len(cells))
        self.branches = nn.ModuleList(
            nn.Sequential(*(_Unit(_WIDTHS[each], cells[each]) for _ in range(2))) for each in branches
        )
        self.paths = nn.ModuleList(
            nn.ModuleList(_between(source, target) for source in branches) for target in branches
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        features = [branch(each) for branch, each in zip(self.branches, branches, strict=True)]
        sums = []
        for target, row in enumerate(self.paths):
            parts = cast(nn.ModuleList, row)
            total = 2 * parts[0](features[0])  # twice, as the published weights were trained
            for source in range(1, target + 1):
                total = total + parts[source](features[source])
            coarser = None  # summed from coarse to fine, so that each sum is enlarged once
            for source in range(len(features) - 1, target, -1):
                found = parts[source](features[source])
                coarser = found if coarser is None else found + self._enlarged(coarser, source)
            if coarser is not None:
                total = total + self._enlarged(coarser, target)
            if target == 0:
                features[0] = total  # the coarser branches receive the sum: likewise
            sums.append(total)
        return [F.relu(total) for total in sums]

    def _enlarged(self, coarser: Tensor, branch: int) -> Tensor:
        """To the size of a branch, by nearest neighbours; a factor of 2 is what runtimes do fastest."""
        (height, width), (rows, columns) = self.cells[branch], self.cells[branch + 1]
        if (height, width) == (2 * rows, 2 * columns):
            return F.interpolate(coarser, scale_factor=2.0, mode="nearest")
        return F.interpolate(coarser, size=(height, width), mode="nearest")


class _Unit(nn.Module):
    """Half of the channels pass; the other half is changed; then they alternate (ShuffleNet V2)."""

    def __init__(self, width: int, cells: tuple[int, int]) -> None:
        super().__init__()
        half = width // 2
        self.changing = half
        self.cells = cells
        self.change = nn.Sequential(*_pointwise(half, half), _depthwise(half), *_pointwise(half, half))

    def forward(self, features: Tensor) -> Tensor:
        kept, changed = features.split(self.changing, dim=1)
        return _alternating(kept, self.change(changed), self.changing, self.cells)


class _Stem(nn.Module):
    """To a quarter of the input size."""

    def __init__(self, cells: tuple[int, int]) -> None:
        super().__init__()
        half = _STEM_WIDTH // 2
        self.cells = cells
        self.conv = nn.Sequential(nn.Conv2d(3, _STEM_WIDTH, 3, stride=2, padding=1), nn.ReLU(inplace=True))
        self.left = _separable(half, half, stride=2)
        self.right = nn.Sequential(*_pointwise(half, 2 * half), *_separable(2 * half, half, stride=2))

    def forward(self, images: Tensor) -> Tensor:
        left, right = self.conv(images).split(_STEM_WIDTH // 2, dim=1)
        return _alternating(self.left(left), self.right(right), _STEM_WIDTH // 2, self.cells)


def _alternating(first: Tensor, second: Tensor, width: int, cells: tuple[int, int]) -> Tensor:
    """The channels of two tensors in turn."""
    return torch.stack((first, second), dim=2).reshape(-1, 2 * width, *cells)


def _between(source: int, target: int) -> nn.Module:
    """From one branch to another: nearest upsampling follows where the target is finer."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Conv2d(_WIDTHS[source], _WIDTHS[target], 1)
    own = _WIDTHS[source]
    steps = [_separable(own, own, stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, _depthwise(own, stride=2), nn.Conv2d(own, _WIDTHS[target], 1))


def _pointwise(before: int, width: int) -> Iterable[nn.Module]:
    return nn.Conv2d(before, width, 1), nn.ReLU(inplace=True)


def _depthwise(width: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=width)


def _separable(before: int, width: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_depthwise(before, stride=stride), *_pointwise(before, width))


def load_tinypose_onnx(path: Path) -> LiteHrnet:
    """Read PP-TinyPose 256x192 from an ONNX file whose convolutions are each followed by the sum of a bias.

    Args:
        path: The file; it needs the package `onnx`.

    Returns:
        The network in evaluation mode, float32; its heatmaps equal those of the file to rounding.

    Raises:
        WeightsError: The file holds another network.
        UserError: `onnx` is not installed.
    """
    require(f"Reading the weights of {path}", "onnx")
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path), load_external_data=False).graph
    stored: dict[str, Any] = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    sums = {name: node for node in graph.node if node.op_type == "Add" for name in node.input}
    network = LiteHrnet().eval()
    convolutions = _in_order_of_use(network)
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    if len(nodes) != len(convolutions):
        raise WeightsError(f"{path} has {len(nodes)} convolutions; PP-TinyPose has {len(convolutions)}.")
    for node, convolution in zip(nodes, convolutions, strict=True):
        weight, bias = stored[node.input[1]], None
        if (follower := sums.get(node.output[0])) is not None:
            bias = next((stored[name] for name in follower.input if name in stored), None)
        if bias is None or weight.shape != tuple(convolution.weight.shape):
            raise WeightsError(f"{path} is not PP-TinyPose: convolution {node.output[0]} does not fit.")
        assert convolution.bias is not None
        with torch.no_grad():
            convolution.weight.copy_(torch.from_numpy(weight.copy()))
            convolution.bias.copy_(torch.from_numpy(bias.reshape(-1).copy()))
    return network


def _in_order_of_use(network: LiteHrnet) -> list[nn.Conv2d]:
    """Convolutions in the order in which a depth-first walk from the output completes them, as stored."""
    graph = torch.fx.symbolic_trace(network).graph
    found: list[nn.Conv2d] = []
    output = next(node for node in graph.nodes if node.op == "output")
    seen, stack = {output}, [(output, iter(output.all_input_nodes))]
    while stack:
        node, inputs = stack[-1]
        following = next((each for each in inputs if each not in seen), None)
        if following is not None:
            seen.add(following)
            stack.append((following, iter(following.all_input_nodes)))
            continue
        stack.pop()
        if node.op == "call_module":
            module = network.get_submodule(str(node.target))
            if isinstance(module, nn.Conv2d):
                found.append(module)
    return found
