"""What the networks saw, on disk: a zip of numpy arrays in chunks, so that hours need little memory."""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.atomic_file import PART_SUFFIX, part_path
from kprtrack.core.datatypes import Detections, Observation, Poses
from kprtrack.core.errors import InputError, OutputError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.io.frame_file import close_output, open_output, reserve
from kprtrack.io.header import RunHeader, header_from_json, header_to_json
from kprtrack.io.text_writer import saved_message

CHUNK_FRAMES = 1000
CHUNK_BYTES = 32 << 20  # a chunk ends earlier where people are many
KIND = "kprtrack observations"
_HEADER, _ENDING = "header.json", "ending.json"
_MEMBER_BYTES = 400  # upper bound of what zip adds to a member, at its place and in the table of contents
_ENDING_BYTES = 4096
_ARRAYS = ("frame", "time", "count", "boxes", "scores", "keypoints", "features", "visible", "prompted")


class ObservationWriter:
    """Writes `.npz` observations; numpy.load reads them too. Closes as TracksWriter does.

    Raises: OutputError if the file cannot be written.
    """

    def __init__(self, path: Path, header: RunHeader) -> None:
        self._path = path
        self._handle = open_output(path, in_place=False)
        self._zip = zipfile.ZipFile(self._handle, "w")
        self._waiting: list[Observation] = []
        self._waiting_bytes = 0
        self._chunks = 0
        self._saved = 0
        self._last_frame = -1
        self._closed = False
        data = json.dumps({**header_to_json(header), "kind": KIND}, allow_nan=False).encode()
        try:
            self._add([(_HEADER, data)])
        except OSError as error:
            self._discard()
            raise OutputError(saved_message(path, 0, error)) from error

    def write(self, seen: Observation) -> None:
        """Add one frame. Raises: OutputError if the disk is full; what fitted is saved, the file closed."""
        if self._closed:
            raise ValueError(f"{self._path} is closed")
        if seen.frame_number <= self._last_frame:
            raise ValueError(f"frame {seen.frame_number} comes after frame {self._last_frame}")
        self._last_frame = seen.frame_number
        self._waiting.append(seen)
        self._waiting_bytes += seen.embeddings.features.nbytes
        if len(self._waiting) == CHUNK_FRAMES or self._waiting_bytes >= CHUNK_BYTES:
            self._write_waiting()

    def close(self, complete: bool = True, note: str | None = None) -> None:
        """End the file; without a single frame an incomplete run leaves what was there before."""
        if self._closed:
            return
        if not complete and not self._saved and not self._waiting:
            self._discard()
            return
        if self._waiting:
            self._write_waiting()
        self._end(complete=complete, note=note)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=error is None, note=None if kind is None else f"ended by {kind.__name__}")

    def _write_waiting(self) -> None:
        frames, self._waiting, self._waiting_bytes = self._waiting, [], 0
        failure: OSError | None = None
        while frames:
            name = f"chunk_{self._chunks:05d}"
            members = [(f"{name}/{key}.npy", _npy(array)) for key, array in _columns(frames).items()]
            try:
                self._add(members)
            except OSError as error:
                failure, frames = error, frames[: len(frames) // 2]
                continue
            self._chunks += 1
            self._saved += len(frames)
            break
        if failure is not None:
            self._end(complete=False, note="the disk was full")
            raise OutputError(saved_message(self._path, self._saved, failure)) from failure

    def _add(self, members: list[tuple[str, bytes]]) -> None:
        """Add members, after claiming room for them and for the end of the file."""
        known = len(self._zip.infolist()) + len(members) + 1
        size = sum(len(data) for _, data in members) + _MEMBER_BYTES * (known + len(members)) + _ENDING_BYTES
        reserve(self._handle, size)
        for name, data in members:
            self._zip.writestr(zipfile.ZipInfo(name), data)  # without a date: equal contents, equal bytes

    def _end(self, *, complete: bool, note: str | None) -> None:
        self._closed = True
        ending = {"complete": complete, "note": note, "frames": self._saved, "chunks": self._chunks}
        self._zip.writestr(zipfile.ZipInfo(_ENDING), json.dumps(ending))
        self._zip.close()
        self._handle.truncate()  # gives back what was claimed and not needed
        close_output(self._handle, self._path, in_place=False)

    def _discard(self) -> None:
        self._closed = True
        self._zip.fp = None  # or the archive would write its end into the closed file
        self._handle.close()
        part_path(self._path).unlink(missing_ok=True)


@dataclass(frozen=True)
class ObservationFile:
    """Stored observations; every loop over it reads them again, one chunk in memory at a time."""

    path: Path
    header: RunHeader
    complete: bool
    frames: int
    chunks: int

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[Observation]:
        """All observations in order of time. Raises: InputError naming the chunk that is damaged."""
        with _open_zip(self.path) as archive:
            for index in range(self.chunks):
                name = f"chunk_{index:05d}"
                try:
                    arrays = {key: _read_npy(archive, f"{name}/{key}.npy") for key in _ARRAYS}
                    yield from _observations(arrays)
                except (KeyError, ValueError, EOFError, zipfile.BadZipFile, OSError) as error:
                    raise InputError(
                        f"{self.path}: {name} is damaged ({error}). Make the file again."
                    ) from error


def write_observations(path: Path, header: RunHeader, observations: Iterable[Observation]) -> None:
    """Store all observations; if making them is interrupted, those so far are stored as incomplete."""
    with ObservationWriter(path, header) as writer:
        for seen in observations:
            writer.write(seen)


def read_observations(path: Path) -> ObservationFile:
    """The observations stored in `path`, read while looping.

    Raises: InputError if it is no observation file or is damaged.
    """
    if path.suffix == PART_SUFFIX:
        raise InputError(
            f"{path} is what a broken-off run left behind, not a result. Delete it and run again."
        )
    with _open_zip(path) as archive:
        try:
            data = json.loads(archive.read(_HEADER))
            ending = json.loads(archive.read(_ENDING))
            if data.get("kind") != KIND:
                raise InputError(f"{path} holds {data.get('kind')!r}, not {KIND!r}.")
            header = header_from_json(data, path)
            return ObservationFile(
                path, header, bool(ending["complete"]), int(ending["frames"]), int(ending["chunks"])
            )
        except (KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path} is no observation file ({error}). Make one with: kprtrack observe"
            ) from error


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
    except zipfile.BadZipFile as error:
        raise InputError(f"Cannot read {path}: {error}. Make the file again.") from error


