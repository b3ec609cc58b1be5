"""Ranking plot: a query and its nearest gallery images, correct or not, with parts and distances."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from reid.evaluation.ranking import Ranking
from reid.evaluation.report.crop_overlay import (
    Colour,
    CropOverlay,
    colour_of_part,
    draw_parts,
    draw_prompts,
    font,
    shortened,
)

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

# Green and red that colour-blind readers tell apart by lightness; each border also has a sign.
_RIGHT: Colour = (0, 158, 60)
_WRONG: Colour = (214, 39, 40)
_QUERY: Colour = (40, 90, 200)
_INK: Colour = (25, 25, 25)
_PALE: Colour = (150, 150, 150)
_WIDTH = 128  # of a crop in the plot, pixels
_BORDER = 5
_CELL = _WIDTH + 2 * _BORDER + 10
_LINE = 17  # height of one part's line
_NAMES = 132  # width of the column with the names of the parts
_MARGIN = 14
_HEAD = 46  # above the cells, for title and numbers
_TEXT = 36  # above each crop
_SMALLEST = 1e-6  # distance


@dataclass(frozen=True)
class Caption:
    """Caption of a crop."""

    identity: str
    camera: str
    name: str


def draw_ranking(
    ranking: Ranking,
    query: tuple[CropOverlay, Caption],
    gallery: Sequence[tuple[CropOverlay, Caption]],
    *,
    names: Sequence[str],
) -> bytes:
    """PNG of one query and of the gallery images of its ranking, in the same order.

    Args:
        names: Of the P features.
    """
    from PIL import Image, ImageDraw

    crop_height = round(_WIDTH * query[0].image.shape[0] / query[0].image.shape[1])
    rows = 1 if query[0].parts is None else 2
    gap = 26 if _is_apart(ranking) else 0
    width = 2 * _MARGIN + _NAMES + _CELL * (1 + len(gallery)) + 18 + gap
    top = _MARGIN + _HEAD
    bars = top + _TEXT + rows * (crop_height + 2 * _BORDER + 6) + 6
    height = bars + _LINE * len(names) + _MARGIN
    canvas = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(canvas)
    _write_title(pen, ranking, query[1], width)
    x = _MARGIN + _NAMES
    prompted = query[0].prompted or any(overlay.prompted for overlay, _ in gallery)
    _write_rows(pen, top + _TEXT, crop_height, rows, prompted=prompted)
    _draw_cell(canvas, x, top, query, colour=_QUERY, head="query", size=crop_height)
    _write_names(pen, bars, names, ranking.visible, x)
    for column, each in enumerate(gallery):
        left = x + _CELL * (1 + column) + 18
        if gap and column == len(gallery) - 1:
            pen.text((left + 2, top + _TEXT + crop_height // 2), "…", fill=_PALE, font=font(20, bold=True))
            left += gap
        right = bool(ranking.match[column])
        head = f"{ranking.places[column] + 1}  {'✓' if right else '✗'}  {ranking.distances[column]:.3f}"
        colour = _RIGHT if right else _WRONG
        _draw_cell(canvas, left, top, each, colour=colour, head=head, size=crop_height)
        _draw_bars(pen, left, bars, names, ranking=ranking, column=column)
    return png(canvas)


def png(canvas: "Image") -> bytes:
    """Encode a figure as PNG."""
    target = io.BytesIO()
    canvas.save(target, format="png")
    return target.getvalue()


def _is_apart(ranking: Ranking) -> bool:
    """Whether the last image is the last match, ranked far behind the others."""
    return len(ranking.places) > 1 and ranking.places[-1] > ranking.places[-2] + 1


def _write_title(pen: "ImageDraw", ranking: Ranking, caption: Caption, width: int) -> None:
    title = f"Query {caption.name}"
    numbers = (
        f"AP {100 * ranking.average_precision:.1f}     R1 {'yes' if ranking.first_match == 0 else 'no'}"
        f"     first match at {ranking.first_match + 1}"
        f"     {ranking.matches} matches among {ranking.candidates} gallery images"
        if ranking.matches
        else f"no match among {ranking.candidates} gallery images"
    )
    room = width - 2 * _MARGIN
    pen.text((_MARGIN, _MARGIN - 4), shortened(title, room, font(17, bold=True)), _INK, font(17, bold=True))
    pen.text((_MARGIN, _MARGIN + 20), numbers, _INK, font(14))


def _write_rows(pen: "ImageDraw", top: int, crop_height: int, rows: int, *, prompted: bool) -> None:
    """Left of the query: row labels."""
    shown = "prompts\n(red: keypoints\nof other people)" if prompted else "crops,\nwithout prompts"
    words = (shown, "predicted\nparts")
    for row in range(rows):
        y = top + row * (crop_height + 2 * _BORDER + 6) + crop_height // 2 - 12
        pen.multiline_text((_MARGIN, y), words[row], fill=_PALE, font=font(13), spacing=4)


def _draw_cell(
    canvas: "Image",
    x: int,
    y: int,
    shown: tuple[CropOverlay, Caption],
    *,
    colour: Colour,
    head: str,
    size: int,
) -> None:
    from PIL import ImageDraw

    overlay, caption = shown
    pen, room = ImageDraw.Draw(canvas), _WIDTH + 2 * _BORDER
    pen.text((x, y), head, fill=colour, font=font(14, bold=True))
    line = shortened(f"id {caption.identity}  cam {caption.camera}", room, font(12))
    pen.text((x, y + 18), line, fill=_INK, font=font(12))
    y += _TEXT
    for image in (draw_prompts(overlay), *([draw_parts(overlay)] if overlay.parts is not None else [])):
        pen.rectangle((x, y, x + room - 1, y + size + 2 * _BORDER - 1), fill=colour)
        paste(canvas, image, x + _BORDER, y + _BORDER, _WIDTH, size)
        y += size + 2 * _BORDER + 6


def paste(canvas: "Image", image: np.ndarray, x: int, y: int, width: int, height: int) -> None:
    """Draw an RGB image on the canvas at that place and size."""
    from PIL import Image

    canvas.paste(Image.fromarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)), (x, y))


def _write_names(pen: "ImageDraw", top: int, names: Sequence[str], visible: np.ndarray, x: int) -> None:
    """The names of the parts, and below the query which of them are visible."""
    for row, name in enumerate(names):
        y = top + row * _LINE
        pen.rectangle((_MARGIN, y + 3, _MARGIN + 10, y + 13), fill=colour_of_part(name))
        pen.text((_MARGIN + 16, y), name.replace("_", " "), fill=_INK, font=font(12))
        seen = bool(visible[row])
        words = "visible" if seen else "not visible"
        pen.text((x + _BORDER, y), words, fill=_INK if seen else _PALE, font=font(12))


def _draw_bars(
    pen: "ImageDraw",
    x: int,
    top: int,
    names: Sequence[str],
    *,
    ranking: Ranking,
    column: int,
) -> None:
    """The distance of each part visible in both, as a number and as a bar."""
    room = _WIDTH - 40
    longest = max(float(ranking.part_distances[ranking.shared].max(initial=0)), _SMALLEST)
    for row, name in enumerate(names):
        y = top + row * _LINE
        if not ranking.shared[column, row]:
            missing = "not shown here" if ranking.visible[row] else "not in query"
            pen.text((x + _BORDER, y), f"-  {missing}", fill=_PALE, font=font(12))
            continue
        distance = float(ranking.part_distances[column, row])
        pen.text((x + _BORDER, y), f"{distance:.2f}", fill=_INK, font=font(12))
        left = x + _BORDER + 36
        pen.rectangle((left, y + 3, left + room * distance / longest, y + 13), fill=colour_of_part(name))
