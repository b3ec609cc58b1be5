"""The annotations of a COCO-like file as checked columns; every error names the file and the annotation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.files.numbers import LARGEST, LARGEST_ID, whole_number

Entry = Mapping[str, Any]

NONE_ID = -1  # what annotation tools write for "no ID"
_ABSENT = (None, NONE_ID)
_LENGTH_HINTS = {
    45: " These are 15 joints: insert 0 0 0 for the ears at indices 3 and 4 (from 0).",
    34: " Add a third number after each x y.",
}


def _attribute_track_id(entry: Entry) -> object:
    attributes = entry.get("attributes")
    return attributes.get("track_id") if isinstance(attributes, Mapping) else None


# Where programs store track IDs: PoseTrack21 and kprtrack, CVAT, CocoVID of mmtracking. The first counts.
_TRACK_IDS: dict[str, Callable[[Entry], object]] = {
    "track_id": lambda entry: entry.get("track_id"),
    "attributes.track_id": _attribute_track_id,
    "instance_id": lambda entry: entry.get("instance_id"),
}


@dataclass(frozen=True)
class Annotations:
    """The annotations of a file; row i is one person in every column."""

    path: Path
    entries: list[Entry]
    indices: np.ndarray  # [N] int64, places in the file, from 0
    images: np.ndarray  # [N] int64, the image of each: its place in `image_ids`
    image_ids: Sequence[int | str]

    def __len__(self) -> int:
        return len(self.entries)

    def at(self, rows: np.ndarray) -> "Annotations":
        """Return the annotations of these rows, indices or a mask."""
        chosen = np.arange(len(self))[rows]
        return Annotations(
            self.path,
            [self.entries[row] for row in chosen.tolist()],
            self.indices[chosen],
            self.images[chosen],
            self.image_ids,
        )

    def by_image(self) -> "Annotations":
        """Return the annotations in the order of the images."""
        return self.at(np.argsort(self.images, kind="stable"))

    def place(self, row: int) -> str:
        """Return where a row stands in the file, for messages."""
        entry, image = self.entries[row], self.images[row]
        own_id = f" (id {entry['id']!r:.40})" if "id" in entry else ""
        track_id = f", track_id {entry['track_id']!r:.40}" if "track_id" in entry else ""
        return (
            f"{self.path}, annotation {self.indices[row]}{own_id}, frame {image} "
            f"(image_id {self.image_ids[image]}){track_id}"
        )

    def all_have(self, name: str) -> bool:
        """Whether every annotation has this value; null and -1 stand for none."""
        return not any(entry.get(name) in _ABSENT for entry in self.entries)

    def whole(self, name: str) -> np.ndarray:
        """Return whole numbers from 0 on, also those stored as 1.0.

        Args:
            name: Key of the annotations; all must have it.

        Returns:
            [N] int64.

        Raises:
            InputError: A value is no whole number, negative or too large to be exact in every format.
        """
        return self._whole(name, [entry.get(name) for entry in self.entries])

    def track_ids(self) -> np.ndarray:
        """Return the track IDs: of `track_id`, of CVAT's `attributes.track_id` or of CocoVID's `instance_id`.

        Returns:
            [N] int64; -1 where there is none (-1, null, NaN or no key).

        Raises:
            InputError: As for `whole`.
        """
        for name, read in _TRACK_IDS.items():
            values = [read(entry) for entry in self.entries]
            values = [NONE_ID if value is None or value != value else value for value in values]
            if any(value != NONE_ID for value in values):
                return self._whole(name, values, NONE_ID)
        return np.full(len(self), NONE_ID, np.int64)

    def numbers(self, name: str, count: int, *, default: float | None = None) -> np.ndarray:
        """Return lists of numbers.

        Args:
            name: Key of the annotations.
            count: Length of every list.
            default: Fills lists that are missing, null or empty; None: the key is required.

        Returns:
            [N, count] float64, of values below `LARGEST`.

        Raises:
            InputError: A value is no list of this length or holds something else than finite numbers.
        """
        lists = [entry.get(name) for entry in self.entries]
        return self._finite(name, lists, count, default)

    def scalars(self, name: str, *, default: float) -> np.ndarray:
        """Return one number per annotation, [N] float64, or the default. Raises: InputError."""
        values = [entry.get(name) for entry in self.entries]
        return self._finite(name, [None if v is None else [v] for v in values], 1, default)[:, 0]

    def boxes(self, name: str = "bbox") -> np.ndarray:
        """Return [N, 4] float64 left, top, width, height. Raises: InputError for a negative size, too."""
        boxes = self.numbers(name, 4)
        for row in np.flatnonzero((boxes[:, 2:] < 0).any(axis=1))[:1].tolist():
            raise InputError(
                f"{self.place(row)}: {name} {boxes[row].tolist()} has a negative size; a box is x y width"
                " height."
            )
        return boxes

    def _whole(self, name: str, values: list[object], default: int | None = None) -> np.ndarray:
        numbers = list(map(whole_number, values))
        for row, number in enumerate(numbers):
            if number is None or not (0 <= number <= LARGEST_ID or number == default):
                raise InputError(
                    f"{self.place(row)}: {name} {values[row]!r:.40} must be a non-negative integer below"
                    " 2^53."
                )
        return np.array(numbers, np.int64)

    def _finite(self, name: str, lists: Sequence[object], count: int, default: float | None) -> np.ndarray:
        missing = np.array([default is not None and not values for values in lists], bool)
        filled = [[default] * count if gone else values for gone, values in zip(missing, lists, strict=True)]
        try:
            array = np.array(filled or np.zeros((0, count)))
        except ValueError:  # lists of different lengths
            array = np.zeros(0, object)
        fits = array.dtype.kind in "iuf" and array.shape == (len(lists), count)
        if fits and ((array > -LARGEST) & (array < LARGEST))[~missing].all():
            return array.astype(np.float64, copy=False)
        for row in np.flatnonzero(~missing).tolist():
            self._validate_list(row, name, lists[row], count)
        return np.array(filled, np.float64).reshape(len(lists), count)

    def _validate_list(self, row: int, name: str, numbers: object, count: int) -> None:
        if not isinstance(numbers, list) or len(numbers) != count:
            has = f"{len(numbers)} numbers" if isinstance(numbers, list) else repr(numbers)[:40]
            hint = _LENGTH_HINTS.get(len(numbers), "") if isinstance(numbers, list) else ""
            order = f", {count // 3} x (x, y, visible)" if name == "keypoints" else ""
            raise InputError(f"{self.place(row)}: {name} must be {count} numbers{order}, not {has}.{hint}")
        for column, number in enumerate(numbers):
            if type(number) not in (int, float) or not abs(number) < LARGEST:
                raise InputError(
                    f"{self.place(row)}: {name} has {number!r:.40} at index {column} (from 0), not a finite"
                    f" number below {LARGEST:g}. Write 0 for unknown values."
                )
