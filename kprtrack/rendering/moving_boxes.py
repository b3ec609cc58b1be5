"""The boxes of one person over time, also between and shortly beside the frames in which they are known."""

from collections.abc import Sequence

import numpy as np

LONGEST_GAP_S = 2.0  # between two boxes of a track that are joined by interpolation
REACH_S = 0.5  # before the first and after the last box, and at both ends of a longer gap
_NEIGHBOUR_S = 0.2  # boxes this near to one another are joined, so that one wrong box uncovers no person
_GAP_SHARE = 0.25  # of the growth, between two known boxes, where the way is known


class MovingBoxes:
    """Boxes of one person.

    Args:
        numbers: [K] frame numbers, rising.
        boxes: [K, 4] x1 y1 x2 y2 in pixels.
        fps: Frames per second.
        growth: How much each edge moves outwards a second without a box, in sides of the box; a quarter of
            it between two known boxes.
    """

    def __init__(
        self, numbers: Sequence[int] | np.ndarray, boxes: np.ndarray, fps: float, growth: float
    ) -> None:
        self._times = np.asarray(numbers, np.float64) / fps
        self._boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        self._fps, self._growth = fps, growth

    def known(self, number: int) -> bool:
        """Whether the box of this frame is known."""
        index = self._index(number)
        return index < len(self._times) and self._is(index, number)

    def at(self, number: int) -> np.ndarray | None:
        """Return the box [4] of a frame; None: the person is not near it in time.

        In a gap it is interpolated and grown by the time to the nearest known box, for the person may have
        moved otherwise.
        """
        time_s, index = number / self._fps, self._index(number)
        if index < len(self._times) and self._is(index, number):
            return self._boxes[index]
        before, after = index - 1, index
        has_both = before >= 0 and after < len(self._times)
        if has_both and self._times[after] - self._times[before] <= LONGEST_GAP_S:
            share = (time_s - self._times[before]) / (self._times[after] - self._times[before])
            box = (1 - share) * self._boxes[before] + share * self._boxes[after]
            away_s = min(time_s - self._times[before], self._times[after] - time_s)
            return self._grown(box, _GAP_SHARE * away_s)
        if before >= 0 and time_s - self._times[before] <= REACH_S:
            return self._grown(self._boxes[before], time_s - self._times[before])
        if after < len(self._times) and self._times[after] - time_s <= REACH_S:
            return self._grown(self._boxes[after], self._times[after] - time_s)
        return None

    def certain(self, number: int) -> np.ndarray | None:
        """Return the box [4] of a frame if it is known, or lies in a short gap between two known ones."""
        index = self._index(number)
        if self.known(number):
            return self._boxes[index]
        gap_s = self._times[index] - self._times[index - 1] if 0 < index < len(self._times) else np.inf
        return self.at(number) if gap_s <= REACH_S + 1e-9 else None

    def around(self, number: int) -> np.ndarray | None:
        """Return the box of a frame joined with those of the known frames beside it; None: as `at`."""
        box = self.at(number)
        if box is None:
            return None
        time_s, index = number / self._fps, self._index(number)
        near = [box]
        for other in (index - 1, index, index + 1):
            if 0 <= other < len(self._times) and abs(self._times[other] - time_s) <= _NEIGHBOUR_S:
                near.append(self._boxes[other])
        joined = np.array(near)
        return np.concatenate([joined[:, :2].min(axis=0), joined[:, 2:].max(axis=0)])

    def _index(self, number: int) -> int:
        return int(np.searchsorted(self._times, number / self._fps - 0.25 / self._fps))

    def _is(self, index: int, number: int) -> bool:
        return bool(abs(self._times[index] - number / self._fps) < 0.25 / self._fps)

    def _grown(self, box: np.ndarray, away_s: float) -> np.ndarray:
        side = float(np.mean(box[2:] - box[:2]))
        extra = side * self._growth * away_s
        return box + np.array([-extra, -extra, extra, extra])
