"""Draw tracked people: box, skeleton, label with the track ID, and the trail of the feet."""

from collections import deque
from collections.abc import Mapping

import cv2
import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.skeleton import Skeleton
from kprtrack.core.tables.drawing import MIN_CONFIDENCE, Colour, colour_of
from kprtrack.core.tables.names import drawn_label

MIN_JOINT_WIDTH = 1.2  # pixels; thinner skeletons would be hidden by the dots of their joints
_DARK: Colour = (16, 16, 16)
_LIGHT: Colour = (255, 255, 255)
_FADE_STEPS = 12
_SMOOTHING = 13  # frames of the moving average of a trail
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SHIFT = 4  # OpenCV draws at 1/16 pixel; with whole pixels skeletons jitter


class Trails:
    """The positions of each person's feet, the middle of the lower edge of the box, in the last seconds.

    Args:
        length_s: Duration of a trail in seconds.

    Examples:
        >>> trails = Trails()
        >>> for tracks in read_tracks("tracks.json").frames:
        ...     trails.add(tracks)
        >>> trails.path(1).shape
        (12, 3)
    """

    def __init__(self, length_s: float = 2.0) -> None:
        self._length_s = length_s
        self._paths: dict[int, deque[tuple[float, float, float]]] = {}  # id -> time, x, y

    def add(self, tracks: Tracks) -> None:
        """Add a frame and drop positions older than the trail."""
        for track_id, (x1, _, x2, y2) in zip(tracks.ids.tolist(), tracks.boxes.tolist(), strict=True):
            self._paths.setdefault(track_id, deque()).append((tracks.time_s, (x1 + x2) / 2, y2))
        for track_id, path in list(self._paths.items()):
            while path and path[0][0] < tracks.time_s - self._length_s:
                path.popleft()
            if not path:
                del self._paths[track_id]

    def path(self, track_id: int) -> np.ndarray:
        """Return the trail of a track ID, [K, 3] float64 time x y, oldest first."""
        return np.array(self._paths.get(track_id, ()), np.float64).reshape(-1, 3)


def draw_tracks(
    image: np.ndarray,
    tracks: Tracks,
    trails: Trails | None = None,
    names: Mapping[int, str] | None = None,
) -> np.ndarray:
    """Draw boxes, skeletons and IDs, or names, on a copy of an image, the nearest person on top.

    Args:
        image: [H, W, 3] uint8, RGB.
        tracks: The tracks of the frame.
        trails: Earlier positions to draw as fading lines.
        names: Names by track ID, drawn instead of the ID; accents are left out.

    Returns:
        [H, W, 3] uint8, RGB. Line widths follow the sizes of image and person; labels stay inside the image.

    Examples:
        >>> import numpy as np
        >>> tracks = read_tracks("tracks.json").frames[0]
        >>> draw_tracks(np.zeros((48, 64, 3), np.uint8), tracks).shape
        (48, 64, 3)
    """
    canvas = image.copy()
    nearest_last = np.argsort(tracks.boxes[:, 3], kind="stable").tolist()
    widths = {row: _line_width(canvas, tracks.boxes[row]) for row in nearest_last}
    if trails is not None:
        _draw_trails(canvas, tracks, trails, widths)
    for row in nearest_last:
        colour = colour_of(int(tracks.ids[row]))
        _draw_box(canvas, tracks.boxes[row], colour, widths[row])
        _draw_skeleton(canvas, tracks.keypoints[row], tracks.skeleton, colour, widths[row])
    labels: list[tuple[int, int, int, int]] = []
    for row in reversed(nearest_last):  # the nearest person gets the best place
        track_id = int(tracks.ids[row])
        label = drawn_label(track_id, names or {}), colour_of(track_id)
        _draw_label(canvas, tracks.boxes[row], label, widths[row], labels)
    return canvas


def _line_width(image: np.ndarray, box: np.ndarray) -> float:
    """Pixels, at least 1: 1/400 of the image's short side, less for people below a quarter of its height."""
    full = min(image.shape[:2]) / 400
    return max(1.0, full * min(1.0, float(box[3] - box[1]) / (0.25 * image.shape[0])))


def _fixed(point: np.ndarray) -> tuple[int, int]:
    # OpenCV's fixed-point coordinates overflow far outside the image.
    x, y = (round(min(max(value, -1e4), 3e4) * 2**_SHIFT) for value in point.tolist())
    return x, y


def _line(image: np.ndarray, a: np.ndarray, b: np.ndarray, colour: Colour, width: float) -> None:
    cv2.line(image, _fixed(a), _fixed(b), colour, max(1, round(width)), cv2.LINE_AA, _SHIFT)


