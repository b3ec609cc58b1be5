"""Pseudo-labels of the teachers, cached on disk: people by YOLOX-nano, joints by PP-TinyPose.

The networks are loaded only if a result is not in the cache.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kprtrack.config import TrackConfig, merge
from kprtrack.core.atomic_file import write_file
from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import KEYPOINTS
from person_data.labels import LONG_SIDE, MIN_POSE_HEIGHT, Person, ignored, overlaps, person_from_teacher

YOLOX, TINYPOSE = "weights/yolox_nano_torch_from_onnx.pth", "weights/tinypose_256x192_fp16.xml"
MIN_SCORE = 0.4  # of a person; boxes below are ignore regions
NOTHING = 0.05  # minimum score of the detector
SAME = 0.5  # share of the smaller box: the same person detected twice
_INSIDE, _PART = 0.8, 0.15  # a box of low score this far inside a confident one is a part of that person

Find = Callable[[np.ndarray], np.ndarray]  # image -> [N, 5] x1 y1 x2 y2 score
Place = Callable[
    [Sequence[np.ndarray], Sequence[np.ndarray]], list[np.ndarray]
]  # images, boxes -> [N, 17, 3]


class Teachers:
    """The two teachers with a cache of their outputs."""

    def __init__(self, real: Path, cache: Path, *, threads: int = 1) -> None:
        self._real, self._cache, self._threads = real, cache, threads
        self._find: dict[int, Find] = {}
        self._place: Place | None = None

    def people(self, image: np.ndarray, canvas_px: int) -> np.ndarray:
        """Return [N, 5] x1 y1 x2 y2 score above NOTHING, on a canvas of this long side."""
        path = self._path("boxes", _digest(image), str(canvas_px).encode())
        if not path.exists():
            if canvas_px not in self._find:
                self._find[canvas_px] = self._open_detector(canvas_px)
            _keep(path, self._find[canvas_px](image))
        return np.load(path, allow_pickle=False)

    def skeletons(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return [N, 17, 3] x y confidence of the boxes [N, 4] of each image."""
        paths = [self.skeleton_paths(*pair) for pair in zip(images, boxes, strict=True)]
        new = [[row for row, path in enumerate(own) if not path.exists()] for own in paths]
        todo = [number for number, rows in enumerate(new) if rows]
        if todo:
            self._place = self._place or open_pose(self._weights(TINYPOSE), threads=self._threads)
            some = [boxes[number][new[number]] for number in todo]
            for number, found in zip(todo, self._place([images[each] for each in todo], some), strict=True):
                for row, skeleton in zip(new[number], found, strict=True):
                    _keep(paths[number][row], skeleton)
        loaded = [[np.load(path, allow_pickle=False) for path in own] for own in paths]
        return [np.float32(own).reshape(-1, len(KEYPOINTS), 3) for own in loaded]

    def skeleton_paths(self, image: np.ndarray, boxes: np.ndarray) -> list[Path]:
        """Return the cache files of the skeletons of these boxes [N, 4]."""
        digest = _digest(image)
        return [self._path("joints", digest, np.float32(box).tobytes()) for box in boxes]

    def label(self, image: np.ndarray, boxes: np.ndarray, scores: np.ndarray | None = None) -> list[Person]:
        """Return people of known boxes [N, 4], with keypoints of the teacher if large enough."""
        scores = np.ones(len(boxes)) if scores is None else scores
        least = MIN_POSE_HEIGHT * max(1.0, max(image.shape) / LONG_SIDE)
        large = (boxes[:, 3] - boxes[:, 1]) >= least
        skeletons = np.zeros((len(boxes), len(KEYPOINTS), 3), np.float32)
        (skeletons[large],) = self.skeletons([image], [boxes[large]])
        return [
            person_from_teacher(box, skeleton, float(score))
            for box, skeleton, score in zip(boxes, skeletons, scores, strict=True)
        ]

    def label_all(self, image: np.ndarray, canvas_px: int) -> list[Person]:
        """Return all detections of the teacher; those of low score are ignored."""
        found = self.people(image, canvas_px)
        confident = found[:, 4] >= MIN_SCORE
        people = self.label(image, found[confident, :4], found[confident, 4])
        shared = overlaps(found[:, :4], found[confident, :4]).max(axis=1, initial=0)
        ambiguous = ~confident & ((shared < _INSIDE) | (found[:, 4] > _PART))
        return people + [ignored(row[:4], float(row[4])) for row in found[ambiguous]]

    def unlabelled(self, image: np.ndarray, labelled: np.ndarray, canvas_px: int) -> list[Person]:
        """Return ignore regions for detections without a labelled box [N, 4]."""
        found = self.people(image, canvas_px)
        new = (overlaps(found[:, :4], labelled) < SAME).all(axis=1)
        return [ignored(row[:4], float(row[4])) for row in found[new & (found[:, 4] >= 2 * NOTHING)]]

    def _open_detector(self, canvas_px: int) -> Find:
        weights = self._weights(YOLOX), self._weights(TINYPOSE)
        return open_detector(*weights, canvas_px, threads=self._threads)

    def _weights(self, name: str) -> Path:
        path = self._real / name
        if not path.exists():
            raise InputError(f"The teacher {path} is missing. Every source but synthetic needs it.")
        return path

    def _path(self, kind: str, image: bytes, query: bytes) -> Path:
        name = hashlib.sha1(kind.encode() + image + query, usedforsecurity=False).hexdigest()
        return self._cache / kind / name[:2] / f"{name}.npy"


def open_detector(weights: Path, pose_weights: Path, canvas_px: int, *, threads: int) -> Find:
    """Return YOLOX-nano on a canvas of this long side, trimmed to the image."""
    from kprtrack.training.reid_annotations import crop_networks

    options = {"input_height": canvas_px, "input_width": canvas_px, "min_score": NOTHING}
    detector = {"name": "yolox-nano", "weights": str(weights), **options}
    _, detect = crop_networks(_config(pose_weights, threads, detector=detector), detects=True)
    assert detect is not None

    def find(image: np.ndarray) -> np.ndarray:
        (found,) = detect([Frame(0, 0.0, image)])
        return np.concatenate((found.boxes, found.scores[:, None]), axis=1)

    return find


def open_pose(weights: Path, *, threads: int) -> Place:
    """Return PP-TinyPose with flip test."""
    from kprtrack.training.reid_annotations import crop_networks

    estimate, _ = crop_networks(_config(weights, threads), detects=False)

    def place(images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        frames = [Frame(row, 0.0, image) for row, image in enumerate(images)]
        people = [Detections(np.float32(each), np.ones(len(each), np.float32)) for each in boxes]
        return [poses.keypoints for poses in estimate(frames, people)]

    return place


def _config(pose_weights: Path, threads: int, **parts: dict[str, object]) -> TrackConfig:
    pose = {"name": "heatmap", "weights": str(pose_weights)}
    return merge(TrackConfig(), {"pose": pose, "threads": threads, "device": "cpu", **parts})


def _digest(image: np.ndarray) -> bytes:
    shape = f"{image.shape}".encode()
    return hashlib.sha1(shape + np.ascontiguousarray(image).tobytes(), usedforsecurity=False).digest()


def _keep(path: Path, array: np.ndarray) -> None:
    data = io.BytesIO()
    np.save(data, np.float32(array), allow_pickle=False)
    write_file(path, data.getvalue())
