"""Paths as users type them."""

import os
from collections.abc import Iterable
from pathlib import Path

from kprtrack.core.errors import UserError


def expanded(path: str | Path) -> Path:
    """Replace a leading `~` or `~user` by the home folder.

    Args:
        path: A path as typed.

    Returns:
        The path; unchanged if `~` begins the name of a file, or names no user, as in `~.mp4`.

    Examples:
        >>> expanded("~no_such_user/video.mp4").as_posix()
        '~no_such_user/video.mp4'
    """
    path = Path(path)
    try:
        return path if str(path).startswith("~") and path.exists() else path.expanduser()
    except (RuntimeError, OSError):
        return path


def real_path(path: str | Path) -> Path:
    """Follow all links of a path, as Path.resolve does, but without an exception.

    Args:
        path: Any path.

    Returns:
        The absolute path. A link that leads to itself stays a link, so that opening the path fails.

    Examples:
        >>> real_path("a/../b.json") == Path.cwd() / "b.json"
        True
    """
    return Path(os.path.realpath(path))


def validate_replacing(outs: Iterable[Path], inputs: Iterable[object]) -> None:
    """Raise UserError if a result would replace a file that the run reads.

    Args:
        outs: The results.
        inputs: Names of what is read; those that are no files do not count.
    """
    files = [expanded(str(name)) for name in inputs if name is not None]
    for out in outs:
        if out.is_file() and any(file.is_file() and file.samefile(out) for file in files):
            raise UserError(f"{out} is read by this run: the result would replace it. Choose another name.")
