"""Any folder of people."""

from pathlib import Path

import pytest
from support.dataset_trees import write_pictures

from kprtrack.core.errors import InputError, UserError
from reid.datasets import open_dataset


def test_a_folder_for_each_person_is_split_by_people(tmp_path: Path) -> None:
    write_pictures(
        tmp_path, [f"{name}/{row}.png" for name in ("ann", "bob", "cem", "dan", "eve") for row in range(3)]
    )

    data = open_dataset("folder", tmp_path, {"train_share": 0.6})

    assert len({each.identity for each in data.train}) == 3
    assert [len(data.query), len(data.gallery)] == [2, 4]
    assert data.protocol == "mot_inter_intra_video"


def test_folders_of_cameras_give_a_query_by_each(tmp_path: Path) -> None:
    write_pictures(tmp_path, [f"ann/{camera}/{row}.jpg" for camera in ("hall", "yard") for row in range(2)])

    data = open_dataset("folder", tmp_path, {"train_share": 0})

    assert [(each.image.parent.name, each.camera) for each in data.query] == [("hall", 0), ("yard", 1)]
    assert data.protocol == "default"
    assert data.train == ()


def test_names_as_in_market_say_person_and_camera(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("12_c1_a.jpg", "12_c2_a.jpg", "-1_c1_a.jpg", "12_c2_b.jpg"))

    data = open_dataset("folder", tmp_path, {"train_share": 0})

    assert [each.camera for each in data.samples] == [0, 1, 1]
    assert len({each.identity for each in data.samples}) == 1


def test_query_and_gallery_folders_share_names_of_people(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("train/x/1.jpg", "query/ann/1.jpg", "gallery/ann/2.jpg", "gallery/bob/1.jpg"))

    data = open_dataset("folder", tmp_path)

    assert [len(data.train), len(data.query), len(data.gallery)] == [1, 1, 2]
    assert data.query[0].identity == data.gallery[0].identity != data.gallery[1].identity
    assert data.train[0].identity not in (data.gallery[0].identity, data.gallery[1].identity)


def test_expressions_say_person_and_camera(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("day1/cam3-p7.jpg", "day2/cam4-p7.jpg", "day2/cam4-p7b.jpg"))

    data = open_dataset("folder", tmp_path, {"identity": r"-p(\d+)", "camera": r"cam(\d)", "train_share": 0})

    assert [each.image.name for each in data.query] == ["cam3-p7.jpg", "cam4-p7.jpg"]
    assert [each.camera for each in data.samples] == [0, 1, 1]


def test_an_expression_that_finds_nothing_names_the_picture(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("a/1.jpg",))

    with pytest.raises(UserError, match=r"finds nothing in a/1\.jpg"):
        open_dataset("folder", tmp_path, {"camera": r"cam(\d)"})


@pytest.mark.parametrize("expression", ["(", "a"])
def test_an_expression_that_cannot_work_is_refused(expression: str, tmp_path: Path) -> None:
    write_pictures(tmp_path, ("a/1.jpg",))

    with pytest.raises(UserError, match="identity="):
        open_dataset("folder", tmp_path, {"identity": expression})


def test_pictures_of_nobody_are_asked_about(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("a.jpg", "b.jpg"))

    with pytest.raises(UserError, match=r"a\.jpg: unknown person"):
        open_dataset("folder", tmp_path)


def test_people_with_one_picture_each_leave_no_gallery(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("a/1.jpg", "b/1.jpg"))

    with pytest.raises(InputError, match="no gallery images"):
        open_dataset("folder", tmp_path, {"train_share": 0.5})


def test_a_share_beyond_everybody_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("a/1.jpg", "b/1.jpg"))

    with pytest.raises(UserError, match="train_share is 1"):
        open_dataset("folder", tmp_path, {"train_share": 1})
