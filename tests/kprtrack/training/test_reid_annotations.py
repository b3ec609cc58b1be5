"""Keypoints and part labels made for crops, with networks that are made up."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import paths

from kprtrack.cli.data import data_parser, run_data
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import InputError, UserError
from kprtrack.training.reid_annotations import (
    crop_networks,
    make_keypoints,
    make_part_labels,
    person_masks_in,
)
from reid.datasets import ReidSample, open_dataset
from reid.datasets.keypoint_files import read_keypoints
from reid.parts.mask_files import read_part_masks

HEIGHT, WIDTH = 60, 30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four crops of two people."""
    for name in ("0000_00", "0000_05", "0001_00", "0001_05"):
        Image.new("RGB", (WIDTH, HEIGHT), (9, 99, 200)).save(tmp_path / f"{name}.jpg")
    return tmp_path


def _samples(root: Path) -> tuple[ReidSample, ...]:
    return open_dataset("cuhk03", root, {"train_identities": 1}).samples


def _poses(frames: list[Frame], people: list[Detections]) -> list[Poses]:
    """A skeleton in each box: a line from the top to the bottom of its middle."""
    found = []
    for each in people:
        middle = (each.boxes[:, :1] + each.boxes[:, 2:3]) / 2 + np.zeros(17)
        down = each.boxes[:, 1:2] + (each.boxes[:, 3:] - each.boxes[:, 1:2]) * np.linspace(0.05, 0.95, 17)
        found.append(Poses(np.stack((middle, down, np.full_like(down, 0.9)), axis=-1).astype(np.float32)))
    return found


def _detect(*boxes: tuple[float, ...], score: float = 0.9) -> Callable[[list[Frame]], list[Detections]]:
    found = Detections(np.array(boxes, np.float32), np.full(len(boxes), score, np.float32))
    return lambda frames: [found] * len(frames)


def _run(root: Path, action: str, *words: str) -> int:
    options = data_parser().parse_args(
        [action, "cuhk03", "--root", str(root), *words, "--option", "train_identities=1"]
    )
    return run_data(options)


def test_every_crop_gets_a_file_with_the_person_of_the_whole_crop(root: Path) -> None:
    samples = _samples(root)

    assert make_keypoints(samples, _poses, batch=3) == 4

    for sample in samples:
        assert isinstance(sample.keypoints, Path)
        keypoints = read_keypoints(sample.keypoints)
        assert keypoints.shape == (1, 17, 3)
        assert keypoints[0, 0].tolist() == pytest.approx([15, 3, 0.9])


def test_others_in_the_crop_become_negatives_and_the_person_is_not_doubled(root: Path) -> None:
    detect = _detect((0, 2, 30, 60), (20, 5, 30, 45))
    samples = _samples(root)[:1]

    make_keypoints(samples, _poses, detect=detect)

    assert isinstance(samples[0].keypoints, Path)
    assert read_keypoints(samples[0].keypoints)[:, 0, 0].tolist() == [15, 25]


def test_doubtful_detections_are_nobody(root: Path) -> None:
    samples = _samples(root)[:1]

    make_keypoints(samples, _poses, detect=_detect((20, 5, 30, 45), score=0.2))

    assert isinstance(samples[0].keypoints, Path)
    assert len(read_keypoints(samples[0].keypoints)) == 1


def test_files_that_are_there_stay_and_the_rest_is_made(root: Path) -> None:
    samples = _samples(root)
    make_keypoints(samples[:3], _poses)
    assert isinstance(samples[0].keypoints, Path)
    samples[0].keypoints.write_bytes(b"[]")
    heard: list[tuple[int, int]] = []

    made = make_keypoints(samples, _poses, on_crop=lambda done, total: heard.append((done, total)))

    assert made == 1
    assert heard == [(1, 1)]
    assert samples[0].keypoints.read_bytes() == b"[]"


def test_a_damaged_crop_is_named(root: Path) -> None:
    (root / "0000_05.jpg").write_bytes(b"\xff\xd8\xff")

    with pytest.raises(InputError, match=r"0000_05\.jpg is cut off"):
        make_keypoints(_samples(root), _poses)


def test_a_data_set_without_places_for_keypoints_is_refused(root: Path) -> None:
    samples = open_dataset("cuhk03", root, {"train_identities": 1, "keypoints": None}).samples

    with pytest.raises(UserError, match="keypoints=NAME"):
        make_keypoints(samples, _poses)
    with pytest.raises(UserError, match="keypoints=NAME"):
        make_part_labels(samples)


