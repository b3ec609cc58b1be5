"""What can be wrong in PoseTrack21's pose files, told with file, frame and person."""

from collections.abc import Mapping
from collections.abc import Sequence as List
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS

Entry = Mapping[str, object]
# COCO has the left eye where PoseTrack has the neck; the nose and the ears have the same places.
_NOSE, _NECK, _EARS = 0, 1, [3, 4]
_ENOUGH_PEOPLE, _NEARLY_ALL = 20, 0.8  # to tell COCO's order from the poses alone
_LENGTH_HINTS = {
    45: " These are 15 joints: put 0 0 0 for the ears at the places 3 and 4 (from 0).",
    34: " Put a third number after each x y.",
}
_MAX = 1e300  # more is as good as infinite


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
        """The annotations of these rows."""
        return Annotations(
            self.path, [self.entries[row] for row in rows.tolist()], self.frames[rows], self.image_ids
        )

    def place(self, row: int) -> str:
        """Where an annotation stands, for messages."""
        frame, track = self.frames[row], self.entries[row].get("track_id")
        return f"{self.path}, frame {frame} (image_id {self.image_ids[frame]}), track_id {track!r:.40}"

    def all_have(self, name: str) -> bool:
        """Whether every annotation has a number from 0 on; -1 and null stand for none."""
        values = [entry.get(name) for entry in self.entries]
        return not any(value is None or value == -1 for value in values)

    def whole(self, name: str) -> np.ndarray:
        """[N] int64, whole numbers from 0 on. Raises: InputError."""
        values = [entry.get(name) for entry in self.entries]
        for row, value in enumerate(values):
            if type(value) is not int or not 0 <= value < 2**63:
                raise InputError(f"{self.place(row)}: {name} {value!r:.40} must be a whole number from 0 on.")
        return np.array(values, np.int64)

    def numbers_each(self, name: str, *, default: float) -> np.ndarray:
        """[N] float64. Raises: InputError if one is no finite number."""
        lists = [[entry.get(name, default)] for entry in self.entries]
        return self._finite(name, lists, 1)[:, 0]

    def numbers(self, name: str, count: int, *, default: list[float]) -> np.ndarray:
        """[N, count] float64. Raises: InputError if one is no list of so many finite numbers."""
        return self._finite(name, [entry.get(name) or default for entry in self.entries], count)

    def boxes(self, name: str) -> np.ndarray:
        """[N, 4] float64, x y width height. Raises: InputError if one is none."""
        boxes = self._finite(name, [entry.get(name) for entry in self.entries], 4)
        for row in np.flatnonzero((boxes[:, 2:] < 0).any(1))[:1].tolist():
            raise InputError(
                f"{self.place(row)}: {name} {boxes[row].tolist()} has a negative size; it is x y w h."
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
                    f"{self.place(row)}: {name} holds {number!r:.40} at place {column} (from 0), not a finite"
                    " number. Write 0 for what is unknown."
                )


def validate_unique(found: Annotations, name: str, ids: np.ndarray) -> None:
    """Raises: InputError if an id is twice in a frame."""
    order = np.lexsort((ids, found.frames))
    again = (np.diff(found.frames[order]) == 0) & (np.diff(ids[order]) == 0)
    for row in order[1:][again][:1].tolist():
        instead = " Without any person_id, cross-video HOTA is left out." if name == "person_id" else ""
        raise InputError(
            f"{found.place(row)}: {name} {ids[row]} is there twice in this frame. One person has one"
            f" annotation in a frame; keep the better one.{instead}"
        )


def validate_same_images(path: Path, ids: list[int], ground_truth: Path, wanted: list[int]) -> None:
    """Raises: InputError unless the images are those of the truth, in the same order."""
    if ids == wanted:
        return
    must = f"List the images of {ground_truth} all, in the same order."
    if len(ids) != len(wanted):
        there = set(ids)
        missing = next((image_id for image_id in wanted if image_id not in there), None)
        first = "" if missing is None else f" The first that is missing is {missing}."
        raise InputError(f"{path} has {len(ids)} images, the truth has {len(wanted)}.{first} {must}")
    frame = next(i for i, (mine, theirs) in enumerate(zip(ids, wanted, strict=True)) if mine != theirs)
    order = " The same images are in another order." if set(ids) == set(wanted) else ""
    raise InputError(
        f"{path}, frame {frame}: image id {ids[frame]}, the truth has {wanted[frame]}.{order} {must}"
    )


def names_posetrack_joints(path: Path, data: object) -> bool:
    """Whether the file names its joints, and they are PoseTrack21's.

    Raises: InputError if it names others.
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
                f"{path}: its categories name joints that are {whose}: {names!s:.120}... Wanted:"
                f" {', '.join(POSETRACK_KEYPOINTS)}. `kprtrack convert FILE OUT --to posetrack21` does that."
            )
    return bool(named)


def validate_coco_order(path: Path, keypoints: np.ndarray) -> None:
    """Raises: InputError if nearly all have ears, which PoseTrack21 does not label, and necks above noses."""
    people = keypoints[(keypoints[:, [_NOSE, _NECK, *_EARS]] > 0).all((1, 2))]
    if len(people) < max(_ENOUGH_PEOPLE, _NEARLY_ALL * len(keypoints)):
        return
    if (people[:, _NECK, 1] < people[:, _NOSE, 1]).mean() > _NEARLY_ALL:
        raise InputError(
            f"{path}: the joints seem to be in COCO's order: ears are there and joint 1, head_bottom in"
            " PoseTrack21, is above the nose. Convert with `kprtrack convert FILE OUT --to posetrack21`; if"
            ' they are right, name them in "categories".'
        )
