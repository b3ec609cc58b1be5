"""The appearance encoder KPR: crops and keypoint prompts in, one feature per body part out.

Somers, Alahi, De Vleeschouwer: Keypoint Promptable Re-Identification, ECCV 2024. Numbers follow the published
weights, which differ from the paper in places (docs/reference/kpr.md 8).
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from reid.model.backbone_small import ConvStem, SmallStages
from reid.model.config import SMALL_WIDTHS, SWIN_SHAPES, KprConfig, Vectors
from reid.model.heads import (
    IdentityHead,
    PartClassifier,
    PerHead,
    Reduction,
    StageFusion,
    parts_in_sight,
    pool_masked_mean,
    pool_parts,
)

_PATCH = 4
_CAMERA_SCALE = 3.0  # TransReID's coefficient (docs/reference/kpr.md 1.5)


@dataclass(frozen=True)
class KprOutput:
    """Output for losses and evaluation."""

    reduced: PerHead  # features before the BN neck: [N, D], joined [N, K * D], parts [N, K, D]
    necks: PerHead  # the same after the BN neck
    identity_logits: PerHead  # [N, identities], parts [N, K, identities]
    part_logits: torch.Tensor  # [N, K + 1, H/4, W/4], 0 is background
    visible: torch.Tensor  # [N, K + 1] bool, background first
    fused: torch.Tensor  # [N, fused_width, H/4, W/4]


class PatchTokens(nn.Module):
    """Image or heatmaps [N, C, H, W] -> tokens [N, H/4, W/4, width], normalised."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, _PATCH, stride=_PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(image).permute(0, 2, 3, 1))


