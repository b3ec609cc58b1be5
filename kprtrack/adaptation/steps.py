"""The steps of an adaptation: the result of each is stored, so that an interrupted run does not repeat it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from kprtrack.core.atomic_file import PART_SUFFIX, exclusive, write_file
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.core.files.json_file import load_json

_DESCRIPTION, _LOCK, _STEPS = "adapt.json", ".lock", "steps"


@dataclass(frozen=True)
class Steps:
    """The folder of an adaptation, opened by `open_steps`.

    Args:
        folder: The folder.
        log: Called with a line for each step.
    """

    folder: Path
    log: Callable[[str], None]

    def run(self, name: str, what: str, work: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Run a step, or return its stored result.

        Args:
            name: Of the step.
            what: It does, for the log.
            work: Does it; called again after an interruption, so it must keep what is already there.

        Returns:
            The result, as JSON holds it.

        Raises:
            OutputError: The result cannot be stored.
        """
        file = self.folder / _STEPS / f"{name}.json"
        if file.is_file():
            return _stored(file)
        self.log(what)
        write_file(_in_folder(file), orjson.dumps(work()))
        return _stored(file)


@contextmanager
def open_steps(folder: Path, description: Mapping[str, Any], log: Callable[[str], None]) -> Iterator[Steps]:
    """Open the folder of an adaptation, new or to be resumed.

    Args:
        folder: It is made if it is missing.
        description: What decides the result; it must be equal for an adaptation to be resumed.
        log: Called with a line for each step.

    Yields:
        The steps; no other process can open them.

    Raises:
        UserError: The folder holds another adaptation or something else, or another process works in it.
        OutputError: The folder cannot be made.
    """
    file = folder / _DESCRIPTION
    _in_folder(file)
    busy = UserError(f"Another process is working in {folder}. Wait for it, or stop it.")
    with exclusive(folder / _LOCK, busy):
        now = json.loads(json.dumps(description))
        if file.is_file():
            _validate_same(folder, load_json(file), now)
        else:
            names = {each.name.removesuffix(PART_SUFFIX) for each in folder.iterdir()}
            if foreign := sorted(names - {_LOCK, _DESCRIPTION}):
                raise UserError(
                    f"{folder} holds {foreign[0]}, which is no adaptation. Choose another folder: --out DIR."
                )
            write_file(file, orjson.dumps(now, option=orjson.OPT_INDENT_2))
        yield Steps(folder, log)


def _stored(file: Path) -> Mapping[str, Any]:
    found = load_json(file)
    if not isinstance(found, dict):
        raise InputError(f"{file} is damaged. Remove it, and run the same command again.")
    return found


def _validate_same(folder: Path, earlier: object, now: Mapping[str, Any]) -> None:
    old = earlier if isinstance(earlier, dict) else {}
    for key in dict.fromkeys((*old, *now)):
        if old.get(key) != now.get(key):
            raise UserError(
                f"{folder} holds an adaptation with {key}={old.get(key)}, not {now.get(key)}. Use the same"
                " sources and settings to resume it, or choose another folder: --out DIR."
            )


def _in_folder(file: Path) -> Path:
    """The file, once its folder is there."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Cannot make the folder {file.parent}: {error.strerror}. Choose another."
        ) from error
    return file
