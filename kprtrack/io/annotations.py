"""Reads datasets and results in COCO's and PoseTrack's form: images, annotations, categories."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.io.coco import PERSON
from kprtrack.io.columns import (
    KEYPOINT_NUMBERS,
    LAST_FRAME,
    NO_ID,
    PeopleFile,
    ids_from_one,
    numbers,
    people_columns,
)
from kprtrack.io.header import (
    POSETRACK_SKELETON,
    RunHeader,
    Skeleton,
    header_from_json,
    skeleton_from_names,
)
from kprtrack.io.kprtrack_json import flat_list
from kprtrack.io.posetrack import from_posetrack

Entry = Mapping[str, object]
# Confidence by COCO's v where a file has no scores: not labelled, labelled but hidden, visible.
CONFIDENCE_OF_V = np.array([0.0, 0.5, 1.0])
_FIRST_POSETRACK_ID = 10_000_000_000


@dataclass(frozen=True)
class _Frames:
    """Which frame an image is, and when."""

    number_of: dict[object, int]  # by image id; empty for a result list, whose image ids are frame numbers
    time_of: dict[int, float]


def people_from_annotations(data: object, path: Path) -> PeopleFile:
    """People of a COCO or PoseTrack document, or of a list of COCO results; keypoints in COCO's order.

    A frame's number is `frame` of its image where we wrote it, else its place among the images; in a list of
    results image_id is the number itself. Crowds and everything but people are left out.
    Raises: InputError naming the annotation that is wrong.
    """
    images, annotations = _lists(data, path)
    frames = _frames(images, path)
    skeleton = _skeleton(data, images, path)
    people_ids = _category_ids(data)
    kept = [(index, entry) for index, entry in enumerate(annotations) if _is_person(entry, people_ids)]
    entries = [entry for _, entry in kept]
    indices = [index for index, _ in kept]

    def place(row: int) -> str:
        return f"{path}, annotation {indices[row]}"

    frame = np.array([_frame(entry, frames, place(row)) for row, entry in enumerate(entries)], np.int64)
    boxes = _flat(entries, "bbox", 4, place)
    keypoints = _keypoints(entries, skeleton, place)
    people = people_columns(
        frame,
        np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
        ids=ids_from_one(
            np.array([_track_id(entry, place(row)) for row, entry in enumerate(entries)], np.int64)
        ),
        scores=numbers([entry.get("score") for entry in entries], 1, place)[:, 0],
        keypoints=from_posetrack(keypoints) if skeleton == POSETRACK_SKELETON else keypoints,
    )
    order = np.argsort(frame, kind="stable")
    frame_numbers = np.unique([*frames.number_of.values(), *frame.tolist()]).astype(np.int64)
    header, complete = _run(data, path)
    return PeopleFile(
        path=path,
        header=header,
        people=people.at(order),
        frame_numbers=frame_numbers,
        times=np.array([frames.time_of.get(number, np.nan) for number in frame_numbers.tolist()], np.float64),
        place=lambda row: f"annotation {indices[order[row]]}",
        has_keypoints=any(entry.get("keypoints") for entry in entries),
        complete=complete,
    )


def _lists(data: object, path: Path) -> tuple[list[Entry], list[Entry]]:
    """Images and annotations, each an object."""
    images = (data.get("images") or []) if isinstance(data, dict) else []
    annotations = data.get("annotations") if isinstance(data, dict) else data
    return _objects(images, "images", path), _objects(annotations, "annotations", path)


def _objects(entries: object, name: str, path: Path) -> list[Entry]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f'{path}: "{name}" must be a list of objects, as in COCO and PoseTrack.')
    return entries


def _frames(images: Sequence[Entry], path: Path) -> _Frames:
    number_of: dict[object, int] = {}
    times: list[object] = []
    for order, image in enumerate(images):
        image_id, number = image.get("id"), image.get("frame", order)
        if not isinstance(image_id, int | str) or image_id in number_of:
            raise InputError(
                f"{path}, image {order}: its id {image_id!r:.40} is missing or not the only one."
            )
        if not isinstance(number, int) or not 0 <= number < LAST_FRAME:
            raise InputError(f"{path}, image {order}: frame {number!r:.40} is no whole number from 0 on.")
        number_of[image_id] = number
        times.append(image.get("time"))
    known = numbers(times, 1, lambda order: f"{path}, image {order}, time")[:, 0].tolist()
    return _Frames(number_of, dict(zip(number_of.values(), known, strict=True)))


def _frame(entry: Entry, frames: _Frames, place: str) -> int:
    image_id = entry.get("image_id")
    if frames.number_of:
        number = frames.number_of.get(image_id if isinstance(image_id, int | str) else None)
        if number is None:
            raise InputError(f"{place}: there is no image with id {image_id!r:.40}.")
        return number
    if not isinstance(image_id, int) or not 0 <= image_id < LAST_FRAME:
        raise InputError(f"{place}: image_id {image_id!r:.40} must be the frame number, from 0 on.")
    if image_id >= _FIRST_POSETRACK_ID:
        raise InputError(
            f'{place}: image_id {image_id} is no frame number. Put the results as "annotations" beside the '
            '"images" of the ground truth, so that their order says which frame each is.'
        )
    return image_id


def _skeleton(data: object, images: Sequence[Entry], path: Path) -> Skeleton:
    """What the categories say; without them, PoseTrack's where the images look like PoseTrack's."""
    for category in _categories(data):
        if category.get("id") in _category_ids(data) and "keypoints" in category:
            return skeleton_from_names(category["keypoints"], path)
    return POSETRACK_SKELETON if images and "frame_id" in images[0] else RunHeader().skeleton


def _categories(data: object) -> list[Entry]:
    categories = data.get("categories") if isinstance(data, dict) else None
    return [entry for entry in categories if isinstance(entry, dict)] if isinstance(categories, list) else []


def _category_ids(data: object) -> list[object]:
    return [entry.get("id") for entry in _categories(data) if entry.get("name") == "person"] or [PERSON]


def _is_person(entry: Entry, people_ids: list[object]) -> bool:
    return entry.get("category_id", people_ids[0]) in people_ids and not entry.get("iscrowd", 0)


def _track_id(entry: Entry, place: str) -> int:
    track_id = entry.get("track_id", NO_ID)
    if isinstance(track_id, bool) or not isinstance(track_id, int) or abs(track_id) >= 2**62:
        raise InputError(f"{place}: track_id {track_id!r:.40} is no whole number.")
    return track_id


def _flat(entries: Sequence[Entry], name: str, width: int, place: Callable[[int], str]) -> np.ndarray:
    """[N, width] of the lists called `name`."""
    return numbers(
        [
            value
            for row, entry in enumerate(entries)
            for value in flat_list(entry.get(name), width, name, place(row))
        ],
        width,
        place,
    )


def _keypoints(entries: Sequence[Entry], skeleton: Skeleton, place: Callable[[int], str]) -> np.ndarray:
    """[N, 17, 3] x y confidence; an own list of scores comes before what v or the coordinates say."""
    points = _flat(entries, "keypoints", KEYPOINT_NUMBERS, place).reshape(-1, len(KEYPOINTS), 3)
    if skeleton == POSETRACK_SKELETON:  # its evaluation counts every joint with coordinates and ignores v
        points[..., 2] = (points[..., :2] != 0).any(axis=2)
    elif (np.isin(points[..., 2], (0, 1, 2))).all():
        points[..., 2] = CONFIDENCE_OF_V[points[..., 2].astype(np.int64)]
    rows = [row for row, entry in enumerate(entries) if entry.get("keypoint_scores") or entry.get("scores")]
    own: list[object] = []
    for row in rows:
        scores = entries[row].get("keypoint_scores") or entries[row].get("scores")
        own.extend(flat_list(scores, len(KEYPOINTS), "scores", place(row)))
    points[rows, :, 2] = numbers(own, len(KEYPOINTS), lambda index: place(rows[index]))
    return points


def _run(data: object, path: Path) -> tuple[RunHeader, bool | None]:
    """What we wrote into `info`; nothing for files of others."""
    info = data.get("info") if isinstance(data, dict) else None
    if not isinstance(info, dict) or not isinstance(info.get("run"), dict):
        return RunHeader(), None
    return replace(header_from_json(info["run"], path), skeleton=RunHeader().skeleton), bool(
        info.get("complete")
    )
