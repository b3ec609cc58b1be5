"""One pose file of PoseTrack21, ground truth or result, as arrays."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from eval.benchmarks.posetrack21_validation import (
    Annotations,
    Entry,
    names_posetrack_joints,
    validate_coco_order,
    validate_same_images,
    validate_unique,
)
from eval.datatypes import POSETRACK_JOINTS, People
from kprtrack.core.errors import InputError

_HEAD_SHARE = 0.6  # of the head box's diagonal (docs/reference/tracking_and_evaluation.md 2.1)
_NO_SCORE = -9999.0  # the official program's value for a missing joint score
_NO_JOINTS = [0.0] * (3 * POSETRACK_JOINTS)
_NO_SCORES = [_NO_SCORE] * POSETRACK_JOINTS
_CORNERS = 3  # fewer have no area


@dataclass(frozen=True)
class PoseFile:
    """The content of a file; people are in the order of the images."""

    path: Path
    image_ids: list[int]
    labelled: np.ndarray  # [F] bool
    ignore_regions: tuple[tuple[np.ndarray, ...], ...]  # as in Sequence
    people: People
    has_boxes: bool  # else People.boxes are 0
    has_person_ids: bool  # else People.person_ids are -1


def read_gt_poses(path: Path) -> PoseFile:
    """Read the ground truth of one sequence.

    Raises:
        InputError: The file is invalid; the message names file, frame and person.
    """
    data = load_json(path)
    images, ids = _images(data, path)
    for index, image in enumerate(images):
        if "is_labeled" not in image:
            raise InputError(
                f"{path}, image {index}: is_labeled is missing, so this is not ground truth of PoseTrack21."
                " Are ground truth and results swapped?"
            )
    labelled = np.array([bool(image["is_labeled"]) for image in images], bool)
    regions = tuple(ignore_regions(image, f"{path}, frame {i}") for i, image in enumerate(images))
    found = _annotations(data, path, ids)
    return _pose_file(found, labelled, regions, head_sizes=_head_sizes(found, labelled[found.frames]))


def read_track_poses(path: Path, ground_truth: PoseFile) -> PoseFile:
    """Read the result of a sequence.

    Raises:
        InputError: The file is invalid; the message names file, frame and person.
    """
    data = load_json(path)
    _, ids = _images(data, path)
    validate_same_images(path, ids, ground_truth.path, ground_truth.image_ids)
    joints_are_named = names_posetrack_joints(path, data)
    found = _annotations(data, path, ids)
    for row, entry in enumerate(found.entries):
        if not entry.get("keypoints"):
            raise InputError(
                f"{found.place(row)} has no keypoints. Write 17 x (x, y, visible), 0 0 0 if unknown."
            )
    unknown = np.full(len(found), np.nan)
    result = _pose_file(found, ground_truth.labelled, ground_truth.ignore_regions, head_sizes=unknown)
    if not joints_are_named:
        validate_coco_order(path, result.people.keypoints)
    return result


def read_image_info(path: Path) -> tuple[list[object], tuple[tuple[np.ndarray, ...], ...]]:
    """Read the image IDs and ignore regions of all frames of a sequence of posetrack_mot.

    Raises:
        InputError: The file is invalid.
    """
    images = load_json(path)
    if not isinstance(images, list) or not images or not all(isinstance(image, dict) for image in images):
        raise InputError(f"{path} must be the list of all images of the sequence.")
    regions = tuple(ignore_regions(image, f"{path}, frame {i}") for i, image in enumerate(images))
    return [image.get("id") for image in images], regions


def load_json(path: Path) -> object:
    """Return the content of a JSON file, which may contain NaN.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(text)  # accepts NaN, which is reported later with its place
        except (ValueError, RecursionError):
            raise InputError(
                f"{path} is not valid JSON: {error}. Is it truncated? Write it again."
            ) from error


