"""Architecture and input specification of KPR, as files of weights store them; without torch."""

from dataclasses import dataclass
from typing import Literal

from kprtrack.core.config_files.ranges import validate_ranges
from kprtrack.core.errors import UserError, unknown_name
from reid.model.prompts import IMAGENET_MEAN, IMAGENET_STD, PromptConfig


@dataclass(frozen=True)
class SwinShape:
    """Width of the first stage, and blocks and heads per stage."""

    width: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]

    @property
    def stage_widths(self) -> tuple[int, ...]:
        return tuple(self.width * 2**stage for stage in range(4))


Vectors = Literal["foreground+parts", "parts", "whole"]
SWIN_SHAPES = {
    "swin_base": SwinShape(128, (2, 2, 18, 2), (4, 8, 16, 32)),  # SOLIDER's, and the ImageNet one for Market
    "swin_mini": SwinShape(32, (2, 2, 2, 2), (2, 4, 8, 16)),  # for tests and quick trials
}
SMALL_WIDTHS = {
    "small_cnn": (32, 64, 128, 256),  # trains on a CPU
    "mini_cnn": (8, 16, 32, 64),  # for tests
}
# Transformers with windows, and ConvNeXt, whose stem is the same patch embedding and norm.
TIMM_NAMES = {
    "swinv2_base": "swinv2_base_window12to16_192to256",
    "swin_tiny": "swin_tiny_patch4_window7_224",
    "convnext_atto": "convnext_atto",
}
BACKBONES = (*SWIN_SHAPES, *SMALL_WIDTHS, *TIMM_NAMES)


@dataclass(frozen=True)
class KprConfig:
    """Architecture and input specification of a Kpr; stored with the weights."""

    backbone: str = "swinv2_base"  # one of BACKBONES
    height: int = 256  # pixels of the crop
    width: int = 128
    parts: int = 8  # K body parts
    prompt_groups: str = "cck8"  # in kprtrack.core.skeleton.PROMPT_GROUPS; the 5-part models use cck6
    fused_width: int = 1024  # channels of the fused map
    dimensions: int = 512  # D of one feature
    identities: int = 1000  # people in the training set
    cameras: int = 0  # cameras of the training set; 0: no camera embedding
    semantic_weight: float | None = None  # SOLIDER only; None: the weights have no semantic layers
    mean: tuple[float, float, float] = IMAGENET_MEAN  # of RGB in [0, 1]; SOLIDER uses 0.5
    std: tuple[float, float, float] = IMAGENET_STD
    drop_path: float = 0.1  # greatest rate of skipped blocks, training only; the small ones have none
    fusion: Literal["multi", "last"] = "multi"  # which stages are fused; "last" is the paper's ablation

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise unknown_name("backbone", self.backbone, BACKBONES)
        validate_ranges(self, "model.")
        if self.height % 32 or self.width % 32:
            raise UserError(f"Crop size {self.height}x{self.width} must be a multiple of 32 on both sides.")

    def prompts(self) -> PromptConfig:
        """How crops and heatmaps for this model are made."""
        return PromptConfig(self.height, self.width, self.prompt_groups, self.mean, self.std)
