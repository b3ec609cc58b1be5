"""What an adaptation starts from: videos, with or without tracks, or a folder of people."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.folders import visible
from kprtrack.core.files.paths import expanded
from kprtrack.hub.store import sha256_of
from kprtrack.video.inputs import expand_sources, is_camera, is_stream, short_name
from reid.datasets.layout import PICTURES, images_below


@dataclass(frozen=True)
class PeopleFolder:
    """A folder with a folder of images for each person."""

    root: Path

    @property
    def names(self) -> list[str]:
        """What the model card lists."""
        return [f"the folder of people {self.root.name}"]

    def fingerprint(self) -> dict[str, str]:
        """Return what must be equal for an adaptation to be resumed."""
        found = hashlib.sha256()
        for image in images_below(self.root):
            found.update(f"{image.as_posix()} {(self.root / image).stat().st_size}\n".encode())
        return {self.root.name: found.hexdigest()[:16]}


@dataclass(frozen=True)
class Footage:
    """Videos, and for each the result file of its tracks; None: it is tracked first."""

    videos: tuple[str, ...]
    tracks: tuple[Path | None, ...]

    @property
    def names(self) -> list[str]:
        """What the model card lists."""
        return [f"the video {short_name(video)}" for video in self.videos]

    def fingerprint(self) -> dict[str, str]:
        """Return what must be equal for an adaptation to be resumed."""
        files = [*map(expanded, self.videos), *(path for path in self.tracks if path)]
        return {file.name: sha256_of(file, cache=False)[:16] for file in files if file.is_file()}


Sources = PeopleFolder | Footage


def find_sources(names: Sequence[str], tracks: Sequence[str] = ()) -> Sources:
    """Find out what the sources are; no image is read.

    Args:
        names: Videos, folders or patterns of videos, or one folder of people.
        tracks: Result files, one for each video in the same order; none: the videos are tracked.

    Returns:
        The sources.

    Raises:
        InputError: A file or folder does not exist.
        UserError: A camera or a stream, two videos of one name, not as many result files as videos, or
            several folders of people.
    """
    folders = [expanded(name) for name in names if _is_people_folder(expanded(name))]
    if folders:
        if len(names) > 1 or tracks:
            raise UserError(
                f"{folders[0]} is a folder of people. Name it alone, without videos and --tracks."
            )
        return PeopleFolder(folders[0])
    videos = expand_sources(names)
    for video in videos:
        if is_camera(video) or is_stream(video):
            raise UserError(f"{video} cannot be read twice. Record it, and name the file.")
    short = [short_name(video) for video in videos]
    twice = next((name for name in short if short.count(name) > 1), None)
    if twice:
        raise UserError(f"Two videos are called '{twice}'. Rename one.")
    files = [expanded(name) for name in tracks]
    if files and len(files) != len(videos):
        raise UserError(f"--tracks names {len(files)} files for {len(videos)} videos. Name one for each.")
    for file in files:
        if not file.is_file():
            raise InputError(f"There is no file {file}. Check --tracks.")
    return Footage(tuple(videos), tuple(files) if files else (None,) * len(videos))


def _is_people_folder(path: Path) -> bool:
    """Whether it has images in folders of its own."""
    if not path.is_dir():
        return False
    return any(file.suffix.lower() in PICTURES for file in visible(path, "*/*"))
