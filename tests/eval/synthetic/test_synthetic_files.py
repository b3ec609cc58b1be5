"""The synthetic benchmark on disk: others' readers take it, and a second run finds its work done."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import orjson
import pytest
from support.synthetic_cases import SMALL, TINY

from eval.benchmarks.posetrack21_json import read_gt_poses, read_image_info
from eval.synthetic.benchmark import SyntheticFrame, scenes, write_benchmark, write_reid_crops
from eval.synthetic.shapes import PARTS
from kprtrack.core.errors import InputError, OutputError
from kprtrack.io import read_tracks
from kprtrack.video.source import open_source

pytestmark = pytest.mark.slow  # the videos of the whole module are drawn first

_CONFIG = replace(SMALL, sequences=1, labelled_every=4)


@pytest.fixture(scope="module")
def frames() -> list[SyntheticFrame]:
    return list(scenes(_CONFIG))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    write_benchmark(folder, _CONFIG, videos=True)
    write_reid_crops(folder, _CONFIG)
    return folder


def _gt(root: Path, name: str) -> dict:
    return orjson.loads((root / "posetrack_data" / "val" / f"{name}.json").read_bytes())


def test_the_reader_of_posetrack21_takes_the_gt(root: Path, frames: list[SyntheticFrame]) -> None:
    ground_truth = read_gt_poses(root / "posetrack_data" / "val" / f"{frames[0].sequence}.json")
    assert ground_truth.labelled.tolist() == [frame.labelled for frame in frames]
    assert ground_truth.people.ids.tolist() == np.concatenate([frame.ids for frame in frames]).tolist()
    assert ground_truth.people.person_ids.tolist() == np.concatenate([f.person_ids for f in frames]).tolist()
    labelled = ground_truth.labelled[ground_truth.people.frames]
    joints = np.concatenate([frame.posetrack for frame in frames])[..., :2]
    np.testing.assert_allclose(ground_truth.people.keypoints[labelled], joints[labelled], atol=0.006)
    assert not ground_truth.people.keypoints[~labelled].any()
    assert (~labelled).any()
    assert np.isfinite(ground_truth.people.head_sizes[labelled]).all()


def test_the_reader_of_posetrack21_takes_the_box_files(root: Path, frames: list[SyntheticFrame]) -> None:
    folder = root / "posetrack_mot" / "mot" / "val" / frames[0].sequence
    ids, regions = read_image_info(folder / "image_info.json")
    assert ids == [image["id"] for image in _gt(root, frames[0].sequence)["images"]]
    assert [len(region) for region in regions] == [len(frame.ignore_regions) for frame in frames]
    rows = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",", ndmin=2)
    assert (rows[:, 7] == -1).all()
    assert rows[:, 0].astype(int).tolist() == [f.number + 1 for f in frames for _ in f.ids]


def test_images_on_disk_equal_those_in_memory(root: Path, frames: list[SyntheticFrame]) -> None:
    frame = frames[20]
    for kind, expected in (("masks", frame.mask), ("parts", frame.parts)):
        path = root / kind / "val" / frame.sequence / "000020.png"
        np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), expected)
    image = cv2.imread(str(root / "images" / "val" / frame.sequence / "000020.jpg"))[..., ::-1]
    assert np.abs(image.astype(int) - frame.image).mean() < 4


def test_our_own_tracks_hold_the_same_people(root: Path, frames: list[SyntheticFrame]) -> None:
    tracks = read_tracks(root / "tracks" / f"{frames[0].sequence}.json")
    assert tracks.complete
    for found, frame in zip(tracks.frames, frames, strict=True):
        assert found.ids.tolist() == frame.ids.tolist()
        np.testing.assert_allclose(found.boxes, frame.boxes, atol=0.02)
        assert ((found.keypoints[..., 2] > 0.5) == (frame.keypoints[..., 2] == 2)).all()


def test_coco_has_all_seventeen_joints_and_the_crowd(root: Path, frames: list[SyntheticFrame]) -> None:
    data = orjson.loads((root / "coco" / "val" / f"{frames[0].sequence}.json").read_bytes())
    people = [entry for entry in data["annotations"] if not entry["iscrowd"]]
    poses = np.array([entry["keypoints"] for entry in people]).reshape(-1, 17, 3)
    assert len(people) == sum(len(frame.ids) for frame in frames)
    assert (poses[:, 1:5, 2] == 2).any(axis=0).all()  # eyes and ears too
    assert len({entry["id"] for entry in data["annotations"]}) == len(data["annotations"])
    crowds = sum(len(frame.ignore_regions) for frame in frames)
    assert len(data["annotations"]) - len(people) == crowds > 0


def test_the_video_has_every_frame(root: Path, frames: list[SyntheticFrame]) -> None:
    with open_source(root / "videos" / f"{frames[0].sequence}.mp4") as video:
        assert sum(1 for _ in video) == len(frames)


def test_an_interrupted_run_resumes_with_the_same_result(tmp_path: Path) -> None:
    config = replace(TINY, sequences=2)
    write_benchmark(tmp_path, config)
    first, second = sorted((tmp_path / "posetrack_data" / "val").iterdir())
    before, kept = second.read_bytes(), first.stat().st_mtime_ns
    second.unlink()
    (tmp_path / "images" / "val" / second.stem / "000001.jpg").unlink()
    done: list[str] = []
    write_benchmark(tmp_path, config, on_sequence=done.append)
    assert done == [first.stem, second.stem]
    assert second.read_bytes() == before
    assert first.stat().st_mtime_ns == kept
    assert len(list((tmp_path / "images" / "val" / second.stem).iterdir())) == config.frames


def test_a_folder_with_other_content_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds no synthetic benchmark"):
        write_benchmark(tmp_path, TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_other_settings_in_the_same_folder_are_rejected(tmp_path: Path) -> None:
    write_benchmark(tmp_path, TINY)
    with pytest.raises(OutputError, match="other settings"):
        write_benchmark(tmp_path, replace(TINY, seed=9))


def test_both_splits_share_a_folder(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_benchmark(tmp_path, replace(TINY, split=split))
    assert {path.name for path in (tmp_path / "posetrack_data").iterdir()} == {"train", "val"}


def test_crops_need_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Write the benchmark first"):
        write_reid_crops(tmp_path, TINY)


def _crops(root: Path) -> tuple[Path, list[dict], dict[int, str]]:
    base = root / "occluded_posetrack_reid"
    crops = orjson.loads((base / "images" / "anns" / "val_reid_crops_anns.json").read_bytes())
    table = orjson.loads((base / "val_dataset_sampling.json").read_bytes())
    roles = {number: table["split"][row] for row, number in table["id"].items()}
    return base, crops, roles


def test_crops_are_there_with_their_size_and_part_labels(root: Path) -> None:
    base, crops, _ = _crops(root)
    masks = orjson.loads((base / "masks" / "anns" / "val_reid_masks_anns.json").read_bytes())
    paths = {entry["id"]: entry["masks_path"] for entry in masks}
    assert len(crops) > 10
    for crop in crops:
        image = cv2.imread(str(root / crop["reid_crop_path"]))
        assert image.shape[:2] == (crop["reid_crop_height"], crop["reid_crop_width"])
        labels = np.load(root / paths[crop["id"]], allow_pickle=False)
        assert (labels.shape, labels.dtype) == ((96, 32), np.uint8)
        assert 0 < labels.max() < len(PARTS)


def test_keypoints_of_crops_lie_in_them_and_on_the_person(root: Path) -> None:
    base, crops, _ = _crops(root)
    masks = orjson.loads((base / "masks" / "anns" / "val_reid_masks_anns.json").read_bytes())
    on = []
    for crop, mask in zip(crops, masks, strict=True):
        size = np.array((crop["reid_crop_width"], crop["reid_crop_height"]))
        for pose in (crop["keypoints"], *crop["negative_kps"]):
            assert (np.array(pose)[:, :2] <= size).all()
        pose = np.array(crop["keypoints"])
        labels = np.load(root / mask["masks_path"], allow_pickle=False)
        column, row = (pose[pose[:, 2] > 0, :2] / size * (32, 96)).astype(int).T
        near = cv2.dilate(labels, np.ones((5, 5), np.uint8))  # a cell may be smaller than a pixel
        on += (near[row.clip(0, 95), column.clip(0, 31)] > 0).tolist()
    assert np.mean(on) > 0.95


def test_queries_are_an_identity_s_most_occluded_crops(root: Path) -> None:
    _, crops, roles = _crops(root)
    ground_truth = {entry["id"]: entry["person_id"] for entry in _gt(root, "005001_synth_val")["annotations"]}
    levels: dict[tuple[int, str], list[float]] = {}
    for crop in crops:
        own = np.array(crop["keypoints"])[:, 2].sum()
        others = sum(np.array(pose)[:, 2].sum() for pose in crop["negative_kps"])
        level = others / own if own else 2 * others
        levels.setdefault((ground_truth[crop["id"]], roles[crop["id"]]), []).append(level)
    people = {person for person, _ in levels}
    assert {role for _, role in levels} == {"query", "gallery"}
    assert all(min(levels[p, "query"]) >= max(levels[p, "gallery"]) for p in people if (p, "query") in levels)
    assert set(roles) == set(ground_truth) & set(roles)
