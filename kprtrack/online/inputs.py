"""Detections of other libraries, by their attributes: arrays, supervision's and ultralytics' results.

No library is imported: an object is taken for what its attributes say.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kprtrack.core.datatypes import empty_poses
from kprtrack.core.errors import UserError
from kprtrack.core.files.numbers import LARGEST
from kprtrack.core.skeletons import MOST_KEYPOINTS, is_count

PERSON = "person"
ACCEPTED = "arrays, supervision.Detections, supervision.KeyPoints or a result of ultralytics"
# The other classes of COCO: an object that names only some of these has no person in this frame.
_COCO_NAMES = (
    "bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,"
    "frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,"
    "bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,"
    "donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,"
    "microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
_COCO = frozenset(_COCO_NAMES.split(","))


@dataclass(frozen=True)
class GivenPeople:
    """The people that a program has detected in a frame."""

    boxes: np.ndarray  # [N, 4] float32, x1 y1 x2 y2
    scores: np.ndarray  # [N] float32
    keypoints: np.ndarray | None  # [N, K, 3] float32; None: not given
    embeddings: np.ndarray | None  # [N, P, D] float32 of unit length, or zero; None: not given
    rows: np.ndarray  # [N] int64, the row of each in what was given
    source: Any  # the supervision.Detections that were given; None: of another kind


def given_people(
    boxes: Any, scores: Any = None, keypoints: Any = None, embeddings: Any = None
) -> GivenPeople:
    """Read the detections of a frame.

    Objects that name their classes are limited to the class "person", if their model has one of that name.
    Boxes without an area are left out.

    Args:
        boxes: [N, 4] x1 y1 x2 y2; or supervision.Detections, supervision.KeyPoints (a box is the extent of
            the keypoints) or a result of ultralytics, which bring scores and keypoints along.
        scores: [N] in [0, 1]; None: those of `boxes`, else 1.
        keypoints: [N, K, 3] x y confidence or [N, K, 2], or supervision.KeyPoints; None: those of `boxes`. K
            determines the set, 17 are COCO's. Unknown ones are 0 or not finite.
        embeddings: [N, D] or [N, P, D]; all zero where unknown.

    Returns:
        The people.

    Raises:
        UserError: Another kind of object, shapes that do not fit, or numbers out of their range.
    """
    found, own_scores, own_points, people = _read(boxes)
    count = len(found)
    given = own_scores if scores is None else scores
    confidence = np.ones(count, np.float32) if given is None else _array(given, "scores", ())
    points = own_points if keypoints is None else _points(keypoints)
    for name, values in (("scores", confidence), ("keypoints", points)):
        if values is not None and len(values) != count:
            raise UserError(f"There are {count} boxes, but {len(values)} {name}. Give one for each box.")
    vectors = None if embeddings is None else _embeddings(embeddings, count)
    _validate(found, confidence, people)
    rows = np.flatnonzero(people & (found[:, 2:] > found[:, :2]).all(axis=1))
    return GivenPeople(
        found[rows],
        confidence[rows],
        None if points is None else points[rows],
        None if vectors is None else vectors[rows],
        rows,
        boxes if _is_detections(boxes) else None,
    )


def _read(given: Any) -> tuple[np.ndarray, Any, np.ndarray | None, np.ndarray]:
    """Boxes [N, 4], scores and keypoints of an object, and [N] bool: which are people."""
    if _is_detections(given):
        boxes = _array(given.xyxy, "boxes", (4,))
        return boxes, given.confidence, None, _people(given, len(boxes))
    if hasattr(given, "boxes") and hasattr(given, "names"):  # ultralytics Results
        return _of_ultralytics(given)
    if _is_keypoints(given):
        points = _points(given)
        scores = getattr(given, "detection_confidence", None)
        return _extents(points), scores, points, _people(given, len(points))
    if isinstance(given, list | tuple) and given and hasattr(given[0], "boxes"):
        raise UserError(f"boxes are a list of {len(given)} results. Give that of this frame: results[0].")
    boxes = _array(given, "boxes", (4,))
    return boxes, None, None, np.ones(len(boxes), bool)


def _is_detections(value: Any) -> bool:
    return hasattr(value, "xyxy") and hasattr(value, "confidence")


def _people(detections: Any, count: int) -> np.ndarray:
    """[N] which are people by `data["class_name"]`: all if the classes are neither COCO's nor "person"."""
    names = np.asarray((getattr(detections, "data", None) or {}).get("class_name", ()))
    if len(names) != count or not count:
        return np.ones(count, bool)
    plain = [str(name).lower() for name in names]
    people = np.array([name == PERSON for name in plain])
    return people if people.any() else np.array([name not in _COCO for name in plain])