def _columns(frames: list[Observation]) -> dict[str, np.ndarray]:
    """The arrays of one chunk; people of all frames in a row, `count` of them in each frame."""
    filled = [seen for seen in frames if len(seen)] or frames[:1]
    return {
        "frame": np.array([seen.frame_number for seen in frames], np.int64),
        "time": np.array([seen.time_s for seen in frames], np.float64),
        "count": np.array([len(seen) for seen in frames], np.int64),
        "boxes": np.concatenate([seen.detections.boxes for seen in filled]).astype(np.float32),
        "scores": np.concatenate([seen.detections.scores for seen in filled]).astype(np.float32),
        "keypoints": np.concatenate([seen.poses.keypoints for seen in filled]).astype(np.float32),
        "features": np.concatenate([seen.embeddings.features for seen in filled]).astype(np.float32),
        "visible": np.concatenate([seen.embeddings.visible for seen in filled]).astype(bool),
        "prompted": np.concatenate([seen.embeddings.prompted for seen in filled]).astype(bool),
    }


def _observations(arrays: dict[str, np.ndarray]) -> Iterator[Observation]:
    ends = np.cumsum(arrays["count"])
    if len({len(arrays[key]) for key in _ARRAYS[:3]}) != 1 or (arrays["count"] < 0).any():
        raise ValueError("frames, times and counts do not align")
    people = int(ends[-1]) if len(ends) else 0
    if any(len(arrays[key]) != people for key in _ARRAYS[3:]):
        raise ValueError("the arrays of people do not align")
    if arrays["keypoints"].shape[1:] != (len(KEYPOINTS), 3):
        raise ValueError(f"keypoints of shape {arrays['keypoints'].shape}")
    for number, time, start, end in zip(
        arrays["frame"], arrays["time"], ends - arrays["count"], ends, strict=True
    ):
        boxes, scores, keypoints, features, visible, prompted = (
            arrays[key][start:end] for key in _ARRAYS[3:]
        )
        embeddings = Appearance(features, visible, prompted)
        yield Observation(int(number), float(time), Detections(boxes, scores), Poses(keypoints), embeddings)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _read_npy(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as member:
        return np.lib.format.read_array(member, allow_pickle=False)
