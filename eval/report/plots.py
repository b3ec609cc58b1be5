"""Plots of an evaluation as PNG: HOTA over thresholds, bars for sequences, identities over time."""

import io
import warnings
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from eval.datatypes import Evaluation, Measure, Scores
from eval.metrics.hota import THRESHOLDS
from eval.report.tables import in_percent, shown_measures
from eval.report.timeline_plot import draw_timelines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that colour-blind readers can distinguish (Okabe and Ito, Color Universal Design, 2008).
_COLOURS = {"HOTA": "#0072B2", "DetA": "#E69F00", "AssA": "#009E73"}
_MARKERS = {"DetA": "o", "AssA": "^"}
_KINDS = {"keypoint_hota": "keypoints", "oks_hota": "poses (OKS)", "box_hota": "boxes"}
_FIXED = "_fixed"
MAX_BARS = 200  # sequences; image viewers cannot open larger plots
_DPI = 110


def draw_plots(evaluation: Evaluation) -> dict[str, bytes]:
    """Draw all plots for which there are scores.

    Returns:
        "thresholds", "sequences" and "identities" -> PNG file.
    """
    figures = {
        "thresholds": _draw_thresholds(evaluation.measures, shown_measures([evaluation])),
        "sequences": _draw_sequences(evaluation.measures),
        "identities": draw_timelines(evaluation.timelines),
    }
    return {name: _png(figure) for name, figure in figures.items() if figure is not None}


def _kinds(measures: Collection[str]) -> list[str]:
    return [name for name in _KINDS if name in measures]


def _draw_thresholds(measures: Mapping[str, Measure], shown: Collection[str]) -> "Figure | None":
    kinds = _kinds(measures)
    if not kinds:
        return None
    figure = _new_figure(5.2 * len(kinds), 4.0)
    for kind, axes in zip(kinds, figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0], strict=True):
        twin = f"{kind}{_FIXED}" if f"{kind}{_FIXED}" in shown else None
        _draw_curves(axes, measures[kind].combined, "official" if twin else "", "-")
        if twin:
            _draw_curves(axes, measures[twin].combined, "fixed", "--")
        axes.set_title(f"{_KINDS[kind]}, all sequences", fontsize=11)
        axes.set_xlabel("threshold of similarity")
        axes.set_xlim(0.03, 0.97)
        axes.set_ylim(0, 102)
        axes.grid(color="#e4e4e4", linewidth=0.7)
        # Below the panel, where the legend hides no curve.
        axes.legend(fontsize=8, ncols=2 if twin else 3, loc="upper center", bbox_to_anchor=(0.5, -0.17))
    figure.axes[0].set_ylabel("percent")
    return figure


def _draw_curves(axes: "Axes", scores: Scores, mode: str, style: str) -> None:
    import numpy as np

    for name, colour in _COLOURS.items():
        values = np.asarray(scores[name])
        curve = 100 * (values[:, -1] if values.ndim == 2 else values)
        label = f"{name} {mode} {in_percent(scores[name]):.1f}".replace("  ", " ")
        axes.plot(
            THRESHOLDS,
            curve,
            style,
            color=colour,
            label=label,
            linewidth=1.8,
            marker=_MARKERS.get(name),
            markersize=4,
        )


def _draw_sequences(measures: Mapping[str, Measure]) -> "Figure | None":
    kinds = _kinds([name for name, measure in measures.items() if measure.sequences])
    if not kinds:
        return None
    leading = measures[kinds[0]].sequences
    names = sorted(leading, key=lambda name: (in_percent(leading[name]["HOTA"]), name))
    title = f"{len(names)} sequences by HOTA of {_KINDS[kinds[0]]}, worst on top"
    if len(names) > MAX_BARS:
        title = f"The worst {MAX_BARS} of {title.replace(', worst on top', '')}"
        names = names[:MAX_BARS]
    figure = _new_figure(2.6 + 4.0 * len(kinds), 1.5 + 0.19 * len(names))
    rows = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for kind, axes in zip(kinds, rows, strict=True):
        _draw_bars(axes, measures[kind], names)
        axes.set_title(_KINDS[kind], fontsize=11)
    rows[0].set_yticks(range(len(names)), names, fontsize=7, parse_math=False)
    rows[0].set_ylim(len(names) - 0.4, -0.6)
    handles, labels = rows[0].get_legend_handles_labels()
    figure.suptitle(title, fontsize=11)
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _draw_bars(axes: "Axes", measure: Measure, names: list[str]) -> None:
    places = range(len(names))
    scores = [measure.sequences[name] for name in names]
    values = {field: [in_percent(one[field]) for one in scores] for field in _COLOURS}
    axes.barh(places, values["HOTA"], height=0.7, color="#8fc1e3", label="HOTA")
    for field, marker in _MARKERS.items():
        axes.scatter(values[field], places, s=14, marker=marker, color=_COLOURS[field], label=field, zorder=3)
    whole = in_percent(measure.combined["HOTA"])
    axes.axvline(whole, color=_COLOURS["HOTA"], linewidth=1.2, linestyle="--", label="HOTA of all sequences")
    axes.set_xlim(0, 102)
    axes.set_xlabel("percent")
    axes.tick_params(axis="x", labeltop=len(names) > 40)  # for tall plots
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)


def _new_figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")


def _png(figure: "Figure") -> bytes:
    target = io.BytesIO()
    with warnings.catch_warnings():  # names in scripts that the font lacks are drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()
