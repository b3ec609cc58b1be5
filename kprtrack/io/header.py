"""The header of result files (video, skeleton, models, config) and the types that all formats share."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from kprtrack.core.datatypes import NO_LOSSES, FrameLosses, Interruption, Tracks
from kprtrack.core.errors import InputError
from kprtrack.core.files.numbers import LARGEST, LARGEST_ID
from kprtrack.core.renamed import METADATA, SETTINGS
from kprtrack.core.skeleton import COCO_SKELETON, KEYPOINTS, Skeleton
from kprtrack.core.skeletons import BY_COUNT, SKELETONS, counts_text, skeleton_among
from kprtrack.core.tables.names import NAME_RULE, PersonLabels, is_name
from kprtrack.core.tables.track_table import Library, to_dataframe

FORMAT = "kprtrack"
VERSION = 2  # written; version 1 had other names in "models" and "config"
_DEEPEST = 32  # levels of a header; those that are written have 5
READABLE_VERSIONS = (1, VERSION)


@dataclass(frozen=True)
class RunHeader:
    """Where tracks come from: enough to compare two runs, and to repeat one.

    Args:
        video: path, width, height, fps, frames, time_base, sha256.
        models: By role: name, file, sha256, options.
        config: All settings of the run.
        skeleton: The set of keypoints.
        losses: Damaged and dropped frames.
        names: Names of people by track ID (kprtrack.edits).
        persons: Person ID by track ID, the same in all videos that were linked (kprtrack.identity).
        identity_confidence: Probability by track ID that all of its boxes are one person. JSON, JSON lines
            and Parquet store it at the end of the file, for a run knows it no sooner.

    Examples:
        >>> RunHeader(video={"path": "video.mp4"}).skeleton.names[0]
        'nose'
    """

    # path, width, height, fps, frames, time_base, sha256
    video: Mapping[str, object] = field(default_factory=dict)
    models: Mapping[str, object] = field(default_factory=dict)  # role -> {name, file, sha256}
    config: Mapping[str, object] = field(default_factory=dict)  # all settings of the run
    skeleton: Skeleton = COCO_SKELETON
    losses: FrameLosses = NO_LOSSES
    names: Mapping[int, str] = field(default_factory=dict)
    persons: Mapping[int, int] = field(default_factory=dict)
    identity_confidence: Mapping[int, float] = field(default_factory=dict)

    @property
    def labels(self) -> PersonLabels:
        """Who the tracks are, for tables and annotated videos."""
        video = str(plain(self.video.get("path") or "")).replace("\\", "/").rsplit("/", 1)[-1]
        return PersonLabels(self.names, self.persons, video)

    @property
    def fps(self) -> float | None:
        """Frames per second of the video; None if unknown."""
        stored = self.video.get("fps")
        if isinstance(stored, int | float) and math.isfinite(stored) and stored > 0:
            return float(stored)
        return None


@dataclass(frozen=True)
class TrackFile:
    """The contents of a result file, as `read_tracks` returns them.

    Args:
        header: Video, models and config of the run.
        frames: In order of time.
        complete: False if the run was interrupted; None if the format does not store it.

    Examples:
        >>> file = read_tracks("tracks.json")
        >>> len(file.frames), file.complete
        (12, True)
    """

    header: RunHeader
    frames: list[Tracks]  # in order of time
    complete: bool | None  # False if the run was interrupted; None if the format does not store it

    def to_dataframe(self, library: Library = "pandas") -> Any:
        """Make a data frame with one row per person and frame and the columns of the CSV format.

        Args:
            library: "pandas" or "polars".

        Returns:
            A `pandas.DataFrame` or `polars.DataFrame`; what is unknown is NaN.

        Raises:
            UserError: The library is unknown or not installed.
        """
        return to_dataframe(self.frames, library, self.header.skeleton.names, self.header.labels)


Item = TypeVar("Item", contravariant=True)


class FrameWriter(Protocol[Item]):
    """An open result file. As a context manager it closes as complete, after an exception as incomplete.

    An older file of the same name stays until the new one is complete.
    """

    @property
    def saved(self) -> Path | None:
        """The file that holds the frames, once it is closed; None: there is none."""

    def write(self, frame: Item, /) -> None:
        """Add one frame; frame numbers must increase.

        Raises:
            OutputError: The disk is full; the frames that fit are saved and the file is closed.
        """

    def close(
        self,
        complete: bool = True,
        note: str | None = None,
        losses: FrameLosses = NO_LOSSES,
        *,
        replace: bool | None = None,
    ) -> None:
        """End the file so that it is valid; closing twice is allowed.

        An incomplete file without any frame is discarded; what existed before stays.

        Args:
            complete: All frames of the run are in the file.
            note: Why the file is incomplete.
            losses: Damaged and dropped frames, where they were not known to the header.
            replace: An older file of that name is replaced, else this one is called NAME.partial; None: it is
                replaced by a complete one.

        Raises:
            OutputError: The file cannot be finished.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=error is None, note=None if kind is None else f"ended by {kind.__name__}")


