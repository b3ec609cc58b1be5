"""Trials on disk, a line each, so that a search can be broken off at any moment."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kprtrack.core.errors import OutputError, UserError
from kprtrack.io.frame_file import reason

if TYPE_CHECKING:
    from eval.tune.search import Trial


class TrialLog:
    """The first line says whose trials these are."""

    def __init__(self, path: Path, origin: Mapping[str, object]) -> None:
        """Raises: UserError if the file is of another search; OutputError if it cannot be written."""
        self._path = path
        origin = json.loads(json.dumps(origin))
        lines = self._lines()
        if not lines:
            self._write(json.dumps(origin) + "\n", "w")
            return
        other = [key for key, value in origin.items() if lines[0].get(key) != value]
        if other:
            raise UserError(
                f"{path} holds trials with another {', '.join(other)}. Choose another --out, or delete it."
            )

    def read(self) -> list[dict[str, Any]]:
        """The fields of all trials so far."""
        return self._lines()[1:]

    def append(self, trial: "Trial") -> None:
        """Add one. Raises: OutputError."""
        self._write(json.dumps(asdict(trial)) + "\n", "a")

    def _lines(self) -> list[dict[str, Any]]:
        """All whole lines; half a line, as a killed process leaves it, is cut off."""
        if not self._path.is_file():
            return []
        try:
            data = self._path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                os.truncate(self._path, len(whole))
            return [json.loads(line) for line in whole.splitlines()]
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self._path} is no log of trials ({error}). Choose another --out, or delete it."
            ) from error

    def _write(self, text: str, mode: str) -> None:
        try:
            with self._path.open(mode) as file:
                file.write(text)
        except OSError as error:
            raise OutputError(f"Cannot write {self._path}: {reason(error)}") from error
