"""Swin with 7-pixel windows as SOLIDER trained it: padded windows, semantic embedding, a norm per stage."""

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from timm.models.swin_transformer import WindowAttention, window_partition, window_reverse
from torch import nn

from reid.model.config import SwinShape

_WINDOW = 7
_SHIFT = 3
_MASKED = -100.0  # added to the attention between tokens that are adjacent only because of the shift
_MLP_RATIO = 4


class SwinStages(nn.Module):
    """Tokens [N, H/4, W/4, width] -> the four stage maps, channels last, each normalised.

    Args:
        semantic_weight: SOLIDER's balance between appearance (0) and semantics (1); None: without these
            layers.

    Source: docs/reference/kpr.md 1.2, 1.3.
    """

    def __init__(self, shape: SwinShape, semantic_weight: float | None, drop_path: float) -> None:
        super().__init__()
        rates = np.split(np.linspace(0, drop_path, sum(shape.depths)), np.cumsum(shape.depths)[:-1])
        widths = shape.stage_widths
        self.stages = nn.ModuleList(
            nn.ModuleList(
                SwinBlock(width, heads, shifted=number % 2 == 1, drop_path=float(rate))
                for number, rate in enumerate(stage_rates)
            )
            for width, heads, stage_rates in zip(widths, shape.heads, rates, strict=True)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths)
        self.merges = nn.ModuleList(PatchMerging(width) for width in widths[:-1])
        self.stage_widths = widths
        self.semantic = None if semantic_weight is None else SemanticEmbedding(widths, semantic_weight)

    def forward(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for number, (blocks, norm) in enumerate(zip(self.stages, self.norms, strict=True)):
            padding = _window_padding(tokens)
            mask = _shift_mask(tokens.shape[1] + padding[0], tokens.shape[2] + padding[1], tokens)
            for block in cast(nn.ModuleList, blocks):
                tokens = block(tokens, padding, mask)
            maps.append(norm(tokens))
            if number < len(self.merges):
                tokens = self.merges[number](tokens)
                if self.semantic is not None:
                    tokens = self.semantic(tokens, number)
        return maps


class SwinBlock(nn.Module):
    """Window attention and MLP, both pre-normalised and residual."""

    def __init__(self, width: int, heads: int, *, shifted: bool, drop_path: float) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm1 = nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads, window_size=_WINDOW)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, _MLP_RATIO * width)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: torch.Tensor, padding: tuple[int, int], mask: torch.Tensor) -> torch.Tensor:
        height, width = tokens.shape[1:3]
        # Pad after the norm and before the shift: padding tokens are zero, yet take part in the attention.
        x = F.pad(self.norm1(tokens), (0, 0, 0, padding[1], 0, padding[0]))
        padded_size = x.shape[1:3]
        if self.shifted:
            x = x.roll((-_SHIFT, -_SHIFT), dims=(1, 2))
        windows = window_partition(x, (_WINDOW, _WINDOW)).flatten(1, 2)
        windows = self.attention(windows, mask if self.shifted else None)
        x = window_reverse(windows.unflatten(1, (_WINDOW, _WINDOW)), (_WINDOW, _WINDOW), *padded_size)
        if self.shifted:
            x = x.roll((_SHIFT, _SHIFT), dims=(1, 2))
        tokens = tokens + self.drop_path(x[:, :height, :width])
        return tokens + self.drop_path(self.mlp(self.norm2(tokens)))


class PatchMerging(nn.Module):
    """2 x 2 tokens -> one of twice the width; the four interleave channel by channel, left to right first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = F.pad(tokens, (0, 0, 0, tokens.shape[2] % 2, 0, tokens.shape[1] % 2))
        blocks = tokens.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # [N, h, dy, w, dx, C]
        merged = blocks.permute(0, 1, 3, 5, 2, 4).flatten(3)
        return self.reduction(self.norm(merged))


class SemanticEmbedding(nn.Module):
    """Scales and shifts the tokens that enter the next stage; frozen, as the official code leaves it.

    A fourth pair of layers, after the last stage, is kept so that published weights load completely; its
    result is unused.
    """

    def __init__(self, widths: tuple[int, ...], weight: float) -> None:
        super().__init__()
        outputs = (*widths[1:], widths[-1])
        self.scales = nn.ModuleList(nn.Linear(2, width) for width in outputs)
        self.shifts = nn.ModuleList(nn.Linear(2, width) for width in outputs)
        self.register_buffer("balance", torch.tensor([weight, 1 - weight]), persistent=False)
        for layer in (*self.scales, *self.shifts):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.requires_grad_(False)

    def forward(self, tokens: torch.Tensor, stage: int) -> torch.Tensor:
        scale = F.softplus(self.scales[stage](self.balance))
        return tokens * scale + self.shifts[stage](self.balance)


def _window_padding(tokens: torch.Tensor) -> tuple[int, int]:
    """Rows and columns to add for whole windows."""
    return -tokens.shape[1] % _WINDOW, -tokens.shape[2] % _WINDOW


def _shift_mask(height: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """[windows, 49, 49]: 0 between tokens that are adjacent in the image, else -100."""
    rows = torch.arange(height, device=like.device)
    columns = torch.arange(width, device=like.device)
    region = 3 * _band(rows, height)[:, None] + _band(columns, width)[None, :]
    windows = window_partition(region[None, :, :, None], (_WINDOW, _WINDOW)).flatten(1)
    return (windows[:, None, :] != windows[:, :, None]).to(like.dtype) * _MASKED


def _band(positions: torch.Tensor, length: int) -> torch.Tensor:
    """Which of the three bands that a shift brings together each position lies in."""
    return (positions >= length - _WINDOW).long() + (positions >= length - _SHIFT).long()