def _draw_trails(image: np.ndarray, tracks: Tracks, trails: Trails, widths: dict[int, float]) -> None:
    opaque, alpha = image.copy(), np.zeros(image.shape[:2], np.uint8)
    for row, width in widths.items():
        track_id = int(tracks.ids[row])
        path = trails.path(track_id)
        if len(path) < 2:
            continue
        thickness = max(1, round(1.5 * width))
        points = np.round(np.clip(_smoothed(path[:, 1:]), -1e4, 3e4) * 2**_SHIFT).astype(np.int32)
        cv2.polylines(opaque, [points], False, colour_of(track_id), thickness, cv2.LINE_AA, _SHIFT)
        for step, piece in enumerate(np.array_split(np.arange(len(points)), _FADE_STEPS), start=1):
            joined = points[max(piece[0] - 1, 0) : piece[-1] + 1] if len(piece) else points[:0]
            strength = round(230 * step / _FADE_STEPS)
            cv2.polylines(alpha, [joined], False, strength, thickness, cv2.LINE_AA, _SHIFT)
    touched = alpha > 0
    share = alpha[touched, None] / np.float32(255)
    image[touched] = opaque[touched] * share + image[touched] * (1 - share)


def _smoothed(path: np.ndarray) -> np.ndarray:
    """The moving average of a path [K, 2]; both ends stay."""
    reach = min(_SMOOTHING // 2, (len(path) - 1) // 2)
    sums = np.cumsum(np.concatenate([np.zeros((1, 2)), path]), axis=0)
    at = np.arange(len(path))
    around = np.minimum(np.minimum(at, at[::-1]), reach)
    return (sums[at + around + 1] - sums[at - around]) / (2 * around + 1)[:, None]


def _draw_box(image: np.ndarray, box: np.ndarray, colour: Colour, width: float) -> None:
    # Thinner than the skeleton, which is more informative.
    thickness = max(1, round(0.7 * width))
    cv2.rectangle(image, _fixed(box[:2]), _fixed(box[2:]), colour, thickness, cv2.LINE_AA, _SHIFT)


def _draw_skeleton(
    image: np.ndarray, keypoints: np.ndarray, skeleton: Skeleton, colour: Colour, width: float
) -> None:
    confident = keypoints[:, 2] > MIN_CONFIDENCE
    body = len(skeleton) if skeleton.body is None else skeleton.body
    for a, b in skeleton.edges:
        if confident[a] and confident[b]:
            _line(image, keypoints[a, :2], keypoints[b, :2], colour, (1.2 if b < body else 0.6) * width)
    if width < MIN_JOINT_WIDTH:
        return
    for row in np.flatnonzero(confident).tolist():
        radius, ink = (1.5, _LIGHT) if row < body else (0.6, colour)  # of face and hands
        fixed_radius = round(radius * width * 2**_SHIFT)
        cv2.circle(image, _fixed(keypoints[row, :2]), fixed_radius, ink, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _draw_label(
    image: np.ndarray,
    box: np.ndarray,
    label: tuple[str, Colour],
    width: float,
    labels: list[tuple[int, int, int, int]],
) -> None:
    """Draw text in a filled box, above the person if possible; appends its x1 y1 x2 y2 to the labels."""
    text, colour = label
    scale = max(0.4, 0.3 * width)
    thickness = max(1, round(0.5 * width))
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    margin = max(2, round(0.35 * text_height))
    size = np.array([text_width, text_height]) + 2 * margin
    x, y = _free_place(image, box, size, labels)
    labels.append((x, y, x + int(size[0]), y + int(size[1])))
    cv2.rectangle(image, (x, y), (x + int(size[0]), y + int(size[1])), colour, cv2.FILLED)
    ink = _DARK if np.dot(colour, (0.299, 0.587, 0.114)) > 128 else _LIGHT
    cv2.putText(
        image, text, (x + margin, y + margin + text_height), _FONT, scale, ink, thickness, cv2.LINE_AA
    )


def _free_place(
    image: np.ndarray, box: np.ndarray, size: np.ndarray, labels: list[tuple[int, int, int, int]]
) -> tuple[int, int]:
    """The top left corner of a label: the first of six places along the box that overlaps no other label."""
    (x1, y1, x2, y2), (width, height) = np.round(box).astype(int).tolist(), size.tolist()
    room_x, room_y = max(image.shape[1] - width - 1, 0), max(image.shape[0] - height - 1, 0)
    wanted = [(x1, y1 - height), (x2 - width, y1 - height), (x1, y1), (x2 - width, y1)]
    wanted += [(x1, y2 - height), (x1, y2)]
    places = [(min(max(x, 0), room_x), min(max(y, 0), room_y)) for x, y in wanted]
    for x, y in places:
        if all(
            x >= right or x + width <= left or y >= low or y + height <= high
            for left, high, right, low in labels
        ):
            return x, y
    return places[0]
