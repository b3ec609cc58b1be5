"""The explanation of a track as an image: distances over time, and who it was before and after each gap."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kprtrack.identity.explanation import Explanation, clock
from kprtrack.identity.prototypes import TrackPrototypes
from kprtrack.rendering.contact_sheet import Place, Row, contact_sheet, thumbnails
from kprtrack.trackers.reidentification import Reidentification

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that colour-blind readers can distinguish (Okabe and Ito, Color Universal Design, 2008).
_DISTANCE, _MARGIN, _RETURN, _NOT_SEEN = "#0072B2", "#D55E00", "#009E73", "#dddddd"
_INCHES, _DPI = (11.0, 3.6), 110
_GAP_S = 0.5  # without a box
_HEIGHT_PX = 240  # of thumbnails: wide enough for their captions
_MOST_RETURNS = 12  # with thumbnails, the smallest margins first


def explanation_plot(
    explanation: Explanation, prototypes: TrackPrototypes, video: str | Path | None = None
) -> np.ndarray:
    """Draw an explanation.

    Args:
        explanation: Of a track.
        prototypes: Of the same result.
        video: For thumbnails before and after each re-identification, and of the next candidate.

    Returns:
        [H, W, 3] uint8, RGB.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed.
        InputError: The video cannot be read.
    """
    pieces = [_pixels(_timeline(explanation))]
    if video is not None and explanation.evidence:
        pieces.append(contact_sheet(_rows(explanation, prototypes, video)))
    width = max(piece.shape[1] for piece in pieces)
    return np.concatenate(
        [
            np.pad(piece, ((0, 0), (0, width - piece.shape[1]), (0, 0)), constant_values=255)
            for piece in pieces
        ]
    )


def _timeline(explanation: Explanation) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    times = explanation.times_s
    axes.plot(times, explanation.distances, ".", color=_DISTANCE, ms=3, label="distance to the track")
    axes.plot(times, explanation.margins, ".", color=_MARGIN, ms=3, label="margin: next track farther by")
    for index in np.flatnonzero(np.diff(times) > _GAP_S).tolist():
        axes.axvspan(times[index], times[index + 1], color=_NOT_SEEN, lw=0)
    for number, record in enumerate(explanation.evidence):
        axes.axvline(record.seen_s, color=_RETURN, lw=1.5, label=None if number else "re-identified")
        axes.plot([record.seen_s], [record.distance], "D", color=_RETURN, ms=6)
        axes.plot([record.seen_s], [record.limit], "_", color=_RETURN, ms=14, mew=2)
    axes.axhline(0, color="black", lw=0.5)
    name = f" ({explanation.name})" if explanation.name else ""
    axes.set_title(
        f"Track {explanation.track_id}{name}: identity confidence {explanation.confidence:.2f}", loc="left"
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(max(value, 0))))
    axes.set_ylabel("part distance")
    axes.legend(loc="upper right", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _pixels(figure: "Figure") -> np.ndarray:
    target = io.BytesIO()
    figure.savefig(target, format="png")
    image = cv2.imdecode(np.frombuffer(target.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.ascontiguousarray(image[:, :, ::-1])


def _rows(explanation: Explanation, prototypes: TrackPrototypes, video: str | Path) -> list[Row]:
    """For each re-identification, sightings before and after it, and the nearest other candidate."""
    riskiest = sorted(explanation.evidence, key=lambda record: record.margin)[:_MOST_RETURNS]
    wanted: list[tuple[Reidentification, list[int], list[str]]] = []
    for record in sorted(riskiest, key=lambda record: record.time_s):
        found = _sightings(record, prototypes)
        wanted.append((record, [row for row, _ in found], [text for _, text in found]))
    places = [
        Place(int(prototypes.frames[row]), float(prototypes.times_s[row]), prototypes.boxes[row])
        for _, rows, _ in wanted
        for row in rows
    ]
    images = iter(thumbnails(video, places, height=_HEIGHT_PX))
    return [
        Row(
            f"back at {clock(record.seen_s)}: distance {record.distance:.2f}, limit {record.limit:.2f}",
            [next(images) for _ in rows],
            captions,
        )
        for record, rows, captions in wanted
    ]


def _sightings(record: Reidentification, prototypes: TrackPrototypes) -> list[tuple[int, str]]:
    """Rows of prototypes with captions: two before, two after, one of the next candidate."""
    own = prototypes.of(record.track_id)
    times = prototypes.times_s[own]
    before, after = own[times <= record.lost_s][-2:], own[times >= record.seen_s][:2]
    found = [(int(row), f"before {clock(prototypes.times_s[row])}") for row in before]
    found += [(int(row), f"after {clock(prototypes.times_s[row])}") for row in after]
    for number, far in record.other_lost[:1]:
        rows = prototypes.of(number)
        if len(rows):
            row = int(rows[np.abs(prototypes.times_s[rows] - record.time_s).argmin()])
            found.append((row, f"track {number}: {far:.2f}"))
    return found
