"""The ground truth of a synthetic frame: boxes, joints and their visibility."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from eval.synthetic.drawing import PARTS_PER_PERSON, Canvas, Tube
from eval.synthetic.shapes import Camera
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS

MIN_VISIBLE = 0.03  # minimum share of the box that shows the person; an unoccluded person fills about 0.4
_THICKNESS_M = 0.2  # maximum depth of a joint below the skin in front of it
_POSETRACK_JOINTS = {"head_bottom": "neck"}  # head_top, nose and the limbs have the same names
_HEAD_REACH = 0.96, 1.03  # half the head box, relative to half the height of the head


@dataclass(frozen=True)
class DrawnPerson:
    """One drawn person."""

    row: int  # number of the owner on the canvas, and track ID
    person: int
    joints: Mapping[str, np.ndarray]  # [3] metres each
    tubes: list[Tube]
    silhouette: np.ndarray  # [H, W] bool, pixels of the canvas that the person alone would cover


@dataclass(frozen=True)
class GroundTruth:
    """The annotated people, as the arrays of SyntheticFrame."""

    ids: np.ndarray
    person_ids: np.ndarray
    boxes: np.ndarray
    head_boxes: np.ndarray
    keypoints: np.ndarray
    posetrack: np.ndarray
    visibility: np.ndarray
    visible_fraction: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by field name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def gt_of(
    people: list[DrawnPerson], canvas: Canvas, camera: Camera, pan: int, oversample: int
) -> GroundTruth:
    """Return the ground truth of all sufficiently visible people, in pixels of the image.

    Args:
        people: All drawn people.
        canvas: The canvas after drawing.
        camera: The camera.
        pan: Column of the backdrop at the left edge of the canvas.
        oversample: Canvas pixels for each image pixel, per side.
    """
    owner = canvas.owner[::oversample, ::oversample]
    height, width = owner.shape
    visible = np.bincount((owner // PARTS_PER_PERSON).ravel(), minlength=len(people) + 1)
    kept, shares, boxes, fractions = [], [], [], []
    for person in people:
        if not person.tubes:
            continue
        extent = _extent(person.tubes, oversample)
        box = np.clip(extent, 0, (width, height, width, height))
        area = float((box[2] - box[0]) * (box[3] - box[1]))
        share = float(visible[person.row]) / area if area > 0 else 0.0
        if share >= MIN_VISIBLE:
            kept.append(person)
            shares.append(share)
            boxes.append(box)
            alone = person.silhouette[::oversample, ::oversample].sum()
            inside = area / float(np.prod(extent[2:] - extent[:2]))
            fractions.append(inside * float(visible[person.row]) / max(float(alone), 1.0))
    poses = [_joints(person, canvas, camera, pan, oversample) for person in kept]
    coco = [np.stack([pose[name] for name in KEYPOINTS]) for pose in poses]
    posetrack = [_posetrack(pose) for pose in poses]
    heads = [_head_box(person, camera, pan, oversample) for person in kept]
    return GroundTruth(
        ids=np.array([person.row for person in kept], np.int64),
        person_ids=np.array([person.person for person in kept], np.int64),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        head_boxes=np.array(heads, np.float32).reshape(-1, 4),
        keypoints=np.array(coco, np.float32).reshape(-1, len(KEYPOINTS), 3),
        posetrack=np.array(posetrack, np.float32).reshape(-1, len(POSETRACK_KEYPOINTS), 3),
        visibility=np.array(shares, np.float32),
        visible_fraction=np.array(fractions, np.float32),
    )


def _extent(tubes: list[Tube], oversample: int) -> np.ndarray:
    """Return [4] x1 y1 x2 y2 around all tubes, in pixels of the image."""
    ends = np.array([end[:2] for tube in tubes for end in (tube.start, tube.end)])
    radii = np.array(
        [
            r / b
            for tube in tubes
            for r, b in zip((tube.radius_start, tube.radius_end), tube.blunt, strict=True)
        ]
    )
    low, high = (ends - radii[:, None]).min(0), (ends + radii[:, None]).max(0)
    return (np.concatenate((low, high)) + 0.5) / oversample


def _joints(
    person: DrawnPerson, canvas: Canvas, camera: Camera, pan: int, oversample: int
) -> dict[str, np.ndarray]:
    """Return [3] x y and 2 visible, 1 occluded, 0 outside the image, by name of the joint."""
    names = list(person.joints)
    points = camera.project(np.stack([person.joints[name] for name in names]), pan)
    height, width = canvas.depth_m.shape
    columns, rows = np.round(points[:, 0]).astype(int), np.round(points[:, 1]).astype(int)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    columns, rows = columns.clip(0, width - 1), rows.clip(0, height - 1)
    own = canvas.owner[rows, columns] // PARTS_PER_PERSON == person.row
    visible = own & (points[:, 2] - canvas.depth_m[rows, columns] < _THICKNESS_M)
    # An image pixel is the mean of `oversample` canvas pixels per side, whose centres are at integers.
    places = (points[:, :2] - (oversample - 1) / 2) / oversample
    states = np.where(inside, 1 + visible, 0)
    return {name: np.array((*place, state)) for name, place, state in zip(names, places, states, strict=True)}


def _posetrack(pose: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return [17, 3] x y and 1 visible, 0 occluded; zeros for ears and joints outside the image."""
    rows = np.stack([pose[_POSETRACK_JOINTS.get(name, name)] for name in POSETRACK_KEYPOINTS])
    absent = rows[:, 2] == 0
    absent |= [name.endswith("_ear") for name in POSETRACK_KEYPOINTS]
    rows[:, 2] -= 1
    rows[absent] = 0
    return rows


def _head_box(person: DrawnPerson, camera: Camera, pan: int, oversample: int) -> np.ndarray:
    """Return [4] around the head without hair, not clipped to the image."""
    joints = np.stack([person.joints[name] for name in ("head", "head_top", "chin", "nose")])
    points = camera.project(joints, pan)[:, :2] / oversample
    radius = np.hypot(*(points[1] - points[2])) / 2
    reach = radius * np.array(_HEAD_REACH)
    low = np.minimum(points[0] - reach, points.min(0))
    return np.concatenate((low, np.maximum(points[0] + reach, points.max(0))))
