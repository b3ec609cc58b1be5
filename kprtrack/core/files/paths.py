"""Paths as users type them."""

from pathlib import Path


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
