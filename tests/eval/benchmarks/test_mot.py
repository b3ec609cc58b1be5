"""MOTChallenge files: TrackEval's own reader and rules, folder layouts, and files that cannot be scored."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.box_cases import MOT15, assert_equal

from eval.benchmarks.score_mot import score_mot
from kprtrack.core.errors import InputError

ROW = "1,1,10,10,20,40,1,-1,-1,-1\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def one_sequence(folder: Path, ground_truth: str, tracks: str) -> tuple[Path, Path]:
    return write(folder / "truth.txt", ground_truth), write(folder / "tracks.txt", tracks)


@pytest.mark.skipif(not MOT15.exists(), reason="needs ../shared")
def test_real_tracks_have_the_scores_of_trackeval() -> None:
    scored = score_mot(MOT15 / "gt", MOT15 / "trackers" / "mm_test")
    expected = json.loads((MOT15 / "expected" / "trackeval_mm_test.json").read_text())
    for metric in ("HOTA", "CLEAR", "Identity"):
        measure = scored.measures[f"box_{metric.lower()}"]
        assert_equal(measure.combined, expected["COMBINED_SEQ"][metric])
        for name, scores in measure.sequences.items():
            assert_equal(scores, expected[name][metric])
    assert 100 * np.mean(scored.measures["box_hota"].combined["HOTA"]) == pytest.approx(39.9957, abs=5e-5)
    assert scored.measures["box_clear"].combined["IDSW"] == 14


# The rules of MOT16 and later


def crowd(rng: np.random.Generator, frames: int) -> tuple[str, str]:
    """Ground truth with all classes and flags, and tracks of everything in it."""
    homes = rng.uniform(0, 200, (26, 2))
    ground_truth, tracks = [], []
    for frame in range(1, frames + 1):
        for person, home in enumerate(homes):
            x, y = home + rng.normal(0, 4, 2)
            flag, kind = person % 5 != 0, person % 13 + 1
            if rng.random() < 0.9:
                ground_truth.append(f"{frame},{person + 1},{x:.2f},{y:.2f},40,80,{int(flag)},{kind},0.7\n")
            if rng.random() < 0.9:
                track = person + 1 + 100 * rng.integers(0, 2)
                tracks.append(f"{frame},{track},{x + rng.normal(0, 4):.2f},{y:.2f},42,78,0.9,-1,-1,-1\n")
    return "".join(ground_truth), "".join(tracks)


def scores_of_trackeval(folder: Path, benchmark: str, name: str) -> dict[str, dict[str, object]]:
    """Return the scores of TrackEval's own reader, rules and metrics for FOLDER/gt and FOLDER/trackers."""
    from trackeval.datasets import MotChallenge2DBox
    from trackeval.metrics import CLEAR, HOTA, Identity

    dataset = MotChallenge2DBox(
        {
            "GT_FOLDER": str(folder / "gt"),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "BENCHMARK": benchmark,
            "SEQ_INFO": {name: None},
            "SKIP_SPLIT_FOL": True,
            "TRACKERS_TO_EVAL": ["ours"],
            "TRACKER_SUB_FOLDER": "",
            "PRINT_CONFIG": False,
        }
    )
    data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", name), "pedestrian")
    metrics = {
        "hota": HOTA(),
        "clear": CLEAR({"PRINT_CONFIG": False}),
        "identity": Identity({"PRINT_CONFIG": False}),
    }
    return {key: metric.eval_sequence(data) for key, metric in metrics.items()}


@pytest.mark.parametrize(
    ("benchmark", "name"), [("MOT16", "MOT16-02"), ("MOT17", "MOT17-02-FRCNN"), ("MOT20", "MOT20-01")]
)
def test_classes_and_flags_are_treated_as_trackeval_does(benchmark: str, name: str, tmp_path: Path) -> None:
    ground_truth, tracks = crowd(np.random.default_rng(len(name)), 12)
    write(tmp_path / "gt" / name / "gt" / "gt.txt", ground_truth)
    write(tmp_path / "gt" / name / "seqinfo.ini", "[Sequence]\nseqLength=14\n")
    write(tmp_path / "trackers" / "ours" / f"{name}.txt", tracks)
    scored = score_mot(tmp_path / "gt", tmp_path / "trackers" / "ours")
    for key, expected in scores_of_trackeval(tmp_path, benchmark, name).items():
        assert_equal(scored.measures[f"box_{key}"].sequences[name], expected, tolerance=1e-12)
    assert scored.measures["box_clear"].combined["CLR_Frames"] == 14
    assert "1 of 1 sequences have classes" in scored.notes[0]


def test_places_in_the_world_are_no_classes(tmp_path: Path) -> None:
    ground_truth = "1,1,10,10,20,40,1,4.5,5.5,0\n1,2,80,10,20,40,0,2,2,0\n"
    scored = score_mot(*one_sequence(tmp_path, ground_truth, ROW))
    assert scored.measures["box_clear"].combined["MOTA"] == 1  # the box with flag 0 does not count
    assert not scored.notes


