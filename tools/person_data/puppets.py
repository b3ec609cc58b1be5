"""Reposed people: segmented people whose limbs are warped to the poses of athletes.

Photographs with masks show standing and walking people. Poses of sport are annotated as joints without
masks. A limb is a strip of the image along its bone; rotated and stretched to another bone, it shows that
pose well enough to train a pose network. The results are not used to train detectors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kprtrack.core.skeleton import KEYPOINTS
from person_data.composites import single_person_image
from person_data.cutouts import Cutout, cutouts, mirrored, resized
from person_data.labels import VISIBLE_CONFIDENCE, ImageRecord
from person_data.reading import SourceContext
from person_data.single import lspet_people
from person_data.street import backgrounds

_SIZE_PX = 70.0, 300.0  # long side of a reposed person in the image
_CANVAS_PX = 300.0  # long side of a reposed person during composition
_FACE, _LIMB_JOINTS = slice(0, 5), slice(5, 17)
_NECK, _PELVIS, _TOP = 17, 18, 19  # derived: mid-shoulders, mid-hips, top of the head
_RATIO = 1.7  # maximum stretch of a bone relative to the scale of the body
_TURNED = 0.25  # width of the shoulders over length of the torso, for a clear front or back view
_MARGIN = 0.35  # around the joints, relative to the torso
_SOFT_PX = 1.0  # deviation of a limb's edge
_STREAM = 7  # of random numbers, apart from those of composites
_BEHIND = 0.25  # probability that an arm is behind the body


@dataclass(frozen=True)
class _Part:
    """A strip of the body from one joint to another."""

    start: int
    end: int
    radius: float  # relative to the torso's length
    beyond: float  # extension beyond the end, relative to the radius: hands and feet


def _limb(side: str, start: str, end: str, radius: float, beyond: float) -> _Part:
    return _Part(KEYPOINTS.index(f"{side}_{start}"), KEYPOINTS.index(f"{side}_{end}"), radius, beyond)


_LEGS = {
    side: (_limb(side, "hip", "knee", 0.24, 1.0), _limb(side, "knee", "ankle", 0.17, 1.6))
    for side in ("left", "right")
}
_ARMS = {
    side: (_limb(side, "shoulder", "elbow", 0.14, 1.0), _limb(side, "elbow", "wrist", 0.12, 2.2))
    for side in ("left", "right")
}
_TORSO = _Part(_NECK, _PELVIS, 0.42, 0.5)
_HEAD = _Part(_NECK, _TOP, 0.36, 1.0)


def puppets(context: SourceContext, count: int) -> Iterator[ImageRecord]:
    """Yield at most `count` training images of people and poses that are not held out."""
    people = [each for each in cutouts(context, held_out=False) if _whole(each)]
    poses = _poses(context)
    places = [each.image for each in backgrounds(context) if not each.held_out]
    for number in range(count):
        rng = np.random.default_rng([context.seed, _STREAM, number])
        cut = _drawn(rng, people, poses)
        size = rng.uniform(*_SIZE_PX) / max(cut.alpha.shape)
        cut = resized(mirrored(cut) if rng.random() < 0.5 else cut, float(size * cut.height))
        image, someone = single_person_image(rng, cut, places)
        if someone is not None:
            yield ImageRecord(
                f"train_{number:05d}", image, (someone,), "pasted", held_out=False, detects=False
            )


def _drawn(rng: np.random.Generator, people: Sequence[Cutout], poses: np.ndarray) -> Cutout:
    """Return a random person in a random pose that fits."""
    while True:
        cut, pose = people[rng.integers(len(people))], poses[rng.integers(len(poses))]
        own = _with_derived(cut)
        if (scale := _scale(own, pose)) is not None:
            return posed(cut, own, pose, scale, rng)


def posed(cut: Cutout, own: np.ndarray, pose: np.ndarray, scale: float, rng: np.random.Generator) -> Cutout:
    """Return a person in another pose.

    Args:
        cut: The person.
        own: Its joints [20, 2] in pixels.
        pose: Joints of the new pose [20, 2] in pixels.
        scale: Scale of the body in the new pose.
        rng: Random generator.
    """
    low, high = pose.min(axis=0), pose.max(axis=0)
    torso_px = float(np.linalg.norm(own[_NECK] - own[_PELVIS]))
    margin = _MARGIN * torso_px * scale
    zoom = _CANVAS_PX / float((high - low).max() + 2 * margin)
    there = (pose - low + margin) * zoom
    width, height = (int(side) for side in np.ceil((high - low + 2 * margin) * zoom))
    canvas, alpha = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    keypoints, scores = cut.keypoints.copy(), cut.keypoint_scores.copy()
    behind = {side: bool(rng.random() < _BEHIND) for side in _ARMS}
    sides = rng.permutation(["left", "right"]).tolist()
    legs = [part for side in sides for part in reversed(_LEGS[side])]
    far, near = (
        [part for side in sides if behind[side] is it for part in _ARMS[side]] for it in (True, False)
    )
    for part in (*far, *legs, _TORSO, _HEAD, *near):
        matrix = _laid(part, own, there, scale * zoom)
        strip = cut.alpha * _strip(part, own, torso_px, cut.alpha.shape)
        colour = cv2.warpAffine(cut.image, matrix, (width, height), flags=cv2.INTER_LINEAR)
        cover = cv2.warpAffine(strip, matrix, (width, height), flags=cv2.INTER_LINEAR)
        canvas += cover[..., None] * (colour - canvas)
        alpha = np.maximum(alpha, cover)
        if part is _TORSO:
            hidden = [each.end for each in far if _is_occluded(there[each.end], cover)]
            keypoints[hidden], scores[hidden] = 0, 0
        if part is _HEAD:
            keypoints[_FACE, :2] = cut.keypoints[_FACE, :2] @ matrix[:, :2].T + matrix[:, 2]
    keypoints[_LIMB_JOINTS, :2] = there[_LIMB_JOINTS]
    keypoints[keypoints[:, 2] == 0] = 0
    rows = np.flatnonzero((alpha > 0.5).any(axis=1))
    tall = float(rows[-1] - rows[0] + 1) if len(rows) else float(height)
    return Cutout(np.clip(canvas, 0, 255).astype(np.uint8), alpha, keypoints, scores, tall)


def _is_occluded(point: np.ndarray, cover: np.ndarray) -> bool:
    column, row = np.clip(point.astype(int), 0, np.array(cover.shape[::-1]) - 1)
    return bool(cover[row, column] > 0.5)


def _whole(cut: Cutout) -> bool:
    """Return whether all joints from shoulders to ankles, and the nose, have high confidence."""
    confident = cut.keypoint_scores >= VISIBLE_CONFIDENCE
    return bool(confident[_LIMB_JOINTS].all() and confident[0] and abs(_facing(_with_derived(cut))) > _TURNED)


def _with_derived(cut: Cutout) -> np.ndarray:
    """Return [20, 2]: joints, neck, pelvis, and top of the head, where the mask ends above the nose."""
    points = cut.keypoints[:, :2].astype(np.float64)
    nose_x, nose_y = points[0].astype(int)
    column = cut.alpha[: max(nose_y, 1), np.clip(nose_x, 0, cut.alpha.shape[1] - 1)] > 0.5
    top = points[0, 0], float(np.argmax(column)) if column.any() else nose_y - 0.2 * cut.height
    return np.concatenate((points, _middles(points), [top]))


def _middles(points: np.ndarray) -> np.ndarray:
    """Return [2, 2] mid-shoulders and mid-hips."""
    pairs = [
        [KEYPOINTS.index(f"{side}_{joint}") for side in ("left", "right")] for joint in ("shoulder", "hip")
    ]
    return np.stack([points[pair].mean(axis=0) for pair in pairs])


def _poses(context: SourceContext) -> np.ndarray:
    """Return poses [N, 20, 2] of Leeds Sports Pose Extended with all joints, except side views."""
    found = []
    for each in lspet_people(context, "lspet"):
        if each.held_out or (each.joints[:, 2] <= 0).any():
            continue
        points = each.keypoints[:, :2].astype(np.float64)
        middles = _middles(points)
        points[_FACE] = middles[0]  # moves with the head
        pose = np.concatenate((points, middles, [each.top[:2]]))
        if abs(_facing(pose)) > _TURNED:
            found.append(pose)
    return np.stack(found)


def _facing(points: np.ndarray) -> float:
    """Return the width of the shoulders over the length of the torso, positive in front views."""
    torso = points[_PELVIS] - points[_NECK]
    across = points[KEYPOINTS.index("left_shoulder")] - points[KEYPOINTS.index("right_shoulder")]
    length = max(float(np.linalg.norm(torso)), 1e-6)
    return float(across[0] * torso[1] - across[1] * torso[0]) / length**2


def _scale(own: np.ndarray, pose: np.ndarray) -> float | None:
    """Return the scale of the body in the pose; None if the pose does not fit the person.

    Bones that point at the camera appear short, so a high quantile of the ratios is used.
    """
    if _facing(own) * _facing(pose) < 0:
        return None
    bones = [(part.start, part.end) for side in _ARMS for part in (*_ARMS[side], *_LEGS[side])]
    bones.append((_NECK, _PELVIS))
    first, last = (list(each) for each in zip(*bones, strict=True))
    lengths = [np.linalg.norm(points[last] - points[first], axis=1) for points in (own, pose)]
    if lengths[0].min() < 4 or lengths[1].min() < 2:
        return None
    ratios = lengths[1] / lengths[0]
    scale = float(np.quantile(ratios, 0.7))
    return scale if ratios.max() < _RATIO * scale else None


def _laid(part: _Part, own: np.ndarray, there: np.ndarray, scale: float) -> np.ndarray:
    """Return the transform [2, 3] from the pixels of the person to the new pose, along one bone."""
    before, after = own[part.end] - own[part.start], there[part.end] - there[part.start]
    lengths = np.linalg.norm(before), max(float(np.linalg.norm(after)), 1.0)
    frames = [
        np.stack((bone / length, np.array([-bone[1], bone[0]]) / length), axis=1)
        for bone, length in zip((before, after), lengths, strict=True)
    ]
    linear = frames[1] @ np.diag([lengths[1] / lengths[0], scale]) @ frames[0].T
    return np.column_stack((linear, there[part.start] - linear @ own[part.start]))


def _strip(part: _Part, own: np.ndarray, torso_px: float, shape: tuple[int, ...]) -> np.ndarray:
    """Return a soft mask [h, w] of the pixels near a bone."""
    radius = part.radius * torso_px
    bone = own[part.end] - own[part.start]
    end = own[part.end] + bone / max(float(np.linalg.norm(bone)), 1e-6) * radius * (part.beyond - 1)
    strip = np.zeros(shape, np.float32)
    first, last = (tuple(round(value) for value in point) for point in (own[part.start], end))
    cv2.line(strip, first, last, 1.0, max(1, round(2 * radius)))
    return cv2.GaussianBlur(strip, (0, 0), _SOFT_PX)
