"""The text table and the JSON file of an evaluation."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.report_cases import boxes_only, hota, posetrack21

from eval.datatypes import Evaluation, Measure
from eval.report.json import comparison_json, evaluation_json
from eval.report.tables import (
    comparison_tables,
    evaluation_tables,
    in_percent,
    legend,
    term_line,
    term_sentences,
)
from eval.report.text import comparison, report


def rows(text: str, name: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(f"{name} ")]


def test_the_first_table_has_the_columns_of_the_paper_for_keypoints_and_boxes() -> None:
    table = evaluation_tables(posetrack21(differ=False))[0]
    assert [(c.group, c.name) for c in table.columns] == [
        ("keypoints", "HOTA"),
        ("keypoints", "DetA"),
        ("keypoints", "AssA"),
        ("boxes", "HOTA"),
        ("boxes", "DetA"),
        ("boxes", "AssA"),
        ("boxes", "IDs"),
    ]
    assert table.rows[-1] == ("COMBINED", ("50.00", "55.00", "45.00", "60.00", "65.00", "55.00", "6"))


def test_keypoint_numbers_are_of_all_joints_together_and_not_the_mean_of_joints() -> None:
    values = np.zeros((19, 16))
    values[:, -1] = 0.5
    assert in_percent(values) == 50


def test_both_modes_are_shown_and_explained_where_they_differ() -> None:
    text = report(posetrack21())
    assert "| keypoints, official | keypoints, fixed " in text
    assert "a frame without tracks misses its own joints only" in text
    assert rows(text, "COMBINED")[0].split()[2:9] == [
        "50.00",
        "55.00",
        "45.00",
        "|",
        "54.00",
        "59.00",
        "49.00",
    ]


def test_one_mode_is_shown_where_both_are_equal() -> None:
    assert "fixed" not in report(posetrack21(differ=False, notes=()))


def test_modes_that_differ_in_one_sequence_only_are_both_shown() -> None:
    evaluation = posetrack21(differ=False)
    fixed = evaluation.measures["keypoint_hota_fixed"]
    changed = {**fixed.sequences, "000001_a_test": hota(0.9, 15)}
    measures = {**evaluation.measures, "keypoint_hota_fixed": Measure(fixed.combined, changed)}
    assert "keypoints, fixed" in report(replace(evaluation, measures=measures))


def test_few_sequences_have_rows_of_their_own_and_many_only_when_asked_for() -> None:
    many = posetrack21([f"{i:06}_x_test" for i in range(11)])
    assert rows(report(posetrack21()), "000001_a_test")
    assert not rows(report(many), "000000_x_test")
    assert rows(report(many, per_sequence=True), "000000_x_test")


def test_every_joint_has_a_row_and_ears_have_none() -> None:
    table = evaluation_tables(posetrack21())[-1]
    assert [name for name, _ in table.rows][:4] == ["nose", "head_bottom", "head_top", "left_shoulder"]
    assert len(table.rows) == 16
    assert table.rows[0][1] == ("45.00", "49.50", "40.50", "48.60", "53.10", "44.10", "60.00")
    assert table.rows[-1][1][-1] == "71.50"


def test_pose_ap_is_of_all_joints_together_and_in_percent_already() -> None:
    (place,) = (i for i, c in enumerate(evaluation_tables(posetrack21())[1].columns) if c.name == "AP")
    assert {cells[place] for _, cells in evaluation_tables(posetrack21())[1].rows} == {"71.50"}


def test_boxes_alone_have_trackevals_switches_and_no_empty_columns() -> None:
    tables = evaluation_tables(boxes_only())
    assert [table.title for table in tables] == ["Tracking", "More about the same tracks"]
    assert [c.name for c in tables[0].columns] == ["HOTA", "DetA", "AssA", "IDs"]
    assert tables[0].rows[0] == ("TUD", ("40.00", "45.00", "35.00", "7"))
    assert [c.name for c in tables[1].columns] == ["MOTA", "IDF1", "FN", "FP", "MT", "ML", "Frag"]


def test_oks_poses_have_columns_of_their_own() -> None:
    evaluation = boxes_only()
    oks = {name.replace("box", "oks"): measure for name, measure in evaluation.measures.items()}
    text = report(replace(evaluation, benchmark="tracks", measures={**oks, **evaluation.measures}))
    assert "| poses (OKS)              | boxes" in text
    assert "by object keypoint similarity" in text


def test_a_number_that_does_not_exist_is_a_dash() -> None:
    evaluation = boxes_only()
    clear = {**evaluation.measures["box_clear"].combined, "MOTA": float("nan")}
    measures = {**evaluation.measures, "box_clear": Measure(clear, {})}
    cells = rows(report(replace(evaluation, measures=measures)), "COMBINED")[1].split()
    assert cells[2:4] == ["-", "62.50"]


def test_columns_line_up() -> None:
    lines = report(posetrack21()).split("\n\n")[1].splitlines()[1:]
    bars = [[i for i, c in enumerate(line) if c == "|"] for line in lines]
    assert all(places == bars[0] for places in bars)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_are_no_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, report(posetrack21(), width=width).splitlines())) <= width


def test_groups_that_do_not_fit_stand_below_each_other_with_their_rows_named() -> None:
    assert len(rows(report(posetrack21(), width=60).split("\n\nMore")[0], "COMBINED")) == 2


@pytest.mark.parametrize("evaluation", [posetrack21(), boxes_only()])
def test_every_heading_of_the_tables_is_explained(evaluation: Evaluation) -> None:
    tables = evaluation_tables(evaluation)
    words = dict(legend(tables))
    assert {c.name for t in tables for c in t.columns} <= set(words)
    assert {c.group for t in tables for c in t.columns} <= set(words)
    for key in words.values():
        assert term_line(key)
        assert term_sentences(key).rstrip(".").count(". ") == 1, key


def test_notes_stand_at_the_end() -> None:
    assert report(posetrack21()).endswith(
        "\nNotes\n* 2 frames without tracks: official and fixed numbers differ.\n"
    )


def test_runs_are_compared_with_the_first_one() -> None:
    first, second = comparison_tables(
        {"default": posetrack21(), "without prompts": posetrack21(differ=False)}
    )[0].rows
    assert first[1][3:6] == ("54.00", "59.00", "49.00")
    assert second[0] == "without prompts"
    assert second[1][3:6] == ("50.00 (-4.00)", "55.00 (-4.00)", "45.00 (-4.00)")
    assert second[1][-1] == "6 (+0)"


def test_numbers_of_runs_stand_under_each_other() -> None:
    text = comparison({"default": posetrack21(), "without prompts": posetrack21(differ=False)})
    default, without = (rows(text, name)[1] for name in ("default", "without prompts"))
    assert default.index("54.00") == without.index("50.00 (-4.00)")


def test_json_holds_every_number_and_the_program() -> None:
    from kprtrack import __version__

    evaluation = posetrack21()
    data = json.loads(evaluation_json(evaluation))
    assert (data["format"], data["version"], data["program"]) == (
        "kprtrack-evaluation",
        1,
        f"kprtrack {__version__}",
    )
    for name, measure in evaluation.measures.items():
        for field, value in measure.combined.items():
            if field != "motp":
                assert np.array_equal(data["measures"][name]["combined"][field], value)
        assert list(data["measures"][name]["sequences"]) == list(measure.sequences)
    assert len(data["thresholds"]) == 19 and len(data["joints"]) == 16
    assert data["notes"] == list(evaluation.notes)
    timeline = evaluation.timelines["000002_b_test"]
    assert data["timelines"]["000002_b_test"]["track_ids"] == timeline.track_ids.tolist()


def test_json_begins_with_the_scores_that_the_tables_print() -> None:
    summary = json.loads(evaluation_json(posetrack21()))["summary"]
    hota = posetrack21().measures["box_hota"].combined["HOTA"]
    assert summary["box_hota"]["HOTA"] == pytest.approx(float(np.mean(hota)))
    assert set(summary["box_hota"]) == {"HOTA", "DetA", "AssA"}
    joints = posetrack21().measures["keypoint_hota"].combined["DetA"]
    assert summary["keypoint_hota"]["DetA"] == pytest.approx(float(np.mean(np.asarray(joints)[:, -1])))
    assert all(isinstance(score, float) for scores in summary.values() for score in scores.values())
    runs = json.loads(comparison_json({"default": boxes_only()}))["runs"]
    assert runs["default"]["summary"]["box_hota"]["HOTA"] == pytest.approx(0.4)


def test_json_keeps_the_keys_of_version_1() -> None:
    data = json.loads(evaluation_json(posetrack21()))
    assert data["truth"] == posetrack21().ground_truth and "truth_ids" in data["timelines"]["000002_b_test"]


def test_json_has_null_for_numbers_that_are_not_finite() -> None:
    data = json.loads(evaluation_json(posetrack21()))
    assert data["measures"]["kit_mota"]["combined"]["motp"] is None
    measures = {"box_hota": Measure({"HOTA": np.array([np.inf, np.nan, 0.5])}, {})}
    data = json.loads(evaluation_json(replace(boxes_only(), measures=measures)))
    assert data["measures"]["box_hota"]["combined"]["HOTA"] == [None, None, 0.5]


def test_json_is_the_same_every_time() -> None:
    assert evaluation_json(posetrack21()) == evaluation_json(posetrack21())


def test_json_accepts_file_names_that_are_not_valid_text() -> None:
    assert "no\\ud800" not in evaluation_json(replace(boxes_only(), ground_truth="no\ud800")).decode()


def test_json_of_several_runs_has_them_by_name() -> None:
    data = json.loads(comparison_json({"default": boxes_only(), "prompts": posetrack21()}))
    assert data["format"] == "kprtrack-comparison"
    assert [run["benchmark"] for run in data["runs"].values()] == ["mot", "posetrack21"]