# Layouts


def lay_out_folders(folder: Path) -> tuple[Path, Path]:
    for name in ("a", "b"):
        write(folder / "gt" / name / "gt" / "gt.txt", ROW)
        write(folder / "res" / f"{name}.txt", ROW)
    return folder / "gt", folder / "res"


def lay_out_text(folder: Path) -> tuple[Path, Path]:
    for name in ("a", "b"):
        write(folder / "gt" / f"{name}.txt", ROW)
        write(folder / "res" / f"{name}.txt", ROW)
    return folder / "gt", folder / "res"


def lay_out_one_folder(folder: Path) -> tuple[Path, Path]:
    ground_truth, results = lay_out_folders(folder)
    return ground_truth / "a", results / "b.txt"


@pytest.mark.parametrize(
    ("lay_out", "names"),
    [(lay_out_folders, ["a", "b"]), (lay_out_text, ["a", "b"]), (lay_out_one_folder, ["a"])],
)
def test_every_layout_is_found(
    lay_out: Callable[[Path], tuple[Path, Path]], names: list[str], tmp_path: Path
) -> None:
    done: list[str] = []
    scored = score_mot(*lay_out(tmp_path), on_sequence=done.append)
    assert done == list(scored.timelines) == list(scored.measures["box_hota"].sequences) == names
    assert scored.measures["box_clear"].combined["CLR_TP"] == len(names)


@pytest.mark.parametrize("lay_out", [lay_out_folders, lay_out_text])
def test_hidden_files_are_no_sequences(lay_out: Callable[[Path], tuple[Path, Path]], tmp_path: Path) -> None:
    ground_truth, results = lay_out(tmp_path)
    before = score_mot(ground_truth, results)
    for side in (ground_truth, results):
        for file in list(side.rglob("*.txt")):
            write(file.with_name(f"._{file.name}"), "no table")
            for hidden in (".ipynb_checkpoints", "__MACOSX"):
                write(side / hidden / file.relative_to(side), "no table")
    after = score_mot(ground_truth, results)
    assert after.notes == before.notes
    assert list(after.timelines) == list(before.timelines)


def test_the_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    rows = [
        f"{frame},{person},{50 * person},0,20,40,1,-1,-1,-1\n" for frame in (1, 2, 3) for person in (1, 2)
    ]
    scored = score_mot(*one_sequence(tmp_path, "".join(rows), "".join(reversed(rows))))
    assert scored.measures["box_clear"].combined["MOTA"] == 1


def test_an_empty_result_has_no_tracks(tmp_path: Path) -> None:
    scored = score_mot(*one_sequence(tmp_path, ROW, ""))
    assert scored.measures["box_clear"].combined["CLR_FN"] == 1


def test_blanks_semicolons_and_trailing_commas_separate_too(tmp_path: Path) -> None:
    for tracks in ("1 1 10 10 20 40 1\n", "1;1;10;10;20;40;1\n", "1, 1, 10, 10, 20, 40, 1,\n\n"):
        scored = score_mot(*one_sequence(tmp_path, ROW, tracks))
        assert scored.measures["box_clear"].combined["CLR_TP"] == 1


def test_results_without_ground_truth_are_noted(tmp_path: Path) -> None:
    ground_truth, results = lay_out_text(tmp_path)
    write(results / "old.txt", ROW)
    assert "old.txt (1 in total)" in score_mot(ground_truth, results).notes[0]


# What cannot be scored


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        (ROW + "0,1,1,1,1,1,1\n", r"2 has 7 columns, line 1 has 10\. A row is frame,id"),
        ("1,1,10\n", "1 has 3 columns"),
        (ROW + "2,1,10,ten,20,40,1,-1,-1,-1\n", "2: 'ten' is not a number"),
        (ROW + "2,1,10,nan,20,40,1,-1,-1,-1\n", r"2 \(frame 2, id 1\): a number that is not finite"),
        ("0" + ROW[1:], r"1: frame 0, but frames count from 1. Add 1"),
        ("1.5" + ROW[1:], "1: frame 1.5 and id 1 must be whole"),
        ("99999999" + ROW[1:], "frame numbers must be at most 10000000"),
        ("1,-1,10,10,20,40,1\n", "id -1, as in detections"),
        ("1,1.5,10,10,20,40,1\n", "frame 1 and id 1.5 must be whole"),
        ("1,1,10,10,-20,40,1\n", "a negative width or height"),
        ("\n" + ROW + ROW, r"3 \(frame 1, id 1\): this id already has a box in this frame"),
        ("1,1,10,10,20,40,1,3,-1,-1\n", "a class above 1"),
    ],
)
def test_a_bad_result_names_file_line_and_remedy(tracks: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"tracks\.txt, line .*{message}"):
        score_mot(*one_sequence(tmp_path, ROW, tracks))


