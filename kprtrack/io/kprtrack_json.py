"""The format `kprtrack`: all data of a run in one JSON document, one frame per line (docs/formats.md)."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.core.files.numbers import LAST_FRAME, whole_number
from kprtrack.core.geometry import left_top_size
from kprtrack.core.skeleton import Skeleton
from kprtrack.core.tables.names import NO_LABELS, PersonLabels
from kprtrack.io.columns import (
    MOST_PARTS,
    NO_ID,
    People,
    PeopleFile,
    numbers,
)
from kprtrack.io.header import (
    RunHeader,
    TracksWriter,
    compact_json,
    confidence_to_json,
    header_from_json,
    header_to_json,
)
from kprtrack.io.text_writer import (
    Footer,
    FrameLog,
    Layout,
    TextWriter,
    rounded_time,
)

NO_HEADER = RunHeader()


def open_json(path: Path, header: RunHeader) -> TracksWriter:
    """Open a writer of `.json`. Memory: about 24 bytes per frame and 8 bytes per person in a frame."""
    head = compact_json(header_to_json(header))[:-1] + b',"frames":[\n'

    def frame(tracks: Tracks, log: FrameLog) -> bytes:
        return (b",\n" if len(log) else b"") + compact_json(frame_to_json(tracks, header.labels))

    def footer(log: FrameLog, ending: Footer) -> bytes:
        return json_footer(log, ending, header)

    return TextWriter(path, Layout(head, frame, footer, header.skeleton))


def frame_to_json(
    tracks: Tracks, labels: PersonLabels = NO_LABELS, *, exact: bool = False
) -> dict[str, object]:
    """Convert one frame to JSON values; NaN and infinity become null.

    Args:
        tracks: The frame.
        labels: Who the tracks are: people have "person" and "name" if these are known.
        exact: Keep all digits; else pixels are rounded to 0.01, scores and distances to 0.0001.
    """
    keypoints = tracks.keypoints.astype(np.float64)
    boxes, scores = left_top_size(tracks.boxes, exact=exact), tracks.scores.astype(np.float64)
    distances, margins = tracks.distances.astype(np.float64), tracks.margins.astype(np.float64)
    if not exact:
        keypoints[..., :2] = np.round(keypoints[..., :2], 2)
        keypoints[..., 2] = np.round(keypoints[..., 2], 4)
        scores, distances, margins = (np.round(values, 4) for values in (scores, distances, margins))
    means = np.round(keypoints[..., 2].mean(axis=1), 4)
    columns = zip(
        tracks.ids.tolist(),
        boxes.tolist(),
        scores.tolist(),
        keypoints.reshape(len(tracks), 3 * keypoints.shape[1]).tolist(),
        means.tolist(),
        _or_null(distances),
        _or_null(margins),
        tracks.visible,
        tracks.prompted.tolist(),
        strict=True,
    )
    names, persons = labels.names, labels.persons
    people = [
        {
            "track_id": track_id,
            **({"person": persons[track_id]} if track_id in persons else {}),
            **({"name": names[track_id]} if track_id in names else {}),
            "bbox": box,
            "score": score,
            "keypoints": points,
            "keypoint_score": mean,
            "reid": {
                "distance": distance,
                "margin": margin,
                "visible_parts": np.flatnonzero(visible).tolist(),
                "prompted": prompted,
            },
        }
        for track_id, box, score, points, mean, distance, margin, visible, prompted in columns
    ]
    time = rounded_time(tracks.time_s, exact=exact)
    return {"frame": tracks.frame_number, "time": time, "parts": tracks.visible.shape[1], "people": people}


def people_from_json(data: object, path: Path) -> PeopleFile:
    """Read the people of a document of this format. Raises: InputError."""
    header = header_from_json(data, path)
    frames = data.get("frames") if isinstance(data, dict) else None
    if not isinstance(frames, list):
        raise InputError(f'{path} has no list "frames". The file may be damaged; run again.')
    complete = bool(data.get("complete", False)) if isinstance(data, dict) else False
    return people_from_frames(frames, path, header, complete=complete)


def people_from_frames(
    frames: Iterable[object], path: Path, header: RunHeader, *, complete: bool | None
) -> PeopleFile:
    """Read the people of the frame records of `.json` and `.jsonl`.

    Args:
        frames: The records.
        path: The file, for messages.
        header: Its header.
        complete: Whether the run was complete; None if unknown.

    Raises:
        InputError: Names the frame, the person and what is wrong.
    """
    columns = _Columns(path, header.skeleton)
    for index, frame in enumerate(frames):
        columns.add_frame(index, frame)
    people = columns.people()
    return PeopleFile(
        path=path,
        header=header,
        people=people,
        frame_numbers=np.array(columns.frame_numbers, np.int64),
        times=numbers(columns.times, 1, lambda row: f"{path}, frame {columns.frame_numbers[row]}, time")[
            :, 0
        ],
        place=columns.place,
        has_keypoints=columns.has_keypoints,
        complete=complete,
    )


class _Columns:
    """Collects frame records as columns; in flat lists, for speed."""

    def __init__(self, path: Path, skeleton: Skeleton) -> None:
        self.path, self._skeleton = path, skeleton
        self.frame_numbers: list[int] = []
        self.times: list[object] = []
        self.has_keypoints = False
        self._parts = 0
        self._frame: list[int] = []
        self._ids: list[int] = []
        self._boxes: list[object] = []
        self._keypoints: list[object] = []
        self._scalars: list[object] = []  # score, distance, margin
        self._visible: list[list[int]] = []
        self._prompted: list[bool] = []

    def add_frame(self, index: int, frame: object) -> None:
        """Add one frame record, the `index`-th of the file."""
        number = whole_number(frame.get("frame")) if isinstance(frame, dict) else None
        if not isinstance(frame, dict) or number is None or not 0 <= number < LAST_FRAME:
            raise InputError(f'{self.path}, frame record {index}: it needs "frame", a number from 0 on.')
        if self.frame_numbers and number <= self.frame_numbers[-1]:
            raise InputError(
                f"{self.path}: frame {number} comes after frame {self.frame_numbers[-1]}; sort the frames."
            )
        people = frame.get("people", [])
        if not isinstance(people, list):
            raise InputError(f'{self.path}, frame {number}: "people" must be a list.')
        self.frame_numbers.append(number)
        self.times.append(frame.get("time"))
        parts = frame.get("parts", 0)
        if not _is_int(parts) or not 0 <= parts <= MOST_PARTS:
            raise InputError(f'{self.path}, frame {number}: "parts" must be a number up to {MOST_PARTS}.')
        self._parts = max(self._parts, parts)
        for order, person in enumerate(people):
            self._add_person(number, person, f"{self.path}, frame {number}, person {order}")

    def people(self) -> People:
        """Return all people as arrays."""
        scalars = numbers(self._scalars, 3, self._full_place)
        keypoints = numbers(self._keypoints, 3 * len(self._skeleton), self._full_place)
        box = numbers(self._boxes, 4, self._full_place)
        visible = np.zeros((len(self._ids), self._parts), bool)
        for row, parts in enumerate(self._visible):
            visible[row, parts] = True
        return People(
            frame=np.array(self._frame, np.int64),
            ids=np.array(self._ids, np.int64),
            boxes=np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1),
            scores=scalars[:, 0],
            keypoints=keypoints.reshape(-1, len(self._skeleton), 3),
            distances=scalars[:, 1],
            margins=scalars[:, 2],
            visible=visible,
            prompted=np.array(self._prompted, bool),
        )

    def place(self, row: int) -> str:
        """Return frame and person of a row, for messages."""
        return f"frame {self._frame[row]}, person {row - self._frame.index(self._frame[row])}"

    def _full_place(self, row: int) -> str:
        return f"{self.path}, {self.place(row)}"

    def _add_person(self, number: int, person: object, place: str) -> None:
        if not isinstance(person, dict):
            raise InputError(f"{place}: must be an object, not {person!r:.40}.")
        track_id = whole_number(person.get("track_id", NO_ID))
        if track_id is None or abs(track_id) >= 2**63:
            raise InputError(f'{place}: "track_id" must be a whole number, not {person["track_id"]!r:.40}.')
        reid = person.get("reid") or {}
        if not isinstance(reid, dict):
            raise InputError(f'{place}: "reid" must be an object, not {reid!r:.40}.')
        visible = _part_list(reid.get("visible_parts"), place)
        self._frame.append(number)
        self._ids.append(track_id)
        self._boxes.extend(_box_list(person.get("bbox"), place))
        self._keypoints.extend(_keypoint_list(person.get("keypoints"), self._skeleton, place))
        self.has_keypoints = self.has_keypoints or person.get("keypoints") is not None
        self._scalars.extend((person.get("score"), reid.get("distance"), reid.get("margin")))
        self._visible.append(visible)
        self._prompted.append(bool(reid.get("prompted", False)))
        self._parts = max(self._parts, 1 + max(visible, default=-1))


def _box_list(value: object, place: str) -> Sequence[object]:
    """Return the four numbers of a box; nulls if it is missing."""
    if value is None:
        return [None] * 4
    if not isinstance(value, list):
        raise InputError(f'{place}: "bbox" must be a list of 4 numbers, not {value!r:.40}.')
    if len(value) != 4:
        raise InputError(f'{place}: "bbox" has {len(value)} numbers, expected 4.')
    return value


def _keypoint_list(value: object, skeleton: Skeleton, place: str) -> Sequence[object]:
    """Return x, y and score of each keypoint; zeros if they are missing."""
    width = 3 * len(skeleton)
    if value is None:
        return [0.0] * width
    if not isinstance(value, list):
        raise InputError(f'{place}: "keypoints" must be a list of {width} numbers, not {value!r:.40}.')
    if len(value) != width:
        raise InputError(
            f'{place}: "keypoints" has {len(value)} numbers ({len(value) / 3:g} keypoints), expected {width}:'
            f" x, y, score of {', '.join(skeleton.names)}."
        )
    return value


def _part_list(value: object, place: str) -> list[int]:
    parts = value or []
    if not isinstance(parts, list) or not all(_is_int(part) and 0 <= part < MOST_PARTS for part in parts):
        raise InputError(
            f'{place}: "visible_parts" must be a list of part numbers from 0 on, not {value!r:.40}.'
        )
    return parts


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _or_null(values: np.ndarray) -> list[float | None]:
    """Null for NaN (nothing compared) and infinity (no common visible part)."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def json_footer(log: FrameLog, ending: Footer, header: RunHeader = NO_HEADER) -> bytes:
    """Return the end of the file."""
    return b"\n]," + compact_json(ending_to_json(log, ending, header))[1:] + b"\n"


def ending_to_json(log: FrameLog, ending: Footer, header: RunHeader) -> dict[str, object]:
    """Return the end of `.json` and `.jsonl`: a summary of the tracks, and whether the run was complete."""
    return {"tracks": log.summary(ending.kept), **confidence_to_json(header), **ending.to_json()}