def _of_ultralytics(result: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Boxes, scores and keypoints of a result of ultralytics, and which are people."""
    if result.boxes is None:
        raise UserError("The result of ultralytics has no boxes. Use a model that detects people.")
    found = _array(result.boxes.xyxy, "boxes", (4,))
    scores, classes = (_numpy(getattr(result.boxes, name), "boxes") for name in ("conf", "cls"))
    points = getattr(result, "keypoints", None)
    keypoints = None if points is None else _points(points.data)
    people = [number for number, name in result.names.items() if str(name).lower() == PERSON]
    return found, scores, keypoints, np.isin(classes, people) if people else np.ones(len(found), bool)


def _is_keypoints(value: Any) -> bool:
    return hasattr(value, "xy") and (hasattr(value, "keypoint_confidence") or hasattr(value, "confidence"))


def _points(keypoints: Any) -> np.ndarray:
    """[N, K, 3] of an array or of supervision.KeyPoints; unknown ones are 0."""
    if _is_keypoints(keypoints):
        score = getattr(keypoints, "keypoint_confidence", None)
        if score is None and not hasattr(keypoints, "keypoint_confidence"):
            score = keypoints.confidence
        xy = _numpy(keypoints.xy, "keypoints")
        values = xy if score is None else np.concatenate([xy, _numpy(score, "keypoints")[..., None]], axis=2)
    else:
        values = _numpy(keypoints, "keypoints")
    if values.size == 0:
        return empty_poses().keypoints
    if values.ndim != 3 or not is_count(values.shape[1]) or values.shape[2] not in (2, 3):
        raise UserError(
            f"keypoints must have the shape [N, K, 3], x y confidence, K up to {MOST_KEYPOINTS}, not"
            f" {list(values.shape)}."
        )
    if values.shape[2] == 2:
        known = (values != 0).any(axis=2, keepdims=True)
        values = np.concatenate([values, known], axis=2)
    for row in np.flatnonzero((values[..., 2] < 0).any(axis=1))[:1]:
        raise UserError(
            f"Box {row} has a keypoint with the confidence {np.nanmin(values[row, :, 2]):g}. Confidences are"
            " 0 or more; 0 is unknown."
        )
    known = (np.abs(values) < LARGEST).all(axis=2, keepdims=True)
    return np.where(known, values, np.float32(0))


def _embeddings(embeddings: Any, count: int) -> np.ndarray:
    """[N, P, D] float32 of unit length, or zero, from [N, D] or [N, P, D]. Raises: UserError."""
    given = _numpy(embeddings, "embeddings")
    if not count and not given.size:
        return np.zeros((0, 1, 1), np.float32)
    values = given[:, None] if given.ndim == 2 else given
    if values.ndim != 3 or len(values) != count or not values.size:
        raise UserError(
            f"embeddings must have the shape [{count}, D] or [{count}, P, D], one for each box, not"
            f" {list(given.shape)}."
        )
    if not np.isfinite(values).all():
        raise UserError("embeddings hold numbers that are not finite. Write unknown ones as zeros.")
    wide = values.astype(np.float64)  # squares of float32 may overflow
    length = np.linalg.norm(wide, axis=2, keepdims=True)
    return np.divide(wide, length, out=np.zeros_like(wide), where=length > 0).astype(np.float32)


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
    values = _numpy(value, name)
    if values.size == 0:
        return np.zeros((0, *row), np.float32)
    if values.ndim != 1 + len(row) or values.shape[1:] != row:
        shape = ", ".join(["N", *map(str, row)])
        raise UserError(
            f"{name} must have the shape [{shape}], not {list(values.shape)}.{_hint(values, row)}"
        )
    return values


def _hint(values: np.ndarray, row: tuple[int, ...]) -> str:
    """What to do with boxes that hold scores, as many detectors give them."""
    with_more = bool(row) and values.ndim == 2 and values.shape[1] > row[0]
    return " Give boxes[:, :4] and the scores apart." if with_more else ""


def _numpy(value: Any, name: str) -> np.ndarray:
    """A float32 array of anything that numpy or a tensor library holds. Raises: UserError."""
    if hasattr(value, "detach"):  # a tensor of torch, on any device
        value = value.detach().cpu()
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # which numpy lacks
            value = value.float()
    try:
        values = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} must be numbers, in rows of one length.") from error
    if values.size and values.dtype.kind not in "fiu":
        if values.ndim:
            raise UserError(f"{name} must be numbers, not an array of {values.dtype}.")
        wanted = ACCEPTED if name == "boxes" else "an array of numbers"
        raise UserError(f"{name} must be {wanted}, not {type(value).__name__}.")
    # A float64 beyond the range of float32 becomes infinite, which is found later.
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _validate(boxes: np.ndarray, scores: np.ndarray, people: np.ndarray) -> None:
    """Validate the rows of people. Raises: UserError naming the first that is wrong."""
    for row in np.flatnonzero(people & ~(np.abs(boxes) < LARGEST).all(axis=1))[:1]:
        raise UserError(
            f"Box {row} is {boxes[row].tolist()}: its numbers are not finite, or beyond any image. Leave such"
            " boxes out."
        )
    for row in np.flatnonzero(people & (boxes[:, 2:] < boxes[:, :2]).any(axis=1))[:1]:
        raise UserError(
            f"Box {row} is {boxes[row].tolist()}: boxes are x1 y1 x2 y2, with x2 >= x1 and y2 >= y1."
        )
    for row in np.flatnonzero(people & ~((scores >= 0) & (scores <= 1)))[:1]:
        raise UserError(f"Score {row} is {scores[row]:g}: scores are between 0 and 1.")
