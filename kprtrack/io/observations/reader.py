"""Read stored observations: a zip file of numpy arrays in chunks, so that long videos need little memory."""

import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kprtrack.core.atomic_file import PART_SUFFIX
from kprtrack.core.datatypes import Observation
from kprtrack.core.errors import InputError
from kprtrack.core.files.numbers import LAST_FRAME
from kprtrack.io.header import RunHeader, header_from_json
from kprtrack.io.observations.chunk import MOST_BYTES, Decoder, chunk_name, member_names

KIND = "kprtrack observations"
HEADER, ENDING = "header.json", "ending.json"
_MOST_FPS = 1e6
_MOST_JSON_BYTES = 16 << 20
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile and zlib raise for damaged files; RuntimeError for one with a password.
_DAMAGED = (KeyError, ValueError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class ObservationFile:
    """Stored observations. Every iteration reads them again, with one chunk in memory at a time.

    Args:
        path: The file.
        header: Video, models and config of the run.
        complete: False if the run was interrupted.
        frames: Number of observations.
        chunks: Number of parts that are read one at a time.

    Examples:
        >>> file = read_observations("observations.npz")
        >>> [len(observation) for observation in file][:2]
        [2, 2]
    """

    path: Path
    header: RunHeader
    complete: bool
    frames: int
    chunks: int

    @property
    def per_second(self) -> float:
        """Observations per second of video, 0 if unknown. Raises: InputError if the header has no number."""
        fps, stride = self.header.video.get("fps", 0.0), self.header.config.get("stride", 1)
        if not isinstance(fps, int | float) or not 0 <= fps < _MOST_FPS:
            raise InputError(f"{self.path} has {fps!r:.40} frames per second. Make the file again.")
        if not isinstance(stride, int | float) or not 1 <= stride < LAST_FRAME:
            raise InputError(f"{self.path} has the stride {stride!r:.40}. Make the file again.")
        return fps / stride

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[Observation]:
        """Yield the observations in order of time. Raises: InputError naming the chunk that is damaged."""
        decoder = Decoder(self.header.skeleton)
        with _open_zip(self.path) as archive:
            for index in range(self.chunks):
                try:
                    _validate_size(archive, member_names(index), MOST_BYTES)
                    yield from decoder.decode(archive.read, index)
                except _DAMAGED as error:
                    raise InputError(
                        f"{self.path}: {chunk_name(index)} is damaged ({_text(error)}). Make the file again."
                    ) from error
        if decoder.frames != self.frames:
            raise InputError(
                f"{self.path} has {decoder.frames} frames instead of {self.frames}. Make the file again."
            )


def read_observations(path: str | Path) -> ObservationFile:
    """Open stored observations, which are read while iterating.

    Args:
        path: A file that `observe_video` or `write_observations` wrote.

    Returns:
        The observations in order of time.

    Raises:
        InputError: It is no observation file or is damaged.

    Examples:
        >>> len(read_observations("observations.npz"))
        12
    """
    path = Path(path)
    if path.suffix == PART_SUFFIX:
        raise InputError(f"{path} is an unfinished file. Get its frames with: kprtrack recover {path}")
    with _open_zip(path) as archive:
        try:
            header = parse_header(_json_member(archive, HEADER), path)
            ending = json.loads(_json_member(archive, ENDING))
            complete, frames, chunks = (ending[key] for key in ("complete", "frames", "chunks"))
            if not isinstance(complete, bool) or not (_is_count(frames) and _is_count(chunks)):
                raise ValueError(f"{ENDING} holds {ending!s:.80}")
            if chunks * len(member_names(0)) > len(archive.infolist()):
                raise ValueError(f"{chunks} chunks are missing")
        except (*_DAMAGED, TypeError, RecursionError) as error:
            raise InputError(
                f"{path} is no observation file ({_text(error)}). Make one with: kprtrack observe"
            ) from error
        return ObservationFile(path, header_from_json(header, path, ending), complete, frames, chunks)


def is_incomplete(path: Path) -> bool:
    """Whether a file is a readable observation file of an interrupted run."""
    try:
        return not read_observations(path).complete
    except InputError:
        return False


def parse_header(data: bytes, path: Path) -> dict[str, Any]:
    """Return the JSON header of a file.

    Raises:
        ValueError: It is no JSON object.
        InputError: It is of another kind.
    """
    header = json.loads(data)
    if not isinstance(header, dict):
        raise ValueError(f"{HEADER} holds {type(header).__name__}")
    if header.get("kind") != KIND:
        raise InputError(f"{path} holds {header.get('kind')!r:.80}, not {KIND!r}.")
    return header


def _json_member(archive: zipfile.ZipFile, name: str) -> bytes:
    _validate_size(archive, [name], _MOST_JSON_BYTES)
    return archive.read(name)


def _validate_size(archive: zipfile.ZipFile, names: list[str], limit: int) -> None:
    """Raises: ValueError, before anything is unpacked, if the members are larger than any that we write."""
    members = [archive.getinfo(name) for name in names]
    # zipfile also allocates what a stored member claims to have, before it reads it.
    size = sum(max(member.file_size, member.compress_size) for member in members)
    if size > limit:
        raise ValueError(f"it unpacks to {size:,} bytes, more than {limit:,}")
    if any(member.compress_type not in _COMPRESSIONS for member in members):
        raise ValueError("it has an unknown compression")


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"Cannot read {path}: {_text(error)}. Make the file again.") from error


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _text(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
