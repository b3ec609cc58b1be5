"""One pose file of PoseTrack21, ground truth or result, as arrays."""

from dataclasses import dataclass
from pathlib import Path
from types import NoneType

import numpy as np

from eval.benchmarks.posetrack21_validation import (
    names_posetrack_joints,
    validate_coco_order,
    validate_same_images,
    validate_unique,
)
from eval.datatypes import POSETRACK_JOINTS, People
from kprtrack.core.errors import InputError
from kprtrack.core.files.coco import ignore_regions, images_of, read_coco
from kprtrack.core.files.columns import Annotations, Entry
from kprtrack.core.files.json_file import load_json
from kprtrack.core.files.selection import POSETRACK
from kprtrack.io.columns import validate_crowds

_HEAD_SHARE = 0.6  # of the head box's diagonal (docs/reference/tracking_and_evaluation.md 2.1)
_NO_SCORE = -9999.0  # the official program's value for a missing joint score


@dataclass(frozen=True)
class PoseFile:
    """The content of a file; people are in the order of the images."""

    path: Path
    image_ids: list[int | str]
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
    file = read_coco(path)
    for index, image in enumerate(file.images):
        if "is_labeled" not in image:
            raise InputError(
                f"{path}, image {index}: is_labeled is missing, so this is not ground truth of PoseTrack21."
                " Are ground truth and results swapped?"
            )
    labelled = np.array([bool(image["is_labeled"]) for image in file.images], bool)
    regions = _ignore_regions(file.images, path)
    found = file.people(POSETRACK).by_image()
    return _pose_file(found, labelled, regions, head_sizes=_head_sizes(found, labelled[found.images]))


def read_track_poses(path: Path, ground_truth: PoseFile) -> PoseFile:
    """Read the result of a sequence.

    Raises:
        InputError: The file is invalid; the message names file, frame and person.
    """
    data = load_json(path)
    validate_same_images(path, images_of(data, path)[1], ground_truth.path, ground_truth.image_ids)
    file = read_coco(path, data)
    joints_are_named = names_posetrack_joints(path, file.categories)
    found = file.people(POSETRACK).by_image()
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
    ids = [image.get("id") for image in images]
    for number, image_id in enumerate(ids):
        if not isinstance(image_id, (int, str, NoneType)):
            raise InputError(f"{path}, frame {number}: the id is {image_id!r:.40}, not a number or a text.")
    return ids, _ignore_regions(images, path)


def _ignore_regions(images: list[Entry], path: Path) -> tuple[tuple[np.ndarray, ...], ...]:
    return tuple(ignore_regions(image, f"{path}, frame {i}") for i, image in enumerate(images))


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
    validate_crowds(found.images, found.path)
    keypoints = found.numbers("keypoints", 3 * POSETRACK_JOINTS, default=0.0)
    people = People(
        frames=found.images,
        ids=ids,
        boxes=found.boxes() if has_boxes else np.zeros((len(found), 4)),
        scores=found.scalars("score", default=1.0),
        keypoints=keypoints.reshape(-1, POSETRACK_JOINTS, 3)[:, :, :2],
        joint_scores=found.numbers("scores", POSETRACK_JOINTS, default=_NO_SCORE),
        head_sizes=head_sizes,
        person_ids=person_ids,
    )
    return PoseFile(found.path, [*found.image_ids], labelled, regions, people, has_boxes, has_person_ids)


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
