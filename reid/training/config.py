"""Settings of the training of a ReID encoder; defaults as published (docs/reference/kpr.md 4.1)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from kprtrack.core.config_files.ranges import validate_ranges
from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.part_distance import Combine, Metric
from kprtrack.core.settings import updated
from reid.model.config import KprConfig, Vectors
from reid.model.prompts import PromptConfig
from reid.parts.targets import PART_GROUPS
from reid.training.augment import AugmentConfig
from reid.training.distillation import DistilConfig
from reid.training.losses import LossConfig
from reid.training.sampler import SamplerConfig
from reid.training.schedule import ScheduleConfig

Precision = Literal["fp32", "fp16", "bf16"]  # of the forward pass; weights and gradients are float32

# Determined by the dataset, so not settings.
_FROM_DATA = ("identities", "cameras", "parts")
# They decide where and how fast a training runs, not its result: a resumed run may change them.
_NOT_THE_RESULT = ("out", "computing")


@dataclass(frozen=True)
class DataSource:
    """A dataset."""

    name: str = "folder"  # in reid.datasets.DATASETS
    root: str | None = None  # its folder
    options: Mapping[str, Any] = field(default_factory=dict)  # of the dataset's own function


@dataclass(frozen=True)
class PromptUse:
    """Which prompts are used, in training and in validation."""

    positives: bool = True
    negatives: bool = True


@dataclass(frozen=True)
class OptimiserConfig:
    """One learning rate for all parameters, see ScheduleConfig (docs/reference/kpr.md 4.1)."""

    name: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9  # of sgd
    weight_decay: float = 1e-4


@dataclass(frozen=True)
class ScoringConfig:
    """When and how the encoder is evaluated on query and gallery."""

    every_epochs: int | None = None  # None: at the end alone
    at_end: bool = True
    vectors: Vectors = "foreground+parts"
    metric: Metric = "euclidean"
    combine: Combine = "mean"
    batch: int = 64  # crops at once


@dataclass(frozen=True)
class ComputingConfig:
    """Where and how fast; a resumed run may change them."""

    device: Literal["auto", "cpu"] = "auto"  # auto: a GPU where there is one
    workers: int = 4  # processes that read crops, for each training process; 0: the training process itself
    save_every_min: float = 10.0  # minutes between two saved states; each epoch's end is saved anyway
    save_every_batches: int | None = None  # likewise, in batches


@dataclass(frozen=True)
class ReidTrainConfig:
    """All settings of a training."""

    out: str | None = None  # folder of the run
    data: DataSource = field(default_factory=DataSource)
    test: DataSource | None = None  # whose query and gallery to validate on; None: those of `data`
    model: KprConfig = field(
        default_factory=KprConfig
    )  # identities, cameras and parts are determined by the dataset
    part_groups: str = "eight"  # in reid.parts.targets.PART_GROUPS
    init: str | None = None  # initial weights: a file, or "imagenet" for timm's; None: random
    camera_embedding: bool = False  # one for each camera of the training set, TransReID's
    prompts: PromptUse = field(default_factory=PromptUse)
    loss: LossConfig = field(default_factory=LossConfig)
    distil: DistilConfig = field(default_factory=DistilConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    # In which the prompt tokeniser is frozen (docs/reference/kpr.md 4.2)
    frozen_prompt_epochs: int = 0
    precision: Precision = "fp32"  # the published weights: fp16
    seed: int = 1
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    computing: ComputingConfig = field(default_factory=ComputingConfig)

    def __post_init__(self) -> None:
        if self.part_groups not in PART_GROUPS:
            raise unknown_name("part groups", self.part_groups, PART_GROUPS)
        validate_ranges(self)

    @property
    def needs_masks(self) -> bool:
        """Whether training reads human-parsing masks."""
        return self.loss.part_prediction > 0 or self.augment.occlusion.probability > 0

    def shape(self, identities: int, cameras: int) -> KprConfig:
        """Return the configuration of the encoder for a training set.

        Args:
            identities: Number of its people.
            cameras: Number of its cameras.

        Returns:
            The configuration.
        """
        return replace(
            self.model,
            parts=len(PART_GROUPS[self.part_groups]),
            identities=identities,
            cameras=cameras if self.camera_embedding and cameras > 1 else 0,
        )

    def prompt_config(self) -> PromptConfig:
        """How inputs and heatmaps are made."""
        return replace(
            self.model.prompts(), positives=self.prompts.positives, negatives=self.prompts.negatives
        )


def with_settings(config: ReidTrainConfig, values: Mapping[str, Any]) -> ReidTrainConfig:
    """`config` with nested `values`: {"schedule": {"epochs": 60}}.

    Args:
        config: A training config.
        values: Nested new values; what is not in them stays.

    Returns:
        The changed config.

    Raises:
        UserError: A key is unknown or a value is wrong.
    """
    model = values.get("model")
    for name in _FROM_DATA if isinstance(model, Mapping) else ():
        if name in model:  # type: ignore[operator]
            raise UserError(f"model.{name} is determined by the dataset and by part_groups; leave it out.")
    values = dict(values)
    for role in ("data", "test"):
        old, new = getattr(config, role), values.get(role)
        # Single options of a dataset are added to those already there; another dataset has others.
        if old and isinstance(new, Mapping) and new.get("name", old.name) == old.name and "options" in new:
            if not isinstance(new["options"], Mapping):
                raise UserError(f"{role}.options must be a dict of options, not {new['options']!r}.")
            values[role] = {**new, "options": {**old.options, **new["options"]}}
        elif old and isinstance(new, Mapping) and new.get("name", old.name) != old.name:
            values[role] = {"root": None, "options": {}, **new}
    return updated(config, values)


def settings_of(config: ReidTrainConfig) -> dict[str, Any]:
    """All settings as nested plain values; `with_settings` of them gives the same again.

    Args:
        config: A training config.

    Returns:
        Nested values that JSON can hold.
    """
    values = asdict(config)
    for name in _FROM_DATA:
        del values["model"][name]
    return values


def resume_relevant_config(config: ReidTrainConfig) -> dict[str, Any]:
    """The settings that must be equal for a run to be resumed.

    Args:
        config: A training config.

    Returns:
        Nested values that JSON can hold.
    """
    values = settings_of(config)
    for name in _NOT_THE_RESULT:
        del values[name]
    for role in ("data", "test"):
        if values[role]:
            del values[role]["root"]
    del values["distil"]["teacher"]  # its features are part of the training set
    return values
