"""Read JSON files of images, annotations and categories (COCO, CocoVID, PoseTrack21) as checked columns.

Result files, training data, benchmarks and ReID datasets are views of these columns. Every error names the
file and the annotation. Format: docs/reference/tracking_and_evaluation.md 1.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from kprtrack.core.errors import InputError

Entry = Mapping[str, Any]

PERSON = "person"
_CORNERS = 3  # fewer have no area
_MAX = 1e300  # larger numbers overflow in sums of squares
_LENGTH_HINTS = {
    45: " These are 15 joints: insert 0 0 0 for the ears at indices 3 and 4 (from 0).",
    34: " Add a third number after each x y.",
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
        return not any(entry.get(name) in (None, -1) for entry in self.entries)

    def whole(self, name: str, *, default: int | None = None) -> np.ndarray:
        """Return whole numbers from 0 on.

        Args:
            name: Key of the annotations.
            default: Allowed too, and taken where the key is missing; None: the key is required.

        Returns:
            [N] int64.

        Raises:
            InputError: A value is no whole number, negative or too large.
        """
        values = [entry.get(name, default) for entry in self.entries]
        for row, value in enumerate(values):
            if type(value) is not int or not (0 <= value < 2**62 or value == default):
                raise InputError(f"{self.place(row)}: {name} {value!r:.40} must be a non-negative integer.")
        return np.array(values, np.int64)

    def numbers(self, name: str, count: int, *, default: float | None = None) -> np.ndarray:
        """Return lists of numbers.

        Args:
            name: Key of the annotations.
            count: Length of every list.
            default: Fills lists that are missing, null or empty; None: the key is required.

        Returns:
            [N, count] float64.

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

    def _finite(self, name: str, lists: Sequence[object], count: int, default: float | None) -> np.ndarray:
        missing = np.array([default is not None and not values for values in lists], bool)
        filled = [[default] * count if gone else values for gone, values in zip(missing, lists, strict=True)]
        try:
            array = np.array(filled or np.zeros((0, count)))
        except ValueError:  # lists of different lengths
            array = np.zeros(0, object)
        fits = array.dtype.kind in "iuf" and array.shape == (len(lists), count)
        if fits and np.isfinite(array[~missing]).all():
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
            if type(number) not in (int, float) or not abs(number) <= _MAX:
                raise InputError(
                    f"{self.place(row)}: {name} has {number!r:.40} at index {column} (from 0), not a finite"
                    " number. Write 0 for unknown values."
                )


@dataclass(frozen=True)
class CocoFile:
    """The contents of a file."""

    path: Path
    images: list[Entry]
    image_ids: list[int | str]  # unique, one for each image
    annotations: Annotations  # in the order of the file
    categories: list[Entry]

    def people(self, *, default: int | None = None) -> Annotations:
        """Return the annotations of the category "person", or of the only category.

        Args:
            default: Category of people in files without categories; None: all annotations are people.

        Raises:
            InputError: There are several categories and none is called "person".
        """
        ids = person_ids(self.categories, self.path) or [default]
        if ids == [None]:
            return self.annotations
        entries = self.annotations.entries
        return self.annotations.at(np.array([e.get("category_id", ids[0]) in ids for e in entries], bool))

    def person_keypoints(self) -> object:
        """Return the names of the keypoints of people as the file has them; None if it has none."""
        ids = person_ids(self.categories, self.path) or []
        found = (c["keypoints"] for c in self.categories if c.get("id") in ids and c.get("keypoints"))
        return next(found, None)


