"""A constant-velocity Kalman filter for the boxes of all tracks at once.

ByteTrack's filter has eight states (x, y, aspect, height and their velocities), but none of its matrices
mixes two of the four coordinates and every track starts without correlation between them. So it is four
independent filters of two states each: three numbers of covariance per coordinate, and no matrix to invert.
Source: docs/reference/tracking_and_evaluation.md 4.2.
"""

import numpy as np

FRAME_RATE = 30.0  # frames per second for which the noise was chosen; seconds × FRAME_RATE = frames

_POSITION_STD = 1 / 20  # of the height of the box
_VELOCITY_STD = 1 / 160  # of the height of the box, per frame
_ASPECT_STD = 1e-2
_ASPECT_VELOCITY_STD = 1e-5  # per frame
_MEASURED_ASPECT_STD = 1e-1
_ASPECT, _HEIGHT = 2, 3


class BoxMotion:
    """Predicts the boxes of T tracks and corrects them by detections. All numbers are float64."""

    def __init__(self) -> None:
        self._means = np.zeros((0, 4, 2))  # centre x, centre y, width / height, height; value and velocity
        self._covariances = np.zeros((0, 4, 3))  # variance of value, covariance, variance of velocity

    def __len__(self) -> int:
        return len(self._means)

    @property
    def boxes(self) -> np.ndarray:
        """[T, 4] estimated boxes, x1 y1 x2 y2, pixels."""
        return self.boxes_after(0.0)

    def boxes_after(self, frames: float) -> np.ndarray:
        """[T, 4] boxes as `predict` would move them in so many frames of 1 / 30 s; nothing is changed."""
        means = self._means[:, :, 0] if not frames else self._means[:, :, 0] + frames * self._means[:, :, 1]
        center_x, center_y, aspect, height = means.T
        left, top = center_x - aspect * height / 2, center_y - height / 2
        return np.stack((left, top, left + aspect * height, top + height), 1)

    @property
    def means(self) -> np.ndarray:
        """[T, 4, 2] value and velocity per frame of centre x, centre y, width / height and height."""
        return self._means.copy()

    @property
    def covariances(self) -> np.ndarray:
        """[T, 4, 3] variance of each value, its covariance with the velocity, variance of the velocity."""
        return self._covariances.copy()

    def add(self, boxes: np.ndarray) -> None:
        """Append tracks at `boxes` [K, 4] with height above 0, without velocity, as rows T, T + 1, ..."""
        measured = _measure(boxes)
        means = np.zeros((len(boxes), 4, 2))
        means[:, :, 0] = measured
        value, velocity = _noise(measured[:, _HEIGHT])
        covariances = np.zeros((len(boxes), 4, 3))
        # The velocity of a new track is unknown: twice the noise of a value, ten times that of a velocity.
        covariances[:, :, 0] = 4 * value
        covariances[:, :, 2] = 100 * velocity
        covariances[:, _ASPECT] /= (4, 1, 100)
        self._means = np.concatenate((self._means, means))
        self._covariances = np.concatenate((self._covariances, covariances))

    def predict(self, frames: float = 1.0, rows: np.ndarray | None = None) -> None:
        """Move the boxes on.

        Two steps are the same as one long one while the height is constant: the noise is the sum over single
        frames, written as a polynomial in their number.

        Args:
            frames: Time in frames of 1 / 30 s, any number; 1 is one step of the official filter.
            rows: Tracks, by indices or a mask; None: all.
        """
        which = slice(None) if rows is None else rows
        means, covariances = self._means[which], self._covariances[which]
        value, velocity = _noise(means[:, _HEIGHT, 0])
        means[:, :, 0] += frames * means[:, :, 1]
        variance, shared, speed = covariances[:, :, 0], covariances[:, :, 1], covariances[:, :, 2]
        variance += frames * (2 * shared + frames * speed)
        variance += frames * value + frames * (frames - 1) * (2 * frames - 1) / 6 * velocity
        shared += frames * speed + frames * (frames - 1) / 2 * velocity
        speed += frames * velocity
        if rows is not None:
            self._means[rows], self._covariances[rows] = means, covariances

    def update(self, rows: np.ndarray, boxes: np.ndarray) -> None:
        """Correct the tracks `rows` [K] (each at most once) by their detections `boxes` [K, 4]."""
        means, covariances = self._means[rows], self._covariances[rows]
        noise, _ = _noise(means[:, _HEIGHT, 0])
        noise[:, _ASPECT] = _MEASURED_ASPECT_STD**2
        innovation = _measure(boxes) - means[:, :, 0]
        gain = covariances[:, :, :2] / (covariances[:, :, 0] + noise)[:, :, None]  # of value and of velocity
        means += gain * innovation[:, :, None]
        covariances[:, :, 2] -= gain[:, :, 1] * covariances[:, :, 1]
        covariances[:, :, :2] -= gain[:, :, :1] * covariances[:, :, :2]
        self._means[rows], self._covariances[rows] = means, covariances

    def hold_height(self, rows: np.ndarray) -> None:
        """Set the height's velocity to 0 for the tracks `rows` (indices or a mask), as ByteTrack does."""
        self._means[rows, _HEIGHT, 1] = 0

    def keep(self, rows: np.ndarray) -> None:
        """Keep the tracks `rows` (indices, in their new order, or a mask) and remove the others."""
        self._means, self._covariances = self._means[rows], self._covariances[rows]


def _measure(boxes: np.ndarray) -> np.ndarray:
    """[K, 4] centre x, centre y, width / height, height."""
    corners = np.asarray(boxes, np.float64)
    size = corners[:, 2:] - corners[:, :2]
    measured = np.empty((len(corners), 4))
    measured[:, :2] = corners[:, :2] + size / 2
    measured[:, _ASPECT] = size[:, 0] / size[:, 1]
    measured[:, _HEIGHT] = size[:, 1]
    return measured


def _noise(heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance of every coordinate's value and velocity after one frame, each [K, 4]."""
    squared = np.repeat(np.square(heights)[:, None], 4, 1)
    value, velocity = squared * _POSITION_STD**2, squared * _VELOCITY_STD**2
    value[:, _ASPECT], velocity[:, _ASPECT] = _ASPECT_STD**2, _ASPECT_VELOCITY_STD**2
    return value, velocity
