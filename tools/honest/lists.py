"""Lists of labelled images in COCO's format, as tools/make_person_data.py writes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.files.json_file import load_json
from kprtrack.poses.crops import pose_windows
from reid.datasets.crops import read_image

_AREA = 0.53  # share of its box that a person fills, for OKS: there are no masks
_NEIGHBOUR = 0.1  # share of a crop that the box of another person covers
_CROP = 192, 256, 1.25  # width and height of a crop in pixels, and its padding

Entry = dict[str, Any]  # an image or an annotation as in COCO's format


@dataclass(frozen=True)
class ImageList:
    """Labelled images; the area of a person is that of the body, not of the box."""

    images: tuple[Entry, ...]
    people: tuple[Entry, ...]
    categories: list[Entry]
    read: Callable[[Entry], np.ndarray]  # image -> [H, W, 3] uint8 RGB

    def of(self, image: Mapping[str, Any]) -> list[Entry]:
        """Return the people of an image, ignore regions (iscrowd 1) included."""
        return [each for each in self.people if each["image_id"] == image["id"]]


def read_list(file: Path, chosen: Callable[[Entry], bool] = lambda _: True) -> ImageList:
    """Read a list and select images.

    Args:
        file: JSON in COCO's format; the images are in the folder `images` beside it.
        chosen: Whether an image is used.

    Returns:
        The chosen images, possibly none.

    Raises:
        InputError: The file is missing or has other contents.
    """
    data = load_json(file)
    if not isinstance(data, dict) or {"images", "annotations", "categories"} - set(data):
        raise InputError(
            f"{file} is not in COCO's format. Name the output folder of tools/make_person_data.py."
        )
    images = tuple(each for each in data["images"] if chosen(each))
    known = {each["id"] for each in images}
    people = tuple(
        each | {"area": each["area"] * _AREA} for each in data["annotations"] if each["image_id"] in known
    )
    folder = file.parent / "images"
    return ImageList(
        images, people, data["categories"], lambda image: read_image(folder / image["file_name"])
    )


def corners(person: Mapping[str, Any]) -> np.ndarray:
    """Return the box of an annotation, [4] float64 x1 y1 x2 y2."""
    x, y, width, height = person["bbox"]
    return np.array([x, y, x + width, y + height], float)


def has_joints(person: Mapping[str, Any]) -> bool:
    """Return whether the keypoints of an annotation are scored."""
    return person["num_keypoints"] > 0 and not person["iscrowd"]


def with_neighbours(images: ImageList) -> ImageList:
    """Keep only people with another labelled person in the crop, and their images.

    Returns:
        People of whose crop (padding 1.25) the box of another one covers at least a tenth.
    """
    people = []
    for image in images.images:
        own = images.of(image)
        for person in own:
            others = np.stack([corners(other) for other in own if other is not person] or [np.zeros(4)])
            if has_joints(person) and _covered(corners(person), others) >= _NEIGHBOUR:
                people.append(person)
    kept = {each["image_id"] for each in people}
    chosen = tuple(image for image in images.images if image["id"] in kept)
    return ImageList(chosen, tuple(people), images.categories, images.read)


def _covered(box: np.ndarray, others: np.ndarray) -> float:
    """Largest share of the crop around a box [4] that one of the others [N, 4] covers."""
    width_px, height_px, padding = _CROP
    ((x, y, width, height),) = pose_windows(box[None], width_px, height_px, padding=padding)
    low = np.maximum([x - width / 2, y - height / 2], others[:, :2])
    high = np.minimum([x + width / 2, y + height / 2], others[:, 2:])
    return float(np.clip(high - low, 0, None).prod(axis=1).max() / (width * height))
