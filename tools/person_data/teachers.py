"""What the teachers see in a picture: people by YOLOX-nano, joints by PP-TinyPose, kept on disk.

The networks are loaded only for what is not there yet.
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
MIN_SCORE = 0.4  # of a box that counts as a person; below, as a region to be ignored
NOTHING = 0.05  # score below which nobody is there
SAME = 0.5  # shared area of the smaller box: the same person seen twice
_INSIDE, _PART = 0.8, 0.15  # a box so far inside a sure one, of a lower score: a part of that person

Find = Callable[[np.ndarray], np.ndarray]  # picture -> [N, 5] x1 y1 x2 y2 score
Place = Callable[
    [Sequence[np.ndarray], Sequence[np.ndarray]], list[np.ndarray]
]  # pictures, boxes -> [N, 17, 3]


class Teachers:
    """Two teachers with a memory: a picture and its boxes that were seen before are not looked at again."""

    def __init__(self, real: Path, memory: Path, *, threads: int = 1) -> None:
        self._real, self._memory, self._threads = real, memory, threads
        self._find: dict[int, Find] = {}
        self._place: Place | None = None

    def people(self, image: np.ndarray, canvas_px: int) -> np.ndarray:
        """[N, 5] x1 y1 x2 y2 score above NOTHING, on a canvas of this long side."""
        path = self._path("boxes", _digest(image), str(canvas_px).encode())
        if not path.exists():
            if canvas_px not in self._find:
                self._find[canvas_px] = self._open_detector(canvas_px)
            _keep(path, self._find[canvas_px](image))
        return np.load(path, allow_pickle=False)

    def skeletons(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """For each picture [N, 17, 3] x y confidence of its boxes [N, 4]."""
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
        """The files that keep the skeletons of these boxes [N, 4]."""
        seen = _digest(image)
        return [self._path("joints", seen, np.float32(box).tobytes()) for box in boxes]

    def label(self, image: np.ndarray, boxes: np.ndarray, scores: np.ndarray | None = None) -> list[Person]:
        """The people of known boxes [N, 4], with the teacher's keypoints where they are large enough."""
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
        """Everybody the teacher finds; who is doubtful is ignored."""
        found = self.people(image, canvas_px)
        sure = found[:, 4] >= MIN_SCORE
        people = self.label(image, found[sure, :4], found[sure, 4])
        shared = overlaps(found[:, :4], found[sure, :4]).max(axis=1, initial=0)
        doubtful = ~sure & ((shared < _INSIDE) | (found[:, 4] > _PART))
        return people + [ignored(row[:4], float(row[4])) for row in found[doubtful]]

    def unlabelled(self, image: np.ndarray, labelled: np.ndarray, canvas_px: int) -> list[Person]:
        """Ignored regions: whom the teacher finds beside the labelled boxes [N, 4]."""
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

    def _path(self, kind: str, seen: bytes, question: bytes) -> Path:
        name = hashlib.sha1(kind.encode() + seen + question, usedforsecurity=False).hexdigest()
        return self._memory / kind / name[:2] / f"{name}.npy"


def open_detector(weights: Path, pose_weights: Path, canvas_px: int, *, threads: int) -> Find:
    """YOLOX-nano on a canvas of this long side, trimmed to the picture."""
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
    """PP-TinyPose, the mirrored crop averaged in."""
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
