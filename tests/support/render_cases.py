"""Videos of textured figures with known heads, their tracks, and which pixels a rendering has changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.datatypes import Detections, Frame, Tracks
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.io import RunHeader, TrackFile
from kprtrack.pipeline import Detector
from kprtrack.rendering.options import RenderOptions
from kprtrack.rendering.renderer import Renderer
from kprtrack.video.inputs import VideoInfo
from support.tracks_cases import tracks_of

FPS, WIDTH, HEIGHT = 10.0, 320, 240
INFO = VideoInfo("v", "v.mp4", WIDTH, HEIGHT, FPS, None, None, 1 / 10)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Figure:
    """A person of 40x120 pixels whose head, 18x24 pixels, is in the middle of the upper edge."""

    x: float  # left edge of the box in frame 0
    speed: float = 0.0  # pixels a frame

    def box(self, number: int) -> list[float]:
        left = self.x + self.speed * number
        return [left, 60, left + 40, 180]

    def head(self, number: int) -> tuple[slice, slice]:
        """Rows and columns of the image."""
        left = round(self.x + self.speed * number)
        return slice(60, 84), slice(max(left + 11, 0), max(left + 29, 0))

    def keypoints(self, number: int, confidence: float = 0.9) -> np.ndarray:
        """[17, 3]; nose, eyes and ears as in a view from the front."""
        left = self.x + self.speed * number
        points = np.zeros((17, 3), np.float32)
        for name, x, y in (
            ("nose", 20, 14),
            ("left_eye", 24, 11),
            ("right_eye", 16, 11),
            ("left_ear", 28, 12),
            ("right_ear", 12, 12),
            ("left_shoulder", 34, 32),
            ("right_shoulder", 6, 32),
        ):
            points[KEYPOINTS.index(name)] = left + x, 60 + y, confidence
        return points


def frames(count: int) -> list[Frame]:
    """Frames of noise, in which every change shows."""
    random = np.random.default_rng(0)
    return [
        Frame(number, number / FPS, random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
        for number in range(count)
    ]


def tracks(
    figures: Mapping[int, Figure],
    count: int,
    present: Callable[[int, int], bool] = lambda track_id, number: True,
    *,
    confidence: float = 0.9,
) -> list[Tracks]:
    """Tracks of figures by track ID, in the frames in which they are present (ID, number)."""
    found = []
    for number in range(count):
        there = {track_id: each for track_id, each in figures.items() if present(track_id, number)}
        keypoints = np.array([each.keypoints(number, confidence) for each in there.values()], np.float32)
        boxes = {track_id: each.box(number) for track_id, each in there.items()}
        found.append(
            tracks_of(boxes, number=number, time_s=number / FPS, keypoints=keypoints.reshape(-1, 17, 3))
        )
    return found


def detector(figures: Sequence[Figure], score: float = 0.5) -> Callable[[list[Frame]], list[Detections]]:
    """Finds these figures in every frame."""

    def detect(batch: list[Frame]) -> list[Detections]:
        return [
            Detections(
                np.array([each.box(frame.number) for each in figures], np.float32).reshape(-1, 4),
                np.full(len(figures), score, np.float32),
            )
            for frame in batch
        ]

    return detect


def changed(
    found: Sequence[Tracks],
    options: RenderOptions,
    count: int,
    detected: Sequence[Figure] = (),
    *,
    detect: Detector | None = None,
) -> list[np.ndarray]:
    """Which pixels the rendering changes in each frame, [H, W] bool; with a detector, or its figures."""
    given, detect = frames(count), detect or detector(detected)
    renderer = Renderer(TrackFile(RunHeader(), list(found), True), INFO, options, detect)
    made = [image for _, image in renderer.render(given)]
    assert len(made) == count
    return [(image != frame.image).any(axis=2) for image, frame in zip(made, given, strict=True)]