def ignore_regions(image: Entry, place: str) -> tuple[np.ndarray, ...]:
    """Return the polygons of an image, each [V, 2]; a single one may be a flat list in the file.

    Source: docs/reference/tracking_and_evaluation.md 1.

    Raises:
        InputError: The values are not polygons.
    """
    xs, ys = (image.get(f"ignore_regions_{axis}") or [] for axis in "xy")
    try:
        if isinstance(xs, list) and xs and not isinstance(xs[0], list):
            xs, ys = [xs], [ys]
        polygons = [np.array([x, y], np.float64).T for x, y in zip(xs, ys, strict=True)]  # type: ignore[call-overload]
        valid = all(polygon.ndim == 2 and np.isfinite(polygon).all() for polygon in polygons if polygon.size)
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise InputError(
            f"{place}: ignore_regions_x and _y must be lists of polygons, as many x as y, all finite."
        )
    return tuple(polygon for polygon in polygons if len(polygon) >= _CORNERS)


def _images(data: object, path: Path) -> tuple[list[Entry], list[int]]:
    """Return the images and their IDs."""
    images = data.get("images") if isinstance(data, dict) else None
    if not isinstance(images, list) or not images or not all(isinstance(image, dict) for image in images):
        raise InputError(f'{path}: "images" must be the list of all images of the sequence, in their order.')
    ids = [image.get("id", image.get("frame_id")) for image in images]
    for index, image_id in enumerate(ids):
        if type(image_id) is not int:
            raise InputError(f"{path}, image {index}: its id {image_id!r:.40} must be a whole number.")
    if len(set(ids)) < len(ids):
        index = next(i for i, image_id in enumerate(ids) if image_id in ids[:i])
        raise InputError(f"{path}, image {index}: id {ids[index]} is repeated. Each image needs its own ID.")
    return images, ids


def _annotations(data: object, path: Path, image_ids: list[int]) -> Annotations:
    entries = data.get("annotations") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(
            f'{path}: "annotations" must be a list of objects, one for each person in each frame.'
        )
    frame_of: Mapping[object, int] = {image_id: frame for frame, image_id in enumerate(image_ids)}
    try:
        frames = np.array([frame_of[entry["image_id"]] for entry in entries], np.int64)
    except (KeyError, TypeError):
        index = next(i for i, e in enumerate(entries) if e.get("image_id") not in image_ids)
        raise InputError(
            f"{path}, annotation {index} (from 0): image_id {entries[index].get('image_id')!r:.40} is not"
            f" one of the {len(image_ids)} images of the file."
        ) from None
    order = np.argsort(frames, kind="stable")
    return Annotations(path, [entries[row] for row in order.tolist()], frames[order], image_ids)


def _pose_file(
    found: Annotations,
    labelled: np.ndarray,
    regions: tuple[tuple[np.ndarray, ...], ...],
    *,
    head_sizes: np.ndarray,
) -> PoseFile:
    """Return the arrays of validated annotations."""
    ids = found.whole("track_id")
    validate_unique(found, "track_id", ids)
    has_boxes = any("bbox" in entry for entry in found.entries)
    has_person_ids = found.all_have("person_id")
    person_ids = found.whole("person_id") if has_person_ids else np.full(len(found), -1)
    if has_person_ids:
        validate_unique(found, "person_id", person_ids)
    keypoints = found.numbers("keypoints", 3 * POSETRACK_JOINTS, default=_NO_JOINTS)
    people = People(
        frames=found.frames,
        ids=ids,
        boxes=found.boxes("bbox") if has_boxes else np.zeros((len(found), 4)),
        scores=found.numbers_each("score", default=1.0),
        keypoints=keypoints.reshape(-1, POSETRACK_JOINTS, 3)[:, :, :2],
        joint_scores=found.numbers("scores", POSETRACK_JOINTS, default=_NO_SCORES),
        head_sizes=head_sizes,
        person_ids=person_ids,
    )
    return PoseFile(found.path, found.image_ids, labelled, regions, people, has_boxes, has_person_ids)


def _head_sizes(found: Annotations, labelled: np.ndarray) -> np.ndarray:
    """Return the head sizes in pixels, [N]; NaN in frames without annotated poses."""
    sizes = np.full(len(found), np.nan)
    heads = found.at(np.flatnonzero(labelled))
    for row, entry in enumerate(heads.entries):
        if not entry.get("bbox_head"):
            raise InputError(
                f"{heads.place(row)} has no bbox_head. Distances are measured in head sizes, so the"
                " ground truth needs a head box for each person in labelled frames."
            )
    sizes[labelled] = _HEAD_SHARE * np.hypot(*heads.boxes("bbox_head")[:, 2:].T)
    return sizes
