"""Pseudo-labels of the teachers, cached on disk: people by YOLOX-nano, joints by PP-TinyPose.

The networks are loaded only if a result is not in the cache.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kprtrack.config import ComponentConfig, TrackConfig, merge
from kprtrack.core.atomic_file import write_file
from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import InputError
from kprtrack.core.geometry import iou
from kprtrack.core.skeleton import KEYPOINTS
from kprtrack.inference.devices import ComputeConfig
from person_data.labels import LONG_SIDE, MIN_POSE_HEIGHT, Person, ignored, overlaps, person_from_teacher

YOLOX, TINYPOSE = "weights/yolox_nano_torch_from_onnx.pth", "weights/tinypose_256x192_fp16.xml"
MIN_SCORE = 0.2  # of a person; boxes below are ignore regions
MIN_POSE_SCORE = 0.4  # of a person for pose training
_CANVASES = (0.75, 1.1)  # whose detections are merged, relative to the requested one
_MERGED_IOU = 0.6  # of detections of one person in several views
NOTHING = 0.05  # minimum score of the detector
SAME = 0.5  # share of the smaller box: the same person detected twice
_INSIDE, _PART = 0.8, 0.15  # a box of low score this far inside a confident one is a part of that person

Find = Callable[[np.ndarray], np.ndarray]  # image -> [N, 5] x1 y1 x2 y2 score
Place = Callable[
    [Sequence[np.ndarray], Sequence[np.ndarray]], list[np.ndarray]
]  # images, boxes -> [N, 17, 3]


class Teachers:
    """The two teachers with a cache of their outputs."""

    def __init__(self, real: Path, cache: Path, *, threads: int = 1, poses: bool = True) -> None:
        self._real, self._cache, self._threads, self._poses = real, cache, threads, poses
        self._find: dict[int, Find] = {}
        self._place: Place | None = None

    def people(self, image: np.ndarray, canvas_px: int) -> np.ndarray:
        """Return [N, 5] x1 y1 x2 y2 score of the detections, best score first.

        Those on two canvases of about this long side, of the image and its mirror image, are merged.
        """
        path = self._path("boxes merged", _digest(image), f"{canvas_px} {_CANVASES}".encode())
        if not path.exists():
            detectors = [self._detector(round(share * canvas_px / 32) * 32) for share in _CANVASES]
            mirror = np.ascontiguousarray(image[:, ::-1])
            views = [find(image) for find in detectors]
            views += [_mirrored(find(mirror), image.shape[1]) for find in detectors]
            _keep(path, merged(views))
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
        large = ((boxes[:, 3] - boxes[:, 1]) >= least) & self._poses
        skeletons = np.zeros((len(boxes), len(KEYPOINTS), 3), np.float32)
        (skeletons[large],) = self.skeletons([image], [boxes[large]])
        people = [
            person_from_teacher(box, skeleton, float(score))
            for box, skeleton, score in zip(boxes, skeletons, scores, strict=True)
        ]
        return [replace(each, posed=each.posed and each.score >= MIN_POSE_SCORE) for each in people]

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

    def _detector(self, canvas_px: int) -> Find:
        if canvas_px not in self._find:
            weights = self._weights(YOLOX)
            self._find[canvas_px] = open_detector(weights, canvas_px, threads=self._threads)
        return self._find[canvas_px]

    def _weights(self, name: str) -> Path:
        path = self._real / name
        if not path.exists():
            raise InputError(f"The teacher {path} is missing. Every source but synthetic needs it.")
        return path

    def _path(self, kind: str, image: bytes, query: bytes) -> Path:
        name = hashlib.sha1(kind.encode() + image + query, usedforsecurity=False).hexdigest()
        return self._cache / kind / name[:2] / f"{name}.npy"


def merged(views: Sequence[np.ndarray]) -> np.ndarray:
    """Merge the detections of several views of an image.

    Args:
        views: Detections of each view, [M, 5] x1 y1 x2 y2 score in pixels of the image.

    Returns:
        [N, 5], best score first. A box is the mean of those of IoU above 0.6 with the best one, one of each
        view, weighted by score. Its score is the mean over half of the views, those where it is highest; a
        view without such a box has score 0.
    """
    rows = np.concatenate([np.column_stack((each, np.full(len(each), at))) for at, each in enumerate(views)])
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    half = -(-len(views) // 2)
    result = []
    while len(rows):
        (overlap,) = iou(rows[:1, :4], rows[:, :4])
        same = overlap > _MERGED_IOU
        nearest_last = rows[same][np.argsort(overlap[same], kind="stable")]
        own = np.stack(list({int(row[5]): row for row in nearest_last}.values()))
        score = np.sort(own[:, 4])[::-1][:half].sum() / half
        result.append((*np.average(own[:, :4], axis=0, weights=own[:, 4]), score))
        rows = rows[~same]
    found = np.float32(result).reshape(-1, 5)
    return found[np.argsort(-found[:, 4], kind="stable")]


def _mirrored(found: np.ndarray, width: int) -> np.ndarray:
    return np.column_stack((width - found[:, 2], found[:, 1], width - found[:, 0], found[:, 3:]))


def open_detector(weights: Path, canvas_px: int, *, threads: int) -> Find:
    """Return YOLOX-nano on a canvas of this long side, trimmed to the image."""
    from kprtrack.build import build_detector

    options = {"input_height": canvas_px, "input_width": canvas_px, "min_score": NOTHING}
    component = ComponentConfig("yolox-nano", str(weights), options)
    detect = build_detector(component, ComputeConfig("cpu", batch=1, threads=threads, backend="auto"))

    def find(image: np.ndarray) -> np.ndarray:
        (found,) = detect([Frame(0, 0.0, image)])
        return np.concatenate((found.boxes, found.scores[:, None]), axis=1)

    return find


def open_pose(weights: Path, *, threads: int) -> Place:
    """Return PP-TinyPose with flip test."""
    from kprtrack.training.reid_annotations import crop_networks

    pose = {"name": "heatmap", "weights": str(weights)}
    config = merge(TrackConfig(), {"pose": pose, "threads": threads, "device": "cpu"})
    estimate, _ = crop_networks(config, detects=False)

    def place(images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        frames = [Frame(row, 0.0, image) for row, image in enumerate(images)]
        people = [Detections(np.float32(each), np.ones(len(each), np.float32)) for each in boxes]
        return [poses.keypoints for poses in estimate(frames, people)]

    return place


def _digest(image: np.ndarray) -> bytes:
    shape = f"{image.shape}".encode()
    return hashlib.sha1(shape + np.ascontiguousarray(image).tobytes(), usedforsecurity=False).digest()


def _keep(path: Path, array: np.ndarray) -> None:
    data = io.BytesIO()
    np.save(data, np.float32(array), allow_pickle=False)
    write_file(path, data.getvalue())
