"""The arrays of a chunk of observations: how they are stored, and the checks of what is read."""

import io
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Observation, Poses
from kprtrack.core.files.numbers import LARGEST, LAST_FRAME
from kprtrack.core.skeleton import Skeleton
from kprtrack.io.columns import MOST_PARTS

MOST_BYTES = 256 << 20  # of one chunk; written are 32 MiB and the last frame
_MOST_DIMENSIONS = 1 << 16
_LARGEST_FEATURE = 1e6  # embeddings have unit length; the square of this is far from overflow
# Name -> type, and the lengths of all axes but the first; None: any.
_ARRAYS: dict[str, tuple[type, tuple[int | None, ...]]] = {
    "frame": (np.int64, ()),
    "time": (np.float64, ()),
    "count": (np.int64, ()),
    "boxes": (np.float32, (4,)),
    "scores": (np.float32, ()),
    "keypoints": (np.float32, (None, 3)),
    "features": (np.float32, (None, None)),
    "visible": (np.bool_, (None,)),
    "prompted": (np.bool_, ()),
}
NAMES = tuple(_ARRAYS)
_OF_FRAMES = NAMES[:3]
_LIMITS = {"time": LARGEST, "boxes": LARGEST, "keypoints": LARGEST, "features": _LARGEST_FEATURE}


def chunk_name(index: int) -> str:
    """Return the name of a chunk, the folder of its arrays."""
    return f"chunk_{index:05d}"


def member_names(index: int) -> list[str]:
    """Return the names of the members of a chunk, in the order in which they are written."""
    return [f"{chunk_name(index)}/{name}.npy" for name in NAMES]


def encode(frames: Sequence[Observation], index: int) -> list[tuple[str, bytes]]:
    """Return the members of a chunk: the people of all frames in order, `count` of them in each frame."""
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    parts: dict[str, list[np.ndarray]] = {
        "frame": [np.array([frame.frame_number for frame in frames])],
        "time": [np.array([frame.time_s for frame in frames])],
        "count": [np.array([len(frame) for frame in frames])],
        "boxes": [frame.detections.boxes for frame in filled],
        "scores": [frame.detections.scores for frame in filled],
        "keypoints": [frame.poses.keypoints for frame in filled],
        "features": [frame.embeddings.features for frame in filled],
        "visible": [frame.embeddings.visible for frame in filled],
        "prompted": [frame.embeddings.prompted for frame in filled],
    }
    arrays: list[np.ndarray] = [np.concatenate(parts[name]).astype(_ARRAYS[name][0]) for name in NAMES]
    return [(name, _npy(array)) for name, array in zip(member_names(index), arrays, strict=True)]


