"""Occluded-ReID and Partial-ReID: queries with hidden bodies, a gallery of whole ones, nothing to train on.

Source: docs/reference/kpr.md 5.1.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reid.datasets.layout import AnnotationPaths, images_below, named, validate_empty
from reid.datasets.market import MARKET_KEYPOINTS, MASKS
from reid.datasets.sample import ReidData, ReidSample

_NAME = re.compile(r"(\d+)_")
_FOLDERS = ("occluded_body_images", "whole_body_images")  # in the place of two cameras
_BESIDE = "beside"  # the image itself


@dataclass(frozen=True)
class OccludedReidConfig:
    """Options of Occluded-ReID: folders of keypoints and masks, None for neither."""

    keypoints: str | None = MARKET_KEYPOINTS
    masks: str | None = MASKS


@dataclass(frozen=True)
class PartialReidConfig:
    """Options of Partial-ReID: folders of keypoints and masks; "beside": next to the image, None: none."""

    keypoints: str | None = _BESIDE
    masks: str | None = _BESIDE


def occluded_reid(root: Path, config: OccludedReidConfig) -> ReidData:
    """Open the folder Occluded_REID: occluded_body_images/001/001_01.tif and so on.

    Args:
        root: Folder of the dataset.
        config: Options of the dataset.

    Returns:
        Query and gallery; there is no training set.
    """
    annotation_paths = AnnotationPaths(
        root, config.keypoints, config.masks, (MASKS, lambda image: _without_folder(image, ".npy"))
    )

    flat = config.keypoints == MARKET_KEYPOINTS  # as published, without the folder of the identity

    def sample(image: Path, identity: int, camera: int) -> ReidSample:
        return ReidSample(
            root / image,
            identity,
            camera,
            annotation_paths.keypoints_of(_without_folder(image) if flat else image),
            annotation_paths.masks_of(image),
        )

    return _open("occluded_reid", root, sample)


def partial_reid(root: Path, config: PartialReidConfig) -> ReidData:
    """Open the folder Partial_REID: occluded_body_images/001_001.jpg and so on, annotations beside them.

    Args:
        root: Folder of the dataset.
        config: Options of the dataset.

    Returns:
        Query and gallery; there is no training set.
    """
    elsewhere = AnnotationPaths(root, config.keypoints, config.masks)

    def sample(image: Path, identity: int, camera: int) -> ReidSample:
        path = root / image
        return ReidSample(
            path,
            identity,
            camera,
            path.with_name(f"{path.name}.predictions.json")
            if config.keypoints == _BESIDE
            else elsewhere.keypoints_of(image),
            path.with_name(f"{path.name}.confidence_fields.npy")
            if config.masks == _BESIDE
            else elsewhere.masks_of(image),
        )

    return _open("partial_reid", root, sample)


def _open(name: str, root: Path, sample: Callable[[Path, int, int], ReidSample]) -> ReidData:
    query, gallery = (
        tuple(
            sample(image, int(match[1]), camera)
            for image, match in named(images_below(root, folder), _NAME, root / folder)
        )
        for camera, folder in enumerate(_FOLDERS)
    )
    return validate_empty(ReidData(name, (), query, gallery, "default"), root, trains=False)


def _without_folder(image: Path, suffix: str | None = None) -> Path:
    """KIND/001/001_01.tif as KIND/001_01.tif, the published place of its annotations."""
    flat = Path(image.parts[0], image.name)
    return flat if suffix is None else flat.with_suffix(suffix)
