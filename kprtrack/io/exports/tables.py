"""What the exports share: options, frame rate, poses as dense arrays, people read from poses, safe files."""

import math
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.atomic_file import commit, reason, validate_no_loop
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.core.files.paths import real_path
from kprtrack.core.skeleton import COCO_SKELETON, KEYPOINTS, Skeleton
from kprtrack.core.skeletons import LARGEST_FIRST, skeleton_among
from kprtrack.io.columns import PeopleFile, people_columns
from kprtrack.io.header import RunHeader, TrackFile
from kprtrack.io.output_file import validate_target
from kprtrack.selection import EVERYONE, PeopleSelection

MOST_NUMBERS = 200_000_000  # in one array of poses, 0.8 GB
_DIGITS = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class ConvertOptions:
    """What `convert` changes, and what formats need that a result file may not say.

    Args:
        people: The people to keep.
        poses: A result file whose keypoints belong to these boxes, such as the one that was corrected in an
            annotation tool; None: the keypoints of the source.
        fps: Frames per second of the video; None: as the file says.
        metres_per_pixel: Scale of TRC and C3D; None: they are in pixels.
        edit: Changes the tracks before people are chosen, such as the edits of `kprtrack.edits`.
        source: The file that is converted, for messages.

    Raises:
        UserError: A number that is not positive.

    Examples:
        >>> options = ConvertOptions(PeopleSelection(only=(2,)))
        >>> convert(Path("tracks.json"), Path("athlete.csv"), options=options)
        [PosixPath('athlete.csv')]
    """

    people: PeopleSelection = EVERYONE
    poses: Path | None = None
    fps: float | None = None
    metres_per_pixel: float | None = None
    edit: Callable[[TrackFile], TrackFile] | None = None
    source: Path = Path("the source")

    def __post_init__(self) -> None:
        for name, value in (("fps", self.fps), ("metres_per_pixel", self.metres_per_pixel)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UserError(f"--{name.replace('_', '-')} must be a number above 0, not {value:g}.")


UNCHANGED = ConvertOptions()


@dataclass(frozen=True)
class PoseTable:
    """The poses of all people in evenly numbered frames; NaN stands for unknown."""

    numbers: np.ndarray  # [F] int64, frame numbers, from the first to the last at a constant step
    times: np.ndarray  # [F] float64, seconds; NaN if unknown
    ids: np.ndarray  # [I] int64, track IDs, increasing
    keypoints: np.ndarray  # [F, I, K, 3] float32, x y score, pixels, y down
    scores: np.ndarray  # [F, I] float32

    @property
    def step(self) -> int:
        """Difference of two frame numbers; 1 for a single frame."""
        return int(self.numbers[1] - self.numbers[0]) if len(self.numbers) > 1 else 1

    @property
    def people(self) -> list[str]:
        """Names of the people: person1, person2, ..."""
        return [person_name(track_id) for track_id in self.ids]


def person_name(track_id: int) -> str:
    """Return how exports name a person."""
    return f"person{track_id}"


def pose_table(
    file: TrackFile,
    options: ConvertOptions,
    format: str,
    *,
    from_zero: bool = False,
    most: int = MOST_NUMBERS,
) -> PoseTable:
    """Arrange the poses of a file by frame and person.

    Args:
        file: The tracks.
        options: For messages.
        format: Name of the format, for messages.
        from_zero: Frames are those of the video from 0 on, one by one; else from the first in the file on, at
            the step of the file (that of a run with a stride).
        most: Numbers that fit.

    Returns:
        The table; frames that the file lacks are NaN.

    Raises:
        InputError: The file has no people, or no keypoints.
        UserError: The table would be too large.
    """
    validate_poses(file, options, format)
    ids = np.unique(np.concatenate([tracks.ids for tracks in file.frames]))
    known = np.array([tracks.frame_number for tracks in file.frames], np.int64)
    step = 1 if from_zero else frame_step(file)
    count = int(known[-1] - (0 if from_zero else known[0])) // step + 1
    if count * len(ids) * 3 * len(file.header.skeleton) > most:
        raise UserError(
            f"{options.source} has {len(ids)} people in {count} frames: too many for one file of {format}."
            " Choose people with --only, such as --only 1,3."
        )
    numbers = (0 if from_zero else known[0]) + step * np.arange(count, dtype=np.int64)
    times = np.full(count, np.nan)
    keypoints = np.full((count, len(ids), len(file.header.skeleton), 3), np.nan, np.float32)
    scores = np.full((count, len(ids)), np.nan, np.float32)
    for tracks in file.frames:
        row = int(tracks.frame_number - numbers[0]) // step
        columns = np.searchsorted(ids, tracks.ids)
        times[row] = tracks.time_s
        keypoints[row, columns] = known_keypoints(tracks.keypoints)
        scores[row, columns] = tracks.scores
    return PoseTable(numbers, times, ids, keypoints, scores)


def frame_step(file: TrackFile) -> int:
    """Return the step between frame numbers: 1, or the stride of the run."""
    numbers = np.array([tracks.frame_number for tracks in file.frames], np.int64)
    return int(np.gcd.reduce(np.diff(numbers))) if len(numbers) > 1 else 1


def validate_poses(file: TrackFile, options: ConvertOptions, format: str) -> None:
    """Raises: InputError if the file has no people, or no keypoints."""
    if not any(len(tracks) for tracks in file.frames):
        raise InputError(f"{options.source} has no people: there is nothing to export as {format}.")
    if not any(tracks.keypoints.any() for tracks in file.frames):
        raise InputError(
            f"{options.source} has no keypoints, which {format} needs. Export a result with poses, such as"
            " the .json that `kprtrack VIDEO --out tracks.json` writes."
        )


def known_keypoints(keypoints: np.ndarray) -> np.ndarray:
    """Return a copy of [..., 3] keypoints in which unknown ones, 0 0 0, are NaN."""
    return np.where(keypoints.any(axis=-1, keepdims=True), keypoints, np.nan)


def frame_rate(file: TrackFile, options: ConvertOptions, format: str) -> float:
    """Return the frames per second of the video: as chosen, as the header says, or by the times.

    Raises:
        UserError: None of them is known.
    """
    stated = options.fps or file.header.fps
    if stated is not None:
        return stated
    timed = [tracks for tracks in file.frames if math.isfinite(tracks.time_s)]
    if len(timed) > 1 and timed[-1].time_s > timed[0].time_s:
        return (timed[-1].frame_number - timed[0].frame_number) / (timed[-1].time_s - timed[0].time_s)
    raise UserError(
        f"The frame rate of {options.source} is not known, and {format} needs it. Set it: --fps 25."
    )


def frame_times(table: PoseTable, rate: float, options: ConvertOptions) -> np.ndarray:
    """Return [F] seconds: the file's, interpolated between; by `rate` if that was chosen or none is known."""
    known = np.isfinite(table.times)
    if options.fps is not None or not known.any():
        return table.numbers / rate
    even = table.numbers / rate
    offset = np.interp(table.numbers, table.numbers[known], (table.times - even)[known])
    return np.where(known, table.times, even + offset)


def image_size(header: RunHeader) -> tuple[int, int] | None:
    """Return width and height of the images in pixels; None if the header does not say them."""
    size = [header.video.get(name) for name in ("width", "height")]
    if all(isinstance(value, int | float) and value > 0 for value in size):
        return int(size[0]), int(size[1])  # type: ignore[call-overload]
    return None


def people_of_poses(
    path: Path,
    frames: Sequence[int],
    ids: Sequence[int],
    keypoints: np.ndarray,
    *,
    scores: np.ndarray | None = None,
    header: RunHeader | None = None,
    times: dict[int, float] | None = None,
) -> PeopleFile:
    """Make the people of a format without boxes: a box is the extent of the known keypoints.

    Args:
        path: The file, for messages.
        frames: [N] frame numbers from 0.
        ids: [N] track IDs.
        keypoints: [N, K, 3] x y score; NaN if unknown. People without any keypoint are left out.
        scores: [N]; None: unknown.
        header: The header of the file.
        times: Seconds of frames.
    """
    known = np.isfinite(keypoints[..., :2]).all(axis=-1)  # [N, K]
    rows = np.flatnonzero(known.any(axis=1))
    rows = rows[np.argsort(np.asarray(frames, np.int64)[rows], kind="stable")]
    points = np.where(known[..., None], keypoints, np.nan)[rows]
    numbers = np.asarray(frames, np.int64)[rows]
    if len(rows):
        low, high = np.nanmin(points[..., :2], axis=1), np.nanmax(points[..., :2], axis=1)
    else:
        low = high = np.zeros((0, 2))
    filled = np.where(known[rows][..., None], np.nan_to_num(points, nan=1.0), 0.0)
    people = people_columns(
        numbers,
        np.concatenate([low, high], axis=1).astype(np.float64),
        ids=np.asarray(ids, np.int64)[rows],
        scores=None if scores is None else np.asarray(scores, np.float64)[rows],
        keypoints=filled.astype(np.float64),
    )
    unique = np.unique(numbers)
    seconds = np.array([(times or {}).get(int(number), np.nan) for number in unique])
    return PeopleFile(
        path,
        header or RunHeader(),
        people,
        unique,
        seconds,
        lambda row: f"frame {people.frame[row]}, person {people.ids[row]}",
        True,
        None,
    )


def ids_of_names(names: Sequence[str]) -> list[int]:
    """Return track IDs of people by name: the number at the end of each if all differ, else 1, 2, 3, ..."""
    found = [_DIGITS.search(name) for name in names]
    numbers = [int(match[1]) if match else -1 for match in found]
    if min(numbers, default=-1) >= 0 and len(set(numbers)) == len(numbers):
        return [number + 1 for number in numbers] if 0 in numbers else numbers
    return list(range(1, len(names) + 1))


def keypoint_rows(
    names: Sequence[str], path: Path, skeletons: Sequence[Skeleton] = tuple(LARGEST_FIRST)
) -> tuple[Skeleton, list[int]]:
    """Find the keypoints of a known set among those of a file, in any order and spelling.

    Args:
        names: Names of the file's keypoints.
        path: The file, for messages.
        skeletons: The known sets; the first that fits is taken.

    Returns:
        The set, and for each of its keypoints the place in the file.

    Raises:
        InputError: Keypoints are missing; names the first.
    """
    places = {_plain(name): row for row, name in enumerate(names)}
    unnamed = skeleton_among(names)
    for skeleton in (*skeletons, *([unnamed] if unnamed else [])):
        if all(_plain(name) in places for name in skeleton.names):
            return skeleton, [places[_plain(name)] for name in skeleton.names]
    missing = next(name for name in COCO_SKELETON.names if _plain(name) not in places)
    raise InputError(
        f"{path} has no keypoint '{missing}'. It has: {', '.join(names)}; COCO's 17 are needed: "
        f"{', '.join(KEYPOINTS)}."
    )


def _plain(name: str) -> str:
    """left_knee for Left Knee, LeftKnee and left-knee."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[\s\-]+", "_", name.strip()).lower()


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield the name of a file to write; when the block ends well, it replaces `path`.

    Raises:
        OutputError: The file cannot be written; an existing one is unchanged.
    """
    validate_target(path)
    validate_no_loop(path)
    try:
        with tempfile.TemporaryDirectory(dir=real_path(path).parent, prefix=".export") as folder:
            part = Path(folder) / path.name
            yield part
            commit(part, path)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {reason(error)}") from error
