"""The folder of a training run: what was asked for, with which code, and where it stands."""

import json
import platform
import pprint
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import OutputError, UserError
from reid.training.state import validate_other_settings

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

STATE = "state.safetensors"  # to go on from
LATEST = "weights.safetensors"
BEST = "best.safetensors"  # by the first score, where scores were taken along the way
_LOCK = ".lock"
_WRITTEN_FIRST = {"config.json", "config.py", "run.json", _LOCK}


def open_folder(out: str | None, run: Mapping[str, Any]) -> Path:
    """The folder `out`, made where it is missing. run: what a run that is there already must have been.

    Raises: UserError if another run or something else is there, OutputError if it cannot be written.
    """
    if not out:
        raise UserError("Say where the run goes: out=FOLDER.")
    folder = Path(out).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = {file.name.removesuffix(".part") for file in folder.iterdir()}
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder}: {error.strerror}. Choose another.") from error
    if STATE in there and (folder / STATE).exists():
        validate_other_settings(folder / STATE, run)
    elif strange := sorted(there - _WRITTEN_FIRST - {STATE}):
        raise UserError(f"{folder} holds {strange[0]}, which is no training run. Choose another out=FOLDER.")
    return folder


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps other processes from training in the folder meanwhile. Raises: UserError if one does."""
    with (folder / _LOCK).open("wb") as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"Another process is training in {folder}. Wait for it, or stop it.") from error
        yield


def write_description(folder: Path, settings: Mapping[str, Any]) -> None:
    """The settings, to read and to train again, and what the run was made with. Raises: OutputError."""
    write_file(folder / "config.json", _json(settings))
    write_file(folder / "config.py", as_recipe(settings).encode())
    made_with = {
        "version": _version(),
        "commit": _commit(),
        "command": sys.argv,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    write_file(folder / "run.json", _json(made_with))


def as_recipe(settings: Mapping[str, Any]) -> str:
    """The settings, as nested plain values, as a recipe that can be trained again."""
    lines = [f"{k} = {pprint.pformat(value, width=100, sort_dicts=False)}" for k, value in settings.items()]
    return "\n".join(lines) + "\n"


def _json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=1) + "\n").encode()


def _version() -> str | None:
    try:
        return version("kprtrack")
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the code, with a + where it was changed since; None outside a checkout."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        ran = [
            subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True)
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return ran[0].stdout.strip() + ("+" if ran[1].stdout else "")
