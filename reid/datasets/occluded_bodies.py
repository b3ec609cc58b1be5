"""Occluded-ReID and Partial-ReID: queries with hidden bodies, a gallery of whole ones, nothing to train on.

Source: docs/reference/kpr.md 5.1.
"""

import re
from collections.abc import Callable
from pathlib import Path

from reid.datasets.layout import AnnotationPaths, named, pictures_below, validate_empty
from reid.datasets.market import MARKET_KEYPOINTS, MASKS
from reid.datasets.sample import ReidData, ReidSample

_NAME = re.compile(r"(\d+)_")
_FOLDERS = ("occluded_body_images", "whole_body_images")  # in the place of two cameras
_BESIDE = "beside"  # the picture itself


def occluded_reid(
    root: Path, *, keypoints: str | None = MARKET_KEYPOINTS, masks: str | None = MASKS
) -> ReidData:
    """The folder Occluded_REID: occluded_body_images/001/001_01.tif and so on."""
    beside = AnnotationPaths(
        root, keypoints, masks, (MASKS, lambda picture: _without_folder(picture, ".npy"))
    )

    def sample(picture: Path, identity: int, camera: int) -> ReidSample:
        return ReidSample(
            root / picture,
            identity,
            camera,
            beside.keypoints_of(_without_folder(picture) if keypoints == MARKET_KEYPOINTS else picture),
            beside.masks_of(picture),
        )

    return _open("occluded_reid", root, sample)


def partial_reid(root: Path, *, keypoints: str | None = _BESIDE, masks: str | None = _BESIDE) -> ReidData:
    """The folder Partial_REID: occluded_body_images/001_001.jpg and so on, its annotations beside them."""
    elsewhere = AnnotationPaths(root, keypoints, masks)

    def sample(picture: Path, identity: int, camera: int) -> ReidSample:
        path = root / picture
        return ReidSample(
            path,
            identity,
            camera,
            path.with_name(f"{path.name}.predictions.json")
            if keypoints == _BESIDE
            else elsewhere.keypoints_of(picture),
            path.with_name(f"{path.name}.confidence_fields.npy")
            if masks == _BESIDE
            else elsewhere.masks_of(picture),
        )

    return _open("partial_reid", root, sample)


def _open(name: str, root: Path, sample: Callable[[Path, int, int], ReidSample]) -> ReidData:
    query, gallery = (
        tuple(
            sample(picture, int(match[1]), camera)
            for picture, match in named(pictures_below(root, folder), _NAME, root / folder)
        )
        for camera, folder in enumerate(_FOLDERS)
    )
    return validate_empty(ReidData(name, (), query, gallery, "default"), root, trains=False)


def _without_folder(picture: Path, suffix: str | None = None) -> Path:
    """KIND/001/001_01.tif as KIND/001_01.tif, the published place of its annotations."""
    flat = Path(picture.parts[0], picture.name)
    return flat if suffix is None else flat.with_suffix(suffix)
