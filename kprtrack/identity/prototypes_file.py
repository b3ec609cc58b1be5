"""The file of prototypes beside a result: NAME.tracks.safetensors."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from kprtrack.core.appearance import Appearance
from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import InputError
from kprtrack.core.files.json_file import read_limited
from kprtrack.core.files.numbers import LARGEST, LAST_FRAME
from kprtrack.hub.store import sha256_of
from kprtrack.identity.confidence import confidence_in
from kprtrack.identity.evidence import evidence_of
from kprtrack.identity.prototypes import TrackPrototypes

SUFFIX = ".tracks.safetensors"
VERSION = 1
_HEADER = "kprtrack_prototypes"
_RESULT = "result_sha256"  # in the header
_LONGEST_REASON = 300
_ERRORS = (SafetensorError, KeyError, TypeError, ValueError, RecursionError, OverflowError)
_LONGEST = 1.001  # of an embedding in half precision
# Name -> type in the file.
_ARRAYS: dict[str, type] = {
    "track_ids": np.int64,
    "first_s": np.float64,
    "last_s": np.float64,
    "first_frame": np.int64,
    "last_frame": np.int64,
    "boxes_seen": np.int64,
    "weights": np.int64,
    "track_row": np.int64,
    "frames": np.int64,
    "times_s": np.float64,
    "boxes": np.float32,
    "keypoints": np.float32,
    "quality": np.float32,
    "together": np.int64,
}
_APPEARANCES = ("means", "embeddings")


def prototypes_path(result: str | Path) -> Path:
    """Return the file of prototypes of a result, which is beside it.

    Examples:
        >>> prototypes_path("run/match.json").as_posix()
        'run/match.tracks.safetensors'
        >>> prototypes_path("match.tracks.json").as_posix()  # as results are called by default
        'match.tracks.safetensors'
    """
    result = Path(result)
    return result.with_name(f"{result.stem.removesuffix('.tracks')}{SUFFIX}")


def write_prototypes(prototypes: TrackPrototypes, path: str | Path) -> None:
    """Write a file of prototypes, as a whole or not at all; embeddings in half precision.

    Args:
        prototypes: What to write.
        path: The file.

    Raises:
        OutputError: It cannot be written.
    """
    arrays: dict[str, np.ndarray] = {
        name: np.asarray(getattr(prototypes, name), kind) for name, kind in _ARRAYS.items()
    }
    for name in _APPEARANCES:
        appearance: Appearance = getattr(prototypes, name)
        arrays[f"{name}.features"] = appearance.features.astype(np.float16)
        arrays[f"{name}.visible"] = appearance.visible
        arrays[f"{name}.prompted"] = appearance.prompted
    header = {"version": VERSION, **prototypes.header}
    metadata = {_HEADER: json.dumps(header, sort_keys=True)}  # ASCII: names of files need not be UTF-8
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_file(Path(path), save(contiguous, metadata))


def write_beside(result: Path | None, prototypes: TrackPrototypes) -> None:
    """Write the prototypes of a run beside its result.

    Args:
        result: The result, whose sha256 is stored. Nothing is written if it is a pipe or None.
        prototypes: Of the run; without embeddings nothing is written.

    Raises:
        OutputError: The file cannot be written.
    """
    if result is not None and result.is_file() and prototypes.means.features.size:
        write_beside_result(prototypes, result)


def write_beside_result(prototypes: TrackPrototypes, result: Path) -> None:
    """Write prototypes beside the result that they are of, bound to it by its sha256.

    Args:
        prototypes: Of the tracks in the result.
        result: The file.

    Raises:
        OutputError: The file cannot be written.
    """
    header = {**prototypes.header, _RESULT: sha256_of(result, cache=False)}
    write_prototypes(replace(prototypes, header=header), prototypes_path(result))


def read_prototypes(path: str | Path) -> TrackPrototypes:
    """Read a file of prototypes.

    Args:
        path: NAME.tracks.safetensors, or the result that it is beside.

    Returns:
        The prototypes, validated.

    Raises:
        InputError: The file is missing, damaged, of a later version or of another result.
    """
    path = Path(path)
    file = path if path.name.endswith(SUFFIX) else prototypes_path(path)
    if not file.is_file():
        raise InputError(
            f"There is no {file}, which `kprtrack VIDEO` writes beside its result. Track the video again."
        )
    data = read_limited(file)
    try:
        prototypes = _parsed(data)
    except _ERRORS as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise InputError(
            f"{file} is damaged or not a file of prototypes ({reason}). Track the video again."
        ) from error
    _validate_result(prototypes, file, path)
    return prototypes


def _validate_result(prototypes: TrackPrototypes, file: Path, result: Path) -> None:
    """Raise InputError if the file is of an earlier result of this name, or of one with another suffix."""
    stored = prototypes.header.get(_RESULT)
    if stored is None or result == file or not result.is_file():
        return
    if sha256_of(result, cache=False) != stored:
        raise InputError(f"{file} belongs to another result than {result} is now. Track the video again.")


def _parsed(data: bytes) -> TrackPrototypes:
    header = _header(data)
    arrays = load(data)
    values: dict[str, Any] = {}
    for name, kind in _ARRAYS.items():
        if arrays[name].dtype != kind:
            raise ValueError(f"{name} is {arrays[name].dtype}")
        values[name] = arrays[name]
    for name in _APPEARANCES:
        features, visible = arrays[f"{name}.features"], arrays[f"{name}.visible"]
        if features.dtype != np.float16 or visible.dtype != bool:
            raise ValueError(f"{name} is {features.dtype} and {visible.dtype}")
        values[name] = Appearance(features.astype(np.float32), visible, arrays[f"{name}.prompted"])
    prototypes = TrackPrototypes(header=header, **values)
    _validate(prototypes)
    return prototypes


def _header(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise ValueError("it is cut off")
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    header = json.loads(metadata[_HEADER])
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    version = header.pop("version", None)
    if version != VERSION:
        raise ValueError(f"its version is {version}, not {VERSION}")
    for key in ("video", "reid"):
        if not isinstance(header.get(key), Mapping):
            raise ValueError(f"its header has no {key}")
    return header


def _validate(prototypes: TrackPrototypes) -> None:
    """Raises: ValueError for numbers that no run writes."""
    tracks, rows = prototypes.track_ids, prototypes.track_row
    if (np.diff(tracks, prepend=0) <= 0).any():
        raise ValueError("its track IDs do not rise from 1 on")
    if len(rows) and ((np.diff(rows) < 0).any() or rows[0] < 0 or rows[-1] >= len(tracks)):
        raise ValueError("its prototypes are of no track")
    if not np.isin(prototypes.together, tracks).all():
        raise ValueError("it names unknown tracks")
    if prototypes.means.features.shape[1:] != prototypes.embeddings.features.shape[1:]:
        raise ValueError("its embeddings have two shapes")
    _validate_numbers(prototypes)
    evidence_of(prototypes.header)
    confidence_in(prototypes.header)


def _validate_numbers(prototypes: TrackPrototypes) -> None:
    for name in ("first_s", "last_s", "times_s", "boxes", "keypoints"):
        if not (np.abs(getattr(prototypes, name)) < LARGEST).all():
            raise ValueError(f"{name} are not finite or out of range")
    for name in ("first_frame", "last_frame", "frames", "boxes_seen", "weights"):
        values = getattr(prototypes, name)
        if ((values < 0) | (values >= LAST_FRAME)).any():
            raise ValueError(f"{name} are out of range")
    if not ((prototypes.quality >= 0) & (prototypes.quality <= 1)).all():
        raise ValueError("quality is not in [0, 1]")
    for name in _APPEARANCES:
        features = getattr(prototypes, name).features
        if not (np.einsum("npd,npd->np", features, features) < _LONGEST**2).all():
            raise ValueError(f"{name} are not of unit length")
