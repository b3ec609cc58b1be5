"""Crop overlays: the prompts of a crop, and the parts predicted at each position."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kprtrack.core.skeleton import LIMBS, PROMPT_GROUPS
from reid.crop import Crop, resize_crop
from reid.model.prompts import PromptConfig
from reid.parts.targets import PART_GROUPS

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

    from reid.model.kpr import Kpr

Colour = tuple[int, int, int]  # RGB, 0-255

NEGATIVE: Colour = (235, 20, 20)
_UNKNOWN: Colour = (160, 160, 160)
# No part is red or near it. Left is the lighter twin of right.
PART_COLOURS: Mapping[str, Colour] = {
    "whole": (90, 90, 90),
    "foreground": (90, 90, 90),
    "head": (250, 205, 0),
    "left_arm": (120, 225, 130),
    "right_arm": (0, 135, 70),
    "torso": (60, 195, 245),
    "left_leg": (205, 165, 255),
    "right_leg": (125, 60, 200),
    "left_feet": (110, 145, 255),
    "right_feet": (0, 40, 190),
    "arms": (0, 160, 85),
    "legs": (145, 90, 220),
    "feet": (40, 85, 235),
    "upper_arms_torso": (60, 195, 245),
    "lower_arms_torso": (0, 135, 70),
    "body": (60, 195, 245),
}
_SHOWN_BATCH = 16
_TINT = 0.62  # of a part's colour over the grey image at probability 1
_SHIFT = 3  # OpenCV draws at 1/8 pixel


@dataclass(frozen=True)
class CropOverlay:
    """A crop at the encoder's size with its prompts and predicted parts."""

    image: np.ndarray  # [H, W, 3] uint8 RGB
    own: np.ndarray  # [17, 3] x y confidence, pixels of `image`; the positive prompt
    others: np.ndarray  # [M, 17, 3], the negative prompt
    parts: np.ndarray | None  # [K + 1, h, w] probability, background first; None: the encoder has no parts

    @property
    def prompted(self) -> bool:
        """Whether the crop has a positive prompt."""
        return bool((self.own[:, 2] > 0).any())


def take_portraits(
    model: "Kpr",
    crops: Sequence[Crop],
    *,
    prompts: PromptConfig | None = None,
    cameras: Sequence[int] | None = None,
) -> list[CropOverlay]:
    """Crop overlays by an encoder with parts.

    Args:
        prompts: Which keypoints prompt it; None: as it was trained.
        cameras: Of each crop; None: unknown.
    """
    import torch

    from reid.training.augment import plain_example, stack

    model, prompts, taken = model.eval(), prompts or model.config.prompts(), []
    device = next(model.parameters()).device
    for start in range(0, len(crops), _SHOWN_BATCH):
        some = [Crop(crop.image, crop.keypoints, None) for crop in crops[start : start + _SHOWN_BATCH]]
        shown = stack([plain_example(crop, prompts) for crop in some])
        seen_by = (
            None if cameras is None else torch.tensor(cameras[start : start + _SHOWN_BATCH], device=device)
        )
        with torch.inference_mode():
            logits = model(shown.image.to(device), shown.heatmaps.to(device), seen_by).part_logits
        parts = logits.float().softmax(dim=1).cpu().numpy()
        taken += [plain_portrait(crop, prompts, each) for crop, each in zip(some, parts, strict=True)]
    return taken


def plain_portrait(crop: Crop, prompts: PromptConfig, parts: np.ndarray | None = None) -> CropOverlay:
    """The crop at the size of `prompts`, with the keypoints that it draws."""
    resized = resize_crop(crop, prompts.height, prompts.width)
    sure = resized.keypoints * (resized.keypoints[..., 2:] > prompts.min_confidence)
    return CropOverlay(resized.image, sure[0], sure[1:], parts)


def part_names(parts: int) -> tuple[str, ...]:
    """Names of the parts of an encoder with `parts` parts, in its order."""
    known = [tuple(group) for group in PART_GROUPS.values() if len(group) == parts]
    return known[0] if known else tuple(f"part {row}" for row in range(1, parts + 1))


def feature_names(count: int, parts: int) -> tuple[str, ...]:
    """Names of `count` features: of one whole crop, of `parts` parts, or of the foreground and then these.

    Args:
        parts: 0 for an encoder without parts.
    """
    if count == 1:
        return ("whole",)
    return part_names(parts) if count == parts else ("foreground", *part_names(count - 1))


