"""The people of a file of any format as columns, and their conversion to tracks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.core.files.columns import NONE_ID
from kprtrack.core.files.numbers import LARGEST, LARGEST_ID, MOST_PEOPLE
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.io.header import RunHeader, TrackFile

NO_ID = NONE_ID
MOST_PARTS = 1000  # no model has more body parts; a damaged file may have any number


@dataclass(frozen=True)
class People:
    """All people of one file, one row each, ordered by frame. NaN stands for unknown."""

    frame: np.ndarray  # [N] int64, 0-based frame numbers
    ids: np.ndarray  # [N] int64, NO_ID if there is none
    boxes: np.ndarray  # [N, 4] float64, x1 y1 x2 y2, pixels
    scores: np.ndarray  # [N] float64
    keypoints: np.ndarray  # [N, K, 3] float64, in the order of the file's skeleton
    distances: np.ndarray  # [N] float64
    margins: np.ndarray  # [N] float64
    visible: np.ndarray  # [N, P] bool
    prompted: np.ndarray  # [N] bool

    def __len__(self) -> int:
        return len(self.frame)

    def at(self, rows: np.ndarray) -> "People":
        """Return the people of these rows, indices or a mask."""
        return People(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class PeopleFile:
    """The people of a file, with or without track IDs."""

    path: Path
    header: RunHeader
    people: People
    frame_numbers: np.ndarray  # [F] int64, increasing; also frames without people if the format stores them
    times: np.ndarray  # [F] float64, seconds, NaN if unknown
    place: Callable[[int], str]  # the place of a row of `people` in the file, such as "line 7"
    has_keypoints: bool
    complete: bool | None


def people_columns(
    frame: np.ndarray,
    boxes: np.ndarray,
    *,
    ids: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    keypoints: np.ndarray | None = None,
) -> People:
    """Make the people of a format without re-identification data.

    Args:
        frame: [N] frame numbers, from 0.
        boxes: [N, 4] x1 y1 x2 y2 in pixels.
        ids: [N] track IDs; None: there are none.
        scores: [N]; None: unknown.
        keypoints: [N, K, 3] x y score; None: unknown, zeros of COCO's 17.
    """
    count = len(frame)
    unknown = np.full(count, np.nan)
    return People(
        frame=frame.astype(np.int64),
        ids=np.full(count, NO_ID, np.int64) if ids is None else ids.astype(np.int64),
        boxes=boxes,
        scores=unknown if scores is None else scores,
        keypoints=np.zeros((count, len(KEYPOINTS), 3)) if keypoints is None else keypoints,
        distances=unknown,
        margins=unknown,
        visible=np.zeros((count, 0), bool),
        prompted=np.zeros(count, bool),
    )


def to_track_file(file: PeopleFile) -> TrackFile:
    """Convert people to tracks, frame by frame; a missing score is 1.

    Raises:
        InputError: Names file and place of the first invalid box, keypoint, score or track ID.
    """
    people = file.people
    validate_numbers(file)
    sizes = people.boxes[:, 2:] - people.boxes[:, :2]
    reject(file, (sizes < 0).any(axis=1), "a negative width or height", "Boxes are left, top, width, height.")
    reject(
        file,
        people.ids < 1,
        "no track id",
        "Tracks need ids from 1 on; boxes without them are input of `kprtrack track --detector file`.",
    )
    _validate_unique_ids(file)
    starts = np.searchsorted(people.frame, file.frame_numbers, side="left")
    ends = np.searchsorted(people.frame, file.frame_numbers, side="right")
    scores = np.where(np.isnan(people.scores), 1, people.scores)
    columns = (
        people.ids,
        *_float32(people.boxes, scores, people.keypoints, people.distances, people.margins),
    )
    frames = [
        Tracks(
            int(number),
            float(time),
            *(column[a:b] for column in (*columns, people.visible, people.prompted)),
            skeleton=file.header.skeleton,
        )
        for number, time, a, b in zip(file.frame_numbers, file.times, starts, ends, strict=True)
    ]
    return TrackFile(file.header, frames, file.complete)


def validate_numbers(file: PeopleFile) -> None:
    """Validate what all formats have in common.

    Args:
        file: The people of a file.

    Raises:
        InputError: A box, keypoint, score, distance or time is not finite or too large, a score is outside
            [0, 1], that of a keypoint is negative, a track ID is too large, or a frame has more than
            MOST_PEOPLE people.
    """
    people = file.people
    flat = people.keypoints.reshape(len(people), 3 * people.keypoints.shape[1])
    scalars = np.stack([people.scores, people.distances, people.margins])
    bad_box, bad_point = (~(np.abs(values) < LARGEST).all(axis=1) for values in (people.boxes, flat))
    reject(file, bad_box, "a box that is missing or not finite", "Remove that person.")
    reject(file, bad_point, "a keypoint that is not finite", "Write unknown keypoints as 0, 0, 0.")
    bad_scalar = (np.abs(scalars) >= LARGEST).any(axis=0)
    reject(file, bad_scalar, "a score or distance that is not finite", "Scores are between 0 and 1.")
    bad_score = (people.scores < 0) | (people.scores > 1)
    reject(file, bad_score, "a score outside 0 to 1", "Scale the scores, or leave them out.")
    # Maxima of heatmaps can be a little above 1.
    negative = people.keypoints[..., 2].min(axis=1, initial=0) < 0
    reject(file, negative, "a keypoint with a negative score", "Write unknown keypoints as 0, 0, 0.")
    too_large = people.ids > LARGEST_ID
    reject(file, too_large, "a track id above 2^53", "Number the tracks from 1 on.")
    for frame in np.flatnonzero(np.abs(file.times) >= LARGEST)[:1]:
        raise InputError(
            f"{file.path}, frame {file.frame_numbers[frame]}: time {file.times[frame]:g} is not a number of"
            " seconds. Leave unknown times out."
        )
    validate_crowds(people.frame, file.path)


def validate_crowds(frames: np.ndarray, path: Path, first: int = 0) -> None:
    """Validate that no frame has more than MOST_PEOPLE people, all of whom are compared with each other.

    Args:
        frames: [N] int64, the frame number of each person, in order.
        path: The file, for messages.
        first: Number of the first frame in the file.

    Raises:
        InputError: A frame has more.
    """
    numbers, counts = np.unique(frames, return_counts=True)
    for row in np.flatnonzero(counts > MOST_PEOPLE)[:1]:
        raise InputError(
            f"{path}, frame {numbers[row] + first}: {counts[row]} people; at most {MOST_PEOPLE} in a frame"
            " are read. Remove boxes of low score."
        )


def reject(file: PeopleFile, bad: np.ndarray, what: str, advice: str) -> None:
    """Raises: InputError about the first row where `bad` [N] is True."""
    rows = np.flatnonzero(bad)
    if not len(rows):
        return
    row = int(rows[0])
    left, top, right, bottom = file.people.boxes[row].tolist()
    box = f"box {left:g} {top:g} {right - left:g} {bottom - top:g}"
    more = f" ({len(rows) - 1} more)" if len(rows) > 1 else ""
    raise InputError(f"{file.path}, {file.place(row)}: {what} ({box}){more}. {advice}")


def ids_from_one(ids: np.ndarray) -> np.ndarray:
    """Return IDs from 1 on: if the file has an ID 0, as in PoseTrack, every ID is increased by one."""
    return np.where(ids >= 0, ids + 1, ids) if (ids == 0).any() else ids


def numbers(values: Sequence[object], width: int, place: Callable[[int], str]) -> np.ndarray:
    """Convert a flat list of JSON numbers to an array; null becomes NaN.

    Args:
        values: `width` numbers per row.
        width: Number of columns.
        place: Where a row stands in the file, for messages.

    Returns:
        [N, width] float64.

    Raises:
        InputError: Names the first value that is not a number.
    """
    if not set(map(type, values)) <= {int, float, NoneType}:
        index = next(index for index, value in enumerate(values) if type(value) not in (int, float, NoneType))
        raise InputError(f"{place(index // width)}: {values[index]!r:.40} is not a number.")
    try:
        return np.array(values, np.float64).reshape(-1, width)
    except OverflowError:
        index = next(
            index for index, value in enumerate(values) if isinstance(value, int) and abs(value) > 2**63
        )
        raise InputError(f"{place(index // width)}: a number of {len(str(values[index]))} digits.") from None


def _validate_unique_ids(file: PeopleFile) -> None:
    people = file.people
    order = np.lexsort((people.ids, people.frame))
    frame, ids = people.frame[order], people.ids[order]
    repeated = np.zeros(len(people), bool)
    repeated[order[1:]] = (frame[1:] == frame[:-1]) & (ids[1:] == ids[:-1])
    rows = np.flatnonzero(repeated)
    if len(rows):
        row = rows[0]
        what = f"track id {people.ids[row]} occurs twice in frame {people.frame[row]}"
        reject(file, repeated, what, "A person has one box in a frame: remove one of the two.")


def _float32(*columns: np.ndarray) -> list[np.ndarray]:
    return [column.astype(np.float32) for column in columns]
