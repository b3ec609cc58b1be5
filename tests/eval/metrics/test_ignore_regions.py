"""What ignored regions leave of poses."""

from pathlib import Path

from support.posetrack21_cases import FRAMES, NAME, gt_file, made, spoil

from eval.benchmarks.posetrack21 import read_sequence, read_sequences
from eval.datatypes import Sequence
from eval.metrics.ignore_regions import without_ignored


def cleaned(folder: Path, *corners: tuple[float, float], frame: int = 1) -> Sequence:
    """Two people, all joints at 100, 60 and at 200, 60, with a region in one of three labelled frames."""
    ground_truth, results = made(folder)
    xs, ys = zip(*corners, strict=True)

    def add(file: dict) -> None:
        file["images"][frame] |= {"ignore_regions_x": [xs], "ignore_regions_y": [ys]}

    spoil(gt_file(ground_truth), add)
    spoil(results / f"{NAME}.json", lambda file: file["annotations"][2]["keypoints"].__setitem__(0, 50.0))
    return without_ignored(read_sequence(read_sequences(ground_truth, results)[0]).poses)


def test_people_with_no_joint_left_are_gone_on_both_sides(tmp_path: Path) -> None:
    poses = cleaned(tmp_path, (90, 50), (110, 50), (110, 70), (90, 70))
    assert poses.ground_truth.frames.tolist() == [0, 0, 1, 2, 2]
    assert poses.ground_truth.ids.tolist() == [1, 2, 2, 1, 2]
    # The track's nose lies outside: it stays, and is all that stays.
    assert poses.tracks.ids.tolist() == [1, 2, 1, 2, 1, 2]
    assert poses.tracks.keypoints[2].tolist() == [[50, 60], *[[0, 0]] * 16]


def test_a_joint_on_the_border_is_not_inside(tmp_path: Path) -> None:
    poses = cleaned(tmp_path, (100, 50), (110, 50), (110, 70), (100, 70))
    assert len(poses.ground_truth) == 6


def test_frames_that_are_not_labelled_are_gone_and_regions_done_with(tmp_path: Path) -> None:
    poses = cleaned(tmp_path, (90, 50), (110, 50), (110, 70), frame=FRAMES - 1)
    assert len(poses.ground_truth) == 6
    assert poses.labelled.tolist() == [True] * 3
    assert poses.ignore_regions == ((), (), ())


def test_cleaning_twice_changes_nothing(tmp_path: Path) -> None:
    once = cleaned(tmp_path, (90, 50), (110, 50), (110, 70), (90, 70))
    twice = without_ignored(once)
    assert (twice.ground_truth.keypoints == once.ground_truth.keypoints).all()
    assert twice.tracks.ids.tolist() == once.tracks.ids.tolist()
