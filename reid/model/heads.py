"""Heads from stage maps to part embeddings: fusion, part classifier, pooling, reduction, BN necks."""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

_SMALLEST_MASS = 1e-6


@dataclass(frozen=True)
class PerHead:
    """One tensor for each of the five kinds of embedding."""

    whole: torch.Tensor  # [N, ...] of the whole crop
    background: torch.Tensor  # [N, ...]
    foreground: torch.Tensor  # [N, ...]
    joined: torch.Tensor  # [N, ...] of all parts concatenated
    parts: torch.Tensor  # [N, K, ...]


class StageFusion(nn.Module):
    """Fuse all stage maps, or the last few, at the size of the first: 1x1 convolution, batch norm, ReLU.

    The published order is upsample, concatenate, convolve. A 1x1 convolution and bilinear upsampling commute,
    so each stage is convolved at its own size with its share of the weight: the same for an eighth of the
    work.

    Args:
        stage_widths: Of the maps that are used.

    Source: docs/reference/kpr.md 1.6.
    """

    def __init__(self, stage_widths: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.stage_widths = stage_widths
        self.conv = nn.Conv2d(sum(stage_widths), width, 1)
        self.norm = nn.BatchNorm2d(width)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out")

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Compute the sum of the stages' maps at the size of the largest.

        Args:
            maps: Four [N, h, w, C], largest first.

        Returns:
            [N, width, H/4, W/4].
        """
        weights = self.conv.weight.flatten(1).split(self.stage_widths, dim=1)
        size = maps[0].shape[1:3]
        first, *others = maps[-len(weights) :]
        total = _at_size(F.linear(first, weights[0], self.conv.bias), size)
        for stage_map, weight in zip(others, weights[1:], strict=True):
            total = total + _at_size(F.linear(stage_map, weight), size)
        if self.training:
            # On the CPU, torch's batch statistics of a channels-last map are two digits less exact.
            total = total.contiguous()
        return F.relu(self.norm(total))


def _at_size(stage_map: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """A map [N, h, w, C] as [N, C, *size]."""
    channels_first = stage_map.permute(0, 3, 1, 2)
    if channels_first.shape[2:] == size:
        return channels_first
    return F.interpolate(channels_first, size, mode="bilinear", align_corners=True)


class PartClassifier(nn.Module):
    """Classify the body part at each position: logits [N, K + 1, h, w], 0 is background.

    Source: docs/reference/kpr.md 1.7.
    """

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(width)
        self.classifier = nn.Conv2d(width, parts + 1, 1)
        nn.init.normal_(self.classifier.weight, std=0.001)
        nn.init.constant_(cast(torch.Tensor, self.classifier.bias), 0)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.training:
            return self.classifier(self.bn(features))
        norm, conv = self.bn, self.classifier
        assert norm.running_var is not None and norm.running_mean is not None and conv.bias is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight = conv.weight.flatten(1)
        bias = conv.bias + weight @ (norm.bias - norm.running_mean * scale)
        logits = F.linear(features.permute(0, 2, 3, 1), weight * scale, bias)
        return logits.permute(0, 3, 1, 2)


class Reduction(nn.Module):
    """Pooled features [..., width] -> [..., D]: linear, batch norm, ReLU.

    Source: docs/reference/kpr.md 1.9.
    """

    def __init__(self, width: int, dimensions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, dimensions)
        self.norm = nn.BatchNorm1d(dimensions)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.constant_(self.linear.bias, 0)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        # All leading axes are one batch to the norm: its statistics mix the parts, as published.
        reduced = F.relu(self.norm(self.linear(pooled.reshape(-1, pooled.shape[-1]))))
        return reduced.reshape(*pooled.shape[:-1], -1)


class IdentityHead(nn.Module):
    """Batch-norm neck and identity logits; the norm's bias stays frozen.

    Source: docs/reference/kpr.md 1.10.
    """

    def __init__(self, dimensions: int, identities: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(dimensions)
        self.bn.bias.requires_grad_(False)
        self.classifier = nn.Linear(dimensions, identities, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, reduced: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        neck = self.bn(reduced)
        return neck, self.classifier(neck)


def pool_masked_mean(features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Mean of masked features over all positions: [N, C, h, w], [N, h, w] -> [N, C].

    Not divided by the mask's own mass (docs/reference/kpr.md 1.8).
    """
    # Sums over thousands of positions are kept out of half precision, here and in pool_parts.
    with torch.autocast(features.device.type, enabled=False):
        weights = at_least_float32(masks).flatten(1) / masks.shape[1:].numel()
        return (weights[:, None] @ _positions(features)).squeeze(1)


def pool_parts(features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Mean of features weighted by each part's mask: [N, C, h, w], [N, K, h, w] -> [N, K, C].

    Source: docs/reference/kpr.md 1.8.
    """
    with torch.autocast(features.device.type, enabled=False):
        weights = at_least_float32(masks).flatten(2)
        total = weights @ _positions(features)
        return total / weights.sum(dim=2, keepdim=True).clamp(min=_SMALLEST_MASS)


def _positions(features: torch.Tensor) -> torch.Tensor:
    """[N, C, h, w] -> [N, h * w, C] of at least float32."""
    return at_least_float32(features).permute(0, 2, 3, 1).flatten(1, 2)


def parts_in_sight(logits: torch.Tensor) -> torch.Tensor:
    """Whether each class is the most likely one at some position: [N, K + 1, h, w] -> [N, K + 1] bool.

    Source: docs/reference/kpr.md 1.12.
    """
    strongest = logits.flatten(2).argmax(dim=1)
    classes = torch.arange(logits.shape[1], device=logits.device)
    return (strongest[:, None, :] == classes[None, :, None]).any(dim=2)


def at_least_float32(values: torch.Tensor) -> torch.Tensor:
    """Convert values of lower precision to float32; float64 stays."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
