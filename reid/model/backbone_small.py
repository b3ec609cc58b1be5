"""A small residual convolutional backbone for training on few crops, also on a CPU.

Basic blocks and stage widths that double are ResNet's (He et al., CVPR 2016); the stem of small convolutions
is from "Bag of Tricks" (He et al., CVPR 2019).
"""

import torch
import torch.nn.functional as F
from torch import nn

_BLOCKS = 2  # in each stage


class ConvStem(nn.Module):
    """Image [N, 3, H, W] -> tokens [N, H/4, W/4, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(3, width // 2, 3, stride=2)
        self.second = ConvNorm(width // 2, width, 3, stride=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return F.relu(self.second(F.relu(self.first(image)))).permute(0, 2, 3, 1)


class SmallStages(nn.Module):
    """Tokens [N, H/4, W/4, width] -> the four stage maps, channels last, each half the size of the last."""

    def __init__(self, stage_widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stage_widths = stage_widths
        inputs = (stage_widths[0], *stage_widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                ResidualBlock(before, width, stride=1 if number == 0 else 2),
                *(ResidualBlock(width, width, stride=1) for _ in range(_BLOCKS - 1)),
            )
            for number, (before, width) in enumerate(zip(inputs, stage_widths, strict=True))
        )

    def forward(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        features, maps = tokens.permute(0, 3, 1, 2), []
        for stage in self.stages:
            features = stage(features)
            maps.append(features.permute(0, 2, 3, 1))
        return maps


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a residual connection."""

    def __init__(self, before: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(before, width, 3, stride=stride)
        self.second = ConvNorm(width, width, 3, stride=1)
        # The residual branch starts at zero ("Bag of Tricks", section 3.1).
        nn.init.zeros_(self.second.norm.weight)
        same = before == width and stride == 1
        self.shortcut = nn.Identity() if same else ConvNorm(before, width, 1, stride=stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return F.relu(self.second(F.relu(self.first(features))) + self.shortcut(features))


class ConvNorm(nn.Module):
    """A convolution without bias, and batch norm."""

    def __init__(self, before: int, width: int, size: int, *, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, width, size, stride=stride, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(width)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(features))
