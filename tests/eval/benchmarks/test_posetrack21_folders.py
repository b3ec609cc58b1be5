"""PoseTrack21's folders: where files are found, and errors for missing ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.posetrack21_cases import BASIC, NAME, gt_file, made, spoil, unpack, write

from eval.benchmarks.posetrack21 import read_sequence, read_sequences
from kprtrack.core.errors import InputError, UserError


def rejects(*parts: str) -> Any:
    return pytest.raises(InputError, match=".*".join(parts))


def test_a_sequence_without_result_is_named(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path, names=("a_test", "b_test", "c_test"))
    (results / "b_test.json").unlink()
    with rejects("lacks 1 of 3 sequences", "b_test.json"):
        read_sequences(ground_truth, results)


def test_hidden_files_are_no_sequences_and_no_trackers(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    names = [file.name for file in read_sequences(ground_truth, results)]
    write(gt_file(ground_truth).with_name("._other.json"), {})
    write(ground_truth / "posetrack_data" / "__MACOSX" / "a.json", {})
    for hidden in (".ipynb_checkpoints", "__MACOSX"):
        write(results / hidden / "sequences" / f"{names[0]}.json", {})
    assert [file.name for file in read_sequences(ground_truth, results)] == names


def test_the_root_is_one_higher(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    for inside in ("posetrack_data", "posetrack_data/val"):
        with rejects("does not hold the folder posetrack_data", f"Did you mean {ground_truth}"):
            read_sequences(ground_truth / inside, results)


def test_a_root_without_ground_truth_is_rejected_with_the_expected_layout(tmp_path: Path) -> None:
    _, results = made(tmp_path)
    with rejects("posetrack_data/val/.*json and posetrack_mot/mot/val"):
        read_sequences(tmp_path, results)
    with rejects("There is no folder"):
        read_sequences(tmp_path / "nowhere", results)


def test_an_unknown_split_lists_the_existing_ones(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    with pytest.raises(UserError, match=r"'vla'.*Did you mean 'val'"):
        read_sequences(ground_truth, results, split="vla")


def test_empty_folders_are_rejected(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    (tmp_path / "empty").mkdir()
    with rejects("holds no .json files", NAME):
        read_sequences(ground_truth, tmp_path / "empty")
    with rejects("There is no folder"):
        read_sequences(ground_truth, tmp_path / "nowhere")
    gt_file(ground_truth).unlink()
    with rejects("holds no json files"):
        read_sequences(ground_truth, results)
    gt_file(ground_truth).parent.rmdir()
    with rejects("holds no splits"):
        read_sequences(ground_truth, results)


def test_a_folder_one_too_high_hints_at_the_right_one(tmp_path: Path) -> None:
    ground_truth, results = made(tmp_path)
    with rejects("holds no .json files", f"Did you mean {results}"):
        read_sequences(ground_truth, tmp_path)


def test_several_trackers_in_a_folder_are_listed(tmp_path: Path) -> None:
    ground_truth, _ = made(tmp_path)
    for name in ("one", "two"):
        write(
            tmp_path / "all" / name / "sequences" / f"{NAME}.json",
            json.loads(gt_file(ground_truth).read_text()),
        )
    with rejects("several trackers", "one/sequences", "two/sequences"):
        read_sequences(ground_truth, tmp_path / "all")


def test_ground_truth_boxes_must_be_complete(tmp_path: Path) -> None:
    root = unpack(BASIC, tmp_path)
    path = root / "posetrack_mot/mot/val/000002_synth_val/gt/gt.txt"
    path.unlink()
    with rejects(str(path), "is missing"):
        read_sequences(root, root / "trackers/noisy/pose")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("25,1,0,0,1,1,1,-1,-1,-1", "frame 25, id 1.*after the last one of the sequence, 24"),
        ("1,101,0,0,1,1,1,-1,-1,-1", "frame 1, id 101.*already has a box"),
        ("1,1,0,0,1,1,1,2,-1,-1", "class above 1"),
        ("1,1,0,nan,1,1,1,-1,-1,-1", "not finite"),
    ],
)
def test_an_invalid_line_of_a_box_file_is_rejected(line: str, message: str, tmp_path: Path) -> None:
    root = unpack(BASIC, tmp_path)
    boxes = root / "trackers/noisy/mot"
    path = boxes / "000001_synth_val.txt"
    path.write_text(path.read_text().rstrip() + "\n" + line + "\n")
    with rejects("000001_synth_val.txt, line", message):
        read_sequence(read_sequences(root, root / "trackers/noisy/pose", box_results=boxes)[0])


def test_boxes_of_pose_files_have_no_place_among_other_images(tmp_path: Path) -> None:
    root = unpack(BASIC, tmp_path)
    info = root / "posetrack_mot/mot/val/000001_synth_val/image_info.json"
    spoil(info, lambda images: images.reverse())
    with rejects("lists other images", "--box-results"):
        read_sequence(read_sequences(root, root / "trackers/noisy/pose")[0])


def test_an_image_id_that_is_no_number_is_rejected(tmp_path: Path) -> None:
    root = unpack(BASIC, tmp_path)
    info = root / "posetrack_mot/mot/val/000001_synth_val/image_info.json"
    spoil(info, lambda images: images[0].update(id=[1]))
    with rejects("frame 0", "not a number or a text"):
        read_sequence(read_sequences(root, root / "trackers/noisy/pose")[0])
