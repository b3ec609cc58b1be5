"""Backbones of timm that take tokens and return the output of every stage."""

from typing import Any

import timm
import torch
from torch import nn

from reid.model.config import TIMM_NAMES

_CONVOLUTIONAL = ("convnext_atto",)
# Pretrained weights; those of the official code where it uses the network.
WITH_IMAGENET = {
    "swinv2_base": "swinv2_base_window12to16_192to256.ms_in22k_ft_in1k",
    "swin_base": "swin_base_patch4_window7_224.ms_in22k",
    "swin_tiny": "swin_tiny_patch4_window7_224.ms_in1k",
    "convnext_atto": "convnext_atto.d2_in1k",
}


class TimmStages(nn.Module):
    """Tokens [N, H/4, W/4, width] -> the four stage maps, channels last, not normalised.

    Windows larger than a stage's map shrink to it, so the image size is part of a transformer's shape.
    Source: docs/reference/kpr.md 1.2.
    """

    def __init__(self, name: str, image_size: tuple[int, int], drop_path: float) -> None:
        super().__init__()
        self._channels_first = name in _CONVOLUTIONAL
        network = create_network(name, image_size, drop_path, pretrained=False)
        self.stages: nn.Sequential = network.stages if self._channels_first else network.layers
        self.stage_widths = tuple(info["num_chs"] for info in network.feature_info)

    def forward(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        features = tokens.permute(0, 3, 1, 2) if self._channels_first else tokens
        maps = []
        for stage in self.stages:
            features = stage(features)
            maps.append(features.permute(0, 2, 3, 1) if self._channels_first else features)
        return maps


def create_network(name: str, image_size: tuple[int, int], drop_path: float, *, pretrained: bool) -> Any:
    """Create a timm network without classifier; `pretrained` downloads ImageNet weights."""
    window: dict[str, Any] = {} if name in _CONVOLUTIONAL else {"img_size": image_size}
    return timm.create_model(
        (WITH_IMAGENET if pretrained else TIMM_NAMES)[name],
        pretrained=pretrained,
        num_classes=0,
        drop_path_rate=drop_path,
        **window,
    )