def test_part_labels_follow_the_keypoints(root: Path) -> None:
    samples = _samples(root)
    make_keypoints(samples, _poses)

    assert make_part_labels(samples) == 4

    assert samples[0].masks is not None
    masks = read_part_masks(samples[0].masks, "eight")
    assert masks.shape == (HEIGHT, WIDTH, 8)
    assert masks[57, 15, 6:].sum() == 1  # a foot
    assert make_part_labels(samples) == 0


def test_part_labels_can_be_fields_as_they_are_published(root: Path) -> None:
    samples = open_dataset("cuhk03", root, {"train_identities": 1, "masks": "our_fields"}).samples
    make_keypoints(samples, _poses)

    make_part_labels(samples)

    assert samples[0].masks is not None
    assert samples[0].masks.suffix == ".npy"
    assert np.load(samples[0].masks).shape == (36, 96, 32)


def test_large_crops_get_labels_of_a_usual_size(tmp_path: Path) -> None:
    for name in ("0000_00", "0000_05"):
        Image.new("RGB", (300, 600)).save(tmp_path / f"{name}.jpg")
    samples = open_dataset("cuhk03", tmp_path, {"train_identities": 0}).samples
    make_keypoints(samples, _poses)

    make_part_labels(samples)

    assert samples[0].masks is not None
    masks = read_part_masks(samples[0].masks, "eight")
    assert masks.shape == (256, 128, 8)
    assert masks[243, 64, 6:].sum() == 1  # a foot


def test_labels_end_where_the_person_ends(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("masks")
    person = np.zeros((HEIGHT, WIDTH), np.uint8)
    person[:, :15] = 255
    for sample in _samples(root):
        Image.fromarray(person).save(folder / f"{sample.image.stem}.png")
    samples = _samples(root)
    make_keypoints(samples, _poses)

    make_part_labels(samples, person_mask=person_masks_in(folder, root))

    assert samples[0].masks is not None
    shown = read_part_masks(samples[0].masks, "eight").any(axis=2)
    assert np.array_equal(shown, person > 0)


def test_a_person_mask_that_is_missing_is_named(root: Path) -> None:
    samples = _samples(root)
    make_keypoints(samples, _poses)

    with pytest.raises(InputError, match=r"no person mask .*0000_00\.png|no person mask .*0001_00\.png"):
        make_part_labels(samples, person_mask=person_masks_in(root / "nowhere", root))


@pytest.mark.parametrize("name", ["file", "hrnet"])
def test_crops_need_a_pose_network(name: str) -> None:
    with pytest.raises(UserError, match="Unknown pose for crops"):
        crop_networks(TrackConfig(pose=ComponentConfig(name)), detects=False)


def test_the_check_ends_with_a_code_that_says_how_it_went(root: Path, capsys: pytest.CaptureFixture) -> None:
    assert _run(root, "check") == 3
    assert "keypoints of 4 of 4 crops are missing" in capsys.readouterr().out
    make_keypoints(_samples(root), _poses)

    assert _run(root, "part-labels") == 0
    assert "4 files written, 0 existed. Use them with masks=part_labels" in capsys.readouterr().out

    assert _run(root, "check") == 0
    assert "No problems found." in capsys.readouterr().out


def test_a_root_must_be_named() -> None:
    options = data_parser().parse_args(["check", "cuhk03"])

    with pytest.raises(UserError, match="--root DIR"):
        run_data(options)


def test_only_a_data_set_of_videos_is_built(root: Path) -> None:
    options = data_parser().parse_args(["build", "cuhk03", "--root", str(root)])

    with pytest.raises(UserError, match="Known: occluded_posetrack"):
        run_data(options)


WEIGHTS = paths.SHARED / "real" / "weights" / "tinypose_256x192_fp16.xml"


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.skipif(not WEIGHTS.exists(), reason="needs ../shared/real")
def test_a_real_network_finds_keypoints_from_the_command_line(root: Path) -> None:
    words = ("--pose", "heatmap", "--pose-weights", str(WEIGHTS), "--device", "cpu", "--quiet")

    assert _run(root, "keypoints", *words) == 0

    assert len(list(root.glob("external_annotation/kprtrack/*.json"))) == 4
