"""Report files: validated before the work starts, and written atomically."""

import os
from pathlib import Path

from kprtrack.core.atomic_file import reason
from kprtrack.core.errors import OutputError


def validate_file(path: Path, option: str) -> None:
    """Raise OutputError if `path`, the value of `option`, cannot be written."""
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"{option} {path} is a folder. Give a file in it.")
    if not folder.is_dir():
        raise OutputError(f"{option} {path}: there is no folder {folder}. Create it, or choose another.")
    for place in (folder, path):  # renaming would replace a write-protected file
        if place.exists() and not os.access(place, os.W_OK):
            raise OutputError(f"{option} {path}: {place} is write-protected. Choose another file.")


def validate_folder(path: Path, option: str) -> None:
    """Raise OutputError if no folder can be made or filled at `path`."""
    existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not existing.is_dir():
        raise OutputError(f"{option} {path}: {existing} is a file, not a folder. Choose another folder.")
    if not os.access(existing, os.W_OK):
        raise OutputError(f"{option} {path}: {existing} is write-protected. Choose another folder.")


def make_folder(path: Path) -> None:
    """Make the folder and its parents. Raises: OutputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {path}: {reason(error)}") from error
