"""Every published layout, as tiny trees of plain images."""

from pathlib import Path

import numpy as np
import pytest
from support.dataset_trees import skeleton, write_keypoints, write_pictures

from kprtrack.core.errors import InputError, UserError
from reid.datasets import DATASETS, ReidSample, open_dataset
from reid.datasets.market import DUKE_KEYPOINTS, MARKET_KEYPOINTS

MARKET = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c3s1_000551_01.jpg",
    "query/0007_c2s3_010101_00.jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0007_c6s3_010202_02.jpg",
)


def _facts(samples: tuple[ReidSample, ...]) -> list[tuple[int, int]]:
    return [(each.identity, each.camera) for each in samples]


@pytest.fixture
def market(tmp_path: Path) -> Path:
    write_pictures(tmp_path, MARKET)
    (tmp_path / "bounding_box_train" / "Thumbs.db").write_bytes(b"")
    return tmp_path


def test_market_names_say_person_and_camera(market: Path) -> None:
    data = open_dataset("market1501", market)

    assert _facts(data.train) == [(2, 0), (2, 2)]
    assert _facts(data.query) == [(7, 1)]
    assert data.protocol == "default"


def test_of_markets_gallery_the_junk_goes_and_the_distractors_stay(market: Path) -> None:
    assert _facts(open_dataset("market1501", market).gallery) == [(0, 0), (7, 5)]


def test_market_annotations_are_where_they_were_published(market: Path) -> None:
    (sample,) = open_dataset("market1501", market).query

    stem = "query/0007_c2s3_010101_00"
    assert sample.keypoints == market / f"external_annotation/{MARKET_KEYPOINTS}/{stem}.jpg_keypoints.json"
    assert sample.masks == market / f"masks/pifpaf_maskrcnn_filtering/{stem}.npy"


def test_own_annotations_lie_beside_the_published_ones_or_anywhere(market: Path) -> None:
    (sample,) = open_dataset("market1501", market, {"keypoints": "/else/where", "masks": "part_labels"}).query

    assert sample.keypoints == Path("/else/where/query/0007_c2s3_010101_00.jpg_keypoints.json")
    assert sample.masks == market / "masks/part_labels/query/0007_c2s3_010101_00.jpg.png"


def test_none_goes_without_annotations(market: Path) -> None:
    (sample,) = open_dataset("market1501", market, {"keypoints": None, "masks": None}).query

    assert sample.keypoints is None
    assert sample.masks is None


def test_the_folder_above_the_data_set_does_too(tmp_path: Path) -> None:
    write_pictures(tmp_path / "Market-1501-v15.09.15", MARKET)

    assert len(open_dataset("market1501", tmp_path).train) == 2


def test_occluded_duke_has_its_own_names_of_annotations(market: Path) -> None:
    (sample,) = open_dataset("occluded_duke", market).query

    stem = "query/0007_c2s3_010101_00"
    assert sample.keypoints == market / f"external_annotation/{DUKE_KEYPOINTS}/{stem}.jpg_keypoints.json"
    assert sample.masks == market / f"masks/pifpaf_maskrcnn_filtering/{stem}.jpg.confidence_fields.npy"


def test_occluded_duke_can_leave_out_training_crops_without_a_skeleton(market: Path) -> None:
    folder = market / "external_annotation" / DUKE_KEYPOINTS / "bounding_box_train"
    write_keypoints(folder / "0002_c1s1_000451_03.jpg_keypoints.json", [{"keypoints": skeleton()}])
    write_keypoints(folder / "0002_c3s1_000551_01.jpg_keypoints.json", [])

    data = open_dataset("occluded_duke", market, {"only_posed": True})

    assert _facts(data.train) == [(2, 0)]


def test_occluded_reid_queries_the_hidden_bodies(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("occluded_body_images/001/001_01.tif", "whole_body_images/001/001_02.tif"))

    data = open_dataset("occluded_reid", tmp_path)

    (query,) = data.query
    published = tmp_path / "external_annotation" / MARKET_KEYPOINTS
    assert (query.identity, query.camera) == (1, 0)
    assert query.keypoints == published / "occluded_body_images/001_01.tif_keypoints.json"
    assert query.masks == tmp_path / "masks/pifpaf_maskrcnn_filtering/occluded_body_images/001_01.npy"
    assert _facts(data.gallery) == [(1, 1)]
    assert data.train == ()


