"""Read datasets and results in the form of COCO, CocoVID and PoseTrack21 as people of result files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.files.coco import FIRST_POSETRACK_ID, CocoFile, annotations_of, entries_of, read_coco
from kprtrack.core.files.columns import Annotations
from kprtrack.core.files.numbers import LAST_FRAME, whole_number
from kprtrack.core.files.selection import ONLY, Selection, people_of
from kprtrack.core.files.videos import Frames, frames_of
from kprtrack.core.skeleton import COCO_SKELETON, POSETRACK_SKELETON, Skeleton
from kprtrack.core.skeletons import BY_COUNT
from kprtrack.io.columns import PeopleFile, ids_from_one, people_columns
from kprtrack.io.header import RunHeader, header_from_json, skeleton_from_names

# Confidence by COCO's v if a file has no scores: not labelled, labelled but hidden, visible.
CONFIDENCE_OF_V = np.array([0.0, 0.5, 1.0])


def people_from_annotations(data: object, path: Path, select: Selection = ONLY) -> PeopleFile:
    """Read the people of a COCO, CocoVID or PoseTrack21 document, or of a list of COCO results.

    The numbers of frames are those of `frames_of`; in a list of results `image_id` is the number. Crowds and
    other categories are skipped.

    Args:
        data: The document.
        path: Its file, for messages.
        select: Category of people and video, for files that have several.

    Returns:
        The people in the order of the frames; PoseTrack's keypoints become COCO's, those of other sets stay.

    Raises:
        InputError: Names the annotation that is wrong.
    """
    if isinstance(data, dict) and data.get("images"):
        file = read_coco(path, data)
        frames, people, skeleton = frames_of(file, select), file.people(select), skeleton_of(file, select)
        people = people.at(frames.chosen[people.images])
    else:
        people = _results(data.get("annotations") if isinstance(data, dict) else data, path, select)
        numbers = np.array(people.image_ids, np.int64)
        unknown = np.full(len(numbers), np.nan)
        frames = Frames(np.ones(len(numbers), bool), numbers, unknown, None)
        skeleton = _skeleton_of_results(people)
    people = people.at(np.array([not entry.get("iscrowd") for entry in people.entries], bool))
    people = people.at(np.argsort(frames.numbers[people.images], kind="stable"))
    boxes, keypoints = people.numbers("bbox", 4, default=np.nan), _keypoints(people, skeleton)
    posetrack = skeleton == POSETRACK_SKELETON
    columns = people_columns(
        frames.numbers[people.images],
        np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
        ids=ids_from_one(people.track_ids()),
        scores=people.scalars("score", default=np.nan),
        keypoints=POSETRACK_SKELETON.to_coco(keypoints) if posetrack else keypoints,
    )
    chosen = np.flatnonzero(frames.chosen)
    frame_numbers, first = np.unique(frames.numbers[chosen], return_index=True)
    header, complete = _run(data, path, frames, COCO_SKELETON if posetrack else skeleton)
    return PeopleFile(
        path=path,
        header=header,
        people=columns,
        frame_numbers=frame_numbers,
        times=frames.times[chosen][first],
        place=lambda row: f"annotation {people.indices[row]}",
        has_keypoints=any(entry.get("keypoints") for entry in people.entries),
        complete=complete,
    )


def _results(data: object, path: Path, select: Selection) -> Annotations:
    """The people of a list of results, whose image ids are frame numbers."""
    entries = entries_of({"annotations": data}, "annotations", path)
    numbers: list[int] = []
    for index, entry in enumerate(entries):
        number = whole_number(entry.get("image_id"))
        if number is None or not 0 <= number < LAST_FRAME:
            raise InputError(
                f"{path}, annotation {index}: image_id {entry.get('image_id')!r:.40} must be the frame"
                " number, from 0 on."
            )
        if number >= FIRST_POSETRACK_ID:
            raise InputError(
                f"{path}, annotation {index}: image_id {number} is no frame number. Put the results as "
                '"annotations" beside the "images" of the ground truth, so that their order gives the frames.'
            )
        numbers.append(number)
    found = annotations_of(entries, sorted(set(numbers)), path)
    select.video({}, path)
    return people_of(found, {}, select)


def _skeleton_of_results(people: Annotations) -> Skeleton:
    """The set with as many keypoints as the first annotation that has any; a list names none."""
    lists = (entry.get("keypoints") for entry in people.entries)
    first = next((each for each in lists if isinstance(each, list) and each), [])
    return BY_COUNT.get(len(first) // 3, COCO_SKELETON)


def skeleton_of(file: CocoFile, select: Selection = ONLY) -> Skeleton:
    """Return the skeleton that the category of people names.

    Args:
        file: The file.
        select: The category of people, for files that have several.

    Returns:
        COCO's if the file names no keypoints, or PoseTrack's if its image IDs are PoseTrack's.

    Raises:
        InputError: The keypoints are no known skeleton.
    """
    names = file.person_keypoints(select)
    if names is not None:
        return skeleton_from_names(names, file.path)
    return POSETRACK_SKELETON if file.is_posetrack else COCO_SKELETON


def _keypoints(people: Annotations, skeleton: Skeleton) -> np.ndarray:
    """[N, K, 3] x y confidence: the file's scores, else what v or, in PoseTrack, the coordinates say."""
    count = len(skeleton)
    points = people.numbers("keypoints", 3 * count, default=0.0).reshape(-1, count, 3)
    if skeleton == POSETRACK_SKELETON:  # its evaluation counts every joint with coordinates and ignores v
        points[..., 2] = (points[..., :2] != 0).any(axis=2)
    elif np.isin(points[..., 2], (0, 1, 2)).all():
        points[..., 2] = CONFIDENCE_OF_V[points[..., 2].astype(np.int64)]
    for name in ("scores", "keypoint_scores"):
        scores = people.numbers(name, count, default=np.nan)
        points[..., 2] = np.where(np.isnan(scores), points[..., 2], scores)
    return points


def _run(data: object, path: Path, frames: Frames, skeleton: Skeleton) -> tuple[RunHeader, bool | None]:
    """The header in `info` of a file that kprtrack wrote; of other files only the size of the images."""
    info = data.get("info") if isinstance(data, dict) else None
    if not isinstance(info, dict) or not isinstance(info.get("run"), Mapping):
        size = dict(zip(("width", "height"), frames.size, strict=True)) if frames.size else {}
        return RunHeader(video=size, skeleton=skeleton), None
    header = header_from_json(info["run"], path, info)
    return replace(header, skeleton=skeleton), bool(info.get("complete"))
