"""Settings: defaults live in frozen dataclasses, a file or `--set key=value` changes single values.

A part of the pipeline (detector, pose, reid, tracker) is a name, weights and options; the options are the
fields of the dataclass beside the class that the name stands for, so a misspelt key is refused before
anything runs.
"""

import ast
import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from reid.errors import InputError, UserError, unknown_name

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One exchangeable part of the pipeline."""

    name: str  # key of DETECTORS, POSES, EMBEDDERS or TRACKERS
    weights: str | None = (
        None  # a file or a name of the model store; None: the published weights that fit the name
    )
    options: Mapping[str, Any] = field(default_factory=dict)  # fields of the part's own config dataclass


@dataclass(frozen=True)
class TrackConfig:
    """Everything that decides what comes out, besides the video itself."""

    detector: Part = Part("yolox-m")
    pose: Part = Part("hrnet-w32")
    reid: Part = Part("kpr")
    tracker: Part = Part("kpr")
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    precision: str = "fp32"  # fp32, fp16, bf16
    batch: int = 16  # most images or crops in one forward pass of a network
    frames_at_once: int = 8  # frames observed together; more keeps a GPU busy, fewer saves memory
    threads: int | None = None  # CPU threads of the networks; None: as many as the machine has cores


PARTS = ("detector", "pose", "reid", "tracker")

# What `--preset` stands for: published weights of the model store.
PRESETS: dict[str, TrackConfig] = {
    "balanced": TrackConfig(),
    "accurate": TrackConfig(
        detector=Part("yolox-x"), pose=Part("hrnet-w48", "hrnet-w48-coco-384-udp"), reid=Part("kpr")
    ),
}


def configure(kind: type[T], options: Mapping[str, Any], **fixed: Any) -> T:
    """A `kind` (frozen dataclass) with `options` over its defaults; `fixed` fields are not the user's to set.

    Raises: UserError for an unknown key, with the nearest known one, or a value of another type.
    """
    hints = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind) if f.name not in fixed}  # type: ignore[arg-type]
    values = dict(fixed)
    for key, value in options.items():
        if key not in known:
            raise unknown_name("option", key, known)
        values[key] = _fitting(key, value, hints[key])
    return kind(**values)


def load_config(path: str | Path, base: TrackConfig | None = None) -> TrackConfig:
    """The settings of a config file (Python or JSON or YAML, read by mmengine) over `base`.

    Raises: InputError if the file is missing or unreadable, UserError for an unknown key.
    """
    if not Path(path).is_file():
        raise InputError(f"No config file at {path}. Ready ones are in configs/track/.")
    from mmengine.config import Config

    try:
        values = Config.fromfile(str(path), lazy_import=False).to_dict()
    except (Exception, SystemExit) as error:  # mmengine passes on whatever the file's own code raises
        raise InputError(f"Cannot read the config file {path}: {error}") from error
    return merge(base or TrackConfig(), values)


def merge(config: TrackConfig, values: Mapping[str, Any]) -> TrackConfig:
    """`config` with `values`: {"device": "cpu", "tracker": {"name": "kpr", "high_score": 0.5}}."""
    known = {f.name for f in dataclasses.fields(TrackConfig)}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise unknown_name("setting", key, known)
        if key in PARTS:
            changes[key] = _merge_part(key, getattr(config, key), value)
        else:
            changes[key] = _fitting(key, value, typing.get_type_hints(TrackConfig)[key])
    return dataclasses.replace(config, **changes)


def override(config: TrackConfig, assignments: list[str]) -> TrackConfig:
    """`config` with command-line assignments such as `tracker.high_score=0.5` or `device=cpu`."""
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"'{assignment}' is not of the form key=value, e.g. tracker.high_score=0.5.")
        part, dot, option = key.partition(".")
        value = _literal(text)
        config = merge(config, {part: {option: value}} if dot else {key: value})
    return config


def _merge_part(role: str, old: Part, value: Any) -> Part:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping):
        raise UserError(f"'{role}' must be a name or a dict with a name, not {value!r}.")
    options = dict(value)
    name, weights = options.pop("name", old.name), options.pop("weights", None)
    if name != old.name:
        return Part(name, weights, options)  # options of another network say nothing about this one
    return Part(name, weights or old.weights, {**old.options, **options})


def _literal(text: str) -> Any:
    """The Python value that `text` writes, or the text itself."""
    words = {"true": True, "false": False, "on": True, "off": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two: absurd nesting
        return text


def _fitting(key: str, value: Any, hint: Any) -> Any:
    """`value` as the type `hint` says, or a UserError."""
    if get_origin(hint) in (types.UnionType, typing.Union):
        choices = get_args(hint)
        if value is None and type(None) in choices:
            return None
        hint = next(choice for choice in choices if choice is not type(None))
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise unknown_name(f"value for {key}", str(value), [str(choice) for choice in get_args(hint)])
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if get_origin(hint) is tuple:
        return _fitting_tuple(key, value, get_args(hint))
    if (isinstance(hint, type) and not isinstance(value, hint)) or (hint is int and isinstance(value, bool)):
        raise UserError(f"{key} must be {_IN_WORDS.get(hint, hint.__name__)}, not {value!r}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key} must be a finite number, not {value}.")
    return value


_IN_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _fitting_tuple(key: str, value: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or len(value) != len(kinds):
        raise UserError(f"{key} must be {len(kinds)} values in a row, such as (1, 2, 3), not {value!r}.")
    return tuple(_fitting(key, one, kind) for one, kind in zip(value, kinds, strict=True))
