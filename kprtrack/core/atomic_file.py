"""Files of a data set: whole or not there, so that work that was broken off can go on."""

import os
from pathlib import Path

import orjson

from kprtrack.core.errors import InputError, OutputError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file aside, then give it its name; makes its folder. Raises: OutputError."""
    # Of this process alone: several may make the same data set.
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_bytes(data)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"Cannot write {path}: {error.strerror or error}. Free some space, or choose another folder."
        ) from error


def load_json(path: Path) -> object:
    """What a json file holds. Raises: InputError."""
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is no valid json: {error}. Is it cut off? Copy it again.") from error


def read_table(path: Path, columns: tuple[str, ...]) -> list[dict]:
    """The rows of a table that pandas wrote: a list of rows, or for each column the values by row name.

    Raises: InputError if a column is missing, or a value of the first.
    """
    data = load_json(path)
    rows: list[dict] = []
    if isinstance(data, dict) and all(isinstance(data.get(column), dict) for column in columns):
        names = list(data[columns[0]])
        rows = [{column: data[column].get(name) for column in columns} for name in names]
    elif isinstance(data, list) and all(isinstance(row, dict) for row in data):
        rows = data
    complete = all(column in row for row in rows for column in columns)
    if not rows or not complete or any(row[columns[0]] is None for row in rows):
        raise InputError(
            f"{path} must be a table with the columns {', '.join(columns)}. Copy or make it again."
        )
    return rows
