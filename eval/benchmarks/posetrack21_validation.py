"""Validate PoseTrack21's pose files; errors name file, frame and person."""

from collections.abc import Mapping
from collections.abc import Sequence as List
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS

Entry = Mapping[str, object]
# COCO's left eye is at the index of PoseTrack's neck; nose and ears have the same indices.
_NOSE, _NECK, _EARS = 0, 1, [3, 4]
_ENOUGH_PEOPLE, _NEARLY_ALL = 20, 0.8  # to recognise COCO's order by the poses alone
_LENGTH_HINTS = {
    45: " These are 15 joints: insert 0 0 0 for the ears at indices 3 and 4 (from 0).",
    34: " Add a third number after each x y.",
}
_MAX = 1e300  # larger numbers overflow in sums of squares


@dataclass(frozen=True)
class Annotations:
    """The annotations of a file in the order of its images."""

    path: Path
    entries: list[Entry]
    frames: np.ndarray  # [N] int64
    image_ids: list[int]

    def __len__(self) -> int:
        return len(self.entries)

    def at(self, rows: np.ndarray) -> "Annotations":
        """Return the annotations of these rows."""
        return Annotations(
            self.path, [self.entries[row] for row in rows.tolist()], self.frames[rows], self.image_ids
        )

    def place(self, row: int) -> str:
        """Return the place of an annotation, for messages."""
        frame, track = self.frames[row], self.entries[row].get("track_id")
        return f"{self.path}, frame {frame} (image_id {self.image_ids[frame]}), track_id {track!r:.40}"

    def all_have(self, name: str) -> bool:
        """Return whether every annotation has a value; -1 and null mean none."""
        values = [entry.get(name) for entry in self.entries]
        return not any(value is None or value == -1 for value in values)

    def whole(self, name: str) -> np.ndarray:
        """Return [N] int64, non-negative integers. Raises: InputError."""
        values = [entry.get(name) for entry in self.entries]
        for row, value in enumerate(values):
            if type(value) is not int or not 0 <= value < 2**63:
                raise InputError(f"{self.place(row)}: {name} {value!r:.40} must be a non-negative integer.")
        return np.array(values, np.int64)

    def numbers_each(self, name: str, *, default: float) -> np.ndarray:
        """Return [N] float64. Raises: InputError if a value is not a finite number."""
        lists = [[entry.get(name, default)] for entry in self.entries]
        return self._finite(name, lists, 1)[:, 0]

    def numbers(self, name: str, count: int, *, default: list[float]) -> np.ndarray:
        """Return [N, count] float64. Raises: InputError if a value is not a list of `count` numbers."""
        return self._finite(name, [entry.get(name) or default for entry in self.entries], count)

    def boxes(self, name: str) -> np.ndarray:
        """Return boxes [N, 4] float64, x y width height. Raises: InputError if a box is invalid."""
        boxes = self._finite(name, [entry.get(name) for entry in self.entries], 4)
        for row in np.flatnonzero((boxes[:, 2:] < 0).any(1))[:1].tolist():
            raise InputError(
                f"{self.place(row)}: {name} {boxes[row].tolist()} has a negative size; a box is x y width"
                " height."
            )
        return boxes

    def _finite(self, name: str, lists: List[object], count: int) -> np.ndarray:
        try:
            values = np.array(lists)
        except ValueError:  # of different lengths
            values = np.zeros(0, object)
        fits = values.dtype.kind in "iuf" and values.shape == (len(lists), count)
        if fits and np.isfinite(values).all():
            return values.astype(np.float64, copy=False)
        for row, numbers in enumerate(lists):
            self._validate_list(row, name, numbers, count)
        return np.array(lists, np.float64).reshape(len(lists), count)

    def _validate_list(self, row: int, name: str, numbers: object, count: int) -> None:
        if not isinstance(numbers, list) or len(numbers) != count:
            has = f"{len(numbers)} numbers" if isinstance(numbers, list) else repr(numbers)[:40]
            hint = _LENGTH_HINTS.get(len(numbers), "") if isinstance(numbers, list) else ""
            order = ", 17 x (x, y, visible) in PoseTrack21's order" if name == "keypoints" else ""
            raise InputError(f"{self.place(row)}: {name} must be {count} numbers{order}, not {has}.{hint}")
        for column, number in enumerate(numbers):
            if type(number) not in (int, float) or not abs(number) <= _MAX:
                raise InputError(
                    f"{self.place(row)}: {name} has {number!r:.40} at index {column} (from 0), not a finite"
                    " number. Write 0 for unknown values."
                )


def validate_unique(found: Annotations, name: str, ids: np.ndarray) -> None:
    """Raise InputError if an ID occurs twice in a frame."""
    order = np.lexsort((ids, found.frames))
    again = (np.diff(found.frames[order]) == 0) & (np.diff(ids[order]) == 0)
    for row in order[1:][again][:1].tolist():
        instead = (
            " Without person_id in all files, cross-video HOTA is skipped." if name == "person_id" else ""
        )
        raise InputError(
            f"{found.place(row)}: {name} {ids[row]} occurs twice in this frame. A person has one"
            f" annotation in a frame; keep the better one.{instead}"
        )


def validate_same_images(path: Path, ids: list[int], ground_truth: Path, wanted: list[int]) -> None:
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


def names_posetrack_joints(path: Path, data: object) -> bool:
    """Return whether the file names its joints as those of PoseTrack21.

    Raises:
        InputError: The file names other joints.
    """
    categories = data.get("categories") if isinstance(data, dict) else None
    named = [
        category["keypoints"]
        for category in (categories if isinstance(categories, list) else [])
        if isinstance(category, dict) and category.get("keypoints")
    ]
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
