"""Read files of the folder of real data, and images from zip files."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.files.json_file import load_json
from person_data.teachers import Teachers
from reid.datasets.crops import read_image


@dataclass(frozen=True)
class SourceContext:
    """What all sources need."""

    real: Path  # the folder of real data
    teachers: Teachers
    seed: int

    def path(self, name: str, source: str) -> Path:
        """Return a file or folder below `real`. Raises: InputError if it is missing."""
        found = self.real / name
        if not found.exists():
            raise InputError(f"The source '{source}' needs {found}. Get it, or add --without {source}.")
        return found

    def json(self, name: str, source: str) -> Any:
        """Return the content of a JSON file below `real`."""
        return load_json(self.path(name, source))

    def image(self, name: str, source: str) -> np.ndarray:
        """Return an image [H, W, 3] uint8 RGB."""
        return read_image(self.path(name, source))

    def archive(self, name: str, source: str) -> "Archive":
        """Open a zip file below `real`."""
        return Archive(self.path(name, source))


class Archive:
    """A zip file of images and texts; names are those inside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} is not a valid zip file: {error}. Copy it again.") from error

    def names(self, folder: str, ending: str) -> list[str]:
        """Return the files of a folder without suffix, sorted."""
        found = [Path(name) for name in self._zip.namelist() if name.endswith(ending)]
        return sorted(each.stem for each in found if each.parent.as_posix() == folder)

    def text(self, name: str) -> str:
        """Return the content of a text file."""
        return self._bytes(name).decode("utf-8", "replace")

    def image(self, name: str) -> np.ndarray:
        """Return an image [H, W, 3] uint8 RGB."""
        return np.ascontiguousarray(self._decoded(name, cv2.IMREAD_COLOR)[..., ::-1])

    def labels(self, name: str) -> np.ndarray:
        """Return a label image [H, W] uint8."""
        return self._decoded(name, cv2.IMREAD_UNCHANGED)

    def _decoded(self, name: str, mode: int) -> np.ndarray:
        image = cv2.imdecode(np.frombuffer(self._bytes(name), np.uint8), mode)
        if image is None:
            raise InputError(f"{self._path}: {name} cannot be decoded as an image. Copy the file again.")
        return image

    def _bytes(self, name: str) -> bytes:
        try:
            return self._zip.read(name)
        except (KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{self._path}: {name} cannot be read: {error}. Copy it again.") from error