@dataclass
class Decoder:
    """Validates the chunks of a file, one after another.

    Args:
        skeleton: The set of keypoints, by the header of the file.
        last_frame: Number of the last frame so far.
        embedding: Parts and dimensions of the embeddings so far; None: no person yet.
        frames: Number of frames so far.
    """

    skeleton: Skeleton
    last_frame: int = -1
    embedding: tuple[int, ...] | None = None
    frames: int = 0

    def decode(self, read: Callable[[str], bytes], index: int) -> Iterator[Observation]:
        """Yield the observations of the next chunk.

        Args:
            read: Returns the content of a member.
            index: Number of the chunk.

        Raises:
            ValueError: An array has a wrong type, shape or value, or the arrays do not fit each other.
        """
        arrays = {
            name: _array(name, read(member)) for name, member in zip(NAMES, member_names(index), strict=True)
        }
        arrays["keypoints"] = self._keypoints(arrays["keypoints"])
        self._validate(arrays)
        ends = np.cumsum(arrays["count"])
        for row, (start, end) in enumerate(zip(ends - arrays["count"], ends, strict=True)):
            boxes, scores, keypoints, features, visible, prompted = (
                arrays[name][start:end] for name in NAMES[len(_OF_FRAMES) :]
            )
            yield Observation(
                int(arrays["frame"][row]),
                float(arrays["time"][row]),
                Detections(boxes, scores),
                Poses(keypoints, self.skeleton),
                Appearance(features, visible, prompted),
            )

    def _keypoints(self, keypoints: np.ndarray) -> np.ndarray:
        known, found = len(self.skeleton), keypoints.shape[1]
        if not len(keypoints):  # a chunk without people need not have the shape of the others
            return np.zeros((0, known, 3), np.float32)
        if found != known:
            raise ValueError(
                f"there are {found} keypoints of each person, but {self.skeleton.name} has {known}"
            )
        return keypoints

    def _validate(self, arrays: dict[str, np.ndarray]) -> None:
        frame, count, boxes = arrays["frame"], arrays["count"], arrays["boxes"]
        people = len(boxes)
        if len({len(arrays[name]) for name in _OF_FRAMES}) != 1 or ((count < 0) | (count > people)).any():
            raise ValueError("frames, times and counts do not align")
        if int(count.sum()) != people or any(len(arrays[name]) != people for name in NAMES[3:]):
            raise ValueError("the arrays of people do not align")
        if arrays["features"].shape[:2] != arrays["visible"].shape:
            raise ValueError("features and visible do not align")
        numbers = np.concatenate([[self.last_frame], frame])
        if (np.diff(numbers) <= 0).any() or (frame >= LAST_FRAME).any():
            raise ValueError("the frame numbers do not rise")
        for name, limit in _LIMITS.items():
            if not (np.abs(arrays[name]) < limit).all():  # False for NaN, too
                raise ValueError(f"there are {name} that are not finite or out of range")
        _validate_people(boxes, arrays["scores"], arrays["keypoints"])
        embedding = arrays["features"].shape[1:]
        if people and self.embedding not in (None, embedding):
            raise ValueError(f"embeddings of shape {embedding}, those before have {self.embedding}")
        self.embedding = embedding if people else self.embedding
        self.frames += len(frame)
        self.last_frame = int(numbers[-1])


def _validate_people(boxes: np.ndarray, scores: np.ndarray, keypoints: np.ndarray) -> None:
    """Raises: ValueError for what no detector and no pose estimator gives."""
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("there are scores outside 0 to 1")
    if (keypoints[..., 2] < 0).any():
        raise ValueError("there are keypoints with a negative score")
    if (boxes[:, 2:] <= boxes[:, :2]).any():
        raise ValueError("there are boxes without an area")


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _array(name: str, data: bytes) -> np.ndarray:
    """Read an array whose type and shape are known. Raises: ValueError; nothing large is allocated."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} has another version of numpy's format")
    try:
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except tokenize.TokenError as error:  # numpy turns other errors of the header into ValueError
        raise ValueError(f"{name} has a damaged header") from error
    wanted, axes = np.dtype(_ARRAYS[name][0]), _ARRAYS[name][1]
    if dtype != wanted or fortran:
        raise ValueError(f"{name} has the type {dtype}, not {wanted}")
    known = len(shape) == 1 + len(axes) and all(
        axis in (None, length) for axis, length in zip(axes, shape[1:], strict=True)
    )
    if not known or any(length < 0 for length in shape) or _too_wide(shape[1:]):
        raise ValueError(f"{name} has the shape {shape}")
    values = np.frombuffer(data, np.uint8, offset=stream.tell())
    size = wanted.itemsize
    for length in shape:
        size *= length
    if size != len(values):
        raise ValueError(f"{name} of shape {shape} has {len(values)} bytes")
    if wanted == np.bool_ and (values > 1).any():
        raise ValueError(f"{name} has values other than true and false")
    return values.view(wanted).reshape(shape)


def _too_wide(axes: tuple[int, ...]) -> bool:
    return any(length > limit for length, limit in zip(axes, (MOST_PARTS, _MOST_DIMENSIONS), strict=False))
