"""Pictures of scores: there, readable by any viewer, the same every time."""

import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.report_cases import boxes_only, posetrack21, timeline

from eval.datatypes import ABSENT, MISSED, Timeline
from eval.report import plots
from eval.report.plots import draw_plots
from eval.report.timeline_plot import MAX_SEQUENCES, draw_timelines


def pixels(png: bytes) -> np.ndarray:
    """[H, W, 3] uint8."""
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)


def area(png: bytes, colour: str) -> int:
    """Pixels of exactly this colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((pixels(png) == wanted).all(-1).sum())


def identities(**timelines: Timeline) -> bytes:
    return draw_plots(replace(boxes_only(), timelines=timelines))["identities"]


def texts(**timelines: Timeline) -> list[str]:
    """Return all texts in the plot of identities."""
    figure = draw_timelines(timelines)
    assert figure is not None
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    labels = [text.get_text() for axes in figure.axes for text in axes.texts]
    people = [text.get_text() for axes in figure.axes for text in axes.get_yticklabels()]
    return [figure.get_suptitle(), *titles, *labels, *people]


@pytest.mark.slow
def test_all_plots_are_drawn() -> None:
    for evaluation in (posetrack21(), boxes_only()):
        drawn = draw_plots(evaluation)
        assert list(drawn) == ["thresholds", "sequences", "identities"]
        assert all(min(pixels(png).shape[:2]) > 100 for png in drawn.values())


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw_plots(replace(boxes_only(), measures={}, timelines={})) == {}
    empty = Timeline(np.zeros(0, np.int64), np.zeros((0, 5), np.int64))
    assert draw_timelines({"a": empty}) is None


@pytest.mark.slow
def test_plots_are_deterministic() -> None:
    assert draw_plots(posetrack21()) == draw_plots(posetrack21())


@pytest.mark.slow
def test_drawing_opens_no_window_and_changes_no_setting_of_matplotlib() -> None:
    program = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from support.report_cases import posetrack21; from eval.report.plots import draw_plots\n"
        "draw_plots(posetrack21())\n"
        "assert matplotlib.rcParams.copy() == before and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)


@pytest.mark.slow
def test_the_plot_of_170_sequences_has_a_usable_size() -> None:
    names = [f"{i:06}_mpii_test" for i in range(170)]
    high, wide, _ = pixels(draw_plots(posetrack21(names))["sequences"]).shape
    assert high < 8000 and wide < 2000
    assert high / 170 > 15  # pixels a row: enough for a name


@pytest.mark.slow
def test_more_sequences_than_fit_are_cut_to_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "MAX_BARS", 20)
    few = draw_plots(posetrack21([f"{i}" for i in range(20)]))["sequences"]
    many = draw_plots(posetrack21([f"{i}" for i in range(40)]))["sequences"]
    assert abs(pixels(few).shape[0] - pixels(many).shape[0]) < 20


@pytest.mark.slow
def test_names_with_formulas_or_missing_glyphs_are_drawn_literally() -> None:
    for name in ("$x_1$ 100% \\frac{", "視頻"):
        evaluation = posetrack21([name, "b"])
        assert set(draw_plots(evaluation)) == {"thresholds", "sequences", "identities"}


@pytest.mark.slow
def test_a_gap_and_a_switch_can_be_seen() -> None:
    whole = Timeline(np.array([1]), np.full((1, 40), 7))
    missed = whole.track_ids.copy()
    missed[0, 10:20] = MISSED
    switched = whole.track_ids.copy()
    switched[0, 20:] = 8
    blue, orange = "#77AADD", "#EE8866"
    base = identities(a=whole)
    gap = identities(a=Timeline(whole.gt_ids, missed))
    switch = identities(a=Timeline(whole.gt_ids, switched))
    assert 0.65 < area(gap, blue) / area(base, blue) < 0.85
    assert 0.4 < area(switch, blue) / area(base, blue) < 0.6
    assert area(base, orange) == 0 and area(switch, orange) > 1000


def test_a_return_to_the_same_track_is_no_switch_and_a_new_track_after_a_gap_is_one() -> None:
    ids = np.array([[5, MISSED, MISSED, 5, 5], [6, MISSED, ABSENT, 9, 9]])
    assert "a: 1 switch" in texts(a=Timeline(np.array([1, 2]), ids))


def test_the_worst_sequences_come_first_and_the_rule_is_stated() -> None:
    calm = Timeline(np.array([1]), np.full((1, 12), 3))
    wild = Timeline(np.array([1]), np.arange(12)[None])
    labels = texts(**{f"calm{i}": calm for i in range(MAX_SEQUENCES)}, wild=wild)
    assert labels[1] == "wild: 11 switches"
    assert f"the {MAX_SEQUENCES} of {MAX_SEQUENCES + 1} sequences with the most switches" in labels[0]


def test_of_many_people_those_with_the_most_switches_are_shown() -> None:
    many = timeline(people=30)
    labels = texts(a=many)
    assert "a: 1 switch, 12 of 30 people" in labels
    assert "person 2" in labels and "person 3" in labels  # the switch and the gap of report_cases.timeline
    assert sum(text.startswith("person ") for text in labels) == 12


def test_tracks_are_named_where_there_is_room() -> None:
    ids = np.full((1, 400), 77)
    ids[0, 200:] = 8888
    ids[0, 398:] = 9999
    labels = texts(a=Timeline(np.array([1]), ids))
    assert "77" in labels and "8888" in labels and "9999" not in labels
