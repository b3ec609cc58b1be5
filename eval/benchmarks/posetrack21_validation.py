"""Validate PoseTrack21's pose files; errors name file, frame and person."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.files.columns import Annotations, Entry
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS

# COCO's left eye is at the index of PoseTrack's neck; nose and ears have the same indices.
_NOSE, _NECK, _EARS = 0, 1, [3, 4]
_ENOUGH_PEOPLE, _NEARLY_ALL = 20, 0.8  # to recognise COCO's order by the poses alone


def validate_unique(found: Annotations, name: str, ids: np.ndarray) -> None:
    """Raise InputError if an ID occurs twice in a frame."""
    order = np.lexsort((ids, found.images))
    again = (np.diff(found.images[order]) == 0) & (np.diff(ids[order]) == 0)
    for row in order[1:][again][:1].tolist():
        instead = (
            " Without person_id in all files, cross-video HOTA is skipped." if name == "person_id" else ""
        )
        raise InputError(
            f"{found.place(row)}: {name} {ids[row]} occurs twice in this frame. A person has one"
            f" annotation in a frame; keep the better one.{instead}"
        )


def validate_same_images(
    path: Path, ids: Sequence[int | str], ground_truth: Path, wanted: Sequence[int | str]
) -> None:
    """Raise InputError unless the images are those of the ground truth, in the same order."""
    if ids == wanted:
        return
    must = f"List all images of {ground_truth} in the same order."
    if len(ids) != len(wanted):
        present = set(ids)
        missing = next((image_id for image_id in wanted if image_id not in present), None)
        first = "" if missing is None else f" The first missing one is {missing}."
        raise InputError(f"{path} has {len(ids)} images, the ground truth has {len(wanted)}.{first} {must}")
    frame = next(i for i, (found, expected) in enumerate(zip(ids, wanted, strict=True)) if found != expected)
    order = " The same images are in another order." if set(ids) == set(wanted) else ""
    raise InputError(
        f"{path}, frame {frame}: image id {ids[frame]}, the ground truth has {wanted[frame]}.{order} {must}"
    )


def names_posetrack_joints(path: Path, categories: Sequence[Entry]) -> bool:
    """Return whether the file names its joints as those of PoseTrack21.

    Raises:
        InputError: The file names other joints.
    """
    named = [category["keypoints"] for category in categories if category.get("keypoints")]
    for names in named:
        if names != list(POSETRACK_KEYPOINTS):
            whose = "COCO's" if names == list(KEYPOINTS) else "not PoseTrack21's"
            raise InputError(
                f"{path}: its categories name joints that are {whose}: {names!s:.120}... Expected:"
                f" {', '.join(POSETRACK_KEYPOINTS)}. Convert with `kprtrack convert FILE OUT --to"
                " posetrack21`."
            )
    return bool(named)


def validate_coco_order(path: Path, keypoints: np.ndarray) -> None:
    """Raise InputError if nearly all people have ears, not labelled in PoseTrack21, and necks above noses."""
    people = keypoints[(keypoints[:, [_NOSE, _NECK, *_EARS]] > 0).all((1, 2))]
    if len(people) < max(_ENOUGH_PEOPLE, _NEARLY_ALL * len(keypoints)):
        return
    if (people[:, _NECK, 1] < people[:, _NOSE, 1]).mean() > _NEARLY_ALL:
        raise InputError(
            f"{path}: the joints seem to be in COCO's order: there are ears, and joint 1, head_bottom in"
            " PoseTrack21, is above the nose. Convert with `kprtrack convert FILE OUT --to posetrack21`, or"
            ' name the joints in "categories" if the order is correct.'
        )
