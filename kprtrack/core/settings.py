"""Reads settings: defaults live in frozen dataclasses, a file or `key=value` changes single values.

A misspelt key or a value of another type is an error before anything runs.
"""

import ast
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from kprtrack.core.config_files.limits import validate_plain
from kprtrack.core.config_files.reader import read_config_file
from kprtrack.core.errors import InputError, UserError, unknown_name
from kprtrack.core.files.folders import is_file
from kprtrack.core.renamed import SETTINGS

T = TypeVar("T")
_LONGEST_SHOWN = 100


def configure(kind: Callable[..., T], options: Mapping[str, Any]) -> T:
    """Build a config dataclass with `options` over its defaults.

    Args:
        kind: A frozen dataclass, or `functools.partial` of one, whose keywords no option may set.
        options: Field names and values.

    Returns:
        The config.

    Raises:
        UserError: A key is unknown, or a value has another type.
    """
    fixed: dict[str, Any] = {}
    if isinstance(kind, functools.partial):
        fixed, kind = dict(kind.keywords), kind.func
    hints = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind) if f.name not in fixed}  # type: ignore[arg-type]
    values = dict(fixed)
    for key, value in options.items():
        if key not in known:
            raise unknown_name("option", key, known, SETTINGS)
        values[key] = fitting(key, value, hints[key])
    return kind(**values)


def updated(config: T, options: Mapping[str, Any], prefix: str = "") -> T:
    """Replace fields of a config dataclass; a dataclass within it takes a dict.

    Args:
        config: A frozen dataclass.
        options: Field names and values.
        prefix: Of the keys in messages.

    Returns:
        The config with the new values.

    Raises:
        UserError: A key is unknown, or a value has another type.
    """
    hints = typing.get_type_hints(type(config))
    changes = {}
    for key, value in options.items():
        if key not in hints:
            raise unknown_name("setting", prefix + key, [prefix + name for name in hints], SETTINGS)
        old = getattr(config, key)
        within = dataclasses.is_dataclass(old) and isinstance(value, Mapping)
        changes[key] = (
            updated(old, value, f"{prefix}{key}.") if within else fitting(prefix + key, value, hints[key])
        )
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def config_names(*folders: str) -> list[str]:
    """List the packaged configs, such as `track/paper`.

    Args:
        folders: Only those in these folders, such as "track"; all without any.

    Returns:
        Names, sorted; each can be given wherever a config file can.

    Examples:
        >>> config_names("track")
        ['track/bytetrack', 'track/paper']
    """
    root = _configs()
    names = sorted(file.relative_to(root).with_suffix("").as_posix() for file in root.glob("*/*.py"))
    return [name for name in names if not folders or name.partition("/")[0] in folders]


def find_config(name: str | Path, *folders: str) -> Path:
    """Find the file of a config.

    Args:
        name: The path of a .py, .json or .yaml file, or the name of a packaged config such as `track/paper`.
        folders: Folders of the packaged configs to suggest in errors.

    Returns:
        A file that exists.

    Raises:
        InputError: There is no such file, or no packaged config of that name.
    """
    path = Path(name)
    if is_file(path):
        return path
    known = config_names(*folders)
    if path.suffix:
        raise InputError(f"No config file at {str(path)[:200]}. Configs in the package: {', '.join(known)}.")
    if (name := path.as_posix()) not in config_names():
        raise InputError(str(unknown_name("config", name, known)))
    return _configs() / f"{name}.py"


def _configs() -> Path:
    """The folder of the configs: in the wheel part of the package, in a clone beside it."""
    packaged = Path(__file__).parents[1] / "configs"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "configs"


def read_settings(config: str | Path, *folders: str) -> dict[str, Any]:
    """Read a settings file (Python, JSON or YAML); nothing in it is executed.

    Args:
        config: A path or the name of a packaged config, see `find_config`.
        folders: Folders of the packaged configs to suggest in errors.

    Returns:
        The settings in the file.

    Raises:
        InputError: The file does not exist or cannot be read.
    """
    return read_config_file(find_config(config, *folders))


def assigned(assignment: str, example: str) -> tuple[str, Any]:
    """Split `key=value`; the value is read as Python writes it. Raises: UserError for anything else."""
    key, equals, text = assignment.partition("=")
    if not equals:
        raise UserError(f"'{assignment}' is not of the form key=value, e.g. {example}.")
    return key, _literal(text)


def nested(assignments: Sequence[str], example: str) -> dict[str, Any]:
    """Combine assignments `key.sub=value` into one nested dict. Raises: UserError."""
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, value = assigned(assignment, example)
        *outer, last = key.split(".")
        inner = changes
        for part in outer:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise UserError(f"'{assignment}' sets a field of what another assignment sets as a whole.")
        inner[last] = value
    return changes


def fitting(key: str, value: Any, hint: Any) -> Any:
    """Convert `value` to the type `hint`. Raises: UserError naming `key`."""
    if get_origin(hint) in (types.UnionType, typing.Union):
        choices = get_args(hint)
        if value is None and type(None) in choices:
            return None
        hint = next(choice for choice in choices if choice is not type(None))
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise unknown_name(f"value for {key}", str(value), [str(choice) for choice in get_args(hint)])
        return value
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return updated(hint(), value, f"{key}.")  # type: ignore[operator]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if get_origin(hint) is tuple:
        return _fitting_tuple(key, value, get_args(hint))
    kind = get_origin(hint) or hint
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(f"{key} must be {_IN_WORDS.get(kind, 'a dict of settings')}, not {shown(value)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key} must be a finite number, not {value}.")
    return value


_IN_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def shown(value: Any) -> str:
    """Write a value as Python does, in messages cut to 100 characters."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _fitting_tuple(key: str, value: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    if kinds[1:] == (Ellipsis,) and isinstance(value, list | tuple):
        kinds = kinds[:1] * len(value)
    if not isinstance(value, list | tuple) or len(value) != len(kinds):
        raise UserError(f"{key} must be {len(kinds)} values in a row, such as (1, 2, 3), not {shown(value)}.")
    return tuple(fitting(key, one, kind) for one, kind in zip(value, kinds, strict=True))


def _literal(text: str) -> Any:
    """Parse `text` as a Python literal, else return the text itself."""
    words = {"true": True, "false": False, "on": True, "off": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        value = ast.literal_eval(text)
        validate_plain(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two: absurd nesting
        return text
    return value
