"""CUHK03 and CUHK01 as plain folders of crops, which have no official split.

`train_identities` people are drawn for training with `seed`, the others are the test: of these all crops of
the first camera are queries, all of the second the gallery. With 143 CUHK03 identities OSNet x0.25, trained
on MSMT17, scores rank-1 0.50 to 0.53 and mAP 0.48 to 0.50 by this rule, depending on the seed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from reid.datasets.layout import (
    OWN_KEYPOINTS,
    OWN_MASKS,
    AnnotationPaths,
    images_below,
    named,
    split_identities,
    validate_empty,
)
from reid.datasets.sample import ReidData

_CUHK03 = re.compile(r"(\d{4})_(\d{2})\.")  # identity, number; from 05 on the second camera
_CUHK01 = re.compile(r"(\d{4})(\d{3})\.")  # identity, number; from 003 on the second camera


@dataclass(frozen=True)
class Cuhk03Config:
    """Options of CUHK03."""

    train_identities: int = 600  # the other 143 are the test
    seed: int = 0  # of drawing them
    keypoints: str | None = OWN_KEYPOINTS  # folder, None: no keypoints
    masks: str | None = OWN_MASKS  # folder, None: no masks


@dataclass(frozen=True)
class Cuhk01Config:
    """Options of CUHK01."""

    train_identities: int = 485  # the other 486 are the test
    seed: int = 0  # of drawing them
    keypoints: str | None = OWN_KEYPOINTS  # folder, None: no keypoints
    masks: str | None = OWN_MASKS  # folder, None: no masks


def cuhk03(root: Path, config: Cuhk03Config) -> ReidData:
    """Open images IIII_NN.jpg in any folder below `root`.

    Args:
        root: Folder of the dataset.
        config: Options of the dataset.

    Returns:
        Training set, query and gallery.
    """
    return _open("cuhk03", root, config, _CUHK03, second_camera=5)


def cuhk01(root: Path, config: Cuhk01Config) -> ReidData:
    """Open images IIIICCC.jpg in any folder below `root`.

    Args:
        root: Folder of the dataset.
        config: Options of the dataset.

    Returns:
        Training set, query and gallery.
    """
    return _open("cuhk01", root, config, _CUHK01, second_camera=3)


def _open(
    name: str,
    root: Path,
    config: Cuhk03Config | Cuhk01Config,
    pattern: re.Pattern[str],
    *,
    second_camera: int,
) -> ReidData:
    annotation_paths = AnnotationPaths(root, config.keypoints, config.masks)
    found = named(images_below(annotation_paths.root), pattern, annotation_paths.root)
    samples = [
        annotation_paths.sample(path, int(match[1]), int(int(match[2]) >= second_camera))
        for path, match in found
    ]
    chosen = split_identities((each.identity for each in samples), config.train_identities, config.seed)
    test = [each for each in samples if each.identity not in chosen]
    return validate_empty(
        ReidData(
            name,
            train=tuple(each for each in samples if each.identity in chosen),
            query=tuple(each for each in test if each.camera == 0),
            gallery=tuple(each for each in test if each.camera == 1),
            protocol="default",
        ),
        root,
        trains=config.train_identities > 0,
    )
