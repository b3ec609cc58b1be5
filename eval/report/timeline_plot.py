"""The plot of identities: one row for each ground truth person, coloured by the matched track."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from eval.datatypes import ABSENT, MISSED, Timeline

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_SEQUENCES = 6
MAX_PEOPLE = 12  # of a sequence
# For colour-blind readers, light enough for black numbers on them (Paul Tol, Colour Schemes, 2021: "light").
_COLOURS = ("#77AADD", "#EE8866", "#EEDD88", "#FFAABB", "#99DDFF", "#44BB99", "#BBCC33", "#AAAA00")
_MISSED_COLOUR = "#9a9a9a"
_WIDTH = 10.6  # inches
_LETTER_INCHES = 0.075  # of a digit of an id


def draw_timelines(timelines: Mapping[str, Timeline]) -> "Figure | None":
    """Draw the sequences and people with the most identity switches; return None without people."""
    from matplotlib.figure import Figure

    costs = {
        name: _switches_and_misses(timeline)
        for name, timeline in timelines.items()
        if timeline.track_ids.size
    }
    if not costs:
        return None
    worst = sorted(costs, key=lambda name: (*(-costs[name].sum(0)).tolist(), name))[:MAX_SEQUENCES]
    rows = [_rows_to_show(costs[name]) for name in worst]
    heights = [0.24 * (len(people) + 1) for people in rows]
    figure = Figure((_WIDTH, 1.2 + sum(heights) + 0.5 * len(worst)), dpi=110, layout="constrained")
    panels = figure.subplots(len(worst), 1, squeeze=False, height_ratios=heights)[:, 0]
    for name, people, axes in zip(worst, rows, panels, strict=True):
        _draw_sequence(axes, timelines[name], people)
        shown = "" if len(people) == len(costs[name]) else f", {len(people)} of {len(costs[name])} people"
        count = costs[name][:, 0].sum()
        title = f"{name}: {count} switch{'' if count == 1 else 'es'}{shown}"
        axes.set_title(title, fontsize=9, loc="left", parse_math=False)
    panels[-1].set_xlabel("frame")
    figure.suptitle(_title(len(worst), len(costs)), fontsize=10)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _title(shown: int, count: int) -> str:
    which = f"the {shown} of {count} sequences with the most switches" if shown < count else "all sequences"
    people = f"of each sequence at most {MAX_PEOPLE} people: those with the most switches"
    return f"Tracks matched to each person: {which};\n{people}"


def _switches_and_misses(timeline: Timeline) -> np.ndarray:
    """Return [G, 2] for each person: changes of the track, ignoring gaps; missed frames."""
    changes = [len(_switch_frames(row)) for row in timeline.track_ids]
    return np.stack([changes, (timeline.track_ids == MISSED).sum(1)], 1).astype(np.int64)


def _rows_to_show(costs: np.ndarray) -> np.ndarray:
    """Return the numbers of the people to show, ascending."""
    order = np.lexsort((np.arange(len(costs)), -costs[:, 1], -costs[:, 0]))
    return np.sort(order[:MAX_PEOPLE])


def _switch_frames(row: np.ndarray) -> np.ndarray:
    """Return the frames in which the track of a person changes; `row` is [F] of Timeline.track_ids."""
    (matched,) = np.nonzero(row >= 0)
    return matched[1:][np.diff(row[matched]) != 0]


def _runs(row: np.ndarray) -> list[tuple[int, int, int]]:
    """Return value, first frame and length of each run of equal values."""
    starts = np.flatnonzero(np.diff(row, prepend=row[0] - 1))
    lengths = np.diff(starts, append=len(row))
    return list(zip(row[starts].tolist(), starts.tolist(), lengths.tolist(), strict=True))


def _draw_sequence(axes: "Axes", timeline: Timeline, people: np.ndarray) -> None:
    from matplotlib.ticker import MaxNLocator

    tracks = timeline.track_ids[people]
    frames = tracks.shape[1]
    shown = dict.fromkeys(tracks.T[tracks.T >= 0].tolist())  # in the order of their first appearance
    colours = {track: _COLOURS[i % len(_COLOURS)] for i, track in enumerate(shown)}
    inches_a_frame = (_WIDTH - 1.0) / frames
    for y, row in enumerate(tracks):
        for track, start, length in _runs(row):
            if track == ABSENT:
                continue
            high = 0.1 if track == MISSED else 0.38
            colour = _MISSED_COLOUR if track == MISSED else colours[track]
            axes.broken_barh([(start - 0.5, length)], (y - high, 2 * high), facecolors=colour)
            if track >= 0 and length * inches_a_frame > _LETTER_INCHES * (len(str(track)) + 1):
                middle = start - 0.5 + length / 2
                axes.text(middle, y, str(track), fontsize=7, ha="center", va="center_baseline")
        at = _switch_frames(row) - 0.5
        axes.vlines(at, y - 0.45, y + 0.45, color="black", linewidth=1.6, zorder=3)
        axes.scatter(at, np.full(len(at), y - 0.45), marker="v", s=16, color="black", zorder=4)
    axes.set_xlim(-0.5, frames - 0.5)
    axes.set_ylim(len(people) - 0.4, -0.75)
    axes.set_yticks(range(len(people)), [f"person {i}" for i in timeline.gt_ids[people]], fontsize=7)
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _legend() -> list["Artist"]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    switch = Line2D([], [], color="black", marker="v", linestyle="", label="identity switch")
    missed = Line2D([], [], color=_MISSED_COLOUR, linewidth=3, label="missed")
    return [Patch(color=_COLOURS[0], label="matched; colour and number: the track"), missed, switch]
