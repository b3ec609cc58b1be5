"""Stored observations: a zip file of numpy arrays in chunks, so that long videos need little memory."""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.atomic_file import PART_SUFFIX, part_path
from kprtrack.core.datatypes import Detections, Observation, Poses
from kprtrack.core.errors import InputError, OutputError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.io.frame_file import close_output, open_output, reserve
from kprtrack.io.group_writer import GroupFormat, GroupWriter
from kprtrack.io.header import FrameWriter, RunHeader, header_from_json, header_to_json
from kprtrack.io.text_writer import Footer, saved_message

CHUNK_FRAMES = 1000
CHUNK_BYTES = 32 << 20  # a chunk ends earlier if its features are larger
KIND = "kprtrack observations"
_HEADER, _ENDING = "header.json", "ending.json"
_MEMBER_BYTES = 400  # upper bound of what zip adds to a member, before it and in the central directory
_ENDING_BYTES = 4096
_ARRAYS = ("frame", "time", "count", "boxes", "scores", "keypoints", "features", "visible", "prompted")


def open_observations(path: Path, header: RunHeader) -> FrameWriter[Observation]:
    """Open a writer of `.npz` observations, which numpy.load reads too. Raises: OutputError."""
    archive = _Archive(path, header)
    format = GroupFormat(_check, _size, archive.write, archive.end, archive.discard)
    return GroupWriter(path, format, frames=CHUNK_FRAMES, limit_bytes=CHUNK_BYTES)


def _check(frame: Observation, last_number: int) -> int:
    if frame.frame_number <= last_number:
        raise ValueError(f"frame {frame.frame_number} comes after frame {last_number}")
    return frame.frame_number


def _size(frame: Observation) -> int:
    return frame.embeddings.features.nbytes


class _Archive:
    """An open zip file of chunks. Raises: OutputError if it cannot be written."""

    def __init__(self, path: Path, header: RunHeader) -> None:
        self._path = path
        self._handle = open_output(path, in_place=False)
        self._zip = zipfile.ZipFile(self._handle, "w")
        self._chunks = 0
        data = json.dumps({**header_to_json(header), "kind": KIND}, allow_nan=False).encode()
        try:
            self._add([(_HEADER, data)])
        except OSError as error:
            self.discard()
            raise OutputError(saved_message(path, 0, error)) from error

    def write(self, frames: list[Observation]) -> None:
        """Write one chunk. Raises: OSError if there is no room for it."""
        name = f"chunk_{self._chunks:05d}"
        self._add([(f"{name}/{key}.npy", _npy(array)) for key, array in _columns(frames).items()])
        self._chunks += 1

    def end(self, ending: Footer) -> None:
        """Write the ending and close."""
        data = {**ending.to_json(), "frames": ending.kept, "chunks": self._chunks}
        self._zip.writestr(zipfile.ZipInfo(_ENDING), json.dumps(data))
        self._zip.close()
        self._handle.truncate()  # frees what was reserved and not needed
        close_output(self._handle, self._path, in_place=False)

    def discard(self) -> None:
        """Close and remove the unfinished file."""
        self._zip.fp = None  # else the archive would write its end into the closed file
        self._handle.close()
        part_path(self._path).unlink(missing_ok=True)

    def _add(self, members: list[tuple[str, bytes]]) -> None:
        """Add members after reserving room for them and for the end of the file."""
        known = len(self._zip.infolist()) + len(members) + 1
        size = sum(len(data) for _, data in members) + _MEMBER_BYTES * (known + len(members)) + _ENDING_BYTES
        reserve(self._handle, size)
        for name, data in members:
            self._zip.writestr(zipfile.ZipInfo(name), data)  # without a date: equal contents, equal bytes


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

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[Observation]:
        """Yield the observations in order of time. Raises: InputError naming the chunk that is damaged."""
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
    """Store all observations; if the iterable raises, those before are stored as incomplete.

    Args:
        path: The file to write (.npz).
        header: Video, models and config of the run.
        observations: One per frame, in order of time.

    Raises:
        OutputError: The file cannot be written.

    Examples:
        >>> from pathlib import Path
        >>> file = read_observations("observations.npz")
        >>> write_observations(Path("copy.npz"), file.header, file)
    """
    with open_observations(path, header) as writer:
        for observation in observations:
            writer.write(observation)


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
        raise InputError(f"{path} is the unfinished file of an interrupted run. Delete it and run again.")
    with _open_zip(path) as archive:
        try:
            data = json.loads(archive.read(_HEADER))
            ending = json.loads(archive.read(_ENDING))
            if data.get("kind") != KIND:
                raise InputError(f"{path} holds {data.get('kind')!r}, not {KIND!r}.")
            header = header_from_json(data, path, ending)
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
    """The arrays of one chunk: the people of all frames in order, `count` of them in each frame."""
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return {
        "frame": np.array([frame.frame_number for frame in frames], np.int64),
        "time": np.array([frame.time_s for frame in frames], np.float64),
        "count": np.array([len(frame) for frame in frames], np.int64),
        "boxes": np.concatenate([frame.detections.boxes for frame in filled]).astype(np.float32),
        "scores": np.concatenate([frame.detections.scores for frame in filled]).astype(np.float32),
        "keypoints": np.concatenate([frame.poses.keypoints for frame in filled]).astype(np.float32),
        "features": np.concatenate([frame.embeddings.features for frame in filled]).astype(np.float32),
        "visible": np.concatenate([frame.embeddings.visible for frame in filled]).astype(bool),
        "prompted": np.concatenate([frame.embeddings.prompted for frame in filled]).astype(bool),
    }


def _observations(arrays: dict[str, np.ndarray]) -> Iterator[Observation]:
    ends = np.cumsum(arrays["count"])
    if len({len(arrays[key]) for key in _ARRAYS[:3]}) != 1 or (arrays["count"] < 0).any():
        raise ValueError("frames, times and counts do not align")
    people = int(ends[-1]) if len(ends) else 0
    if any(len(arrays[key]) != people for key in _ARRAYS[3:]):
        raise ValueError("the arrays of people do not align")
    if not np.isfinite(arrays["features"]).all():
        raise ValueError("there are features that are not finite")
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
