"""Layers of YOLOX, with the state-dict names of the published weights.

Source: YOLOX (Ge et al., 2021, arXiv 2107.08430); `docs/reference/detector_and_pose.md 1.2`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BN_EPS = 1e-3  # with torch's default of 1e-5 the published weights give wrong results without an error
BN_MOMENTUM = 0.03


class ConvBnAct(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=BN_EPS, momentum=BN_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.bn(self.conv(x)))


class DepthwiseConv(nn.Module):
    """Depthwise separable convolution: within each channel, then 1x1 across channels (nano)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.dconv = ConvBnAct(inputs, inputs, kernel, stride=stride, groups=inputs)
        self.pconv = ConvBnAct(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pconv(self.dconv(x))


def conv3x3(inputs: int, outputs: int, *, depthwise: bool, stride: int = 1) -> nn.Module:
    """Make a 3x3 convolution, plain or depthwise separable."""
    if depthwise:
        return DepthwiseConv(inputs, outputs, 3, stride=stride)
    return ConvBnAct(inputs, outputs, 3, stride=stride)


class Bottleneck(nn.Module):
    """A 1x1 and a 3x3 convolution, with or without residual connection."""

    def __init__(self, channels: int, *, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        self.conv1 = ConvBnAct(channels, channels, 1)
        self.conv2 = conv3x3(channels, channels, depthwise=depthwise)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class CspLayer(nn.Module):
    """Cross-stage partial layer: half of the channels pass the bottlenecks, half bypass them."""

    def __init__(self, inputs: int, outputs: int, count: int, *, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        hidden = outputs // 2
        self.conv1 = ConvBnAct(inputs, hidden, 1)
        self.conv2 = ConvBnAct(inputs, hidden, 1)
        self.conv3 = ConvBnAct(2 * hidden, outputs, 1)
        blocks = [Bottleneck(hidden, shortcut=shortcut, depthwise=depthwise) for _ in range(count)]
        self.m = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(torch.cat((self.m(self.conv1(x)), self.conv2(x)), dim=1))


class SpatialPyramid(nn.Module):
    """Spatial pyramid pooling: the input and its maxima over 5, 9 and 13 cells, concatenated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.conv1 = ConvBnAct(channels, hidden, 1)
        self.conv2 = ConvBnAct(4 * hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        pooled = [F.max_pool2d(x, size, stride=1, padding=size // 2) for size in (5, 9, 13)]
        return self.conv2(torch.cat((x, *pooled), dim=1))


class Focus(nn.Module):
    """Makes one cell of 12 channels of each 2x2 block of pixels, then a 3x3 convolution."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = ConvBnAct(12, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        # Top-left, bottom-left, top-right, bottom-right, which is not the order of pixel_unshuffle.
        corners = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.conv(torch.cat(corners, dim=1))
