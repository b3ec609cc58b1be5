"""Resolve what a user names as input (files, folders, patterns, cameras, streams) to single sources.

Imports nothing heavy: the command line and the result writers use this without a decoder.
"""

import difflib
import glob
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.folders import is_hidden, visible
from kprtrack.core.files.paths import expanded, real_path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv"}
    | {".flv", ".3gp", ".ogv", ".mxf", ".vob", ".gif", ".h264", ".hevc", ".mjpeg", ".y4m"}
)
STANDARD_INPUT = "-"
OnDamage = Literal["skip", "stop"]  # continue after a damaged part of a video, or end there
_CLOCK = re.compile(r"(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):)?(?P<seconds>\d+(?:\.\d*)?|\.\d+)")


@dataclass(frozen=True)
class VideoInfo:
    """The properties of a source that are known before its frames are read."""

    name: str  # short and safe in a file name: "clip" for clip.mp4, the folder's name, "camera0"
    path: str  # as given by the user; a URL without password and query
    width: int  # pixels of the frames delivered, that is after rotation
    height: int
    fps: float  # average rate; with a variable frame rate only the mean
    frames: int | None  # as stored in the container; None if it is not
    duration_s: float | None  # from the first frame to the end of the last; None if unknown
    time_base: Fraction  # seconds per tick of the timestamps
    rotation: int = 0  # degrees clockwise the display matrix asks for, already applied to the frames
    mirrored: bool = False  # whether it also asks for a mirror image, already applied
    sample_aspect_ratio: Fraction | None = None  # width / height of one pixel; frames are never stretched
    live: bool = False  # a camera or live stream: frames are dropped if the consumer is slow


class TruncatedVideo(InputError):  # noqa: N818 - it names what happened to the video
    """Reading stopped before the end of the video; all frames yielded before are good."""

    def __init__(self, message: str, frames_read: int, frames_expected: int | None) -> None:
        super().__init__(message)
        self.frames_read = frames_read  # frames of the source before the damage
        self.frames_expected = frames_expected  # None if unknown


def parse_time(text: str) -> float:
    """Parse seconds ("12.5") or hours, minutes and seconds ("1:02", "90:00", "1:02:03.5").

    Returns:
        The time in seconds.

    Raises:
        UserError: The text is anything else, negative, or has 60 or more after a colon.

    Examples:
        >>> parse_time("1:02:03.5")
        3723.5
    """
    clock = _CLOCK.fullmatch(text.strip())
    if clock is None:
        raise UserError(f"'{text}' is not a time. Write seconds (12.5), minutes:seconds (1:02) or 1:02:03.5.")
    hours, minutes, seconds = int(clock["hours"] or 0), int(clock["minutes"] or 0), float(clock["seconds"])
    if (clock["minutes"] and seconds >= 60) or (clock["hours"] and minutes >= 60):
        raise UserError(f"'{text}' is not a time: after a colon, minutes and seconds stay below 60.")
    return hours * 3600 + minutes * 60 + seconds


def expand_sources(names: Iterable[str]) -> list[str]:
    """Resolve files, folders, patterns, camera numbers and URLs to single sources, each once, in order.

    A folder of videos (not its subfolders) gives each video, naturally sorted; a folder or a pattern of
    images is one source. A pattern may match folders. Files that are neither video nor image are skipped.

    Args:
        names: As given by the user.

    Returns:
        The sources, as `open_source` takes them.

    Raises:
        InputError: A name does not exist, or a folder has neither videos nor images, or both.
        UserError: Several single images, which may or may not be one source.
    """
    found = list(dict.fromkeys(source for name in names for source in _expand(name)))
    images = [source for source in found if _is_image(source) and Path(source).is_file()]
    if len(images) > 1:
        raise UserError(
            f"{len(images)} images were named one by one ('{images[0]}' ...). For frames of one video give"
            f" their folder, or the pattern in quotes: '{Path(images[0]).with_stem('*')}'."
        )
    return found


def image_sequence(source: str) -> list[Path] | None:
    """Return the images of a folder, a pattern or one image, naturally sorted; None for anything else.

    Raises:
        InputError: A folder has videos, or neither videos nor images.
    """
    path = expanded(source)
    if path.is_dir():
        [only] = _expand_folder(path)[:1]
        if only != str(path):
            raise InputError(f"'{source}' is a folder of videos; name one of them, for example '{only}'.")
        return _naturally_sorted(file for file in _visible_files(path) if _is_image(file))
    if path.exists() or not glob.has_magic(source):
        return [_existing(path)] if _is_image(source) else None
    return _naturally_sorted(_split(_matches(source))[1]) or None


