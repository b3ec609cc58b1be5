"""Listing images, and the paths of their keypoints and masks, for all dataset readers.

A published dataset keeps its files where its authors put them (docs/reference/kpr.md 5.1). Everything else,
our own files included, follows one rule: for an image FOLDER/NAME.jpg
    external_annotation/<keypoints>/FOLDER/NAME.jpg_keypoints.json
    masks/<masks>/FOLDER/NAME.jpg.png        part labels, or
    masks/<masks>/FOLDER/NAME.jpg.npy        36 fields, where the name <masks> ends in "fields"
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.folders import visible
from reid.datasets.sample import ReidData, ReidSample

OWN_KEYPOINTS, OWN_MASKS = "kprtrack", "part_labels"  # what the `data` commands write
ANNOTATION_FOLDERS = ("external_annotation", "masks")
PICTURES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"))


@dataclass(frozen=True)
class AnnotationPaths:
    """Where the keypoints and masks of the images below `root` are; None: there are none.

    Args:
        keypoints: Names of folders as above, or absolute paths.
        masks: Names of folders as above, or absolute paths.
        published_masks: The folder whose files are named otherwise, and how: path of the image below root ->
            path in that folder.
    """

    root: Path
    keypoints: str | None
    masks: str | None
    published_masks: tuple[str, Callable[[Path], Path]] | None = None

    def keypoints_of(self, image: Path) -> Path | None:
        """Return the file with the keypoints of an image.

        Args:
            image: Its path below root.

        Returns:
            The file, which may not exist; None if the data set has no keypoints.
        """
        if self.keypoints is None:
            return None
        folder = self.root / ANNOTATION_FOLDERS[0] / self.keypoints
        return folder / image.with_name(f"{image.name}_keypoints.json")

    def masks_of(self, image: Path) -> Path | None:
        """Return the file with the part masks of an image.

        Args:
            image: Its path below root.

        Returns:
            The file, which may not exist; None if the data set has no masks.
        """
        if self.masks is None:
            return None
        folder = self.root / ANNOTATION_FOLDERS[1] / self.masks
        if self.published_masks and self.masks == self.published_masks[0]:
            return folder / self.published_masks[1](image)
        suffix = ".npy" if self.masks.endswith("fields") else ".png"
        return folder / image.with_name(image.name + suffix)

    def sample(self, image: Path, identity: int, camera: int) -> ReidSample:
        """Return the sample of an image.

        Args:
            image: Its path below root.
            identity: Number of the person.
            camera: Number of the camera.

        Returns:
            The sample, with the paths of its annotations.
        """
        keypoints, masks = self.keypoints_of(image), self.masks_of(image)
        return ReidSample(self.root / image, identity, camera, keypoints, masks)


def images_below(root: Path, folder: str = ".") -> list[Path]:
    """Paths below `root`, sorted, of all images in its folder and the folders in that.

    Annotations and hidden files and folders are left out.

    Args:
        root: Folder of the dataset.
        folder: Below it.

    Returns:
        Paths relative to `root`, one or more.

    Raises:
        InputError: The folder is missing or holds no images.
    """
    place = root / folder
    if not place.is_dir():
        found = ", ".join(each.name for each in visible(root, "*/") if each.is_dir())
        there = f" {root} has: {found}." if found else ""
        raise InputError(f"There is no folder {place}.{there} Check the path of the dataset.")
    images = [
        path.relative_to(root)
        for path in visible(place, "**/*")
        if path.suffix.lower() in PICTURES and path.relative_to(root).parts[0] not in ANNOTATION_FOLDERS
    ]
    if not images:
        raise InputError(f"The folder {place} holds no images. Check the path of the dataset.")
    return sorted(images)


def named(images: Iterable[Path], pattern: re.Pattern[str], root: Path) -> list[tuple[Path, re.Match[str]]]:
    """Those whose file names start as the pattern says, with the match.

    Args:
        images: Paths of images.
        pattern: Matched at the beginning of the file name.
        root: Folder of the dataset, for the message.

    Returns:
        Path and match of each image whose name fits, one or more.

    Raises:
        InputError: No file name matches; the message shows an example.
    """
    all_images = list(images)
    found = [(path, match) for path in all_images if (match := pattern.match(path.name))]
    if not found:
        raise InputError(
            f"None of {len(all_images)} images in {root} is named as in this dataset, for example "
            f"{all_images[0].name}. Is it another dataset? For any folder of people use folder."
        )
    return found


def split_identities(identities: Iterable[int], count: int, seed: int) -> frozenset[int]:
    """Draw `count` identities for training.

    Args:
        identities: Of the crops; an identity may occur many times.
        count: Number to draw, at most all but one.
        seed: Another seed draws others.

    Returns:
        The drawn identities.

    Raises:
        UserError: No identity is left for the test.
    """
    names = np.unique(list(identities))
    if not 0 <= count < len(names):
        raise UserError(
            f"train_identities is {count}, but the dataset has {len(names)} identities. "
            f"Choose 0 to {len(names) - 1}: the others are the test set."
        )
    return frozenset(np.random.default_rng(seed).permutation(names)[:count].tolist())


def validate_empty(data: ReidData, root: Path, *, trains: bool = True) -> ReidData:
    """Return `data` if none of its sets is empty.

    Args:
        trains: Whether it has a training set.

    Raises:
        InputError: A set is empty.
    """
    for name in ("train", "query", "gallery") if trains else ("query", "gallery"):
        if not getattr(data, name):
            raise InputError(f"The dataset {data.name} in {root} has no {name} images. Is it complete?")
    return data
