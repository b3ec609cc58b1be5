"""A made scene: people are rectangles of one colour each, and an encoder sees the colours at its prompts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.finding import PeopleInImage
from kprtrack.identity import TrackPrototypes
from kprtrack.identity.prototypes_file import write_beside_result
from kprtrack.io import RunHeader, TrackFile, write_tracks
from reid.prompts.body import HEIGHTS, SIDES
from support.gallery_cases import video_prototypes
from support.tracks_cases import tracks_of

HEIGHT, WIDTH, PARTS = 200, 320, 3
ENCODER = {"name": "small", "weights": "small-kpr", "file": "small-kpr.safetensors"}
COLOURS = {1: (250, 20, 20), 2: (20, 250, 20), 3: (20, 20, 250), 4: (240, 230, 20), 5: (20, 230, 240)}
BOXES = {1: (20, 20, 80, 190), 2: (60, 30, 120, 195), 3: (220, 10, 280, 180)}  # 2 is in front of 1


def scene(people: Mapping[int, tuple[int, int, int, int]] = BOXES) -> np.ndarray:
    """An image [200, 320, 3] of people, later ones in front."""
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for person, (x1, y1, x2, y2) in people.items():
        image[y1:y2, x1:x2] = COLOURS[person]
    return image


def mask_of(person: int) -> np.ndarray:
    """[200, 320] bool, where the person is seen in the scene."""
    mask: np.ndarray = (scene() == COLOURS[person]).all(axis=2)
    return mask


def detector_of(boxes: Sequence[tuple[int, int, int, int]]) -> Callable[[list[Frame]], list[Detections]]:
    """A detector that finds these people, all equally well."""
    found = Detections(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32))
    return lambda frames: [found for _ in frames]


class FakePose:
    """A standing person who fills the box; all keypoints are confident, or none."""

    def __init__(self, confidence: float = 0.9) -> None:
        self._confidence = confidence

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        found = []
        for each in detections:
            size = each.boxes[:, None, 2:] - each.boxes[:, None, :2]
            shares = np.stack([(1 + 0.9 * SIDES) / 2, HEIGHTS], axis=1)
            points = each.boxes[:, None, :2] + shares * size
            confidence = np.full((*points.shape[:2], 1), self._confidence)
            found.append(Poses(np.concatenate([points, confidence], axis=2).astype(np.float32)))
        return found


class ColourEncoder:
    """Three parts: the colours at the keypoints of the head, the trunk and arms, and the legs."""

    def __call__(
        self, frames: list[Frame], detections: list[Detections], poses: list[Poses]
    ) -> list[Appearance]:
        found = []
        for frame, each in zip(frames, poses, strict=True):
            x, y = each.keypoints[0, :, :2].astype(int).T
            known = (each.keypoints[0, :, 2] > 0.3) & (x >= 0) & (y >= 0) & (x < WIDTH) & (y < HEIGHT)
            rows = [np.flatnonzero(known[part]) + part.start for part in _ROWS]
            features = np.zeros((1, PARTS, 3), np.float32)
            for part, keypoints in enumerate(rows):
                if len(keypoints):
                    mean = np.median(frame.image[y[keypoints], x[keypoints]].astype(np.float32), axis=0)
                    features[0, part] = mean / np.linalg.norm(mean)
            visible = np.array([[len(keypoints) > 0 for keypoints in rows]])
            found.append(Appearance(features, visible, np.array([known.any()])))
        return found


_ROWS = (slice(0, 5), slice(5, 11), slice(11, 17))


def people_in(
    image: np.ndarray, *people: int, confidence: float = 0.9, prompts: bool = True
) -> PeopleInImage:
    """The people of an image by the detector and pose estimator of this module."""
    pose = (lambda: FakePose(confidence)) if prompts else None
    return PeopleInImage(image, lambda: detector_of([BOXES[person] for person in people]), pose)


def coloured(
    name: str, tracks: Mapping[int, int], together: tuple[tuple[int, int], ...] = (), seed: int = 0
) -> TrackPrototypes:
    """Prototypes of a video, whose tracks are people of COLOURS; arguments as of `video_prototypes`."""
    made = video_prototypes(name, tracks, together=together, seed=seed, reid=ENCODER)
    random = np.random.default_rng(seed)
    people = [tracks[track] for track in made.track_ids.tolist()]

    def appearance(rows: np.ndarray, visible: np.ndarray) -> Appearance:
        colours = np.array([COLOURS[people[row]] for row in rows.tolist()], np.float32)
        features = colours[:, None] + random.uniform(-25, 25, (len(rows), PARTS, 3))
        features /= np.linalg.norm(features, axis=2, keepdims=True)
        half = features.astype(np.float16).astype(np.float32)
        return Appearance(half, visible, np.ones(len(rows), bool))

    return replace(
        made,
        means=appearance(np.arange(len(people)), made.means.visible),
        embeddings=appearance(made.track_row, made.embeddings.visible),
    )


def write_coloured(path: Path, prototypes: TrackPrototypes, header: RunHeader | None = None) -> Path:
    """Write a result with these prototypes beside it."""
    ids = prototypes.track_ids[prototypes.track_row].tolist()
    frames = [
        tracks_of(
            {ids[row]: prototypes.boxes[row].tolist() for row in np.flatnonzero(prototypes.frames == number)},
            number=number,
            time_s=number / 10,
        )
        for number in range(int(prototypes.frames.max()) + 1)
    ]
    write_tracks(TrackFile(header or RunHeader(video=prototypes.header["video"]), frames, True), path)
    write_beside_result(prototypes, path)
    return path
