"""Read datasets and results in the form of COCO, CocoVID and PoseTrack21 as people of result files."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kprtrack.core.coco_file import Annotations, CocoFile, Entry, annotations_of, read_coco
from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.io.coco import PERSON
from kprtrack.io.columns import (
    KEYPOINT_NUMBERS,
    LAST_FRAME,
    NO_ID,
    PeopleFile,
    ids_from_one,
    people_columns,
)
from kprtrack.io.header import (
    POSETRACK_SKELETON,
    RunHeader,
    Skeleton,
    header_from_json,
    skeleton_from_names,
)
from kprtrack.io.posetrack import from_posetrack

# Confidence by COCO's v if a file has no scores: not labelled, labelled but hidden, visible.
CONFIDENCE_OF_V = np.array([0.0, 0.5, 1.0])
_FIRST_POSETRACK_ID = 10_000_000_000


@dataclass(frozen=True)
class _Frames:
    """The frame number and time of every image, in the order of the file."""

    numbers: np.ndarray  # [I] int64
    times: np.ndarray  # [I] float64, NaN if unknown


def people_from_annotations(data: object, path: Path) -> PeopleFile:
    """Read the people of a COCO or PoseTrack21 document, or of a list of COCO results.

    The number of a frame is the key `frame` of its image, which kprtrack writes, or else its place among the
    images; in a list of results `image_id` is the number. Crowds and other categories are skipped.

    Args:
        data: The document.
        path: Its file, for messages.

    Returns:
        The people in the order of the frames, keypoints in COCO's order.

    Raises:
        InputError: Names the annotation that is wrong.
    """
    if isinstance(data, dict) and data.get("images"):
        file = read_coco(path, data)
        frames, people, skeleton = _frames(file.images, path), file.people(default=PERSON), _skeleton(file)
    else:
        people = _results(data.get("annotations") if isinstance(data, dict) else data, path)
        numbers = np.array(people.image_ids, np.int64)
        frames, skeleton = _Frames(numbers, np.full(len(numbers), np.nan)), RunHeader().skeleton
    people = people.at(np.array([not entry.get("iscrowd") for entry in people.entries], bool))
    people = people.at(np.argsort(frames.numbers[people.images], kind="stable"))
    boxes, keypoints = people.numbers("bbox", 4, default=np.nan), _keypoints(people, skeleton)
    columns = people_columns(
        frames.numbers[people.images],
        np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
        ids=ids_from_one(people.whole("track_id", default=NO_ID)),
        scores=people.scalars("score", default=np.nan),
        keypoints=from_posetrack(keypoints) if skeleton == POSETRACK_SKELETON else keypoints,
    )
    frame_numbers, first = np.unique(frames.numbers, return_index=True)
    header, complete = _run(data, path)
    return PeopleFile(
        path=path,
        header=header,
        people=columns,
        frame_numbers=frame_numbers,
        times=frames.times[first],
        place=lambda row: f"annotation {people.indices[row]}",
        has_keypoints=any(entry.get("keypoints") for entry in people.entries),
        complete=complete,
    )


def _results(data: object, path: Path) -> Annotations:
    """The people of a list of results, whose image ids are frame numbers."""
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise InputError(f'{path}: "annotations" must be a list of objects, as in COCO and PoseTrack21.')
    for index, entry in enumerate(data):
        image_id = entry.get("image_id")
        if type(image_id) is not int or not 0 <= image_id < LAST_FRAME:
            raise InputError(
                f"{path}, annotation {index}: image_id {image_id!r:.40} must be the frame number, from 0 on."
            )
        if image_id >= _FIRST_POSETRACK_ID:
            raise InputError(
                f"{path}, annotation {index}: image_id {image_id} is no frame number. Put the results as "
                '"annotations" beside the "images" of the ground truth, so that their order gives the frames.'
            )
    image_ids = sorted({entry["image_id"] for entry in data if entry.get("category_id", PERSON) == PERSON})
    people = [entry for entry in data if entry.get("category_id", PERSON) == PERSON]
    indices = [index for index, entry in enumerate(data) if entry.get("category_id", PERSON) == PERSON]
    return replace(annotations_of(people, image_ids, path), indices=np.array(indices, np.int64))


def _frames(images: list[Entry], path: Path) -> _Frames:
    numbers = [image.get("frame", order) for order, image in enumerate(images)]
    times = [image.get("time") for image in images]
    for order, (number, time) in enumerate(zip(numbers, times, strict=True)):
        if type(number) is not int or not 0 <= number < LAST_FRAME:
            raise InputError(f"{path}, image {order}: frame {number!r:.40} must be a whole number from 0 on.")
        if not (time is None or type(time) in (int, float)):
            raise InputError(f"{path}, image {order}, time: {time!r:.40} is not a number.")
    return _Frames(np.array(numbers, np.int64), np.array(times, np.float64))


def _skeleton(file: CocoFile) -> Skeleton:
    """The skeleton that the categories name; else PoseTrack's if the images are PoseTrack's."""
    names = file.person_keypoints()
    if names is not None:
        return skeleton_from_names(names, file.path)
    return POSETRACK_SKELETON if "frame_id" in file.images[0] else RunHeader().skeleton


def _keypoints(people: Annotations, skeleton: Skeleton) -> np.ndarray:
    """[N, 17, 3] x y confidence: the file's scores, else what v or, in PoseTrack, the coordinates say."""
    points = people.numbers("keypoints", KEYPOINT_NUMBERS, default=0.0).reshape(-1, len(KEYPOINTS), 3)
    if skeleton == POSETRACK_SKELETON:  # its evaluation counts every joint with coordinates and ignores v
        points[..., 2] = (points[..., :2] != 0).any(axis=2)
    elif np.isin(points[..., 2], (0, 1, 2)).all():
        points[..., 2] = CONFIDENCE_OF_V[points[..., 2].astype(np.int64)]
    for name in ("scores", "keypoint_scores"):
        scores = people.numbers(name, len(KEYPOINTS), default=np.nan)
        points[..., 2] = np.where(np.isnan(scores), points[..., 2], scores)
    return points


def _run(data: object, path: Path) -> tuple[RunHeader, bool | None]:
    """The header in `info` of a file that kprtrack wrote; an empty one for other files."""
    info = data.get("info") if isinstance(data, dict) else None
    if not isinstance(info, dict) or not isinstance(info.get("run"), Mapping):
        return RunHeader(), None
    header = header_from_json(info["run"], path)
    return replace(header, skeleton=RunHeader().skeleton), bool(info.get("complete"))
