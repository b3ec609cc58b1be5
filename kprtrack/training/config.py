"""Settings that the trainings of detectors and pose estimators share."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from kprtrack.core.errors import UserError
from kprtrack.core.settings import updated

# They decide where and how fast a training runs, not its result: a resumed run may change them.
_NOT_THE_RESULT = ("out", "computing")

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """Annotated images, see kprtrack.training.annotations."""

    annotations: str = ""  # a json file, or PoseTrack21's folder of them
    images: str | None = None  # the folder that image names are relative to; None: the annotations' folder
    category: str | None = None  # of people, in files of several; None: person, or the only one
    share: float = 1.0  # how often an epoch uses each image; 0.5: another half of them in every epoch


@dataclass(frozen=True)
class DataConfig:
    """Training and validation data; a config may name a file, a dict or a list of them."""

    train: tuple[Source, ...] = ()
    val: tuple[Source, ...] = ()


class _HasData(Protocol):
    @property
    def data(self) -> DataConfig: ...


def with_settings(config: T, values: Mapping[str, Any]) -> T:
    """A config changed by nested values, such as {"data": {"train": "train.json"}}.

    Args:
        config: A training config.
        values: Nested new values; what is not in them stays.

    Returns:
        The changed config.

    Raises:
        UserError: A key is unknown or a value is wrong.
    """
    data = values.get("data")
    if isinstance(data, Mapping):
        listed = {role: _listed(data[role]) for role in ("train", "val") if role in data}
        values = {**values, "data": {**data, **listed}}
    return updated(config, values)


def validate_sources(data: DataConfig) -> Sequence[Source]:
    """The training sources, once every source names its annotations.

    Args:
        data: Sources of training and validation.

    Returns:
        The sources of the training.

    Raises:
        UserError: There is no training source, or one has no annotations.
    """
    if not data.train:
        raise UserError("No training data. Set data.train=FILE, a json file in COCO format.")
    for role, sources in (("train", data.train), ("val", data.val)):
        if not all(source.annotations for source in sources):
            raise UserError(f"A source of data.{role} has no annotations. Set a json file: data.{role}=FILE.")
    return data.train


def resume_relevant_config(config: _HasData, *, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    """The settings that must be equal for a run to be resumed; where the data lie is not one of them.

    Args:
        config: A training config.
        leave_out: Further fields that a resumed run may change.

    Returns:
        Nested plain values.
    """
    names = (*_NOT_THE_RESULT, *leave_out)
    values = {name: value for name, value in asdict(config).items() if name not in names}  # type: ignore[call-overload]
    return values | {"data": [source.share for source in config.data.train]}


def _listed(sources: object) -> object:
    """A list of dicts, where a file, a dict or a list of both may stand."""
    several = sources if isinstance(sources, list | tuple) else [sources]
    return [{"annotations": each} if isinstance(each, str) else each for each in several if each is not None]
