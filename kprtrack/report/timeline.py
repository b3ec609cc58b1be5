"""Times as SVG: where on the time axis a person was seen, and how many people at once."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from kprtrack.edits.grammar import clock_text
from kprtrack.report.markup import Markup, element
from kprtrack.report.people import Presence, gaps
from kprtrack.report.results import ReportedResult

_TICKS = 6  # at most
_STEPS_S = (
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14_400,
    28_800,
    86_400,
)
_BINS = 240  # of the number of people over time
_TITLED = 60  # spans that say their times when the mouse is over them
_SPOKEN = 4  # spans that are read out
_FINEST = 0.05  # percent of the width, below which gaps are not drawn


class Timeline:
    """The time axis of a result.

    Args:
        result: The result.
        key: Unique in the page.
    """

    def __init__(self, result: ReportedResult, key: str) -> None:
        self._result, self._key = result, key
        self._start, self._end = float(result.starts[0]), float(result.starts[-1])

    def axis(self) -> Markup:
        """The axis with its labels, and the lines that all bars repeat; once in the page."""
        ticks = self._ticks()
        lines = [element("line", x1=_percent(x), x2=_percent(x), y1="0", y2="100%") for x, _ in ticks]
        labels = [
            element(
                "text",
                label,
                x=_percent(x),
                y="13",
                text_anchor="start" if x < 1 else "end" if x > 95 else "middle",
                class_="minor" if number % 2 else None,
            )
            for number, (x, label) in enumerate(ticks)
        ]
        grid = element("g", *lines, id=f"{self._key}-grid", class_="grid")
        return element("svg", element("defs", grid), *labels, class_="axis", aria_hidden="true")

    def bar(self, presence: Presence, colour: str) -> Markup:
        """The times in which a person was seen, and the gaps after which they were seen again."""
        result = self._result
        away = [
            element("line", x1=_percent(self._at(a)), x2=_percent(self._at(b)), y1="50%", y2="50%")
            for a, b in gaps(result, presence).tolist()
        ]
        spans = self._joined(presence.spans)
        titled = len(spans) <= _TITLED
        seen = [
            element(
                "rect",
                *([element("title", self._span_text(begin, end))] if titled else []),
                x=_percent(self._at(begin)),
                width=_percent(self._at(end) - self._at(begin)),
                y="5",
                height="14",
            )
            for begin, end in spans.tolist()
        ]
        return element(
            "svg",
            element("use", href=f"#{self._key}-grid"),
            element("g", *away, class_="away") if away else "",
            element("g", *seen, fill=colour, class_="seen"),
            class_="bar",
            role="img",
            aria_label=self._spoken(presence.spans),
        )

    def people(self) -> Markup:
        """The number of people over time, as an area."""
        counts = np.bincount(self._result.state.frame, minlength=len(self._result.tracks.frames))
        bins = min(_BINS, max(len(counts), 1))
        edges = np.linspace(0, len(counts), bins + 1).astype(int)
        values = [int(counts[a:b].max(initial=0)) for a, b in pairwise(edges)]
        starts = self._result.starts[edges]
        xs = [self._at(float(start)) * 10 for start in starts]
        top = max([*values, 1])
        steps = "".join(
            f"V{100 - 100 * value / top:.4g}H{right:.5g}" for value, right in zip(values, xs[1:], strict=True)
        )
        area = element("path", d=f"M{xs[0]:.5g} 100{steps}V100Z")
        inner = element("svg", area, viewBox="0 0 1000 100", preserveAspectRatio="none")
        label = f"at most {max([*values, 0])} people at once"
        return element(
            "svg",
            element("use", href=f"#{self._key}-grid"),
            inner,
            class_="count",
            role="img",
            aria_label=label,
        )

    def _at(self, value: float) -> float:
        """Percent of the width."""
        return 100 * (value - self._start) / max(self._end - self._start, 1e-9)

    def _ticks(self) -> list[tuple[float, str]]:
        length = self._end - self._start
        steps = (
            _STEPS_S if self._result.timed else [10.0**power * one for power in range(9) for one in (1, 2, 5)]
        )
        step = next((step for step in steps if length / step <= _TICKS), length or 1)
        first = int(np.ceil(self._start / step - 1e-6))
        last = int(np.floor(self._end / step + 1e-6))
        ticks = [number * step for number in range(first, min(last, first + 2 * _TICKS) + 1)]
        return [(min(max(self._at(tick), 0), 100), self._tick_text(tick)) for tick in ticks]

    def _tick_text(self, tick: float) -> str:
        return clock_text(round(tick, 1)) if self._result.timed else str(round(tick))

    def _joined(self, spans: np.ndarray) -> np.ndarray:
        """The spans without gaps that are too short to be seen."""
        least = _FINEST / 100 * (self._end - self._start)
        apart = np.flatnonzero(spans[1:, 0] - spans[:-1, 1] > least)
        return np.stack(
            [spans[np.append(0, apart + 1), 0], spans[np.append(apart, len(spans) - 1), 1]], axis=1
        )

    def _span_text(self, begin: float, end: float) -> str:
        return f"{self._result.moment_text(begin)} to {self._result.moment_text(end)}"

    def _spoken(self, spans: np.ndarray) -> str:
        texts = [self._span_text(a, b) for a, b in spans[:_SPOKEN].tolist()]
        more = len(spans) - len(texts)
        return "seen " + ", ".join(texts) + (f", and {more} times more" if more else "")


def _percent(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") + "%"


def swatch(colour: str) -> Markup:
    """A square of a colour, for headings."""
    square = element("rect", width="12", height="12", rx="3", fill=colour)
    return element("svg", square, class_="swatch", width="12", height="12", aria_hidden="true")


def legend(texts: Sequence[str], about: str) -> Markup:
    """Explain a full bar and a dashed line, and a column of the table."""
    full = element("rect", x="0", y="2", width="28", height="10", class_="sample")
    dashed = element("line", x1="0", x2="28", y1="7", y2="7")
    signs = [
        element("svg", element("g", full, class_="seen"), width="28", height="14", aria_hidden="true"),
        element("svg", element("g", dashed, class_="away"), width="28", height="14", aria_hidden="true"),
    ]
    items = [
        element("span", sign, " ", meaning, class_="key") for sign, meaning in zip(signs, texts, strict=True)
    ]
    return element("p", *items, element("span", about, class_="key") if about else "", class_="legend")
