"""A crop that follows one person smoothly, at a constant output size."""

import cv2
import numpy as np

from kprtrack.rendering.people import Person

MARGIN = 1.35  # height of the crop in heights of the person
_MARGIN_X = 1.15  # its width in widths of the person, at least
_POSITION_S, _ZOOM_S = 0.3, 0.8  # standard deviations of the Gaussians that smooth position and size
_STEPS = np.linspace(-3, 3, 61)  # standard deviations
_LEAST_PX = 16.0  # height of a crop
_AREA_FROM = 0.7  # pixels of the output for one of the image, below which they are averaged


class CropPath:
    """The part of the image that shows a person, for each frame.

    Position and size are smoothed over time without delay, interpolated in gaps of the track, and stay as
    they are before its beginning and after its end. The crop stays inside the image.

    Args:
        person: The track.
        fps: Frames per second.
        image_size: Width and height of the image in pixels.
        aspect: Width / height of the crop.
    """

    def __init__(self, person: Person, fps: float, image_size: tuple[int, int], aspect: float) -> None:
        self._times, self._fps, self._aspect = person.numbers / fps, fps, aspect
        self._image_size = image_size
        self._middles = (person.boxes[:, :2] + person.boxes[:, 2:]) / 2
        width, height = (person.boxes[:, 2:] - person.boxes[:, :2]).T
        self._most = min(image_size[1], image_size[0] / aspect)
        self._heights = np.clip(
            np.maximum(MARGIN * height, _MARGIN_X * width / aspect), _LEAST_PX, self._most
        )
        self._heights = np.minimum(self._heights, self._most)
        self._weights = np.exp(-0.5 * _STEPS**2) / np.exp(-0.5 * _STEPS**2).sum()

    def window(self, number: int) -> tuple[float, float, float, float]:
        """Return left, top, width and height of the crop in a frame, in pixels."""
        time_s = number / self._fps
        x = self._smooth(time_s, self._middles[:, 0], _POSITION_S)
        y = self._smooth(time_s, self._middles[:, 1], _POSITION_S)
        height = self._smooth(time_s, self._heights, _ZOOM_S)
        width = height * self._aspect
        most_x, most_y = self._image_size
        left = min(max(x - width / 2, 0.0), max(most_x - width, 0.0))
        top = min(max(y - height / 2, 0.0), max(most_y - height, 0.0))
        return left, top, width, height

    def _smooth(self, time_s: float, values: np.ndarray, deviation_s: float) -> float:
        return float(self._weights @ np.interp(time_s + deviation_s * _STEPS, self._times, values))


def natural_size(person: Person, image_size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height, 3:4, at which the person is rarely enlarged; even numbers of pixels."""
    heights = person.boxes[:, 3] - person.boxes[:, 1]
    height = min(MARGIN * float(np.percentile(heights, 95)), image_size[1], image_size[0] * 4 / 3)
    height = max(height, 64)
    return 2 * round(0.375 * height), 2 * round(height / 2)


def cut(image: np.ndarray, window: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    """Return a part of an image at another size.

    Args:
        image: [H, W, 3] uint8.
        window: Left, top, width and height in pixels, with fractions.
        size: Width and height of the result.

    Returns:
        [size[1], size[0], 3] uint8; what is outside the image repeats its edge.
    """
    left, top, width, height = window
    scale = size[0] / width
    if scale < _AREA_FROM:
        x1, y1 = max(round(left), 0), max(round(top), 0)
        part = image[y1 : max(round(top + height), y1 + 1), x1 : max(round(left + width), x1 + 1)]
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    # Fractions of a pixel, or the crop would jitter. Pixel centres are at whole numbers.
    step_x, step_y = width / size[0], height / size[1]
    matrix = np.array([[step_x, 0, left + step_x / 2 - 0.5], [0, step_y, top + step_y / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
