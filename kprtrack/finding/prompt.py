"""What says which person of an image is meant."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.errors import UserError
from kprtrack.core.skeleton import KEYPOINTS

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class PersonPrompt:
    """Which person of an image is meant; nothing: the only one.

    Args:
        clicks: Points x, y on the person, in pixels of the image.
        not_clicks: Points on other people.
        box: x1, y1, x2, y2 of the person.
        mask: [H, W] bool, the person.
        other_masks: Masks of other people.
        keypoints: [1 + M, 17, 3] x y confidence, the person first, then others.

    Raises:
        UserError: The choices contradict each other.
    """

    clicks: Sequence[Point] = ()
    not_clicks: Sequence[Point] = ()
    box: Box | None = None
    mask: np.ndarray | None = None
    other_masks: Sequence[np.ndarray] = ()
    keypoints: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.mask is None and self.other_masks:
            raise UserError("--not-mask needs the mask of the person, too: --mask FILE.")
        if self.mask is not None and self.keypoints is not None:
            raise UserError("--mask and --keypoints are two kinds of prompts. Leave one of them out.")
        if self.clicks and (self.mask is not None or self.keypoints is not None):
            raise UserError("--click is for images without --mask and --keypoints. Leave it out.")
        if self.not_clicks and not self.clicks and self.box is None and self.mask is None:
            raise UserError("--not-click needs the person, too: --click X,Y, --box or --mask.")

    def validate(self, height: int, width: int) -> None:
        """Raise UserError for what does not fit an image of that size in pixels."""
        for option, clicks in (("--click", self.clicks), ("--not-click", self.not_clicks)):
            for x, y in clicks:
                if not (0 <= x < width and 0 <= y < height):
                    raise UserError(
                        f"{option} {x:g},{y:g} is outside the image, which has {width} x {height} pixels."
                    )
        if self.box is not None:
            _validate_box(self.box, height, width)
        for option, mask in self._masks():
            if mask.shape != (height, width):
                raise UserError(
                    f"{option} has {mask.shape[1]} x {mask.shape[0]} pixels, the image {width} x {height}."
                    " Give the mask of this image."
                )
            if not mask.any():
                raise UserError(f"{option} is empty: no pixel belongs to the person.")
        if self.keypoints is not None:
            _validate_keypoints(self.keypoints, height, width)

    def _masks(self) -> Iterable[tuple[str, np.ndarray]]:
        if self.mask is not None:
            yield "--mask", self.mask
        yield from (("--not-mask", mask) for mask in self.other_masks)


def _validate_box(box: Box, height: int, width: int) -> None:
    x1, y1, x2, y2 = box
    given = ",".join(f"{value:g}" for value in box)
    if not all(map(math.isfinite, box)) or x2 <= x1 or y2 <= y1:
        raise UserError(
            f"--box {given}: give left, upper, right and lower edge, such as --box 100,20,180,240."
        )
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        raise UserError(f"--box {given} is outside the image, which has {width} x {height} pixels.")


def _validate_keypoints(keypoints: np.ndarray, height: int, width: int) -> None:
    if keypoints.ndim != 3 or keypoints.shape[1:] != (len(KEYPOINTS), 3) or not len(keypoints):
        raise UserError(f"--keypoints has the shape {keypoints.shape}, not [people, {len(KEYPOINTS)}, 3].")
    x, y, confidence = keypoints[0].T
    inside = (confidence > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if not inside.any():
        raise UserError(
            f"--keypoints: the person has no keypoint inside the image of {width} x {height} pixels."
        )
