"""Reads a config file and those that it names as its base."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kprtrack.core.config_files.limits import MAX_BYTES, ConfigContentError, too_deep, validate_plain
from kprtrack.core.config_files.python_file import read_python
from kprtrack.core.errors import InputError
from kprtrack.core.files.folders import is_file

_BASE = "_base_"  # the key that names a file, or a list of files, whose settings are taken over
_REPLACE = "_delete_"  # true in a dict: it replaces the dict of the base instead of changing it
_MAX_FILES = 20


def read_config_file(path: Path) -> dict[str, Any]:
    """Read a config; nothing in it or in its bases is executed.

    `_base_` names one or more files, relative to the config, whose settings the config changes: dicts are
    merged key by key, other values are replaced, and so is a dict with `_delete_` set to true.

    Args:
        path: A .py, .json, .yaml or .yml file in UTF-8, with or without a byte order mark.

    Returns:
        Its settings, plain values only.

    Raises:
        InputError: The file cannot be read, holds more than plain values, or is larger than a config can be.
    """
    return _read(path, [])


def _read(path: Path, above: list[Path]) -> dict[str, Any]:
    """Read a config that the configs `above` name as a base, those of other bases included."""
    try:
        values = _parsed(path)
        base = values.pop(_BASE, [])
        names = [base] if isinstance(base, str) else base
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ConfigContentError(f"{_BASE} must be a file name or a list of them, not {base!r}")
        if len(above) + len(names) >= _MAX_FILES:
            raise ConfigContentError(f"it and its bases are more than {_MAX_FILES} files, or name each other")
    except ConfigContentError as error:
        raise InputError(f"Cannot read the config file {path}: {error}.") from error
    above.append(path)
    settings: dict[str, Any] = {}
    for name in names:
        file = path.parent / name
        if not is_file(file):
            raise InputError(
                f"{path} names the base {name[:100]}, but there is no config file at that relative path."
            )
        inherited = _read(file, above)
        if twice := sorted(set(settings) & set(inherited)):
            raise InputError(f"Two bases of {path} set {twice[0]}. Leave it out of one of them.")
        settings |= inherited
    return _merged(settings, values, path)


def _parsed(path: Path) -> dict[str, Any]:
    if path.suffix.lower() not in _FORMATS:
        raise ConfigContentError("its name must end in .py, .json, .yaml or .yml")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigContentError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigContentError(f"it is not in UTF-8 ({error.reason} at byte {error.start})") from error
    if len(content) > MAX_BYTES:
        raise ConfigContentError(f"it is larger than {MAX_BYTES // 1024} KB")
    values = _FORMATS[path.suffix.lower()](text)
    if not isinstance(values, dict):
        raise ConfigContentError(f"it must hold a dict of settings, not {type(values).__name__}")
    validate_plain(values)
    return values


def _read_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise ConfigContentError(f"it is no valid JSON in line {error.lineno} ({error.msg})") from error
    except RecursionError as error:
        raise too_deep() from error
    except ConfigContentError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise ConfigContentError("a whole number does not fit into 64 bits") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ConfigContentError(
            f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice"
        )
    return values


def _read_yaml(text: str) -> Any:
    from kprtrack.core.config_files.yaml_file import read_yaml  # imported only where it is used

    return read_yaml(text)


_FORMATS: dict[str, Callable[[str], Any]] = {
    ".py": read_python,
    ".json": _read_json,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
}


def _merged(base: dict[str, Any], values: dict[str, Any], path: Path) -> dict[str, Any]:
    """`base` changed by `values`."""
    merged = dict(base)
    for key, value in values.items():
        if not isinstance(value, dict):
            merged[key] = value
            continue
        changes = {name: one for name, one in value.items() if name != _REPLACE}
        old = {} if value.get(_REPLACE) else merged.get(key, {})
        if not isinstance(old, dict):
            raise InputError(
                f"{path} sets {key} to a dict, but its base has {old!r}. Add {_REPLACE}=True to the dict."
            )
        merged[key] = _merged(old, changes, path)
    return merged
