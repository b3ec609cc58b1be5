"""Report files: refused before the work starts if they cannot be written, and whole or not there."""

import os
from pathlib import Path

from kprtrack.core.atomic_file import reason
from kprtrack.core.errors import OutputError


def validate_file(path: Path, option: str) -> None:
    """Raises: OutputError if it is plain that `path`, the value of this option, cannot be written."""
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"{option} {path} is a folder. Name a file in it.")
    if not folder.is_dir():
        raise OutputError(f"{option} {path}: there is no folder {folder}. Create it, or choose another.")
    for place in (folder, path):  # renaming would replace a protected file: its owner protected it
        if place.exists() and not os.access(place, os.W_OK):
            raise OutputError(f"{option} {path}: {place} is write-protected. Choose another file.")


def validate_folder(path: Path, option: str) -> None:
    """Raises: OutputError if it is plain that no folder can be made or filled at `path`."""
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir():
        raise OutputError(f"{option} {path}: {there} is a file, not a folder. Choose another folder.")
    if not os.access(there, os.W_OK):
        raise OutputError(f"{option} {path}: {there} is write-protected. Choose another folder.")


def make_folder(path: Path) -> None:
    """Make the folder and those above it. Raises: OutputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {path}: {reason(error)}") from error