def is_camera(source: str | int | Path) -> bool:
    """Whether it is a camera number: an integer, or its digits if no file or folder has this name."""
    if isinstance(source, int):
        return True
    return isinstance(source, str) and source.isascii() and source.isdigit() and not Path(source).exists()


def is_stream(source: str) -> bool:
    """Whether it can be read only once, from start to end: a URL or standard input."""
    return "://" in source or source == STANDARD_INPUT


def without_secrets(source: str) -> str:
    """Return the source for messages and files: a URL without user, password and query."""
    if "://" not in source:
        return source
    url = urlsplit(source)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def short_name(source: str | int | Path) -> str:
    """Return a short name of the source that is safe in a file name."""
    if is_camera(source):
        return f"camera{source}"
    source = str(source)
    if source == STANDARD_INPUT:
        return "stdin"
    if "://" in source:
        return re.sub(r"[^\w.-]+", "_", without_secrets(source).partition("://")[2]).strip("_")
    path = expanded(source)
    if glob.has_magic(path.name) and not path.exists():
        path = path.parent
    return real_path(path).name if path.is_dir() else path.stem


def not_found(path: Path) -> InputError:
    """Describe a path that does not exist, with the nearest one that does."""
    first = path  # the first part that does not exist
    while not first.parent.exists():
        first = first.parent
    folder = first.parent
    siblings = {other.name.casefold(): other.name for other in folder.iterdir()} if folder.is_dir() else {}
    nearest = difflib.get_close_matches(first.name.casefold(), siblings, n=1, cutoff=0.6)
    if not nearest:
        return InputError(f"'{path}' does not exist.")
    found = folder / siblings[nearest[0]]
    whole = found / path.relative_to(first)
    if whole.exists():
        return InputError(f"'{path}' does not exist. Did you mean '{whole}'?")
    return InputError(f"'{path}' does not exist: there is no '{first}'. Did you mean '{found}'?")


def _expand(name: str) -> list[str]:
    if is_camera(name) or is_stream(name):
        return [name]
    path = expanded(name)
    if path.is_dir():
        return _expand_folder(path)
    if path.exists() or not glob.has_magic(name):
        return [str(_existing(path))]
    return _expand_pattern(name)


def _expand_folder(folder: Path) -> list[str]:
    files = _visible_files(folder)
    videos, images = _split(files)
    _validate_one_kind(str(folder), folder, videos, images)
    if not videos and not images:
        inside = (
            "; subfolders are not searched, name them" if any(p.is_dir() for p in folder.iterdir()) else ""
        )
        raise InputError(f"'{folder}' has no videos and no images{inside}.")
    return [str(video) for video in _naturally_sorted(videos)] or [str(folder)]


def _expand_pattern(pattern: str) -> list[str]:
    matches = _naturally_sorted(_matches(pattern))
    files = [path for path in matches if path.is_file()]
    videos, images = _split(files)
    _validate_one_kind(pattern, Path(pattern).parent, videos, images)
    if images:
        return [pattern]
    folders = [path for path in matches if path.is_dir() and any(_split(_visible_files(path)))]
    # If no file has a known suffix, the decoder tries them all.
    named = videos or ([] if folders else files)
    return [str(path) for path in named] + [source for folder in folders for source in _expand_folder(folder)]


def _matches(pattern: str) -> list[Path]:
    # Path.glob does not take absolute patterns.
    whole = expanded(pattern)
    matches = [Path(name) for name in glob.glob(str(whole), recursive=True)]  # noqa: PTH207
    if not matches:
        raise InputError(f"Nothing matches the pattern '{pattern}'.")
    folder = next(parent for parent in whole.parents if not glob.has_magic(str(parent)))
    # A pattern that finds hidden files alone, such as ".cache*/a.mp4", asks for them.
    return [path for path in matches if not is_hidden(path, folder)] or matches


def _validate_one_kind(name: str, folder: Path, videos: Sequence[Path], images: Sequence[Path]) -> None:
    if videos and images:
        raise InputError(
            f"'{name}' has both {len(videos)} videos and {len(images)} images. Name one kind: "
            f"'{folder / ('*' + videos[0].suffix)}' or '{folder / ('*' + images[0].suffix)}'."
        )


def _split(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Videos and images among the files, by suffix."""
    files = list(files)
    return [f for f in files if f.suffix.lower() in VIDEO_SUFFIXES], [f for f in files if _is_image(f)]


def _is_image(name: str | Path) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def _visible_files(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.is_file()]


def _existing(path: Path) -> Path:
    if not path.exists():
        raise not_found(path)
    return path


def _naturally_sorted(paths: Iterable[Path]) -> list[Path]:
    """frame2 before frame10."""
    return sorted(
        paths,
        key=lambda path: [int(p) if p.isdigit() else p.casefold() for p in re.split(r"(\d+)", str(path))],
    )
