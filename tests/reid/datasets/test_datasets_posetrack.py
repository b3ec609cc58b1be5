"""Occluded-PoseTrack-ReID built from a drawn PoseTrack21, against the crops its generator cuts itself."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import orjson
import pytest

from eval.synthetic.benchmark import SyntheticConfig, write_benchmark, write_reid_crops
from kprtrack.core.errors import InputError
from reid.datasets import ReidData, ReidSample, open_dataset
from reid.datasets.build_occluded_posetrack import build_occluded_posetrack
from reid.datasets.crops import read_crop
from reid.datasets.occluded_posetrack import FOLDER, crops_file, sampling_file
from reid.datasets.posetrack_people import (
    Person,
    occlusion_level,
    poses_in_crop,
    query_ids,
    sample_people,
)

SPLITS = ("train", "val")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PoseTrack21 with crops as its generator made them."""
    root = tmp_path_factory.mktemp("posetrack21")
    for split in SPLITS:
        config = SyntheticConfig(sequences=2, frames=12, people=3, width=256, height=144, split=split)
        write_benchmark(root, config)
        write_reid_crops(root, config)
    return root


@pytest.fixture
def bare(drawn: Path, tmp_path: Path) -> Path:
    """The same videos and annotations without any crop."""
    for name in ("images", "posetrack_data"):
        (tmp_path / name).symlink_to(drawn / name)
    return tmp_path


def _with_sampling(drawn: Path, bare: Path) -> Path:
    (bare / FOLDER).mkdir()
    for split in SPLITS:
        shutil.copy(sampling_file(drawn, split), bare / FOLDER)
    return bare


def _sets(data: ReidData) -> list[tuple[ReidSample, ...]]:
    return [data.train, data.query, data.gallery]


def test_with_the_sampling_files_exactly_their_crops_are_made(drawn: Path, bare: Path) -> None:
    theirs = open_dataset("occluded_posetrack", drawn)

    build_occluded_posetrack(_with_sampling(drawn, bare))

    ours = open_dataset("occluded_posetrack", bare)
    for a, b in zip(_sets(theirs), _sets(ours), strict=True):
        assert len(a) == len(b) > 0
        assert [each.image.read_bytes() for each in a] == [each.image.read_bytes() for each in b]


def test_keypoints_of_the_person_and_of_others_are_in_place(drawn: Path) -> None:
    entries = {
        entry["reid_crop_path"].rpartition("/")[2]: entry
        for split in SPLITS
        for entry in orjson.loads(crops_file(drawn, split).read_bytes())
    }

    for sample in open_dataset("occluded_posetrack", drawn).samples:
        entry = entries[sample.image.name]
        assert isinstance(sample.keypoints, np.ndarray)
        own = np.array(entry["keypoints"])
        assert np.abs(sample.keypoints[0] - own * (own[:, 2:] > 0)).max() < 0.006
        assert len(sample.keypoints) == 1 + len(entry["negative_kps"])


def test_queries_are_those_of_the_generator(drawn: Path) -> None:
    table = orjson.loads(sampling_file(drawn, "val").read_bytes())
    roles = dict(zip(table["id"].values(), table["split"].values(), strict=True))
    entries = orjson.loads(crops_file(drawn, "val").read_bytes())
    names = {Path(entry["reid_crop_path"]).name for entry in entries if roles[entry["id"]] == "query"}

    assert {each.image.name for each in open_dataset("occluded_posetrack", drawn).query} == names


def test_queries_are_more_occluded_than_the_gallery_of_the_same_person(drawn: Path) -> None:
    data = open_dataset("occluded_posetrack", drawn)

    for query in data.query:
        others = [each.occlusion for each in data.gallery if each.identity == query.identity]
        assert query.occlusion >= max(others)


def test_the_documented_rule_makes_a_data_set_without_sampling_files(bare: Path) -> None:
    build_occluded_posetrack(bare)

    data = open_dataset("occluded_posetrack", bare)
    crops = Counter(each.identity for each in data.query + data.gallery)
    queries = Counter(each.identity for each in data.query)
    assert all(4 <= count <= 10 for count in crops.values())
    assert all(queries[name] == int(0.2 * count) for name, count in crops.items())
    assert data.protocol == "mot_inter_intra_video"
    assert {each.camera for each in data.train}.isdisjoint(each.camera for each in data.gallery)


