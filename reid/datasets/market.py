"""Market-1501 and Occluded-Duke, as published: the same layout and file names.

Source: docs/reference/kpr.md 5.1.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from kprtrack.core.errors import InputError
from kprtrack.core.files.folders import visible
from reid.datasets.keypoint_files import read_keypoints
from reid.datasets.layout import AnnotationPaths, images_below, named, validate_empty
from reid.datasets.sample import ReidData, ReidSample

MASKS = "pifpaf_maskrcnn_filtering"
MARKET_KEYPOINTS = "pifpaf_keypoints_pifpaf_maskrcnn_filtering"
DUKE_KEYPOINTS = f"{MARKET_KEYPOINTS}_v3"  # the third version: targets of the queries corrected by hand
_NAME = re.compile(r"(-?\d+)_c(\d+)")
_FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
_JUNK = -1  # identity of junk crops; 0 marks distractors and stays


@dataclass(frozen=True)
class MarketConfig:
    """Options of Market-1501: folders of keypoints and masks, None for neither."""

    keypoints: str | None = MARKET_KEYPOINTS
    masks: str | None = MASKS


@dataclass(frozen=True)
class OccludedDukeConfig:
    """Options of Occluded-Duke: folders of keypoints and masks, None for neither."""

    keypoints: str | None = DUKE_KEYPOINTS
    masks: str | None = MASKS
    only_posed: bool = False  # leave out training crops without a skeleton, as the published training does


def market1501(root: Path, config: MarketConfig) -> ReidData:
    """Open the folder Market-1501-v15.09.15, or the one that holds it.

    Args:
        root: Folder of the dataset.
        config: Options of the dataset.

    Returns:
        Training set, query and gallery.
    """
    published = (MASKS, lambda image: image.with_suffix(".npy"))
    return _open(
        "market1501",
        root,
        AnnotationPaths(_inside(root), config.keypoints, config.masks, published),
        only_posed=False,
    )


def occluded_duke(root: Path, config: OccludedDukeConfig) -> ReidData:
    """Open the folder Occluded_Duke, or the one that holds it.

    Args:
        root: Folder of the dataset.
        config: Options of the dataset.

    Returns:
        Training set, query and gallery.
    """
    published = (MASKS, lambda image: image.with_name(f"{image.name}.confidence_fields.npy"))
    return _open(
        "occluded_duke",
        root,
        AnnotationPaths(_inside(root), config.keypoints, config.masks, published),
        only_posed=config.only_posed,
    )


def _open(name: str, root: Path, annotation_paths: AnnotationPaths, *, only_posed: bool) -> ReidData:
    train, query, gallery = (_samples(annotation_paths, folder) for folder in _FOLDERS)
    if only_posed:
        train = tuple(each for each in train if _has_skeleton(each))
    return validate_empty(ReidData(name, train, query, gallery, "default"), root)


def _inside(root: Path) -> Path:
    """`root`, or the one folder in it that holds the three sets."""
    if (root / _FOLDERS[0]).is_dir():
        return root
    inner = [each.parent for each in visible(root, f"*/{_FOLDERS[0]}")]
    return inner[0] if len(inner) == 1 else root


def _samples(annotation_paths: AnnotationPaths, folder: str) -> tuple[ReidSample, ...]:
    found = named(images_below(annotation_paths.root, folder), _NAME, annotation_paths.root / folder)
    return tuple(
        annotation_paths.sample(path, int(match[1]), int(match[2]) - 1)
        for path, match in found
        if int(match[1]) != _JUNK
    )


def _has_skeleton(sample: ReidSample) -> bool:
    if not isinstance(sample.keypoints, Path):
        raise InputError("only_posed=true asks for skeletons: name their folder with keypoints=NAME.")
    return sample.keypoints.exists() and bool((read_keypoints(sample.keypoints)[0, :, 2] > 0).any())
