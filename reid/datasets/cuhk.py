"""CUHK03 and CUHK01 as plain folders of crops, which have no official split.

`train_identities` people are drawn for training with `seed`, the others are the test: of these all crops of
the first camera are queries, all of the second the gallery. With 143 CUHK03 identities OSNet x0.25, trained
on MSMT17, scores rank-1 0.50 to 0.53 and mAP 0.48 to 0.50 by this rule, depending on the seed.
"""

import re
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


def cuhk03(
    root: Path,
    *,
    train_identities: int = 600,
    seed: int = 0,
    keypoints: str | None = OWN_KEYPOINTS,
    masks: str | None = OWN_MASKS,
) -> ReidData:
    """Images IIII_NN.jpg in any folder below `root`."""
    return _open("cuhk03", AnnotationPaths(root, keypoints, masks), _CUHK03, 5, train_identities, seed)


def cuhk01(
    root: Path,
    *,
    train_identities: int = 485,
    seed: int = 0,
    keypoints: str | None = OWN_KEYPOINTS,
    masks: str | None = OWN_MASKS,
) -> ReidData:
    """Images IIIICCC.jpg in any folder below `root`."""
    return _open("cuhk01", AnnotationPaths(root, keypoints, masks), _CUHK01, 3, train_identities, seed)


def _open(
    name: str,
    annotation_paths: AnnotationPaths,
    pattern: re.Pattern[str],
    second_camera: int,
    train_identities: int,
    seed: int,
) -> ReidData:
    found = named(images_below(annotation_paths.root), pattern, annotation_paths.root)
    samples = [
        annotation_paths.sample(path, int(match[1]), int(int(match[2]) >= second_camera))
        for path, match in found
    ]
    chosen = split_identities((each.identity for each in samples), train_identities, seed)
    test = [each for each in samples if each.identity not in chosen]
    return validate_empty(
        ReidData(
            name,
            train=tuple(each for each in samples if each.identity in chosen),
            query=tuple(each for each in test if each.camera == 0),
            gallery=tuple(each for each in test if each.camera == 1),
            protocol="default",
        ),
        annotation_paths.root,
        trains=train_identities > 0,
    )
