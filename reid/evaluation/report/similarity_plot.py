"""Similarity matrix of a few crops, with crops, prompts and parts along its axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kprtrack.core.errors import UserError
from reid.evaluation.report.crop_overlay import (
    Colour,
    CropOverlay,
    draw_legend,
    draw_parts,
    draw_prompts,
    font,
    part_names,
    shortened,
)
from reid.evaluation.report.ranking_plot import paste, png
from reid.evaluation.similarity import Similarities

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

MOST_CROPS = 40  # more would make an image too large for viewers
_CROP_HEIGHT = 168
_BOLD = 1.6  # skeletons, for the crops are small
_MARGIN = 16
_HEAD = 52  # for the title
_NAME = 18  # line with the name of a crop
_GAP = 6
_INK: Colour = (25, 25, 25)
_PALE: Colour = (130, 130, 130)
_NEAREST: Colour = (230, 120, 0)
_OWN: Colour = (238, 238, 238)
_LIGHT, _DARK = np.array((240, 245, 252)), np.array((8, 64, 129))  # of the least and the most alike
_DARK_FROM = 0.55  # of the scale; from here on white letters read better


def draw_similarities(
    similarities: Similarities, overlays: Sequence[CropOverlay], names: Sequence[str], *, title: str
) -> bytes:
    """PNG of the matrix. names: of the crops; title: the first line, such as the name of the weights."""
    from PIL import Image, ImageDraw

    validate_too_many(len(overlays))
    strips = [_strip(overlay) for overlay in overlays]
    cell = max(max(strip.shape[1] for strip in strips), _CROP_HEIGHT // 2) + 2 * _GAP
    row = _CROP_HEIGHT + _NAME + 2 * _GAP
    left, top = _MARGIN + cell, _MARGIN + _HEAD + row
    parts = () if overlays[0].parts is None else part_names(len(overlays[0].parts) - 1)
    width = max(left + cell * len(strips) + _MARGIN, 900)
    canvas = Image.new("RGB", (width, top + row * len(strips) + 34 + _MARGIN), "white")
    pen = ImageDraw.Draw(canvas)
    _write_title(pen, title, similarities, width)
    for place, (strip, name) in enumerate(zip(strips, names, strict=True)):
        _draw_crop(canvas, pen, left + cell * place, top - row, strip, name=name, room=cell)
        _draw_crop(canvas, pen, _MARGIN, top + row * place, strip, name=name, room=cell)
    _draw_cells(pen, left, top, cell, row, similarities=similarities)
    draw_legend(pen, _MARGIN, top + row * len(strips) + 14, parts)
    return png(canvas)


def validate_too_many(crops: int) -> None:
    """Raises: UserError for more crops than a plot can show."""
    if crops > MOST_CROPS:
        raise UserError(f"A plot of {crops} crops is too large. Give at most {MOST_CROPS}.")


def _strip(overlay: CropOverlay) -> np.ndarray:
    """The crop with its prompts, and beside it its parts if the encoder has any."""
    import cv2

    height, width = overlay.image.shape[:2]
    size = (round(_CROP_HEIGHT * width / height), _CROP_HEIGHT)
    images = [draw_prompts(overlay, boldness=_BOLD)] + (
        [] if overlay.parts is None else [draw_parts(overlay)]
    )
    small = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]
    if not overlay.prompted:
        small[0] = _marked(small[0], "no prompt")
    gap = np.full((_CROP_HEIGHT, 4, 3), 255, np.uint8)
    return small[0] if len(small) == 1 else np.concatenate((small[0], gap, small[1]), axis=1)


def _marked(image: np.ndarray, words: str) -> np.ndarray:
    """The image with a caption on a dark band at its lower edge."""
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(image)
    width, height = canvas.size
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((0, height - 17, width, height), fill=_INK)
    pen.text((width / 2, height - 8), shortened(words, width, font(11)), "white", font(11), anchor="mm")
    return np.array(canvas)


def _write_title(pen: "ImageDraw", title: str, similarities: Similarities, width: int) -> None:
    others = similarities.values[~np.eye(len(similarities.values), dtype=bool)]
    bold, room = font(17, bold=True), width - 2 * _MARGIN
    note = (
        f"similarity = 1 - distance / 2, and the number of shared features; "
        f"darker is more similar, here {others.min():.2f} to {others.max():.2f}"
    )
    pen.text((_MARGIN, _MARGIN - 4), shortened(title, room, bold), _INK, bold)
    pen.text((_MARGIN, _MARGIN + 21), shortened(note, room, font(13)), _PALE, font(13))
    x, y = _MARGIN + font(13).getlength(note) + 14, _MARGIN + 23
    pen.rectangle((x, y, x + 12, y + 12), outline=_NEAREST, width=3)
    pen.text((x + 18, y - 2), "nearest in its row", _PALE, font(13))


def _draw_crop(
    canvas: "Image", pen: "ImageDraw", x: int, y: int, strip: np.ndarray, *, name: str, room: int
) -> None:
    height, width = strip.shape[:2]
    pen.text((x + _GAP, y + _GAP), shortened(name, room - 2 * _GAP, font(12)), fill=_INK, font=font(12))
    paste(canvas, strip, x + (room - width) // 2, y + _GAP + _NAME, width, height)


def _draw_cells(
    pen: "ImageDraw", left: int, top: int, cell: int, row: int, *, similarities: Similarities
) -> None:
    values, count = similarities.values, len(similarities.values)
    apart = ~np.eye(count, dtype=bool)
    low, high = values[apart].min(), values[apart].max()
    nearest = np.where(apart, values, -1).argmax(axis=1)
    for a, b in np.ndindex(count, count):
        box = (left + b * cell + 2, top + a * row + 2, left + (b + 1) * cell - 3, top + (a + 1) * row - 3)
        share = (values[a, b] - low) / max(high - low, 1e-9) if a != b else 0.0
        colour = tuple((_LIGHT + (_DARK - _LIGHT) * share).round().astype(int).tolist()) if a != b else _OWN
        pen.rectangle(box, fill=colour)
        if nearest[a] == b:
            pen.rectangle(box, outline=_NEAREST, width=4)
        ink = (255, 255, 255) if share > _DARK_FROM else _INK if a != b else _PALE
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        pen.text((x, y - 8), f"{values[a, b]:.2f}", ink, font(22, bold=a != b), anchor="mm")
        seen, parts = int(similarities.shared[a, b].sum()), similarities.shared.shape[2]
        pen.text((x, y + 15), f"{seen} of {parts}", ink, font(12), anchor="mm")
