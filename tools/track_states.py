"""The diagram of track states for docs/concepts/tracks.md, with the default settings."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from kprtrack.trackers.kpr_config import KprTrackerConfig

NEUTRAL = "#3d4c66"


def track_states() -> Figure:
    """The states of a track and the settings that decide when it changes."""
    figure, axis = plt.subplots(figsize=(9.2, 3.6), layout="constrained")
    axis.set(xlim=(0, 100), ylim=(0, 40))
    axis.set_axis_off()
    centres = {"tentative": (14, 20), "confirmed": (45, 20), "lost": (76, 20), "removed": (93, 5)}
    shades = {"tentative": "#f4e3b5", "confirmed": "#cdebd5", "lost": "#d9dfec", "removed": "#eeeeee"}
    for name, (x, y) in centres.items():
        width = 18 if name != "removed" else 13
        box = FancyBboxPatch(
            (x - width / 2, y - 4),
            width,
            8,
            boxstyle="round,pad=0,rounding_size=2",
            fc=shades[name],
            ec=NEUTRAL,
        )
        axis.add_patch(box)
        axis.text(x, y, name, ha="center", va="center", fontsize=12, weight="bold")
    _draw_transitions(axis, KprTrackerConfig())
    return figure


def _draw_transitions(axis: Axes, settings: KprTrackerConfig) -> None:
    """Arrows between the states, with their conditions."""
    _arrow(axis, (0, 20), (5, 20))
    axis.text(
        0, 26.5, f"detection above\n{settings.tentative_score:g} (tentative_score)", fontsize=8.5, ha="left"
    )
    _arrow(axis, (23, 20), (36, 20))
    confirmed = (
        f"matched for {settings.min_track_age_s:g} s\n(min_track_age_s),\n"
        f"once above {settings.new_track_score:g}\n(new_track_score)"
    )
    axis.text(29.5, 18, confirmed, fontsize=8.5, ha="center", va="top")
    _arrow(axis, (54, 22), (67, 22))
    axis.text(60.5, 23.5, "unmatched", fontsize=8.5, ha="center")
    _arrow(axis, (67, 18), (54, 18))
    axis.text(
        60.5, 16.5, f"matched within\n{settings.recent_s:g} s (recent_s)", fontsize=8.5, ha="center", va="top"
    )
    _arrow(axis, (76, 24), (45, 24), bend=0.3)
    axis.text(
        60.5, 30.5, "re-identified: a new track turns out to be the lost person", fontsize=8.5, ha="center"
    )
    _arrow(axis, (80, 16), (90, 9))
    axis.text(
        83, 5, "lost for longer than\nmax_lost_s (default: never)", fontsize=8.5, ha="right", va="center"
    )
    _arrow(axis, (14, 16), (14, 8))
    axis.text(14, 5, "unmatched: discarded", fontsize=8.5, ha="center")


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    style = f"arc3,rad={bend}"
    axis.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, color=NEUTRAL, connectionstyle=style)
    )
