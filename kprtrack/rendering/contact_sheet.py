"""Thumbnails of people, cut out of exact frames, and contact sheets: one row of them for each person."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kprtrack.core.datatypes import check_shape
from kprtrack.core.tables.names import without_accents
from kprtrack.rendering.crops import cut
from kprtrack.video.stills import FrameReader

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

HEIGHT_PX = 160  # of a thumbnail
_MARGIN = 0.06  # of the height of a box, on all sides
_NARROWEST, _WIDEST = 0.45, 1.5  # width / height of a thumbnail
_OUTSIDE = 128  # grey of what is outside the image
_GAP, _BORDER = 8, 16  # pixels of a contact sheet
_MOST_WIDTH = 1600
_PAPER, _INK, _PALE = (255, 255, 255), (20, 20, 20), (96, 96, 96)
_TITLE_PX, _CAPTION_PX = 18, 12
# Fonts that systems have, the widest coverage first; together they have the letters of most languages.
_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "unifont.otf",
    "Arial Unicode.ttf",  # macOS
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "AppleSDGothicNeo.ttc",
    "segoeui.ttf",  # Windows
    "msyh.ttc",
    "YuGothM.ttc",
    "malgun.ttf",
    "Nirmala.ttf",
    "LeelawUI.ttf",
)
_NO_LETTER = "\U0010ffff"  # that no font has: drawn like every missing one


@dataclass(frozen=True)
class Place:
    """A person in a frame.

    Args:
        frame: Number of the frame.
        time_s: Its time in seconds.
        box: [4] x1 y1 x2 y2, pixels.

    Raises:
        ValueError: The box has another shape.
    """

    frame: int
    time_s: float
    box: np.ndarray

    def __post_init__(self) -> None:
        check_shape("Place.box", np.asarray(self.box), (4,))


@dataclass(frozen=True)
class Row:
    """A row of a contact sheet.

    Args:
        title: Who it is.
        images: [H, W, 3] uint8, RGB, of any sizes.
        captions: One for each image; none: the images have no captions.

    Raises:
        ValueError: There are more or fewer captions than images.
    """

    title: str
    images: Sequence[np.ndarray]
    captions: Sequence[str] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if self.captions and len(self.captions) != len(self.images):
            raise ValueError(f"{len(self.captions)} captions for {len(self.images)} images")


def thumbnails(
    video: str | Path | FrameReader, places: Sequence[Place], height: int = HEIGHT_PX
) -> list[np.ndarray]:
    """Cut people out of a video; it is read once, in order of time, and only around these frames.

    Args:
        video: A video file, a folder of images, or a reader of one, which stays open.
        places: Where, in any order.
        height: Of the thumbnails in pixels.

    Returns:
        A thumbnail, [height, W, 3] uint8 RGB, for each place, in the order of the places.

    Raises:
        InputError: The video cannot be read, or has no such frame.

    Examples:
        >>> [image] = thumbnails("video.mp4", [Place(5, 0.5, np.array([10, 8, 30, 44]))], height=96)
        >>> image.shape
        (96, 61, 3)
    """
    if not isinstance(video, FrameReader):
        with FrameReader(video) as reader:
            return thumbnails(reader, places, height)
    images: dict[int, np.ndarray] = {}
    for index in sorted(range(len(places)), key=lambda index: places[index].frame):
        place = places[index]
        images[index] = crop_person(video.image(place.frame, place.time_s), place.box, height)
    return [images[index] for index in range(len(places))]


def crop_person(image: np.ndarray, box: np.ndarray, height: int = HEIGHT_PX) -> np.ndarray:
    """Cut out a person with a margin; what is outside the image is grey.

    Args:
        image: [H, W, 3] uint8.
        box: [4] x1 y1 x2 y2, pixels; it may reach over the edge of the image.
        height: Of the thumbnail in pixels.

    Returns:
        [height, W, 3] uint8. Its width follows the box, from 0.45 to 1.5 of the height.
    """
    edges = np.array([image.shape[1], image.shape[0]] * 2, np.float64)
    x1, y1, x2, y2 = np.clip(box, -edges, 2 * edges).tolist()
    margin = _MARGIN * max(y2 - y1, 1.0)
    full_height = max(y2 - y1 + 2 * margin, (x2 - x1 + 2 * margin) / _WIDEST, 2.0)
    full_width = max(x2 - x1 + 2 * margin, _NARROWEST * full_height)
    left, top = (x1 + x2 - full_width) / 2, (y1 + y2 - full_height) / 2
    right, bottom = left + full_width, top + full_height
    outside = [max(-top, 0), max(bottom - edges[1], 0), max(-left, 0), max(right - edges[0], 0)]
    above, below, before, after = (int(np.ceil(each)) for each in outside)
    padded = cv2.copyMakeBorder(
        image, above, below, before, after, cv2.BORDER_CONSTANT, value=(_OUTSIDE,) * 3
    )
    size = max(round(full_width * height / full_height), 1), height
    return cut(padded, (left + before, top + above, full_width, full_height), size)


def contact_sheet(rows: Sequence[Row]) -> np.ndarray:
    """Lay out images of people, a row for each, on white paper; a long row continues below.

    Args:
        rows: The people. Letters that no font of this machine has are left out with their accents, or
            replaced by "?".

    Returns:
        [H, W, 3] uint8, RGB.

    Examples:
        >>> image = np.zeros((160, 80, 3), np.uint8)
        >>> sheet = contact_sheet([Row("Anna", [image] * 3, ["0:01", "0:07", "0:31"])])
        >>> sheet.shape
        (245, 288, 3)
    """
    blocks = [_block(row) for row in rows]
    width = max([block.shape[1] for block in blocks] or [0])
    height = sum(block.shape[0] for block in blocks) + _GAP * max(len(blocks) - 1, 0)
    sheet = np.full((height + 2 * _BORDER, width + 2 * _BORDER, 3), _PAPER, np.uint8)
    top = _BORDER
    for block in blocks:
        sheet[top : top + block.shape[0], _BORDER : _BORDER + block.shape[1]] = block
        top += block.shape[0] + _GAP
    return sheet


def _block(row: Row) -> np.ndarray:
    """The title, and lines of images with their captions."""
    lines: list[list[int]] = [[]]
    for index in range(len(row.images)):
        if lines[-1] and _line_width(row, [*lines[-1], index]) > _MOST_WIDTH:
            lines.append([])
        lines[-1].append(index)
    width = max(_line_width(row, line) for line in lines)
    title = text_image(row.title, _TITLE_PX, _INK, _MOST_WIDTH)
    pieces = [title, *(_line(row, line) for line in lines if line)]
    block = np.full((sum(len(each) for each in pieces), max(width, title.shape[1]), 3), _PAPER, np.uint8)
    top = 0
    for piece in pieces:
        block[top : top + len(piece), : piece.shape[1]] = piece
        top += len(piece)
    return block


def _line_width(row: Row, line: Sequence[int]) -> int:
    return sum(row.images[index].shape[1] for index in line) + _GAP * max(len(line) - 1, 0)


def _line(row: Row, line: Sequence[int]) -> np.ndarray:
    tallest = max(row.images[index].shape[0] for index in line)
    text_height = _CAPTION_PX * 3 // 2 if row.captions else 0
    canvas = np.full((tallest + text_height + _GAP, _line_width(row, line), 3), _PAPER, np.uint8)
    left = 0
    for index in line:
        image = row.images[index]
        canvas[tallest - image.shape[0] : tallest, left : left + image.shape[1]] = image
        if row.captions:
            text = text_image(row.captions[index], _CAPTION_PX, _PALE, image.shape[1])
            canvas[tallest : tallest + text_height, left : left + text.shape[1]] = text[:text_height]
        left += image.shape[1] + _GAP
    return canvas


def text_image(text: str, size: int, ink: tuple[int, int, int], most_width: int) -> np.ndarray:
    """Draw text on white, in a font of this machine that has its letters.

    Args:
        text: One line.
        size: Of the font in pixels.
        ink: RGB.
        most_width: Pixels; longer text is cut off.

    Returns:
        [3 / 2 size, W, 3] uint8, RGB.
    """
    from PIL import Image, ImageDraw

    font, text = _font_for(text, size)
    while len(text) > 1 and font.getlength(text) > most_width:
        text = text.rstrip("…")[:-1] + "…"
    width = min(max(int(np.ceil(font.getlength(text))), 1), most_width)
    canvas = Image.new("RGB", (width, size * 3 // 2), _PAPER)
    ImageDraw.Draw(canvas).text((0, size * 3 // 4), text, fill=ink, font=font, anchor="lm")
    return np.array(canvas)


def _font_for(text: str, size: int) -> "tuple[FreeTypeFont | ImageFont, str]":
    """The first font that has all letters; else the text without what the first font lacks."""
    fonts = _fonts(size)
    letters = {letter for letter in text if not letter.isspace()}
    for font in fonts:
        if not _lacking(font, letters):
            return font, text
    plain = without_accents(text)
    lacking = _lacking(fonts[0], set(plain))
    return fonts[0], "".join("?" if letter in lacking else letter for letter in plain)


def _lacking(font: "FreeTypeFont | ImageFont", letters: set[str]) -> set[str]:
    missing = bytes(font.getmask(_NO_LETTER))
    return {letter for letter in letters if bytes(font.getmask(letter)) == missing}


@lru_cache(maxsize=8)
def _fonts(size: int) -> "list[FreeTypeFont | ImageFont]":
    """The fonts of this machine, and at last the one that comes with Pillow, which has few letters."""
    from PIL import ImageFont

    found: list[FreeTypeFont | ImageFont.ImageFont] = []
    for name in _FONTS:
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:
            continue
    return [*found, ImageFont.load_default(size)]