TracksWriter = FrameWriter[Tracks]


def header_to_json(header: RunHeader) -> dict[str, object]:
    """Convert the header to JSON values; infinity becomes "inf", NaN null, other objects text."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "video": plain(header.video),
        "skeleton": {
            "name": header.skeleton.name,
            "names": list(header.skeleton.names),
            "edges": [list(edge) for edge in header.skeleton.edges],
        },
        "models": plain(header.models),
        "config": plain(header.config),
        **header.losses.to_json(),
        **({"names": plain(header.names)} if header.names else {}),
        **({"persons": plain(header.persons)} if header.persons else {}),
    }


def header_from_json(data: object, path: Path, ending: object = None) -> RunHeader:
    """Read what `header_to_json` made; `ending`: the end of the file, which may hold damaged frames.

    Raises:
        InputError: It is no header of kprtrack, is of a newer version or has an unknown skeleton.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f'{path} is not a kprtrack file: it lacks "format": "{FORMAT}" at its beginning.')
    if any(_depth(data.get(key)) > _DEEPEST for key in ("video", "models", "config")):
        raise InputError(f"{path}: its header is nested more than {_DEEPEST} deep. Make or copy it again.")
    version = data.get("version")
    if version not in READABLE_VERSIONS:
        raise InputError(
            f"{path} has version {version!r} of the kprtrack format; this reads 1 and {VERSION}. "
            "Update kprtrack, or convert the file with the version that wrote it."
        )
    skeleton = data.get("skeleton")
    if not isinstance(skeleton, dict):
        skeleton = {}
    named = SKELETONS.get(str(skeleton.get("name")), COCO_SKELETON)
    names = skeleton.get("names", named.names)
    models, config = _mapping(data, "models", path), _mapping(data, "config", path)
    if version == 1:
        models, config = _renamed(models, METADATA), _renamed(config, SETTINGS)
    return RunHeader(
        video=_mapping(data, "video", path),
        models=models,
        config=config,
        skeleton=skeleton_from_names(names, path),
        losses=_losses(data | ending if isinstance(ending, dict) else data, path),
        names=_names(data, path),
        persons=_persons(data, path),
        identity_confidence=_confidence(data | ending if isinstance(ending, dict) else data, path),
    )


def confidence_to_json(header: RunHeader) -> dict[str, object]:
    """Return the entry at the end of a file; nothing if no confidence is known."""
    known = header.identity_confidence
    return {"identity_confidence": plain(known)} if known else {}


def skeleton_from_names(names: object, path: Path) -> Skeleton:
    """Return the known skeleton with these names, in this order.

    Raises:
        InputError: There is none; names the first keypoint that differs from the set of so many keypoints.
    """
    names = names if isinstance(names, (list, tuple)) else ()
    unnamed = skeleton_among([name for name in names if isinstance(name, str)])
    for skeleton in (*SKELETONS.values(), unnamed):
        if skeleton is not None and tuple(names) == skeleton.names:
            return skeleton
    wanted = BY_COUNT.get(len(names))
    if wanted is None:
        raise InputError(
            f"{path} has a skeleton of {len(names)} keypoints. Known numbers are {counts_text()}; COCO's are,"
            f" in this order: {', '.join(KEYPOINTS)}."
        )
    row = next(row for row, (name, own) in enumerate(zip(names, wanted.names, strict=True)) if name != own)
    whose = "COCO's order" if wanted == COCO_SKELETON else f"the order of {wanted.name}"
    raise InputError(
        f"{path}: keypoint {row} is called {names[row]!r}, but in {whose} it is '{wanted.names[row]}'. "
        f"Reorder the keypoints to: {', '.join(wanted.names)}."
    )


