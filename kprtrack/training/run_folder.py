"""The folder of a training run: settings, versions, checkpoint and weights."""

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

from kprtrack.core.atomic_file import PART_SUFFIX, exclusive, write_file
from kprtrack.core.errors import OutputError, UserError
from kprtrack.core.files.paths import expanded
from kprtrack.training.checkpoint import validate_fingerprint

STATE = "state.safetensors"  # the checkpoint to resume from
LATEST = "weights.safetensors"
BEST = "best.safetensors"  # by the first validation score
_LOCK = ".lock"
_WRITTEN_FIRST = {"config.json", "config.py", "run.json", _LOCK}


def has_checkpoint(out: str | None) -> bool:
    """Whether the folder holds a run that can be resumed.

    Args:
        out: The folder of the run; None: none is set.

    Returns:
        True where a checkpoint lies in it.
    """
    return out is not None and (expanded(out) / STATE).is_file()


def open_folder(out: str | None, fingerprint: Mapping[str, Any]) -> Path:
    """Open the folder of a run, new or to be resumed.

    Args:
        out: The folder; made where it is missing.
        fingerprint: What must be equal for a run in the folder to be resumed.

    Raises:
        UserError: No folder is given, or another run or something else is in it.
        OutputError: The folder cannot be made.
    """
    if not out:
        raise UserError("No folder for the run. Set out=FOLDER.")
    folder = expanded(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {file.name.removesuffix(PART_SUFFIX) for file in folder.iterdir()}
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder}: {error.strerror}. Choose another.") from error
    if (folder / STATE).exists():
        validate_fingerprint(folder / STATE, fingerprint)
    elif foreign := sorted(names - _WRITTEN_FIRST - {STATE}):
        raise UserError(f"{folder} holds {foreign[0]}, which is no training run. Choose another out=FOLDER.")
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from training in the folder.

    Args:
        folder: The folder of the run.

    Raises:
        UserError: Another process trains in it.
    """
    busy = UserError(f"Another process is training in {folder}. Wait for it, or stop it.")
    with exclusive(folder / _LOCK, busy):
        yield


def write_description(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings, as JSON and as a config to train again, and the versions.

    Args:
        folder: The folder of the run.
        settings: Nested settings that JSON can hold.

    Raises:
        OutputError: A file cannot be written.
    """
    write_file(folder / "config.json", _json(settings))
    write_file(folder / "config.py", as_config(settings).encode())
    environment = {
        "version": _version(),
        "commit": _commit(),
        "command": sys.argv,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    write_file(folder / "run.json", _json(environment))


def as_config(settings: Mapping[str, Any]) -> str:
    """Nested plain settings as the text of a config file.

    Args:
        settings: Nested plain values.

    Returns:
        Text that `load_config` reads.
    """
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
