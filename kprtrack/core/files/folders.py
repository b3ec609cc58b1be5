"""List the files of users' folders without hidden ones, and keep names of files inside their folder."""

import os
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath

from kprtrack.core.errors import InputError

# Made by operating systems, archives, notebooks and network drives beside the files of the user, with copies
# of them. Names that start with a dot are hidden, too: .ipynb_checkpoints, ._a.jpg, .DS_Store.
_HIDDEN = (
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir", "lost+found"),
    *("system volume information", "__pycache__"),
)


def is_file(path: Path) -> bool:
    """Whether there is a file at a path; False also where the name is too long for any file.

    Args:
        path: Any path, such as one that a user or another file names.

    Examples:
        >>> is_file(Path("x" * 1000))
        False
    """
    try:
        return path.is_file()
    except (OSError, ValueError):  # also for a folder that may not be entered
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder at a path; False also where the name is too long for any folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_hidden(path: Path, folder: Path) -> bool:
    """Whether a file or folder below `folder`, or one on the way to it, is hidden.

    Args:
        path: A path below `folder`.
        folder: Where the search began; its own name does not count.

    Examples:
        >>> is_hidden(Path("data/.ipynb_checkpoints/a.jpg"), Path("data"))
        True
        >>> is_hidden(Path(".data/a.jpg"), Path(".data"))
        False
    """
    names = path.parts[len(folder.parts) :] if path.is_relative_to(folder) else (path.name,)
    return any(name.startswith(".") or name.casefold() in _HIDDEN for name in names if name != "..")


def visible(folder: Path, pattern: str = "*") -> list[Path]:
    """Return what matches in a folder, sorted, without hidden files and folders.

    Args:
        folder: The folder; none is found in one that does not exist.
        pattern: As for `Path.glob`; "**/*" finds everything below the folder.
    """
    return sorted(path for path in folder.glob(pattern) if not is_hidden(path, folder))


class InsideFolder:
    """Joins names of files, as datasets and benchmarks list them, to a folder that they must not leave.

    A folder directly in it may be a link to another disk, such as images/; no other link may lead out.

    Args:
        root: The folder.
        place: What lists the names, for messages.
        advice: What a user can do about a name that leads elsewhere.

    Examples:
        >>> InsideFolder(Path("data"), "a.json", "Move it.").path("images/1.jpg").as_posix()
        'data/images/1.jpg'
    """

    def __init__(self, root: Path, place: str, advice: str = "Put the files below it.") -> None:
        self._root, self._place, self._advice = root, place, advice
        self._inside: dict[Path, bool] = {}  # folders below the root

    def path(self, name: str | Path) -> Path:
        """Return the path of a file.

        Raises:
            InputError: The name is absolute, has a "..", or a link leads out of the folder.
        """
        text = str(name)
        if not text or "\0" in text or ".." in PureWindowsPath(text).parts or Path(text).anchor:
            raise self._outside(text)
        path = self._root / text
        folder = path.parent
        if folder not in self._inside:
            self._inside[folder] = self._is_inside(folder)
        if not self._inside[folder] or (path.is_symlink() and not self._is_inside(path)):
            raise self._outside(text)
        return path

    def paths(self, names: Iterable[str | Path]) -> list[Path]:
        """Return the paths of several files. Raises: as `path`."""
        return [self.path(name) for name in names]

    def _is_inside(self, path: Path) -> bool:
        parts = path.relative_to(self._root).parts
        first = self._root / parts[0] if parts and (self._root / parts[0]).is_dir() else self._root
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(os.path.realpath(folder)) for folder in (self._root, first))

    def _outside(self, name: str) -> InputError:
        return InputError(
            f"{self._place}: the file name {name!r:.80} leads out of the folder {self._root}. {self._advice}"
        )
