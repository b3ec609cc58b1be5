"""Labelled images and people, in the same form for all sources."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from kprtrack.core.skeleton import KEYPOINTS
from person_data.split import SOURCES

LONG_SIDE = 640  # pixels of the written images
MIN_HEIGHT = 8.0  # pixels of a person in the written image; smaller ones are ignored
VISIBLE_CONFIDENCE, OCCLUDED_CONFIDENCE = (
    0.5,
    0.3,
)  # minimum confidence of a teacher for visible and for occluded joints
# On Leeds Sports Pose, 84 % of the joints of PP-TinyPose above 0.6 are correct, and half of those at 0.35.
MIN_JOINTS = 5  # minimum known joints of a person in the pose data
MIN_POSE_HEIGHT = 24.0  # pixels
HELD_OUT_SHARE = 0.15


@dataclass(frozen=True)
class Person:
    """A person, or with `ignore` an ignore region."""

    box: np.ndarray  # [4] x1 y1 x2 y2
    keypoints: np.ndarray  # [17, 3] x y v; v: 2 visible, 1 occluded or of low confidence, 0 unknown
    keypoint_scores: np.ndarray  # [17] 0 to 1
    score: float = 1.0  # score of the box, by the teacher
    ignore: bool = False
    posed: bool = True  # usable for pose training
    head_px: float | None = None  # head size of PCKh, if annotated


@dataclass(frozen=True)
class ImageRecord:
    """An image of a source with all its people."""

    name: str  # unique in its source
    image: np.ndarray  # [H, W, 3] uint8 RGB
    people: tuple[Person, ...]
    labels: str  # origin of the boxes: true, teacher, pasted or drawn
    held_out: bool
    joints: str = "teacher"  # origin of the keypoints: true, teacher or drawn
    detects: bool = True  # usable for detector training: all people are labelled
    poses: bool = True


def person(
    box: np.ndarray,
    keypoints: np.ndarray | None = None,
    *,
    head_px: float | None = None,
    ignore: bool = False,
) -> Person:
    """Return a person with ground truth labels; keypoints [17, 3] x y v."""
    known = np.zeros((len(KEYPOINTS), 3), np.float32) if keypoints is None else np.float32(keypoints)
    known = np.where(known[:, 2:] > 0, known, 0)
    scores = (known[:, 2] > 0).astype(np.float32)
    return Person(np.float32(box), known, scores, ignore=ignore, posed=not ignore, head_px=head_px)


def ignored(box: np.ndarray, score: float = 1.0) -> Person:
    """Return an ignore region for training and scoring."""
    return replace(person(box, ignore=True), score=score)


def person_from_teacher(box: np.ndarray, skeleton: np.ndarray, score: float = 1.0) -> Person:
    """Return a person with the keypoints of a teacher, [17, 3] x y confidence."""
    confidence = np.clip(skeleton[:, 2], 0, 1).astype(np.float32)
    states = np.select([confidence >= VISIBLE_CONFIDENCE, confidence >= OCCLUDED_CONFIDENCE], [2, 1], 0)
    keypoints = np.concatenate((skeleton[:, :2], states[:, None]), axis=1).astype(np.float32)
    return Person(np.float32(box), np.where(states[:, None] > 0, keypoints, 0), confidence, score)


def named_keypoints(names: Iterable[str], joints: np.ndarray) -> np.ndarray:
    """Return COCO keypoints [17, 3] of joints [J, 3] named as in any data set; others are left out."""
    rows = {name.lower().replace(" ", "_"): row for row, name in enumerate(names)}
    found = np.zeros((len(KEYPOINTS), 3), np.float32)
    for target, name in enumerate(KEYPOINTS):
        if name in rows:
            found[target] = joints[rows[name]]
    return found


def around(points: np.ndarray, shape: tuple[int, ...], margin: float) -> np.ndarray:
    """Return the box [4] around points [N, 2], enlarged by `margin` pixels and clipped to an image shape."""
    return clipped(np.concatenate((points.min(axis=0) - margin, points.max(axis=0) + margin)), shape)


def clipped(box: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Clip a box to an image of this shape (height first)."""
    return np.clip(np.float32(box), 0, np.float32([shape[1], shape[0]] * 2))


def area(boxes: np.ndarray) -> np.ndarray:
    """Return the areas [N] of boxes [N, 4]."""
    return np.prod(np.clip(boxes[..., 2:] - boxes[..., :2], 0, None), axis=-1)


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection [N, M] of boxes [N, 4] and [M, 4], relative to the smaller area."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = area(np.concatenate((low, high), axis=2))
    return shared / np.maximum(np.minimum(area(boxes)[:, None], area(others)[None]), 1e-9)


def fitted(record: ImageRecord) -> ImageRecord:
    """Return the image with a long side of at most LONG_SIDE, clipped boxes and tiny people ignored."""
    height, width = record.image.shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = cv2.resize(record.image, size, interpolation=cv2.INTER_AREA) if scale < 1 else record.image
    ratio = np.float32([size[0] / width, size[1] / height])
    people = [_fitted(each, ratio, image.shape) for each in record.people]
    return replace(record, image=image, people=tuple(each for each in people if area(each.box) > 4))


def held_out(names: Iterable[str], source: str, seed: int, share: float = HELD_OUT_SHARE) -> frozenset[str]:
    """Return the held-out names, selected by seed and source; all of a source of the honest split."""
    if source in SOURCES:
        return frozenset(names)
    ordered = sorted(set(names))
    rng = np.random.default_rng([seed, *source.encode()])
    chosen = rng.permutation(len(ordered))[: round(share * len(ordered))]
    return frozenset(ordered[row] for row in chosen)


def _fitted(each: Person, ratio: np.ndarray, shape: tuple[int, ...]) -> Person:
    box = clipped(each.box * np.tile(ratio, 2), shape)
    keypoints = each.keypoints.copy()
    keypoints[:, :2] *= ratio
    inside = (keypoints[:, :2] >= 0).all(axis=1) & (keypoints[:, :2] < [shape[1], shape[0]]).all(axis=1)
    keypoints[~inside] = 0
    height = box[3] - box[1]
    enough = np.count_nonzero(keypoints[:, 2]) >= MIN_JOINTS and height >= MIN_POSE_HEIGHT
    return replace(
        each,
        box=box,
        keypoints=keypoints,
        ignore=each.ignore or bool(height < MIN_HEIGHT),
        posed=each.posed and bool(enough) and not each.ignore,
        head_px=None if each.head_px is None else float(each.head_px * ratio[1]),
    )
