"""What a result file says besides its people: the video, the skeleton, the models and the settings."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.core.renamed import METADATA, SETTINGS
from kprtrack.core.skeleton import KEYPOINTS, LIMBS, POSETRACK_KEYPOINTS

FORMAT = "kprtrack"
VERSION = 2  # written; version 1 had other names in "models" and "config"
READABLE_VERSIONS = (1, VERSION)


@dataclass(frozen=True)
class Skeleton:
    """What row i of every keypoint array is called, and which rows a picture joins by a line."""

    names: tuple[str, ...] = KEYPOINTS
    edges: tuple[tuple[int, int], ...] = LIMBS  # 0-based rows


COCO_SKELETON = Skeleton()
# PoseTrack's head: nose - neck - top; its ears are placeholders, so nothing is joined to them.
POSETRACK_SKELETON = Skeleton(POSETRACK_KEYPOINTS, ((0, 1), (0, 2), *LIMBS[4:]))


@dataclass(frozen=True)
class RunHeader:
    """Where tracks come from: enough to tell two runs apart, and to repeat one."""

    video: Mapping[str, object] = field(
        default_factory=dict
    )  # path, width, height, fps, frames, time_base, sha256
    models: Mapping[str, object] = field(default_factory=dict)  # role -> {name, file, sha256}
    config: Mapping[str, object] = field(default_factory=dict)  # every setting of the run
    skeleton: Skeleton = COCO_SKELETON


@dataclass(frozen=True)
class TrackFile:
    """A result file, read."""

    header: RunHeader
    frames: list[Tracks]  # in order of time
    complete: bool | None  # False if the run was cut short; None where the format cannot tell


class TracksWriter(Protocol):
    """An open result file. As a context manager it closes as complete, after an exception as incomplete."""

    def write(self, tracks: Tracks) -> None:
        """Add one frame; frame numbers must rise."""
        ...

    def close(self, complete: bool = True, note: str | None = None) -> None:
        """End the file so that it is valid; closing twice is allowed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def header_to_json(header: RunHeader) -> dict[str, object]:
    """The header as JSON can hold it; what JSON cannot hold becomes text (endless: "inf") or null (NaN)."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "video": plain(header.video),
        "skeleton": {
            "names": list(header.skeleton.names),
            "edges": [list(edge) for edge in header.skeleton.edges],
        },
        "models": plain(header.models),
        "config": plain(header.config),
    }


def header_from_json(data: object, path: Path) -> RunHeader:
    """The header that `header_to_json` made.

    Raises: InputError if it is no header of ours, is of a newer version or has an unknown skeleton.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f'{path} is not a kprtrack file: it lacks "format": "{FORMAT}" at its beginning.')
    version = data.get("version")
    if version not in READABLE_VERSIONS:
        raise InputError(
            f"{path} has version {version!r} of the kprtrack format; this reads 1 and {VERSION}. "
            "Update kprtrack, or convert the file with the version that wrote it."
        )
    skeleton = data.get("skeleton")
    if not isinstance(skeleton, dict):
        skeleton = {}
    names = skeleton.get("names", KEYPOINTS)
    models, config = _mapping(data, "models", path), _mapping(data, "config", path)
    if version == 1:
        models, config = _renamed(models, METADATA), _renamed(config, SETTINGS)
    return RunHeader(
        video=_mapping(data, "video", path),
        models=models,
        config=config,
        skeleton=skeleton_from_names(names, path),
    )


def skeleton_from_names(names: object, path: Path) -> Skeleton:
    """The known skeleton with these names, in this order.

    Raises: InputError naming the first keypoint that differs from COCO's order.
    """
    for skeleton in (COCO_SKELETON, POSETRACK_SKELETON):
        if isinstance(names, (list, tuple)) and tuple(names) == skeleton.names:
            return skeleton
    count = len(names) if isinstance(names, (list, tuple)) else 0
    if not isinstance(names, (list, tuple)) or count != len(KEYPOINTS):
        raise InputError(
            f"{path} has a skeleton of {count} keypoints; {len(KEYPOINTS)} are needed, in COCO's order: "
            f"{', '.join(KEYPOINTS)}."
        )
    row = next(row for row, (name, wanted) in enumerate(zip(names, KEYPOINTS, strict=True)) if name != wanted)
    raise InputError(
        f"{path}: keypoint {row} is called {names[row]!r}, but in COCO's order it is '{KEYPOINTS[row]}'. "
        f"Reorder the keypoints to: {', '.join(KEYPOINTS)}."
    )


def plain(value: object) -> object:
    """`value` made of what strict JSON knows: dict, list, text, numbers, true, false, null."""
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
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def compact_json(value: object) -> bytes:
    """One line of strict JSON.

    Raises: ValueError for NaN or infinity, which strict JSON does not have.
    """
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


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
