"""The three kinds of training, and the configs that choose them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kprtrack.core.errors import unknown_name
from kprtrack.core.settings import nested, read_settings
from kprtrack.training.config import with_settings
from kprtrack.training.detector.config import DetectorTrainConfig
from kprtrack.training.detector.task import DetectorTask
from kprtrack.training.loop import run_training
from kprtrack.training.pose.config import PoseTrainConfig
from kprtrack.training.pose.task import PoseTask
from kprtrack.training.run_folder import as_config, has_checkpoint
from kprtrack.training.task import LoopConfig
from reid.datasets import ReidData
from reid.training.config import ReidTrainConfig, settings_of
from reid.training.config import with_settings as with_reid_settings
from reid.training.task import ReidTask

TrainConfig = ReidTrainConfig | DetectorTrainConfig | PoseTrainConfig


def load_config(path: str | Path, assignments: Sequence[str] = ()) -> TrainConfig:
    """Read a training config.

    Args:
        path: A file, or a config of the package such as reid/cuhk03_small. `task = "detector"` or "pose" in
            it selects that kind of training, none a ReID encoder.
        assignments: Changes of single settings, such as "schedule.epochs=60".

    Raises:
        InputError: The file cannot be read.
        UserError: A key is unknown or a value is wrong.
    """
    values = read_settings(path, *TASKS)
    task = values.get("task", "reid")
    if not isinstance(task, str) or task not in TASKS:
        raise unknown_name("task", str(task), TASKS)
    kind = TASKS[task]
    if task == "reid":
        values = {name: value for name, value in values.items() if name != "task"}
    config = kind.with_settings(kind.config(), values)
    return kind.with_settings(config, nested(assignments, "schedule.epochs=60"))


def settings_text(config: TrainConfig) -> str:
    """All settings in force, as the text of a config file.

    Args:
        config: All settings of a training.

    Returns:
        Text that `load_config` reads.
    """
    return as_config(settings_of(config) if isinstance(config, ReidTrainConfig) else asdict(config))


def train(config: TrainConfig, *, quiet: bool = False) -> Path:
    """Train a network, or resume the run in its folder.

    Args:
        config: All settings.
        quiet: Log nothing to the terminal.

    Returns:
        The folder of the run.

    Raises:
        UserError: Or one of its kinds, for everything that the user can fix.
        KeyboardInterrupt: After Ctrl-C, once the checkpoint is written.
    """
    if isinstance(config, ReidTrainConfig):
        return train_reid(config, quiet=quiet)
    resume = has_checkpoint(config.out)
    task = (
        DetectorTask(config, resume=resume)
        if isinstance(config, DetectorTrainConfig)
        else PoseTask(config, resume=resume)
    )
    loop = LoopConfig(
        epochs=config.schedule.epochs,
        ema_decay=config.ema_decay,
        ema_ramp=config.ema_ramp,
        validate_every_epochs=config.scoring.every_epochs,
        clip_gradient=config.optimiser.clip_gradient,
        precision=config.precision,
        computing=config.computing,
    )
    return run_training(task, out=config.out, config=loop, quiet=quiet)


def train_reid(
    config: ReidTrainConfig,
    data: ReidData | None = None,
    *,
    test: ReidData | None = None,
    quiet: bool = False,
) -> Path:
    """Train a ReID encoder, or resume the run in its folder.

    Args:
        config: All settings.
        data: The training set; None: the one that the settings name.
        test: Query and gallery to validate on; None: those that the settings name, else those of `data`.
        quiet: Log nothing to the terminal.

    Returns:
        The folder of the run.

    Raises:
        UserError: Or one of its kinds, for everything that the user can fix.
        KeyboardInterrupt: After Ctrl-C, once the checkpoint is written.
    """
    task = ReidTask(config, data, test=test, resume=has_checkpoint(config.out))
    loop = LoopConfig(
        epochs=config.schedule.epochs,
        validate_every_epochs=config.scoring.every_epochs,
        validate_at_end=config.scoring.at_end,
        precision=config.precision,
        computing=config.computing,
    )
    return run_training(task, out=config.out, config=loop, quiet=quiet)


@dataclass(frozen=True)
class _Kind:
    """The config class of a task, and the function that changes its settings."""

    config: Callable[[], TrainConfig]
    with_settings: Callable[[Any, Mapping[str, Any]], Any]


# By the name that a config gives as its `task`.
TASKS: dict[str, _Kind] = {
    "reid": _Kind(ReidTrainConfig, with_reid_settings),
    "detector": _Kind(DetectorTrainConfig, with_settings),
    "pose": _Kind(PoseTrainConfig, with_settings),
}
