"""Read JSON files of images, annotations and categories: COCO, CocoVID, PoseTrack21, CVAT, VIA.

Result files, training data, benchmarks and ReID datasets are views of what is read here. Every error names
the file and the annotation. Format: docs/reference/tracking_and_evaluation.md 1, docs/formats.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.files.columns import Annotations, Entry
from kprtrack.core.files.json_file import load_json
from kprtrack.core.files.numbers import LARGEST, whole_number
from kprtrack.core.files.selection import ONLY, Selection, category_names, people_of

FIRST_POSETRACK_ID = 10_000_000_000
_CORNERS = 3  # fewer have no area
_UNKNOWN_SIDE = -1
_LONGEST_SIDE = 1_000_000  # pixels; no image format has more


@dataclass(frozen=True)
class CocoFile:
    """The contents of a file."""

    path: Path
    images: list[Entry]
    image_ids: list[int | str]  # unique, one for each image
    annotations: Annotations  # in the order of the file
    categories: list[Entry]
    videos: list[Entry]  # of CocoVID

    def people(self, select: Selection = ONLY) -> Annotations:
        """Return the annotations of people.

        Args:
            select: The category of people, for files that have several.

        Raises:
            InputError: There are several categories, and the choice is not possible.
        """
        return people_of(self.annotations, category_names(self.categories, self.path), select)

    def person_keypoints(self, select: Selection = ONLY) -> object:
        """Return the names of the keypoints of people as the file has them; None if it has none."""
        names = category_names(self.categories, self.path)
        ids = select.people(names, self.path) if names else [None]
        found = (c["keypoints"] for c in self.categories if c.get("id") in ids and c.get("keypoints"))
        return next(found, None)

    @property
    def is_posetrack(self) -> bool:
        """Whether the image IDs are PoseTrack's, of 11 digits: without names its keypoints have its order."""
        return all(_is_posetrack_id(image.get("frame_id")) for image in self.images)


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
    categories, videos = (
        entries_of(data, name, path) if isinstance(data, dict) and data.get(name) else []
        for name in ("categories", "videos")
    )
    return CocoFile(path, images, image_ids, annotations, categories, videos)


def images_of(data: object, path: Path) -> tuple[list[Entry], list[int | str]]:
    """Return the images of a document and their ids. Raises: InputError for a missing or repeated id."""
    images = entries_of(data, "images", path)
    if not images:
        raise InputError(f'{path}: "images" must be a list of all images; it is empty.')
    image_ids = [_image_id(image, f"{path}, image {index}") for index, image in enumerate(images)]
    if len(set(image_ids)) < len(image_ids):
        index = _first_repeated(image_ids)
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
        index = next(i for i, entry in enumerate(entries) if not _is_among(entry.get("image_id"), place_of))
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
        valid = all(polygon.ndim == 2 and (np.abs(polygon) < LARGEST).all() for polygon in polygons)
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise InputError(
            f"{place}: ignore_regions_x and _y must be lists of polygons, as many x as y, all finite."
        )
    return tuple(polygon for polygon in polygons if len(polygon) >= _CORNERS)


def file_name(image: Entry, place: str) -> str:
    """Return the `file_name` of an image. Raises: InputError if there is none."""
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise InputError(f"{place}: file_name is {name!r:.40}, no file name.")
    return name


def image_size(image: Entry, place: str) -> tuple[int, int] | None:
    """Return width and height of an image in pixels; None if the file does not know them.

    Args:
        image: With `width` and `height`; missing, null, 0 and VIA's -1 stand for unknown.
        place: The file and image, for messages.

    Raises:
        InputError: A side is no whole number of pixels.
    """
    sides = [image.get(side) for side in ("width", "height")]
    pixels = [0 if side in (None, _UNKNOWN_SIDE) else whole_number(side) for side in sides]
    for name, side, number in zip(("width", "height"), sides, pixels, strict=True):
        if number is None or not 0 <= number <= _LONGEST_SIDE:
            raise InputError(f"{place}: {name} is {side!r:.40}, no number of pixels.")
    width, height = (number or 0 for number in pixels)
    return (width, height) if width and height else None


def _image_id(image: Entry, place: str) -> int | str:
    image_id = image.get("id", image.get("frame_id"))
    number = image_id if isinstance(image_id, str) else whole_number(image_id)
    if number is None:
        raise InputError(f"{place}: its id {image_id!r:.40} must be a whole number or text.")
    return number


def _is_posetrack_id(value: object) -> bool:
    return type(value) is int and value >= FIRST_POSETRACK_ID


def _first_repeated(image_ids: list[int | str]) -> int:
    seen: set[int | str] = set()
    for index, image_id in enumerate(image_ids):
        if image_id in seen:
            return index
        seen.add(image_id)
    raise ValueError("no ID is repeated")


def _is_among(image_id: object, places: Mapping[object, int]) -> bool:
    return isinstance(image_id, int | float | str) and image_id in places
