"""Detections of other libraries, by their attributes: arrays, supervision's and ultralytics' results.

No library is imported: an object is taken for what its attributes say.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kprtrack.core.errors import UserError
from kprtrack.core.skeleton import KEYPOINTS

PERSON = "person"
ACCEPTED = "arrays, supervision.Detections, supervision.KeyPoints or a result of ultralytics"


@dataclass(frozen=True)
class GivenPeople:
    """The people that a program has detected in a frame."""

    boxes: np.ndarray  # [N, 4] float32, x1 y1 x2 y2
    scores: np.ndarray  # [N] float32
    keypoints: np.ndarray | None  # [N, 17, 3] float32; None: not given
    source: Any  # supervision.Detections of the same N; None: of another kind


def given_people(boxes: Any, scores: Any = None, keypoints: Any = None) -> GivenPeople:
    """Read the detections of a frame.

    Objects that name their classes are limited to the class "person", if they have one of that name.

    Args:
        boxes: [N, 4] x1 y1 x2 y2; or supervision.Detections, supervision.KeyPoints (a box is the extent of
            the keypoints) or a result of ultralytics, which bring scores and keypoints along.
        scores: [N] in [0, 1]; None: those of `boxes`, else 1.
        keypoints: [N, 17, 3] x y confidence or [N, 17, 2] in COCO's order, or supervision.KeyPoints; None:
            those of `boxes`.

    Returns:
        The people.

    Raises:
        UserError: Another kind of object, shapes that do not fit, or numbers that are not finite.
    """
    source = None
    if hasattr(boxes, "xyxy") and hasattr(boxes, "confidence"):  # supervision.Detections
        source = _people_alone(boxes)
        boxes, own_scores, own_points = source.xyxy, source.confidence, None
    elif hasattr(boxes, "boxes") and hasattr(boxes, "names"):  # ultralytics Results
        boxes, own_scores, own_points = _of_ultralytics(boxes)
    elif _is_keypoints(boxes):
        boxes = _people_alone(boxes)
        own_points = _points(boxes)
        own_scores = getattr(boxes, "detection_confidence", None)
        boxes = _extents(own_points)
    else:
        own_scores = own_points = None
    found = _array(boxes, "boxes", (4,))
    count = len(found)
    given = own_scores if scores is None else scores
    confidence = np.ones(count, np.float32) if given is None else _array(given, "scores", ())
    points = own_points if keypoints is None else _points(keypoints)
    for name, values in (("scores", confidence), ("keypoints", points)):
        if values is not None and len(values) != count:
            raise UserError(f"There are {count} boxes, but {len(values)} {name}. Give one for each box.")
    _validate(found, confidence)
    return GivenPeople(found, confidence, points, source)


def given_embeddings(embeddings: Any, count: int) -> np.ndarray:
    """Return [N, P, D] float32 of unit length from [N, D] or [N, P, D]. Raises: UserError."""
    values = _numpy(embeddings)
    values = values[:, None] if values.ndim == 2 else values
    if values.ndim != 3 or len(values) != count:
        raise UserError(
            f"embeddings must have the shape [{count}, D] or [{count}, P, D], one for each box, not"
            f" {list(_numpy(embeddings).shape)}."
        )
    if not np.isfinite(values).all():
        raise UserError("embeddings hold numbers that are not finite.")
    length = np.linalg.norm(values, axis=2, keepdims=True)
    return np.divide(values, length, out=np.zeros_like(values), where=length > 0)


def _people_alone(detections: Any) -> Any:
    """The rows of class "person" by `data["class_name"]`; all if no class has that name."""
    names = np.asarray((getattr(detections, "data", None) or {}).get("class_name", ()))
    people = names == PERSON
    return detections[people] if len(people) and people.any() else detections


def _of_ultralytics(result: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Boxes, scores and keypoints of a result of ultralytics."""
    if result.boxes is None:
        raise UserError("The result of ultralytics has no boxes. Use a model that detects people.")
    boxes, scores, classes = (_numpy(getattr(result.boxes, name)) for name in ("xyxy", "conf", "cls"))
    points = getattr(result, "keypoints", None)
    keypoints = None if points is None else _points(points.data)
    people = [number for number, name in result.names.items() if name == PERSON]
    rows = np.isin(classes, people) if people else np.ones(len(boxes), bool)
    return boxes[rows], scores[rows], None if keypoints is None else keypoints[rows]


def _is_keypoints(value: Any) -> bool:
    return hasattr(value, "xy") and (hasattr(value, "keypoint_confidence") or hasattr(value, "confidence"))


def _points(keypoints: Any) -> np.ndarray:
    """[N, 17, 3] of an array or of supervision.KeyPoints."""
    if _is_keypoints(keypoints):
        score = getattr(keypoints, "keypoint_confidence", None)
        if score is None and not hasattr(keypoints, "keypoint_confidence"):
            score = keypoints.confidence
        xy = _numpy(keypoints.xy)
        values = xy if score is None else np.concatenate([xy, _numpy(score)[..., None]], axis=2)
    else:
        values = _numpy(keypoints)
    if values.size == 0:
        return np.zeros((0, len(KEYPOINTS), 3), np.float32)
    if values.ndim != 3 or values.shape[1] != len(KEYPOINTS) or values.shape[2] not in (2, 3):
        raise UserError(
            f"keypoints must have the shape [N, {len(KEYPOINTS)}, 3], x y confidence of COCO's keypoints, not"
            f" {list(values.shape)}."
        )
    if values.shape[2] == 2:
        known = (values != 0).any(axis=2, keepdims=True)
        values = np.concatenate([values, known], axis=2)
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def _extents(points: np.ndarray) -> np.ndarray:
    """[N, 4] boxes around the known keypoints."""
    known = points[..., 2:] > 0
    low = np.where(known, points[..., :2], np.inf).min(axis=1, initial=np.inf)
    high = np.where(known, points[..., :2], -np.inf).max(axis=1, initial=-np.inf)
    return np.where(
        np.isfinite(np.concatenate([low, high], axis=1)), np.concatenate([low, high], axis=1), 0.0
    )


def _array(value: Any, name: str, row: tuple[int, ...]) -> np.ndarray:
    """[N, *row] float32. Raises: UserError."""
    values = _numpy(value)
    if values.size == 0:
        return np.zeros((0, *row), np.float32)
    if values.ndim != 1 + len(row) or values.shape[1:] != row:
        shape = ", ".join(["N", *map(str, row)])
        raise UserError(f"{name} must have the shape [{shape}], not {list(values.shape)}.")
    return values


def _numpy(value: Any) -> np.ndarray:
    """A float32 array of anything that numpy or a tensor library holds. Raises: UserError."""
    if hasattr(value, "detach"):  # a tensor of torch, on any device
        value = value.detach().cpu()
    try:
        return np.asarray(value, np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"Detections must be {ACCEPTED}, not {type(value).__name__}.") from error


def _validate(boxes: np.ndarray, scores: np.ndarray) -> None:
    if not np.isfinite(boxes).all():
        raise UserError("boxes hold numbers that are not finite. Leave such boxes out.")
    for row in np.flatnonzero((boxes[:, 2:] < boxes[:, :2]).any(axis=1))[:1]:
        raise UserError(
            f"Box {row} is {boxes[row].tolist()}: boxes are x1 y1 x2 y2, with x2 >= x1 and y2 >= y1."
        )
    for row in np.flatnonzero(~((scores >= 0) & (scores <= 1)))[:1]:
        raise UserError(f"Score {row} is {scores[row]:g}: scores are between 0 and 1.")