def _names(data: dict[str, object], path: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for key, name in _mapping(data, "names", path).items():
        if not (_is_id(key) and isinstance(name, str) and is_name(name)):
            raise InputError(f'{path}: "names" has {key:.20}: {name!r:.60}, but {NAME_RULE}')
        names[int(key)] = name
    return names


def _persons(data: dict[str, object], path: Path) -> dict[int, int]:
    persons: dict[int, int] = {}
    for key, person in _mapping(data, "persons", path).items():
        if not (_is_id(key) and type(person) is int and 0 < person <= LARGEST_ID):
            raise InputError(
                f'{path}: "persons" has {key:.20}: {person!r:.60}, but persons are numbered from 1 on, by'
                " track ID. Link the videos again."
            )
        persons[int(key)] = person
    return persons


def _confidence(data: dict[str, object], path: Path) -> dict[int, float]:
    known: dict[int, float] = {}
    for key, value in _mapping(data, "identity_confidence", path).items():
        if not (_is_id(key) and isinstance(value, int | float) and 0 <= value <= 1):
            raise InputError(
                f'{path}: "identity_confidence" has {key:.20}: {value!r:.60}, but it is a number from 0 to 1,'
                " by track ID. Track the video again."
            )
        known[int(key)] = float(value)
    return known


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 16


def _losses(data: dict[str, object], path: Path) -> FrameLosses:
    damaged, dropped = data.get("damaged_frames") or [], data.get("dropped_frames", 0)
    if not isinstance(damaged, list) or not all(type(number) is int and number >= 0 for number in damaged):
        raise InputError(f'{path}: "damaged_frames" must be a list of frame numbers, not {damaged!r:.60}.')
    if type(dropped) is not int or dropped < 0:
        raise InputError(f'{path}: "dropped_frames" must be a number of frames, not {dropped!r:.60}.')
    interrupted = data.get("interruptions") or []
    if not isinstance(interrupted, list) or not all(map(_is_interruption, interrupted)):
        raise InputError(
            f'{path}: "interruptions" must be a list of frame numbers and seconds, not {interrupted!r:.60}.'
        )
    interruptions = tuple(Interruption(one["frame"], float(one["seconds"])) for one in interrupted)
    return FrameLosses(tuple(damaged), dropped, interruptions)


def _is_interruption(value: object) -> bool:
    if not isinstance(value, dict) or set(value) != {"frame", "seconds"}:
        return False
    frame, seconds = value["frame"], value["seconds"]
    return type(frame) is int and frame >= 0 and type(seconds) in (int, float) and 0 <= seconds < LARGEST


def plain(value: object) -> object:
    """Convert to what strict JSON knows: dict, list, text, numbers, true, false, null."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    # File names may have bytes that are no UTF-8; Python keeps them as characters that cannot be encoded.
    return str(value).encode("utf-8", "backslashreplace").decode()


def compact_json(value: object) -> bytes:
    """Encode as one line of strict JSON. Raises: ValueError for NaN or infinity."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _depth(value: object) -> int:
    """How deep lists and objects are nested, counted up to one more than is allowed."""
    depth, level = 0, [value]
    while depth <= _DEEPEST and any(isinstance(each, dict | list) for each in level):
        depth += 1
        nested = (
            each.values() if isinstance(each, dict) else each
            for each in level
            if isinstance(each, dict | list)
        )
        level = [inner for each in nested for inner in each]
    return depth


def _renamed(data: dict[str, object], names: Mapping[str, str]) -> dict[str, object]:
    """`data` with former keys replaced at every depth."""
    return {
        names.get(key, key): _renamed(value, names) if isinstance(value, dict) else value
        for key, value in data.items()
    }


def _mapping(data: dict[str, object], key: str, path: Path) -> dict[str, object]:
    value = data.get(key) or {}
    if not isinstance(value, dict):
        raise InputError(f'{path}: "{key}" must be an object, not {value!r:.60}.')
    return value
