"""Pictures, keypoint files and human-parsing files, fine and damaged."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import paths
from support.dataset_trees import skeleton, write_array, write_keypoints, write_picture

from kprtrack.core.errors import InputError, UserError
from reid.datasets.crops import read_crop, read_fields, read_image
from reid.datasets.keypoint_files import keypoints_json, read_keypoints
from reid.datasets.sample import ReidSample
from reid.parts.mask_files import label_fields, mask_file, read_part_masks
from reid.parts.shapes import FIELD_OF_LABEL, LABELS
from reid.parts.targets import PART_GROUPS, group_fields

DEMO = paths.SHARED / "real" / "reid" / "kpr_demo"
needs_demo = pytest.mark.skipif(not DEMO.exists(), reason="needs ../shared/real")


def _keypoints(tmp_path: Path, entries: object) -> np.ndarray:
    write_keypoints(tmp_path / "k.json", entries)
    return read_keypoints(tmp_path / "k.json")


def test_the_target_comes_first(tmp_path: Path) -> None:
    found = _keypoints(
        tmp_path,
        [{"keypoints": skeleton(1), "is_target": False}, {"keypoints": skeleton(2), "is_target": True}],
    )

    assert found.shape == (2, 17, 3)
    assert found[:, 0, 0].tolist() == [2, 1]


def test_without_any_flag_the_first_is_the_target(tmp_path: Path) -> None:
    found = _keypoints(tmp_path, [{"keypoints": skeleton(4)}, {"keypoints": skeleton(9)}])

    assert found[:, 0, 0].tolist() == [4, 9]


def test_fifty_one_numbers_in_a_row_are_the_same(tmp_path: Path) -> None:
    flat = [number for point in skeleton(7) for number in point]

    assert np.array_equal(_keypoints(tmp_path, {"keypoints": flat}), [skeleton(7)])


def test_an_empty_list_is_somebody_without_keypoints(tmp_path: Path) -> None:
    assert not _keypoints(tmp_path, []).any()


def test_written_keypoints_read_back(tmp_path: Path) -> None:
    keypoints = np.array([skeleton(1.25), skeleton(8)], np.float32)

    assert np.array_equal(_keypoints(tmp_path, keypoints_json(keypoints)), keypoints)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([{"keypoints": skeleton(), "is_target": False}], "0 of 1 skeletons are the target"),
        ([{"keypoints": skeleton(), "is_target": True}] * 2, "2 of 2 skeletons are the target"),
        ([{"keypoints": skeleton()[:16]}], "skeleton 0.*17 x"),
        ([{"keypoints": "none"}], "skeleton 0.*17 x"),
        ([{"keypoints": [[1, 2, None]] * 17}], "skeleton 0.*17 x"),
        ([{"points": skeleton()}], '"keypoints" is missing'),
        (["a"], "must be a list of skeletons"),
        (7, "must be a list of skeletons"),
        (b'[{"keypoints": [[1', "not valid JSON"),
    ],
)
def test_a_malformed_keypoint_file_is_named(tmp_path: Path, entries: object, words: str) -> None:
    with pytest.raises(InputError, match=rf"k\.json.*{words}"):
        _keypoints(tmp_path, entries)


def test_a_missing_keypoint_file_is_named_with_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no keypoint file .*gone\.json.*data keypoints.*keypoints=none"):
        read_keypoints(tmp_path / "gone.json")


def test_a_crop_has_rgb_its_skeletons_and_its_masks(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", height=20, width=10)
    write_keypoints(tmp_path / "a.json", [{"keypoints": skeleton()}])
    write_array(tmp_path / "a.npy", np.full((36, 6, 4), 0.5, np.float32))
    sample = ReidSample(tmp_path / "a.png", 0, 0, tmp_path / "a.json", tmp_path / "a.npy")

    crop = read_crop(sample, "five_v")

    assert crop.image.shape == (20, 10, 3)
    assert crop.image[0, 0].tolist() == [200, 30, 60]
    assert np.array_equal(crop.keypoints, [skeleton()])
    assert crop.masks is not None
    assert crop.masks.shape == (6, 4, 5)


def test_without_part_groups_no_mask_is_read(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")

    crop = read_crop(ReidSample(tmp_path / "a.png", 0, 0, None, tmp_path / "gone.npy"), None)

    assert crop.masks is None
    assert crop.keypoints.shape == (1, 17, 3)
    assert not crop.keypoints.any()


def test_keypoints_beyond_the_crop_or_without_confidence_are_zero_and_absent_people_go(
    tmp_path: Path,
) -> None:
    write_picture(tmp_path / "a.png", height=20, width=10)
    keypoints = np.array(
        [skeleton(10, 5), skeleton(3, 20), skeleton(9.5, 19.5), skeleton(5, 5, 0)], np.float32
    )

    crop = read_crop(ReidSample(tmp_path / "a.png", 0, 0, keypoints), None)

    assert not crop.keypoints[0].any()
    assert crop.keypoints[1:, 0].tolist() == [[9.5, 19.5, 1.0]]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_jpeg_that_is_cut_off_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])

    with pytest.raises(InputError, match=r"cut\.jpg is (empty|cut off)"):
        read_image(path)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"<html>not found</html>")

    with pytest.raises(InputError, match=r"a\.jpg is not an image"):
        read_image(tmp_path / "a.jpg")


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jpg"):
        read_image(tmp_path / "gone.jpg")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((35, 4, 2), np.float32), r"must be \[36, h, w\].*\[35, 4, 2\]"),
        (np.zeros((4, 2, 36), np.float32), r"must be \[36, h, w\]"),
        (np.zeros((36, 0, 2), np.float32), r"must be \[36, h, w\]"),
        (np.zeros((4, 2), np.float32), "must be"),
        (np.full((36, 4, 2), 255, np.uint8), "reach from 255 to 255"),
        (np.full((36, 4, 2), np.nan, np.float32), r"\[0, 1\], but reach from nan"),
        (np.full((4, 2), len(LABELS), np.uint8), f"label {len(LABELS)} is none of the {len(LABELS)}"),
    ],
)
def test_a_mask_of_the_wrong_shape_or_range_is_named(tmp_path: Path, array: np.ndarray, words: str) -> None:
    write_array(tmp_path / "m.npy", array)

    with pytest.raises(InputError, match=rf"m\.npy.*{words}"):
        read_part_masks(tmp_path / "m.npy", "eight")


def test_a_mask_file_cannot_run_code(tmp_path: Path) -> None:
    write_array(tmp_path / "m.npy", np.array([{"a": 1}], object), pickled=True)

    with pytest.raises(InputError, match=r"m\.npy cannot be read"):
        read_part_masks(tmp_path / "m.npy", "eight")


@pytest.mark.parametrize("name", ["m.npy", "m.png"])
@pytest.mark.parametrize("data", [b"", b"\x93NUMPY\x01", b"\x89PNG\r\n\x1a\n", b"nothing"])
def test_a_damaged_mask_file_is_named(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)

    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        read_part_masks(tmp_path / name, "eight")


def test_a_coloured_picture_is_no_label_image(tmp_path: Path) -> None:
    write_picture(tmp_path / "m.png")

    with pytest.raises(InputError, match=r"m\.png.*RGB, not one label each"):
        read_part_masks(tmp_path / "m.png", "eight")


def test_a_missing_mask_is_named_with_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.npy.*data part-labels.*masks=none"):
        read_part_masks(tmp_path / "gone.npy", "eight")


def test_part_groups_misspelt_are_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'eight'"):
        read_part_masks(tmp_path / "m.npy", "eigth")


@pytest.mark.parametrize("groups", PART_GROUPS)
def test_each_label_belongs_to_exactly_one_part(groups: str) -> None:
    parts = group_fields(label_fields(np.arange(len(LABELS), dtype=np.uint8)[None]), groups)[0]

    assert parts.sum(axis=1).tolist() == [0.0] + [1.0] * (len(LABELS) - 1)


@pytest.mark.parametrize(
    ("groups", "label", "part"),
    [
        ("eight", "left_forearm", "left_arm"),
        ("eight", "right_thigh", "right_leg"),
        ("eight", "hips", "torso"),
        ("eight", "left_foot", "left_feet"),
        ("five_v", "torso", "upper_arms_torso"),
        ("five_v", "hips", "lower_arms_torso"),
        ("five_v", "right_forearm", "lower_arms_torso"),
        ("five", "right_shank", "legs"),
    ],
)
def test_labels_mean_what_they_are_called(tmp_path: Path, groups: str, label: str, part: str) -> None:
    (tmp_path / "m.png").write_bytes(
        mask_file(tmp_path / "m.png", np.array([[LABELS.index(label)]], np.uint8))
    )

    masks = read_part_masks(tmp_path / "m.png", groups)

    assert masks[0, 0].tolist() == [float(each == part) for each in PART_GROUPS[groups]]


def test_label_images_and_fields_show_the_same_parts(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, len(LABELS), (96, 32), dtype=np.uint8)
    for name in ("m.png", "m.npy"):
        (tmp_path / name).write_bytes(mask_file(tmp_path / name, labels))

    for groups in PART_GROUPS:
        parts = [read_part_masks(tmp_path / name, groups) for name in ("m.png", "m.npy")]
        assert np.array_equal(*parts)


def test_fields_of_a_sample_come_last_and_cover_the_person(tmp_path: Path) -> None:
    labels = np.zeros((8, 4), np.uint8)
    labels[2:5] = LABELS.index("head")
    (tmp_path / "m.png").write_bytes(mask_file(tmp_path / "m.png", labels))

    fields = read_fields(ReidSample(tmp_path / "a.jpg", 0, 0, None, tmp_path / "m.png"))

    assert fields is not None
    assert fields.shape == (8, 4, 36)
    assert np.array_equal(fields.max(axis=2) > 0, labels > 0)
    assert FIELD_OF_LABEL[1] == 29
    assert read_fields(ReidSample(tmp_path / "a.jpg", 0, 0)) is None


@needs_demo
def test_the_official_demos_crops_have_one_target_and_others() -> None:
    files = sorted(DEMO.glob("group*/keypoints/*.json"))
    samples = [ReidSample(path.parents[1] / "images" / f"{path.stem}.jpg", 0, 0, path) for path in files]

    crops = [read_crop(sample, None) for sample in samples]

    assert len(crops) == 6
    assert all((crop.keypoints[0, :, 2] > 0).sum() >= 5 for crop in crops)
    assert max(len(crop.keypoints) for crop in crops) > 1
