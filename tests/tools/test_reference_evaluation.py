"""What the evaluation is held against gives the official numbers and ours, on the files it is timed with."""

import json
from pathlib import Path

import numpy as np
import pytest
from support import paths

from eval.benchmarks.posetrack21 import read_sequence, read_sequences
from eval.metrics.boxes import box_pairs
from eval.metrics.ignore_regions import without_ignored
from eval.metrics.keypoint_hota import keypoint_hota
from eval.metrics.person_hota import person_hota

ROOT = paths.ROOT
FIXTURES = ROOT.parent / "shared" / "fixtures" / "eval"
OFFICIAL = [("pt21_basic", "noisy"), ("pt21_basic", "awful"), ("pt21_quirks/16_pred_empty_frames", "noisy")]


@pytest.fixture(scope="module", autouse=True)
def tools():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        yield


@pytest.fixture(scope="module")
def made_files(tmp_path_factory) -> Path:
    from timing.val_sized_files import write_val_sized

    folder = tmp_path_factory.mktemp("val")
    write_val_sized(folder, sequences=4)  # only the fourth has an ignored region
    return folder


def assert_same(scores, expected):
    shared = scores.keys() & expected.keys()
    assert shared >= {"HOTA", "AssA", "LocA", "HOTA_FN"}
    for name in shared:
        np.testing.assert_allclose(scores[name], expected[name], rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="needs ../shared/fixtures")
@pytest.mark.parametrize(("case", "tracker"), OFFICIAL)
def test_reference_keypoint_hota_equals_the_official_one(case: str, tracker: str):
    from timing.reference_evaluation import combine_reference, read_frames, reference_keypoint_hota

    expected = json.loads((FIXTURES / case / "expected" / "official_kit.json").read_text())[tracker]["pose"]
    scores = {
        file.stem: reference_keypoint_hota(
            read_frames(file, FIXTURES / case / "trackers" / tracker / "pose" / file.name)
        )
        for file in sorted((FIXTURES / case / "posetrack_data" / "val").iterdir())
    }
    scores["COMBINED_SEQ"] = combine_reference(list(scores.values()))
    for name, of_sequence in scores.items():
        assert_same(of_sequence, expected[name]["HOTAeypoints"])


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="needs ../shared/fixtures")
@pytest.mark.parametrize(("case", "tracker"), OFFICIAL)
def test_trackeval_on_the_reference_boxes_gives_the_official_box_hota(case: str, tracker: str):
    from timing.reference_evaluation import read_boxes
    from trackeval.metrics import HOTA

    expected = json.loads((FIXTURES / case / "expected" / "official_kit.json").read_text())[tracker]["mot"]
    for folder in (FIXTURES / case / "posetrack_mot" / "mot" / "val").iterdir():
        results = FIXTURES / case / "trackers" / tracker / "mot" / f"{folder.name}.txt"
        assert_same(HOTA().eval_sequence(read_boxes(folder, results)), expected[folder.name]["HOTA"])


@pytest.mark.slow
def test_all_implementations_give_the_same_scores(made_files: Path):
    from timing.reference_evaluation import read_boxes, read_frames, reference_keypoint_hota
    from trackeval.metrics import HOTA

    for files in read_sequences(made_files / "truth", made_files / "poses", box_results=made_files / "boxes"):
        pair = read_sequence(files)
        keypoints = reference_keypoint_hota(read_frames(files.gt_poses, files.track_poses))
        assert_same(keypoints, keypoint_hota(without_ignored(pair.poses)).official)
        boxes = HOTA().eval_sequence(read_boxes(files.gt_boxes, files.track_boxes))
        assert_same(boxes, person_hota(box_pairs(pair.boxes, clean=True)))


def test_made_files_are_like_val_and_hard_enough_to_tell_trackers_apart(made_files: Path):
    for files in read_sequences(made_files / "truth", made_files / "poses", box_results=made_files / "boxes"):
        pair = read_sequence(files)
        assert 0.4 < pair.poses.labelled.mean() < 0.6
        assert len(np.unique(pair.poses.ground_truth.ids)) == 8
        assert 0.2 < keypoint_hota(without_ignored(pair.poses)).fixed["HOTA"][:, -1].mean() < 0.7


def test_the_same_seed_makes_the_same_files(made_files: Path, tmp_path: Path):
    from timing.val_sized_files import write_val_sized

    write_val_sized(tmp_path, sequences=4)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) == 5 * 4
    assert all((tmp_path / file).read_bytes() == (made_files / file).read_bytes() for file in files)