class Kpr(nn.Module):
    """The encoder: `forward` returns everything needed for training, `embed` the embeddings to compare."""

    def __init__(self, config: KprConfig) -> None:
        super().__init__()
        self.config = config
        self.stages = _stages(config)
        widths, fused = self.stages.stage_widths, config.fused_width
        small = config.backbone in SMALL_WIDTHS
        self.image_tokens = ConvStem(widths[0]) if small else PatchTokens(3, widths[0])
        self.prompt_tokens = PatchTokens(config.prompts().channels, widths[0])
        # A prompt has no effect until it has been trained (docs/reference/kpr.md 1.4).
        for parameter in self.prompt_tokens.conv.parameters():
            nn.init.zeros_(parameter)
        self.camera_tokens = nn.Parameter(torch.empty(config.cameras, widths[0])) if config.cameras else None
        if self.camera_tokens is not None:
            nn.init.trunc_normal_(self.camera_tokens, std=0.02)
        self.fusion = StageFusion(widths if config.fusion == "multi" else widths[-1:], fused)
        self.part_classifier = PartClassifier(fused, config.parts)
        names = ("whole", "background", "foreground", "parts")
        self.reductions = nn.ModuleDict({name: Reduction(fused, config.dimensions) for name in names})
        self.identity = nn.ModuleDict(
            {
                **{name: IdentityHead(config.dimensions, config.identities) for name in names[:3]},
                "joined": IdentityHead(config.parts * config.dimensions, config.identities),
            }
        )
        self.part_identity = nn.ModuleList(
            IdentityHead(config.dimensions, config.identities) for _ in range(config.parts)
        )

    def forward(
        self,
        images: torch.Tensor,
        heatmaps: torch.Tensor | None = None,
        cameras: torch.Tensor | None = None,
    ) -> KprOutput:
        """Features, identity logits and part logits of N crops.

        Args:
            images: [N, 3, H, W] normalised.
            heatmaps: [N, C, H, W] as reid.model.prompts draws them, None: the empty prompt.
            cameras: [N] index of the training set's camera, None: no camera term.
        """
        fused = self.fusion(self.stage_maps(images, heatmaps, cameras))
        logits = self.part_classifier(fused)
        masks = logits.softmax(dim=1)
        foreground = masks[:, 1:].amax(dim=1)
        parts = self.reductions["parts"](pool_parts(fused, masks[:, 1:]))
        reduced = PerHead(
            whole=self.reductions["whole"](fused.mean(dim=(2, 3))),
            background=self.reductions["background"](pool_masked_mean(fused, masks[:, 0])),
            foreground=self.reductions["foreground"](pool_masked_mean(fused, foreground)),
            joined=parts.flatten(1),
            parts=parts,
        )
        necks, identity_logits = self._identify(reduced)
        return KprOutput(reduced, necks, identity_logits, logits, parts_in_sight(logits), fused)

    def embed(
        self,
        images: torch.Tensor,
        heatmaps: torch.Tensor | None = None,
        cameras: torch.Tensor | None = None,
        *,
        vectors: Vectors = "foreground+parts",
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features [N, P, D] of unit length and whether each part is visible, [N, P] bool.

        Args:
            vectors: "foreground+parts" (P = K + 1, the foreground always visible) is what the published
                scores were measured with; "parts" (P = K) is the paper's eq. 2; "whole" (P = 1) has no parts.
                Other arguments as for forward.
        """
        fused = self.fusion(self.stage_maps(images, heatmaps, cameras))
        if vectors == "whole":
            whole = self._neck("whole", fused.mean(dim=(2, 3)))[:, None]
            return F.normalize(whole, dim=2), whole.new_ones(whole.shape[:2], dtype=torch.bool)
        logits = self.part_classifier(fused)
        masks = logits.softmax(dim=1)
        features = self.reductions["parts"](pool_parts(fused, masks[:, 1:]))
        visible = parts_in_sight(logits)
        if vectors == "parts":
            return F.normalize(features, dim=2), visible[:, 1:]
        foreground = self._neck("foreground", pool_masked_mean(fused, masks[:, 1:].amax(dim=1)))
        features = torch.cat((foreground[:, None], features), dim=1)
        # The background's place is the foreground's, which is always visible.
        visible[:, 0] = True
        return F.normalize(features, dim=2), visible

    def stage_maps(
        self, images: torch.Tensor, heatmaps: torch.Tensor | None, cameras: torch.Tensor | None
    ) -> list[torch.Tensor]:
        """Compute the maps of the backbone's four stages.

        Args:
            images: [N, 3, H, W], normalised.
            heatmaps: Prompts [N, C, H, W]; None: no prompts.
            cameras: Number of the camera of each image, [N]; None: unknown.

        Returns:
            Four maps [N, h, w, C], largest first.
        """
        tokens = self.image_tokens(images)
        prompt = empty_prompt(self.prompt_tokens.conv, images) if heatmaps is None else heatmaps
        tokens = tokens + self.prompt_tokens(prompt)
        if cameras is not None and self.camera_tokens is not None:
            tokens = tokens + _CAMERA_SCALE * self.camera_tokens[cameras][:, None, None, :]
        return self.stages(tokens)

    def _neck(self, name: str, pooled: torch.Tensor) -> torch.Tensor:
        """One embedding [N, D] after its BN neck, from pooled features."""
        return cast(IdentityHead, self.identity[name]).bn(self.reductions[name](pooled))

    def _identify(self, reduced: PerHead) -> tuple[PerHead, PerHead]:
        """BN necks and identity logits of every kind of embedding."""
        pairs = {name: head(getattr(reduced, name)) for name, head in self.identity.items()}
        each = [head(reduced.parts[:, part]) for part, head in enumerate(self.part_identity)]
        necks, logits = (torch.stack(column, dim=1) for column in zip(*each, strict=True))
        return (
            PerHead(**{name: pair[0] for name, pair in pairs.items()}, parts=necks),
            PerHead(**{name: pair[1] for name, pair in pairs.items()}, parts=logits),
        )


def empty_prompt(conv: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
    """The empty prompt, shared by all images: background 1, else 0 (docs/reference/kpr.md 2.5)."""
    prompt = images.new_zeros((1, conv.in_channels, *images.shape[2:]))
    prompt[:, 0] = 1
    return prompt


def _stages(config: KprConfig) -> Any:
    """The backbone; timm, which the small one does not need, takes a second to import."""
    if config.backbone in SMALL_WIDTHS:
        return SmallStages(SMALL_WIDTHS[config.backbone])
    if config.backbone in SWIN_SHAPES:
        from reid.model.backbone_swin import SwinStages

        return SwinStages(SWIN_SHAPES[config.backbone], config.semantic_weight, config.drop_path)
    from reid.model.backbone_timm import TimmStages

    return TimmStages(config.backbone, (config.height, config.width), config.drop_path)