def test_partial_reid_keeps_annotations_beside_the_pictures(tmp_path: Path) -> None:
    write_pictures(
        tmp_path,
        (
            "occluded_body_images/003_001.jpg",
            "partial_body_images/003_001.jpg",
            "whole_body_images/003_006.jpg",
        ),
    )

    (query,) = open_dataset("partial_reid", tmp_path).query

    folder = tmp_path / "occluded_body_images"
    assert query.image == folder / "003_001.jpg"
    assert query.keypoints == folder / "003_001.jpg.predictions.json"
    assert query.masks == folder / "003_001.jpg.confidence_fields.npy"


def test_an_unknown_data_set_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'market1501'"):
        open_dataset("market1503", Path())


def test_a_misspelt_option_is_answered_with_the_nearest(market: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'keypoints'"):
        open_dataset("market1501", market, {"keypoint": None})


def test_an_option_of_another_type_is_refused(market: Path) -> None:
    with pytest.raises(UserError, match="only_posed must be true or false"):
        open_dataset("occluded_duke", market, {"only_posed": "yes"})


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_of_something_else_is_refused_in_words(name: str, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()

    with pytest.raises(InputError, match=r"Check the path|Name the folder|data build"):
        open_dataset(name, tmp_path)


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*nowhere"):
        open_dataset("cuhk03", tmp_path / "nowhere")


def test_a_missing_set_is_named_with_what_is_there(market: Path) -> None:
    for path in (market / "query").iterdir():
        path.unlink()
    (market / "query").rmdir()

    with pytest.raises(InputError, match=r"no folder .*query.*bounding_box_test"):
        open_dataset("market1501", market)


def test_pictures_with_foreign_names_are_refused_with_an_example(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("a.jpg", "b.jpg"))

    with pytest.raises(InputError, match=r"None of 2 images .*a\.jpg"):
        open_dataset("cuhk03", tmp_path)


def test_cuhk03_splits_people_and_asks_the_first_camera_for_the_second(tmp_path: Path) -> None:
    write_pictures(
        tmp_path, [f"any/{person:04}_{number:02}.jpg" for person in range(6) for number in (0, 4, 5)]
    )

    data = open_dataset("cuhk03", tmp_path, {"train_identities": 4, "seed": 3})

    people = [{each.identity for each in part} for part in (data.train, data.query, data.gallery)]
    assert [len(each) for each in people] == [4, 2, 2]
    assert people[1] == people[2] == set(range(6)) - people[0]
    assert {each.camera for each in data.query} == {0}
    assert [len(data.query), len(data.gallery)] == [4, 2]


def test_samples_of_unknown_occlusion_are_equal() -> None:
    one, other = (ReidSample(Path("a.jpg"), 0, 0, occlusion=float("nan")) for _ in range(2))
    assert one == other


def test_cuhk_splits_depend_on_the_seed_alone(tmp_path: Path) -> None:
    write_pictures(tmp_path, [f"{person:04}{number:03}.jpg" for person in range(9) for number in (1, 3)])

    same, again, other = (
        open_dataset("cuhk01", tmp_path, {"train_identities": 4, "seed": seed}) for seed in (0, 0, 1)
    )

    assert same == again
    assert same != other


def test_cuhk_wants_somebody_left_to_test_on(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("0001_00.jpg", "0002_00.jpg"))

    with pytest.raises(UserError, match="train_identities is 2, but the dataset has 2"):
        open_dataset("cuhk03", tmp_path, {"train_identities": 2})


def test_annotations_are_not_taken_for_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("0001_00.jpg", "0001_05.jpg", "masks/part_labels/0001_00.jpg.png"))

    data = open_dataset("cuhk03", tmp_path, {"train_identities": 0})

    assert len(data.samples) == 2


def test_samples_holds_each_crop_once(tmp_path: Path) -> None:
    names = ["0001_00.jpg", "0001_05.jpg", "0002_00.jpg", "0002_05.jpg"]
    write_pictures(tmp_path, names)

    data = open_dataset("cuhk03", tmp_path, {"train_identities": 1})

    assert sorted(each.image.name for each in data.samples) == names


def test_occlusion_is_unknown_where_a_data_set_has_no_rule(market: Path) -> None:
    assert np.isnan(open_dataset("market1501", market).query[0].occlusion)
