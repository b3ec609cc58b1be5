"""Settings of the training of a detector; the defaults are YOLOX's own.

Source: docs/reference/detector_and_pose.md 1.9.
"""

from dataclasses import dataclass, field
from typing import Literal

from kprtrack.core.config_files.ranges import validate_ranges
from kprtrack.core.errors import UserError
from kprtrack.detectors.yolox_shapes import CANVAS_MULTIPLE_PX, YoloxSize
from kprtrack.training.config import DataConfig
from kprtrack.training.detector.augment import DetectorAugment
from kprtrack.training.detector.schedule import YoloxSchedule
from kprtrack.training.ema import RAMP_UPDATES
from reid.training.config import ComputingConfig, Precision


@dataclass(frozen=True)
class DetectorDistil:
    """Distillation: from pseudo-labels, annotations with a `score` (1 without), or from a teacher online."""

    # The teacher's score is the target. Scores from here up become 1, lower ones are scaled in proportion.
    full_score: float = 1.0
    ignore_below: float = 0.0  # boxes of lower score become ignored regions
    # YOLOX weights of an online teacher, a file or a name of `models list`.
    teacher: str | None = None
    teacher_size: YoloxSize = "nano"
    weight: float = 1.0  # of the distillation loss


@dataclass(frozen=True)
class DetectorOptimiser:
    """Weight decay acts on the weights of convolutions alone."""

    name: Literal["sgd", "adamw"] = "sgd"  # sgd: with Nesterov's momentum
    momentum: float = 0.9  # of sgd
    weight_decay: float = 5e-4
    convolution_rate: float = 1.0  # learning rate of the weights of convolutions, relative to the others'
    clip_gradient: float | None = None  # greatest norm


@dataclass(frozen=True)
class DetectorScoring:
    """When the detector is scored on data.val; AP at an overlap of 0.5."""

    every_epochs: int | None = None  # None: at the end alone
    batch: int = 16  # images


@dataclass(frozen=True)
class DetectorTrainConfig:
    """All settings of a training."""

    task: Literal["detector"] = "detector"
    out: str | None = None  # folder of the run
    data: DataConfig = field(default_factory=DataConfig)
    size: YoloxSize = "m"
    init: str | None = None  # initial weights, a file or a name of `models list`; None: random
    freeze_norms: bool = False  # batch norms keep their statistics: for small batches
    # The first convolution stays as it is. Its inputs are up to 255, so that its weights are about 30 times
    # smaller than others, and AdamW's steps, all of the same size, would destroy it.
    freeze_stem: bool = False
    # Train only the product of objectness and class, which is the score in use: for weights of many classes,
    # whose objectness is high for every kind of object.
    joint_score: bool = False
    input_px: int = 640  # side of the square canvas
    # Least and greatest side in training, drawn every ten batches; None: always input_px.
    input_range_px: tuple[int, int] | None = (480, 800)
    batch: int = 64
    distil: DetectorDistil = field(default_factory=DetectorDistil)
    augment: DetectorAugment = field(default_factory=DetectorAugment)
    optimiser: DetectorOptimiser = field(default_factory=DetectorOptimiser)
    schedule: YoloxSchedule = field(default_factory=YoloxSchedule)
    ema_decay: float | None = 0.9998  # of the averaged network, which is scored and saved; None: no average
    ema_ramp: int = RAMP_UPDATES  # updates over which the decay grows; fewer for short trainings
    precision: Precision = "fp32"
    seed: int = 1
    scoring: DetectorScoring = field(default_factory=DetectorScoring)
    computing: ComputingConfig = field(default_factory=ComputingConfig)

    def __post_init__(self) -> None:
        validate_ranges(self)
        sides = (self.input_px, *(self.input_range_px or ()))
        if any(side % CANVAS_MULTIPLE_PX for side in sides):
            raise UserError(
                f"input_px={self.input_px} and input_range_px={self.input_range_px} must be multiples of "
                f"{CANVAS_MULTIPLE_PX}."
            )
        if self.input_range_px and self.input_range_px[0] > self.input_range_px[1]:
            raise UserError(f"input_range_px is {self.input_range_px}; give the least first.")
