"""What the check of a dataset says."""

from pathlib import Path

import pytest
from support.dataset_trees import skeleton, write_keypoints, write_picture, write_pictures

from kprtrack.core.errors import InputError
from reid.datasets.check import CheckReport, check_dataset

KEYPOINTS = "external_annotation/kprtrack"
OPTIONS = {"train_identities": 2, "masks": None}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three people, both cameras, with keypoints."""
    for person in range(3):
        for number in (0, 1, 5):
            name = f"{person:04}_{number:02}.jpg"
            write_picture(tmp_path / name)
            write_keypoints(
                tmp_path / KEYPOINTS / f"{name}_keypoints.json",
                [{"keypoints": skeleton()}, {"keypoints": skeleton(2)}],
            )
    return tmp_path


def _check(root: Path, **options: object) -> CheckReport:
    return check_dataset("cuhk03", root, {**OPTIONS, **options})


def test_a_sound_data_set_is_counted(root: Path) -> None:
    report = _check(root)

    text = str(report)
    assert not report.problems
    assert "6 crops of 2 people by 2 cameras" in text
    assert "2 crops of 1 person by 1 camera" in text
    assert "keypoints: 9 of 9 crops, 100.0%" in text
    assert "human parsing: none" in text
    assert "9 crops have keypoints of the person, 9 have another person's, too" in text
    assert text.endswith("No problems found.")


def test_files_that_are_missing_or_damaged_are_named_by_kind(root: Path) -> None:
    (root / "0000_00.jpg").write_bytes(b"\xff\xd8\xff")
    (root / KEYPOINTS / "0001_01.jpg_keypoints.json").unlink()
    (root / KEYPOINTS / "0002_01.jpg_keypoints.json").write_bytes(b"[{")

    images, keypoints = _check(root).problems

    assert "images of 1 of 9" in images
    assert "0000_00.jpg is cut off" in images
    assert "keypoints of 2 of 9" in keypoints
    assert "0002_01.jpg_keypoints.json, line 1" in keypoints


def test_masks_that_are_missing_are_counted_and_a_few_named(root: Path) -> None:
    (problem,) = _check(root, masks="part_labels").problems

    assert problem.startswith("human parsing of 9 of 9 crops")
    assert "kprtrack data part-labels" in problem
    assert problem.endswith("and 4 more")


def test_a_quick_look_sees_what_is_missing_but_not_what_is_damaged(root: Path) -> None:
    (root / "0000_00.jpg").write_bytes(b"")
    (root / KEYPOINTS / "0001_01.jpg_keypoints.json").unlink()

    (problem,) = check_dataset("cuhk03", root, OPTIONS, quick=True).problems

    assert "0001_01.jpg_keypoints.json" in problem


def test_people_with_one_crop_and_small_sets_are_noted(tmp_path: Path) -> None:
    write_pictures(
        tmp_path, ("train/a/1.jpg", "train/b/1.jpg", "train/b/2.jpg", "query/c/1.jpg", "gallery/d/1.jpg")
    )

    notes = " ".join(check_dataset("folder", tmp_path, {"keypoints": None, "masks": None}).notes)

    assert "2 people are fewer than the 16" in notes
    assert "1 people have one crop" in notes
    assert "1 of 1 queries have no match" in notes


def test_people_in_training_and_test_are_noted(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("train/a/1.jpg", "query/a/1.jpg", "gallery/a/2.jpg"))

    notes = check_dataset("folder", tmp_path, {"keypoints": None, "masks": None}).notes

    assert any("both in train and query" in note for note in notes)


def test_progress_reaches_the_end(root: Path) -> None:
    heard: list[tuple[int, int]] = []

    check_dataset("cuhk03", root, OPTIONS, on_sample=lambda done, total: heard.append((done, total)))

    assert heard[-1] == (9, 9)


def test_what_cannot_be_opened_is_an_error_not_a_report(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        check_dataset("market1501", tmp_path, {})
