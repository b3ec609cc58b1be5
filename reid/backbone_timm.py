"""Swin transformers of timm, fed with tokens and asked for the output of every stage."""

from typing import Any

import timm
import torch
from torch import nn

TIMM_NAMES = {
    "swinv2_base": "swinv2_base_window12to16_192to256",
    "swin_tiny": "swin_tiny_patch4_window7_224",
}


class TimmStages(nn.Module):
    """Tokens [N, H/4, W/4, width] -> the four stage maps, channels last, not normalised.

    Windows larger than a stage's map shrink to it, so the image size is part of the shape.
    Source: spec kpr.md 1.2.
    """

    def __init__(self, name: str, image_size: tuple[int, int], drop_path: float) -> None:
        super().__init__()
        network: Any = timm.create_model(
            TIMM_NAMES[name], pretrained=False, num_classes=0, img_size=image_size, drop_path_rate=drop_path
        )
        self.stages: nn.Sequential = network.layers
        self.stage_widths = tuple(info["num_chs"] for info in network.feature_info)

    def forward(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for stage in self.stages:
            tokens = stage(tokens)
            maps.append(tokens)
        return maps
