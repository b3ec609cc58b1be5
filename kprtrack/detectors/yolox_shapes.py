"""The six sizes of YOLOX.

Source: YOLOX (Ge et al., 2021, arXiv 2107.08430); `docs/reference/detector_and_pose.md 1.1, 1.3, 1.4`.
"""

from typing import Literal, NamedTuple

YoloxSize = Literal["nano", "tiny", "s", "m", "l", "x"]

STRIDES = (8, 16, 32)  # network pixels per cell of the three levels
CANVAS_MULTIPLE_PX = 32  # the coarsest stride: canvas sides must be multiples of it


class Shape(NamedTuple):
    """Parameters of a YOLOX size."""

    depth: float
    width: float
    depthwise: bool
    test_px: int  # side of the square canvas of the published figures


SHAPES: dict[str, Shape] = {
    "nano": Shape(0.33, 0.25, True, 416),
    "tiny": Shape(0.33, 0.375, False, 416),
    "s": Shape(0.33, 0.50, False, 640),
    "m": Shape(0.67, 0.75, False, 640),
    "l": Shape(1.0, 1.0, False, 640),
    "x": Shape(1.33, 1.25, False, 640),
}