def load_json(path: Path) -> object:
    """Read a JSON file; NaN and infinity are accepted. Raises: InputError naming the place of an error."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    if not text.strip():
        raise InputError(f"{path} is empty. Make or copy it again.")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass  # json also reads NaN and byte order marks, and says where an error is
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}, column {error.colno}: this is not valid JSON ({error.msg})."
            " Is the file truncated?"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"Cannot read {path}: {error}.") from error
    except RecursionError as error:
        raise InputError(f"{path} is nested too deeply.") from error


def read_coco(path: Path, data: object = None) -> CocoFile:
    """Read a file of images, annotations and, optionally, categories.

    Args:
        path: The file.
        data: Its contents, if they are already loaded.

    Returns:
        Images, annotations and categories; every annotation belongs to one of the images.

    Raises:
        InputError: The file cannot be read, a list is missing, or an id is missing or repeated.
    """
    data = load_json(path) if data is None else data
    images, image_ids = images_of(data, path)
    annotations = annotations_of(entries_of(data, "annotations", path), image_ids, path)
    categories = data.get("categories") if isinstance(data, dict) else None
    return CocoFile(
        path, images, image_ids, annotations, entries_of(data, "categories", path) if categories else []
    )


def images_of(data: object, path: Path) -> tuple[list[Entry], list[int | str]]:
    """Return the images of a document and their ids. Raises: InputError for a missing or repeated id."""
    images = entries_of(data, "images", path)
    if not images:
        raise InputError(f'{path}: "images" must be a list of all images; it is empty.')
    image_ids = [_image_id(image, f"{path}, image {index}") for index, image in enumerate(images)]
    if len(set(image_ids)) < len(image_ids):
        index = next(i for i, image_id in enumerate(image_ids) if image_id in image_ids[:i])
        raise InputError(
            f"{path}, image {index}: id {image_ids[index]} is repeated. Each image needs its own ID."
        )
    return images, image_ids


def annotations_of(entries: list[Entry], image_ids: Sequence[int | str], path: Path) -> Annotations:
    """Find the image of every annotation. Raises: InputError for an `image_id` that is not among the ids."""
    place_of: Mapping[object, int] = {image_id: place for place, image_id in enumerate(image_ids)}
    try:
        images = np.array([place_of[entry["image_id"]] for entry in entries], np.int64)
    except (KeyError, TypeError):
        index = next(i for i, entry in enumerate(entries) if entry.get("image_id") not in list(place_of))
        raise InputError(
            f"{path}, annotation {index} (from 0): image_id {entries[index].get('image_id')!r:.40} is not"
            f" one of the {len(image_ids)} images of the file."
        ) from None
    return Annotations(path, entries, np.arange(len(entries)), images, image_ids)


def entries_of(data: object, name: str, path: Path) -> list[Entry]:
    """Return a list of objects of the document. Raises: InputError for anything else."""
    entries = data.get(name) if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f'{path}: "{name}" must be a list of objects, as in COCO and PoseTrack21.')
    return entries


def person_ids(categories: Sequence[Entry], path: Path) -> list[object] | None:
    """Return the ids of the category "person", or of the only category; None without categories."""
    people = [category.get("id") for category in categories if category.get("name") == PERSON]
    if people or not categories:
        return people or None
    if len(categories) > 1:
        names = ", ".join(str(category.get("name")) for category in categories[:5])
        raise InputError(f"{path}: none of the 'categories' is called '{PERSON}', but {names}.")
    return [categories[0].get("id")]


def ignore_regions(image: Entry, place: str) -> tuple[np.ndarray, ...]:
    """Return the polygons of an image in which people are not annotated.

    Args:
        image: With `ignore_regions_x` and `ignore_regions_y`, lists of polygons or one flat polygon.
        place: The file and image, for messages.

    Returns:
        Polygons, each [V, 2] float64 x y in pixels.

    Raises:
        InputError: They are no polygons.
    """
    xs, ys = (image.get(f"ignore_regions_{axis}") or [] for axis in "xy")
    try:
        if isinstance(xs, list) and xs and not isinstance(xs[0], list):
            xs, ys = [xs], [ys]
        polygons = [np.array([x, y], np.float64).T for x, y in zip(xs, ys, strict=True)]
        valid = all(polygon.ndim == 2 and np.isfinite(polygon).all() for polygon in polygons if polygon.size)
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise InputError(
            f"{place}: ignore_regions_x and _y must be lists of polygons, as many x as y, all finite."
        )
    return tuple(polygon for polygon in polygons if len(polygon) >= _CORNERS)


def _image_id(image: Entry, place: str) -> int | str:
    image_id = image.get("id", image.get("frame_id"))
    if isinstance(image_id, bool) or not isinstance(image_id, int | str):
        raise InputError(f"{place}: its id {image_id!r:.40} must be a whole number or text.")
    return image_id
