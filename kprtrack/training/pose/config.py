"""Settings of the training of a pose network; the defaults are the small network's."""

import math
from dataclasses import dataclass, field
from typing import Literal

from kprtrack.core.config_files.ranges import validate_ranges
from kprtrack.core.errors import UserError
from kprtrack.poses.hrnet import HrnetConfig
from kprtrack.poses.shapes import LiteHrnetShape, SmallPoseShape
from kprtrack.poses.small import SmallPoseConfig
from kprtrack.poses.topdown import TopDown
from kprtrack.training.config import DataConfig
from kprtrack.training.ema import RAMP_UPDATES
from kprtrack.training.pose.augment import PoseAugmentConfig
from reid.training.config import ComputingConfig, Precision

_WARMUP_SHARE = 1e-3  # of the peak: where the warm-up starts (docs/reference/detector_and_pose.md 2.7)
_DROP = 0.1


@dataclass(frozen=True)
class PoseLabels:
    """Which keypoints and people are used."""

    least_confidence: float = 0.0  # of a teacher; keypoints below are unknown. Annotated ones have 1
    # Of the empty heatmaps of keypoints outside of the crop, or of less than the least confidence.
    absent_weight: float = 0.0
    least_keypoints: int = 1  # annotated ones that a person must have
    least_height_px: float = 16.0  # of a person's box


@dataclass(frozen=True)
class PoseOptimiser:
    """AdamW."""

    weight_decay: float = 0.05  # on the weights of convolutions alone
    clip_gradient: float | None = None  # greatest norm


@dataclass(frozen=True)
class PoseSchedule:
    """The learning rate: a linear warm-up, then half a cosine, or two drops."""

    peak: float = 2e-3
    epochs: int = 60
    warmup_epochs: float = 1.0  # at most half of the schedule
    floor_share: float = 0.01  # of the peak: where the cosine ends
    drops: tuple[float, float] | None = None  # epochs at which the rate falls to a tenth; None: half a cosine

    def __post_init__(self) -> None:
        validate_ranges(self, "schedule.")

    def rate(self, epochs: float) -> float:
        """Return the learning rate of a step.

        Args:
            epochs: Epochs trained before it, fractions included.

        Returns:
            The rate.
        """
        warmup = min(self.warmup_epochs, self.epochs / 2)
        if epochs < warmup:
            return self.peak * (_WARMUP_SHARE + (1 - _WARMUP_SHARE) * epochs / warmup)
        if self.drops is not None:
            return self.peak * _DROP ** sum(epochs >= drop for drop in self.drops)
        progress = (epochs - warmup) / (self.epochs - warmup)
        share = (1 + math.cos(math.pi * min(progress, 1))) / 2
        return self.peak * (self.floor_share + (1 - self.floor_share) * share)


@dataclass(frozen=True)
class PoseScoring:
    """When and how the network is evaluated on data.val, in annotated boxes."""

    every_epochs: int | None = None  # None: at the end alone
    batch: int = 32  # crops at once


@dataclass(frozen=True)
class PoseTrainConfig:
    """All settings of a training."""

    task: Literal["pose"] = "pose"
    out: str | None = None  # folder of the run
    data: DataConfig = field(default_factory=DataConfig)
    # lite-hrnet: the package's, to be fine-tuned (init=small-pose); small: from random weights
    network: Literal["small", "lite-hrnet", "hrnet"] = "small"
    lite_hrnet: LiteHrnetShape = field(default_factory=LiteHrnetShape)  # where the network is that one
    small: SmallPoseShape = field(default_factory=SmallPoseShape)  # where the network is the small one
    hrnet: HrnetConfig = field(default_factory=HrnetConfig)  # likewise
    init: str | None = None  # initial weights, a file or a name of `models list`; None: random
    sigma: float = 2.0  # of the targets, in heatmap cells; published: 2 for 256x192, 3 for 384x288
    labels: PoseLabels = field(default_factory=PoseLabels)
    augment: PoseAugmentConfig = field(default_factory=PoseAugmentConfig)
    batch: int = 64  # people
    optimiser: PoseOptimiser = field(default_factory=PoseOptimiser)
    schedule: PoseSchedule = field(default_factory=PoseSchedule)
    ema_decay: float | None = 0.9998  # of the averaged network, which is scored and saved; None: no average
    ema_ramp: int = RAMP_UPDATES  # updates over which the decay grows; fewer for short trainings
    precision: Precision = "fp32"
    seed: int = 1
    scoring: PoseScoring = field(default_factory=PoseScoring)
    computing: ComputingConfig = field(default_factory=ComputingConfig)

    def __post_init__(self) -> None:
        validate_ranges(self)
        if self.batch < 2:
            raise UserError(f"batch is {self.batch}. Set it to 2 or more: batch norms need several people.")

    def layout(self) -> TopDown:
        """How crops are cut and heatmaps read, in training as in use."""
        if self.network == "hrnet":
            return self.hrnet.layout()
        shape = self.lite_hrnet if self.network == "lite-hrnet" else self.small
        return SmallPoseConfig().layout(shape)
