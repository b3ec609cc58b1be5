"""Trials of a settings search, stored one per line so that an interrupted search can be resumed."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kprtrack.core.atomic_file import reason
from kprtrack.core.errors import OutputError, UserError

_PERCENT = 100 + 1e-6


@dataclass(frozen=True)
class Trial:
    """One set of settings and its scores in percent.

    Attributes:
        settings: The settings that differ from the initial ones; empty for the initial ones themselves.
        tuned: Score on the videos that the search optimises.
        held_out: Score on the other videos; None if there are none.
    """

    settings: Mapping[str, Any]
    tuned: float
    held_out: float | None


class TrialLog:
    """A file of trials; its first line describes the search that they belong to.

    Args:
        path: A .jsonl file, created if it does not exist.
        origin: What must be equal for stored trials to be reused.

    Raises:
        UserError: The file belongs to another search.
        OutputError: The file cannot be written.
    """

    def __init__(self, path: Path, origin: Mapping[str, object]) -> None:
        self._path = path
        origin = json.loads(json.dumps(origin))
        lines = self._lines()
        if not lines:
            self._write(json.dumps(origin) + "\n", "w")
            return
        other = [key for key, value in origin.items() if lines[0].get(key) != value]
        if other:
            raise UserError(
                f"{path} holds the trials of a search with another {', '.join(other)}. Choose another --out,"
                " or delete the file."
            )

    def read(self) -> list[Trial]:
        """Return all trials in order. Raises: UserError for a line that is no trial."""
        try:
            return [_trial(line) for line in self._lines()[1:]]
        except (TypeError, ValueError) as error:
            raise self.damaged(error) from error

    def append(self, trial: Trial) -> None:
        """Add a trial.

        Args:
            trial: The trial.

        Raises:
            OutputError: The file cannot be written.
        """
        self._write(json.dumps(asdict(trial)) + "\n", "a")

    def _lines(self) -> list[dict[str, Any]]:
        """Return all complete lines; an incomplete last line, left by a killed process, is removed."""
        if not self._path.is_file():
            return []
        try:
            data = self._path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                os.truncate(self._path, len(whole))
            lines = [json.loads(line) for line in whole.splitlines()]
            if not all(isinstance(line, dict) for line in lines):
                raise ValueError("a line is no object")
            return lines
        except (OSError, ValueError, RecursionError) as error:
            raise self.damaged(error) from error

    def damaged(self, error: Exception) -> UserError:
        """Return the error that names the file and why it cannot be used.

        Args:
            error: What reading it raised.

        Returns:
            The error to raise.
        """
        return UserError(
            f"{self._path} is not a log of trials ({error}). Choose another --out, or delete the file."
        )

    def _write(self, text: str, mode: str) -> None:
        try:
            with self._path.open(mode) as file:
                file.write(text)
        except OSError as error:
            raise OutputError(f"Cannot write {self._path}: {reason(error)}") from error


def _trial(line: Mapping[str, Any]) -> Trial:
    """Raises: TypeError or ValueError if it is none, or its scores are no percentages."""
    trial = Trial(**line)
    scores = [trial.tuned, *([] if trial.held_out is None else [trial.held_out])]
    if not isinstance(trial.settings, Mapping) or not all(isinstance(one, float | int) for one in scores):
        raise ValueError(f"not a trial: {line!r:.60}")
    if not all(0 <= one <= _PERCENT for one in scores):  # also NaN
        raise ValueError(f"scores of {scores[0]!r:.40} percent")
    return trial
