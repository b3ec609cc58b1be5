"""What the recipes of detectors and pose estimators have in common, and which kind a recipe is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.settings import nested, read_settings, updated

TASKS = ("reid", "detector", "pose")  # a recipe says `task = "pose"`; one that says nothing is the encoder's

_EXAMPLE = "schedule.epochs=60"

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """Labelled pictures, see kprtrack.training.annotations."""

    annotations: str = ""  # a json file, or PoseTrack21's folder of them
    images: str | None = None  # what the names of pictures begin at; None: the annotations' folder
    share: float = 1.0  # how often an epoch shows each picture; 0.5: another half of them in every epoch

    def __post_init__(self) -> None:
        if self.share < 0:
            raise UserError(f"share is {self.share}. Give 0 or more: how often an epoch shows each picture.")


@dataclass(frozen=True)
class DataConfig:
    """What is learnt from and what is scored on; a recipe may name a file, a dict or a list of them."""

    train: tuple[Source, ...] = ()
    val: tuple[Source, ...] = ()


def task_of(recipe: str | Path) -> str:
    """Which of TASKS a recipe is for. Raises: InputError if it cannot be read, UserError for another."""
    task = read_settings(recipe, *TASKS).get("task", TASKS[0])
    if task not in TASKS:
        raise unknown_name("task", str(task), TASKS)
    return task


def load_recipe(default: T, path: str | Path, assignments: Sequence[str] = ()) -> T:
    """`default` (frozen dataclass, fields `task` and `data`) as recipe and `key.sub=value` words change it.

    Raises: InputError if the file cannot be read, UserError for an unknown key or a wrong value.
    """
    return with_settings(with_settings(default, read_settings(path, *TASKS)), nested(assignments, _EXAMPLE))


def with_settings(config: T, values: Mapping[str, Any]) -> T:
    """`config` with nested `values`: {"data": {"train": "train.json"}}. Raises: UserError."""
    data = values.get("data")
    if isinstance(data, Mapping):
        listed = {role: _listed(data[role]) for role in ("train", "val") if role in data}
        values = {**values, "data": {**data, **listed}}
    return updated(config, values)


def _listed(sources: object) -> object:
    """A list of dicts, where a file, a dict or a list of both may stand."""
    several = sources if isinstance(sources, list | tuple) else [sources]
    return [{"annotations": each} if isinstance(each, str) else each for each in several if each is not None]