@pytest.mark.parametrize(
    ("ground_truth", "note"),
    [
        (
            "1,1,10,20,30,60,0.9,-1,-1,-1\n2,1,11,20,30,60,0.9,-1,-1,-1\n",
            "all 2 ground-truth boxes have",
        ),
        ("1,1,10,20,30,60,0,-1,-1,-1\n", "all 1 ground-truth boxes have a flag below 1"),
        (
            "1,1,10,20,30,60,1,-1,-1,-1\n2,1,11,20,30,60,0.5,-1,-1,-1\n",
            "1 of 2 ground-truth boxes have",
        ),
        ("1,1,10,20,30,60,1,3,1\n", "none of the 1 ground truth boxes is a pedestrian"),
        ("", "the ground truth has no boxes"),
    ],
)
def test_ground_truth_that_does_not_count_is_noted(ground_truth: str, note: str, tmp_path: Path) -> None:
    scored = score_mot(*one_sequence(tmp_path, ground_truth, ROW))
    assert any(note in each for each in scored.notes)


def test_ground_truth_of_flags_0_and_1_needs_no_note(tmp_path: Path) -> None:
    flags = "1,1,10,20,30,60,1,-1,-1,-1\n1,2,90,20,30,60,0,-1,-1,-1\n"
    assert score_mot(*one_sequence(tmp_path, flags, ROW)).notes == ()


def test_a_crowd_that_no_memory_holds_is_an_error(tmp_path: Path) -> None:
    rows = "".join(f"3,{person},10,20,30,40,1,-1,-1,-1\n" for person in range(1, 2002))
    with pytest.raises(InputError, match="frame 3: 2001 people; at most 2000 in a frame"):
        score_mot(*one_sequence(tmp_path, ROW, rows))


def test_an_unknown_class_in_the_ground_truth_is_rejected(tmp_path: Path) -> None:
    ground_truth = "1,1,10,10,20,40,1,1,0.5\n1,2,10,10,20,40,1,14,0.5\n"
    with pytest.raises(InputError, match=r"truth\.txt, line 2 .* must be a whole number from 1 to 13"):
        score_mot(*one_sequence(tmp_path, ground_truth, ROW))


def test_a_box_after_the_end_of_the_sequence_is_rejected(tmp_path: Path) -> None:
    ground_truth, results = lay_out_folders(tmp_path)
    write(ground_truth / "a" / "seqinfo.ini", "[Sequence]\nseqLength=3\n")
    write(results / "a.txt", ROW + "4" + ROW[1:])
    with pytest.raises(InputError, match=r"a\.txt, line 2 .*seqinfo\.ini: .* ends with frame 3"):
        score_mot(ground_truth, results)


@pytest.mark.parametrize("text", ["", "[Sequence]\nseqLength=many\n", "what\n"])
def test_a_damaged_seqinfo_is_rejected(text: str, tmp_path: Path) -> None:
    ground_truth, results = lay_out_folders(tmp_path)
    write(ground_truth / "a" / "seqinfo.ini", text)
    with pytest.raises(InputError, match=r"seqinfo\.ini must have seqLength in its section \[Sequence\]"):
        score_mot(ground_truth, results)


@pytest.mark.parametrize("length", [-1, 10**12])
def test_a_length_that_no_video_has_is_an_error(length: int, tmp_path: Path) -> None:
    ground_truth, results = lay_out_folders(tmp_path)
    for info in (file.parents[1] / "seqinfo.ini" for file in ground_truth.glob("*/gt/gt.txt")):
        write(info, f"[Sequence]\nseqLength={length}\n")
    with pytest.raises(InputError, match=f"seqLength {length} must be at most"):
        score_mot(ground_truth, results)


def test_a_missing_result_is_named_with_the_one_it_may_be(tmp_path: Path) -> None:
    for name in ("MOT17-02", "MOT17-04"):
        write(tmp_path / "gt" / f"{name}.txt", ROW)
    write(tmp_path / "res" / "MOT17-02.txt", ROW)
    write(tmp_path / "res" / "MOT17-4.txt", ROW)
    with pytest.raises(
        InputError, match=r"no result for the sequence 'MOT17-04'\. Did you mean 'MOT17-4\.txt'"
    ):
        score_mot(tmp_path / "gt", tmp_path / "res")


def test_missing_folders_and_folders_without_ground_truth_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    file = write(tmp_path / "a.txt", ROW)
    with pytest.raises(InputError, match="There is no file or folder"):
        score_mot(tmp_path / "nowhere", file)
    with pytest.raises(InputError, match="There is no file or folder"):
        score_mot(file, tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has neither NAME/gt/gt\.txt nor NAME\.txt"):
        score_mot(tmp_path / "empty", file)


def test_one_result_for_many_sequences_is_rejected(tmp_path: Path) -> None:
    ground_truth, results = lay_out_text(tmp_path)
    with pytest.raises(InputError, match=r"is one file, but .* has 2 sequences"):
        score_mot(ground_truth, results / "a.txt")
