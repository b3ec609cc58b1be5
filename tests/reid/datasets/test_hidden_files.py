"""Copies in hidden folders, as notebooks and archives make them, are neither people nor cameras nor crops."""

import shutil
from pathlib import Path

import pytest
from support import paths
from support.dataset_trees import write_pictures

from reid.datasets import DATASETS, ReidData, open_dataset

CASE = paths.SHARED / "cases" / "reid-hidden-folders" / "ipynb"
PEOPLE = [f"{person:04}" for person in range(4)]
MARKET = [
    f"{folder}/{person}_c{camera}s1_00.jpg"
    for folder in ("bounding_box_train", "query", "bounding_box_test")
    for person in PEOPLE
    for camera in (1, 2)
]
PARTIAL = [f"{kind}_body_images/{person}_01.jpg" for kind in ("occluded", "whole") for person in PEOPLE]
NO_ANNOTATIONS = {"keypoints": None, "masks": None}
TWO = {"train_identities": 2}
# Images of each dataset that is a folder of them, and what else its options need.
TREES: dict[str, tuple[list[str], dict[str, object]]] = {
    "market1501": (MARKET, {}),
    "occluded_duke": (MARKET, {}),
    "occluded_reid": ([name.replace("images/", "images/001/") for name in PARTIAL], {}),
    "partial_reid": (PARTIAL, {}),
    "cuhk03": ([f"{person}_{number:02}.jpg" for person in PEOPLE for number in (1, 6)], TWO),
    "cuhk01": ([f"{person}{number:03}.jpg" for person in PEOPLE for number in (1, 4)], TWO),
    "folder": ([f"p{person}/p{person}_c{crop}.jpg" for person in PEOPLE for crop in ("1_0", "1_1", "2")], {}),
}


def test_every_dataset_of_images_is_tested() -> None:
    assert set(TREES) == set(DATASETS) - {"occluded_posetrack"}  # which lists its crops in a file


@pytest.mark.parametrize("name", TREES)
def test_hidden_copies_change_nothing(name: str, tmp_path: Path) -> None:
    images, options = TREES[name]
    write_pictures(tmp_path, images)

    def opened() -> ReidData:
        return open_dataset(name, tmp_path, NO_ANNOTATIONS | options)

    before = opened()
    for image in images:
        path = tmp_path / image
        copies = [path.parent / ".ipynb_checkpoints" / path.name, path.with_name(f"._{path.name}")]
        copies += [tmp_path / "__MACOSX" / image, path.parent / "Thumbs.db", tmp_path / ".hidden" / image]
        for copy in copies:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    assert opened() == before
    assert len(before.samples) == len(images)


@pytest.mark.skipif(not CASE.is_dir(), reason="the shared cases are not here")
def test_the_shared_case_has_four_people_by_two_cameras() -> None:
    data = open_dataset("folder", CASE, NO_ANNOTATIONS | {"train_share": 0.0})
    assert len(data.samples) == 24
    assert len({each.identity for each in data.samples}) == 4
    assert len({each.camera for each in data.samples}) == 2
    assert (len(data.query), len(data.gallery)) == (8, 16)
