"""Curves of an evaluation as PNG: CMC, by occlusion (the paper's Fig. 7), by missing keypoints (Fig. 5)."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reid.evaluation.protocols import RERANKED, UNPROMPTED, ReidScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that stay apart for colour-blind readers (Okabe and Ito, Color Universal Design, 2008).
_COLOUR, _UNPROMPTED_COLOUR = "#D55E00", "#0072B2"
_DPI = 110


def draw_score_plots(scores: ReidScores) -> dict[str, bytes]:
    """Plot every curve there are numbers for, as name -> PNG: "cmc", "occlusion", "robustness"."""
    plots = {"cmc": _draw_cmc(scores)}
    if scores.rows[0].levels:
        plots["occlusion"] = _draw_levels(scores)
    if scores.robustness:
        plots["robustness"] = _draw_robustness(scores)
    return {name: _png(figure) for name, figure in plots.items()}


def _draw_cmc(scores: ReidScores) -> "Figure":
    figure, axes = _panels(1)
    for row in scores.rows:
        curve = 100 * row.scores.cmc
        label = f"{row.name}: R1 {curve[0]:.1f}, mAP {100 * row.scores.map:.1f}"
        _plot(axes[0], range(1, len(curve) + 1), curve.tolist(), name=row.name, label=label)
    axes[0].set_title(f"{scores.dataset}: a match among the first n", fontsize=11)
    axes[0].set_xlabel("n")
    axes[0].set_ylabel("percent of the queries")
    axes[0].set_xticks([1, 5, 10, 15, 20])
    _finish(figure, axes)
    return figure


def _draw_levels(scores: ReidScores) -> "Figure":
    figure, axes = _panels(2)
    for panel, (name, field) in zip(axes, (("mAP", "map"), ("rank-1", "rank1")), strict=True):
        for row in (row for row in scores.rows if row.levels):
            middles = [50 * (level.low + level.high) for level in row.levels]
            values = [100 * getattr(level, field) for level in row.levels]
            known = [i for i, level in enumerate(row.levels) if level.count]  # joined over empty ranges
            points = [middles[i] for i in known], [values[i] for i in known]
            _plot(panel, *points, name=row.name)
        panel.set_title(name, fontsize=11)
        panel.set_xlabel("multi-person occlusion of the query, percent (eq. 3)")
        panel.set_xlim(0, 100)
        _draw_counts(panel, scores)
    axes[0].set_ylabel("percent")
    _finish(figure, axes)
    return figure


def _draw_counts(panel: "Axes", scores: ReidScores) -> None:
    """Number of queries behind each point, as grey bars."""
    counts = panel.twinx()
    levels = scores.rows[0].levels
    counts.bar(
        [50 * (level.low + level.high) for level in levels],
        [level.count for level in levels],
        width=[86 * (level.high - level.low) for level in levels],
        color="#e3e3e3",
    )
    counts.set_ylim(0, 2.5 * max(level.count for level in levels))
    counts.set_ylabel("queries (grey)", color="#8a8a8a")
    counts.tick_params(axis="y", colors="#8a8a8a")
    # The bars' axes are the younger ones and would hide the curves.
    panel.set_zorder(counts.get_zorder() + 1)
    panel.patch.set_visible(False)


def _draw_robustness(scores: ReidScores) -> "Figure":
    figure, axes = _panels(2)
    without = next((row.scores for row in scores.rows if row.name == UNPROMPTED), None)
    shares = [100 * one.share for one in scores.robustness]
    for panel, (name, field) in zip(axes, (("mAP", "map"), ("rank-1", "rank1")), strict=True):
        values = [100 * getattr(one, field) for one in scores.robustness]
        _plot(panel, shares, values, name=scores.rows[0].name)
        if without:
            level = 100 * (without.map if field == "map" else float(without.cmc[0]))
            panel.axhline(level, color=_UNPROMPTED_COLOUR, linestyle="--", linewidth=1.4, label=UNPROMPTED)
        panel.set_title(name, fontsize=11)
        panel.set_xlabel("keypoints removed from the prompts, percent")
    axes[0].set_ylabel("percent")
    _finish(figure, axes)
    return figure


def _plot(
    panel: "Axes", x: Sequence[float], y: Sequence[float], *, name: str, label: str | None = None
) -> None:
    """The curve of a row: colour for prompts, dashes for re-ranking."""
    unprompted = name.startswith(UNPROMPTED)
    panel.plot(
        x,
        y,
        linestyle="--" if name.endswith(RERANKED) else "-",
        color=_UNPROMPTED_COLOUR if unprompted else _COLOUR,
        marker="s" if unprompted else "o",
        label=label or name,
        linewidth=1.8,
        markersize=5,
    )


def _panels(count: int) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    width = 6.4 if count == 1 else 5.0 * count
    figure = Figure(figsize=(width, 4.2), dpi=_DPI, layout="constrained", facecolor="white")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _finish(figure: "Figure", axes: "list[Axes]") -> None:
    for panel in axes:
        panel.grid(color="#dcdcdc", linewidth=0.7)
        # The whole scale would flatten curves that lie close together; a frame around the numbers does not.
        panel.margins(y=0.12)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 2), fontsize=9)


def _png(figure: "Figure") -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()