def test_a_build_that_was_broken_off_goes_on_to_the_same_end(drawn: Path, bare: Path) -> None:
    _with_sampling(drawn, bare)

    def break_off(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_occluded_posetrack(bare, on_crop=break_off)
    begun = {path: path.stat().st_mtime_ns for path in bare.glob(f"{FOLDER}/images/**/*.jpg")}

    build_occluded_posetrack(bare)

    assert begun
    assert all(path.stat().st_mtime_ns == time for path, time in begun.items())
    assert len(open_dataset("occluded_posetrack", bare).samples) == len(
        open_dataset("occluded_posetrack", drawn).samples
    )


def test_crops_that_were_built_elsewhere_are_found_here(drawn: Path, bare: Path) -> None:
    shutil.copytree(drawn / FOLDER, bare / FOLDER)
    for split in SPLITS:
        path = crops_file(bare, split)
        entries = orjson.loads(path.read_bytes())
        for entry in entries:
            entry["reid_crop_path"] = f"/home/other/{entry['reid_crop_path']}"
        columns = {key: {str(i): entry[key] for i, entry in enumerate(entries)} for key in entries[0]}
        path.write_bytes(orjson.dumps(columns))  # as pandas writes a table

    sample = open_dataset("occluded_posetrack", bare).query[0]

    assert sample.image.is_relative_to(bare)
    assert sample.image.exists()


def test_part_labels_of_the_generator_are_read_as_masks(drawn: Path) -> None:
    crop = read_crop(open_dataset("occluded_posetrack", drawn).gallery[0], "eight")

    assert crop.masks is not None
    assert crop.masks.shape == (96, 32, 8)
    assert set(np.unique(crop.masks)) == {0.0, 1.0}


def test_without_crops_the_way_to_make_them_is_told(bare: Path) -> None:
    with pytest.raises(InputError, match="kprtrack data build occluded_posetrack"):
        open_dataset("occluded_posetrack", bare)


def test_annotations_without_a_split_are_left_out(drawn: Path, bare: Path) -> None:
    shutil.copytree(drawn / FOLDER, bare / FOLDER)
    path = sampling_file(bare, "train")
    path.write_bytes(path.read_bytes().replace(b'"none"', b"null"))

    ours, theirs = (open_dataset("occluded_posetrack", root) for root in (bare, drawn))

    assert len(ours.train) == len(theirs.train)


def test_sampling_files_of_another_release_are_named(drawn: Path, bare: Path) -> None:
    _with_sampling(drawn, bare)
    sampling_file(bare, "train").write_bytes(orjson.dumps([{"id": 5, "split": "train"}]))

    with pytest.raises(InputError, match=r"train_dataset_sampling\.json names 1 annotations .*first 5"):
        build_occluded_posetrack(bare)


def test_a_damaged_annotation_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "posetrack_data" / "train"
    folder.mkdir(parents=True)
    (folder / "000001.json").write_bytes(orjson.dumps({"images": [{"file_name": "a"}], "annotations": []}))

    with pytest.raises(InputError, match=r"000001\.json, image 0: its id None must be"):
        build_occluded_posetrack(tmp_path)


def _person(row: int, identity: int, *, visible: float = 1.0, size: float = 50) -> Person:
    pose = np.zeros((17, 3))
    pose[: round(visible * 17), 2] = 1
    return Person(row, identity, "a.jpg", row, "a", np.array([0, 0, size, size]), pose, ())


def test_training_takes_up_to_twenty_visible_crops_evenly() -> None:
    people = [_person(row, 1) for row in range(58)]
    hidden = [_person(100 + row, 2, visible=0.25) for row in range(9)]
    small = [_person(200 + row, 3, size=10) for row in range(9)]
    few = [_person(300 + row, 4) for row in range(3)]

    chosen = sample_people([*people, *hidden, *small, *few], train=True)

    assert [person.id for person in chosen] == list(range(0, 58, 3))


def test_testing_takes_up_to_ten_crops_visible_or_not() -> None:
    people = [_person(row, 1, visible=0, size=5) for row in range(28)]

    assert [person.id for person in sample_people(people, train=False)] == list(range(0, 28, 3))


def test_of_equally_occluded_crops_the_smaller_id_is_the_query() -> None:
    ids = [9, 4, 7, 5, 8]

    assert query_ids(dict.fromkeys(ids, 0.5), dict.fromkeys(ids, 1)) == {4}
    assert query_ids({**dict.fromkeys(ids, 0.5), 8: 0.6}, dict.fromkeys(ids, 1)) == {8}
    assert query_ids(dict.fromkeys(ids[:4], 0.5), dict.fromkeys(ids[:4], 1)) == set()


def test_keypoints_follow_the_box_as_it_is_though_the_crop_is_cut_at_the_frame() -> None:
    pose = np.zeros((1, 17, 3))
    pose[0, 0] = (10, 30, 1)
    pose[0, 1] = (-15, 30, 1)  # outside the frame, within the box
    pose[0, 2] = (90, 30, 1)
    box = np.array([-20, 10, 100, 40])

    moved = poses_in_crop(pose, box, 40, 20)

    assert moved[0, :3].tolist() == [[12, 10, 1], [2, 10, 1], [0, 0, 0]]


def test_occlusion_is_the_share_of_others_keypoints() -> None:
    own, others = np.zeros((17, 3)), np.zeros((2, 17, 3))
    others[:, :3, 2] = 1

    assert occlusion_level(own, others) == 12
    own[:12, 2] = 1
    assert occlusion_level(own, others) == 0.5
