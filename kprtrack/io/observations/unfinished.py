"""What a stopped or killed run has left of a file of observations."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from kprtrack.core.atomic_file import part_path
from kprtrack.core.datatypes import Observation
from kprtrack.core.errors import UserError
from kprtrack.core.files.paths import real_path
from kprtrack.core.skeleton import COCO_SKELETON, Skeleton
from kprtrack.io.header import RunHeader, header_from_json, header_to_json
from kprtrack.io.observations.chunk import Decoder, member_names
from kprtrack.io.observations.reader import HEADER, is_incomplete, parse_header
from kprtrack.io.observations.zip_file import Member, scan
from kprtrack.io.output_file import partial_path


@dataclass(frozen=True)
class StoredChunk:
    """A whole chunk of an unfinished file."""

    members: tuple[Member, ...]
    frames: int
    people: int
    last_frame: int
    feature_bytes: int


@dataclass(frozen=True)
class Unfinished:
    """The whole chunks of an unfinished file; none if not even its header was written."""

    header: dict[str, Any] | None
    header_member: Member | None
    skeleton: Skeleton
    chunks: tuple[StoredChunk, ...]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return sum(chunk.frames for chunk in self.chunks)

    def members(self, chunks: int) -> list[Member]:
        """Return the header and the members of the first chunks."""
        first = [self.header_member] if self.header_member else []
        return [*first, *(member for chunk in self.chunks[:chunks] for member in chunk.members)]

    def read(self, file: Path, start: int, end: int) -> Iterator[Observation]:
        """Yield the observations from one number of frames to another."""
        done, decoder = 0, Decoder(self.skeleton)
        with FileIO(file) as handle:
            for index, chunk in enumerate(self.chunks):
                if done >= end:
                    return
                for observation in _decode(handle, chunk.members, decoder, index):
                    if start <= done < end:
                        yield observation
                    done += 1


def reopen(path: Path) -> None:
    """Make NAME.part of the incomplete NAME or NAME.partial that a stopped run has left."""
    part = part_path(path)
    if part.exists():
        return
    for file in (real_path(path), partial_path(path)):
        if file.is_file() and is_incomplete(file):
            file.replace(part)
            return


def find_whole_chunks(handle: FileIO, path: Path) -> Unfinished:
    """Find the header and the whole chunks of an unfinished file.

    Args:
        handle: The file.
        path: Its final name, for messages.

    Raises:
        InputError: It is of another kind or version.
    """
    members = scan(handle)
    first = next(members, None)
    if first is None or first.name != HEADER:
        return Unfinished(None, None, COCO_SKELETON, ())
    header = parse_header(_content(handle, first), path)
    chunks: list[StoredChunk] = []
    skeleton = header_from_json(header, path).skeleton
    decoder = Decoder(skeleton)
    while True:
        group = tuple(_next(members, member_names(len(chunks))))
        if len(group) < len(member_names(0)):
            return Unfinished(header, first, skeleton, tuple(chunks))
        try:
            observations = list(_decode(handle, group, decoder, len(chunks)))
        except ValueError:
            return Unfinished(header, first, skeleton, tuple(chunks))
        people = sum(len(observation) for observation in observations)
        size = sum(observation.embeddings.features.nbytes for observation in observations)
        chunks.append(StoredChunk(group, len(observations), people, decoder.last_frame, size))


def validate_same_run(stored: dict[str, Any], header: RunHeader, path: Path) -> None:
    """Check that an unfinished file belongs to this run.

    Raises:
        UserError: Video, models or settings differ; the message names the first difference.
    """
    now = json.loads(json.dumps(header_to_json(header))) | {"skeleton": header.skeleton.name}
    then = {**stored, "skeleton": header_from_json(stored, path).skeleton.name}
    for key in ("video", "models", "config", "skeleton"):
        for name, old, new in _differences(then.get(key), now.get(key), key):
            raise UserError(
                f"{path} cannot be resumed: {name} was {_short(old)}, now it is {_short(new)}. Use the same"
                f" settings, or run without --resume."
            )


def _next(members: Iterator[Member], names: list[str]) -> Iterator[Member]:
    for name in names:
        member = next(members, None)
        if member is None or member.name != name:
            return
        yield member


def _decode(
    handle: FileIO, members: tuple[Member, ...], decoder: Decoder, index: int
) -> Iterator[Observation]:
    by_name = {member.name: member for member in members}
    return decoder.decode(lambda name: _content(handle, by_name[name]), index)


def _content(handle: FileIO, member: Member) -> bytes:
    handle.seek(member.content)
    return handle.read(member.end - member.content)


def _differences(old: Any, new: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys((*old, *new)):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}")
    elif old != new:
        yield key, old, new


def _short(value: object) -> str:
    return f"{json.dumps(value):.60}"
