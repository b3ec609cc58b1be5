"""Maps boxes to crops for a network, and points of a crop back to the frame.

A *window* is the part of the frame that fills the network's input: a row `cx cy w h` in frame pixels with
the input's aspect ratio. It may reach beyond the frame; what lies outside is black.
Source: docs/reference/detector_and_pose.md 2.3.
"""

import cv2
import numpy as np


def pose_windows(boxes: np.ndarray, input_width: int, input_height: int, *, padding: float) -> np.ndarray:
    """Enlarge boxes by `padding`, then one side of each to the aspect ratio of the input.

    Args:
        boxes: [N, 4] x1 y1 x2 y2, frame pixels.
        input_width: Width of the network's input in pixels.
        input_height: Its height.
        padding: Factor of both sides, above 0.

    Returns:
        Windows [N, 4] float32, cx cy w h, frame pixels.

    Raises:
        ValueError: A box has no area or is not finite.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    centres = (boxes[:, :2] + boxes[:, 2:]) * 0.5
    sizes = (boxes[:, 2:] - boxes[:, :2]) * padding
    bad = np.flatnonzero(~(np.isfinite(boxes).all(1) & (sizes > 0).all(1)))
    if len(bad):
        raise ValueError(
            f"Box {bad[0]} is {boxes[bad[0]].tolist()}; a pose needs x1 < x2 and y1 < y2. "
            "Remove such boxes first."
        )
    aspect = input_width / input_height
    wide = sizes[:, 0] > aspect * sizes[:, 1]
    widths = np.where(wide, sizes[:, 0], sizes[:, 1] * aspect)
    heights = np.where(wide, sizes[:, 0] / aspect, sizes[:, 1])
    return np.column_stack((centres, widths, heights)).astype(np.float32)


def standard_matrices(windows: np.ndarray, input_width: int, input_height: int) -> np.ndarray:
    """Make affine maps from frame pixels to input pixels, with one scale for both axes.

    Returns:
        [N, 2, 3] float64.
    """
    cx, cy, w, _ = np.asarray(windows, np.float64).T
    scale = input_width / w
    return _matrices(scale, scale, input_width / 2 - scale * cx, input_height / 2 - scale * cy)


def udp_matrices(windows: np.ndarray, input_width: int, input_height: int) -> np.ndarray:
    """Make affine maps from frame pixels to input pixels that measure sizes between pixel centres.

    Returns:
        [N, 2, 3] float64.

    Source: UDP (Huang et al., CVPR 2020); docs/reference/detector_and_pose.md 2.3.
    """
    cx, cy, w, h = np.asarray(windows, np.float64).T
    scale_x, scale_y = (input_width - 1) / w, (input_height - 1) / h
    return _matrices(scale_x, scale_y, scale_x * (w / 2 - cx), scale_y * (h / 2 - cy))


def cut_crops(image: np.ndarray, matrices: np.ndarray, input_width: int, input_height: int) -> np.ndarray:
    """Cut people out of an image by bilinear interpolation; black outside of the image.

    OpenCV 4 and 5 interpolate differently: by up to 7 grey levels on noisy images
    (docs/reference/detector_and_pose.md 2.3).

    Returns:
        [N, H, W, 3] uint8, channels as in the image.
    """
    image = np.ascontiguousarray(image)
    crops = np.empty((len(matrices), input_height, input_width, 3), np.uint8)
    for crop, matrix in zip(crops, matrices, strict=True):
        crop[:] = cv2.warpAffine(image, matrix, (input_width, input_height), flags=cv2.INTER_LINEAR)
    return crops


def to_frame(points: np.ndarray, windows: np.ndarray, input_width: int, input_height: int) -> np.ndarray:
    """Map points from input pixels to frame pixels; the same formula for every decoding.

    Args:
        points: [N, K, 2], input pixels.
        windows: [N, 4], from `pose_windows`.
        input_width: Width of the network's input in pixels.
        input_height: Its height.

    Returns:
        [N, K, 2], frame pixels.

    Source: docs/reference/detector_and_pose.md 2.4.
    """
    centres, sizes = windows[:, None, :2], windows[:, None, 2:]
    return points / np.array([input_width, input_height]) * sizes + centres - sizes / 2


def _matrices(
    scale_x: np.ndarray, scale_y: np.ndarray, shift_x: np.ndarray, shift_y: np.ndarray
) -> np.ndarray:
    zero = np.zeros_like(scale_x)
    return np.stack((scale_x, zero, shift_x, zero, scale_y, shift_y), axis=1).reshape(-1, 2, 3)