def colour_of_part(name: str) -> Colour:
    """The part's colour, the same in every plot."""
    return PART_COLOURS.get(name, _UNKNOWN)


def draw_prompts(overlay: CropOverlay, *, boldness: float = 1.0) -> np.ndarray:
    """The crop with its prompts, [H, W, 3] uint8: own keypoints in their parts' colours, others' red."""
    canvas = overlay.image.copy()
    width = boldness * canvas.shape[1] / 128
    for skeleton in overlay.others:
        _draw_skeleton(canvas, skeleton, [NEGATIVE] * len(skeleton), width)
    _draw_skeleton(canvas, overlay.own, _keypoint_colours(), width)
    return canvas


def draw_parts(overlay: CropOverlay) -> np.ndarray:
    """The crop in grey, coloured with the likeliest part of each place, [H, W, 3] uint8."""
    grey = np.repeat(overlay.image.mean(axis=2, keepdims=True), 3, axis=2) * 0.6 + 90
    if overlay.parts is None:
        return grey.astype(np.uint8)
    height, width = overlay.image.shape[:2]
    names = part_names(len(overlay.parts) - 1)
    colours = np.array([(0, 0, 0), *map(colour_of_part, names)], np.float32)
    best = overlay.parts.argmax(axis=0)
    strength = overlay.parts.max(axis=0) * (best > 0) * _TINT
    # Nearest neighbour: a part predicted at a single position counts as visible and must be recognisable.
    tint = cv2.resize(colours[best], (width, height), interpolation=cv2.INTER_NEAREST)
    alpha = cv2.resize(strength.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    return (grey * (1 - alpha[..., None]) + tint * alpha[..., None]).clip(0, 255).astype(np.uint8)


def _keypoint_colours() -> list[Colour]:
    """One colour for each keypoint: of the last of the eight prompt groups it belongs to but the torso."""
    colours = [_UNKNOWN] * 17
    groups = PROMPT_GROUPS["cck8"]
    for name in ("torso", *(name for name in groups if name != "torso")):
        for row in groups[name]:
            colours[row] = colour_of_part(name)
    return colours


def _draw_skeleton(canvas: np.ndarray, skeleton: np.ndarray, colours: Sequence[Colour], width: float) -> None:
    for a, b in LIMBS:
        if skeleton[a, 2] > 0 and skeleton[b, 2] > 0:
            ends = (_fixed(skeleton[a]), _fixed(skeleton[b]))
            cv2.line(canvas, *ends, (255, 255, 255), max(1, round(2.5 * width)), cv2.LINE_AA, _SHIFT)
            cv2.line(canvas, *ends, colours[b], max(1, round(1.2 * width)), cv2.LINE_AA, _SHIFT)
    for row in np.flatnonzero(skeleton[:, 2] > 0).tolist():
        for radius, colour in ((4.2, (255, 255, 255)), (3.2, colours[row])):
            cv2.circle(
                canvas,
                _fixed(skeleton[row]),
                round(radius * width * 2**_SHIFT),
                colour,
                -1,
                cv2.LINE_AA,
                _SHIFT,
            )


def _fixed(point: np.ndarray) -> tuple[int, int]:
    return round(float(point[0]) * 2**_SHIFT), round(float(point[1]) * 2**_SHIFT)


# Text and layout shared by both kinds of plot.


@lru_cache(maxsize=16)
def font(size: int, *, bold: bool = False) -> "FreeTypeFont":
    """A typeface that comes with matplotlib, so that plots are the same on every machine."""
    from pathlib import Path

    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def shortened(text: str, room: float, typeface: "FreeTypeFont") -> str:
    """The text, with its middle left out if it is wider than `room` pixels."""
    if typeface.getlength(text) <= room:
        return text
    for kept in range(len(text) - 1, 1, -1):
        cut = f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"
        if typeface.getlength(cut) <= room:
            return cut
    return "…"


def draw_legend(pen: "ImageDraw", x: float, y: float, names: Sequence[str]) -> float:
    """A line of coloured squares with part names, the negative prompt last; where the line ends."""
    typeface = font(12)
    for name, colour in _legend(names):
        pen.rectangle((x, y + 2, x + 11, y + 13), fill=colour)
        pen.text((x + 16, y), name, fill=(60, 60, 60), font=typeface)
        x += 16 + typeface.getlength(name) + 18
    return x


def _legend(names: Sequence[str]) -> Iterator[tuple[str, Colour]]:
    for name in names:
        yield name.replace("_", " "), colour_of_part(name)
    yield "keypoints of other people", NEGATIVE
