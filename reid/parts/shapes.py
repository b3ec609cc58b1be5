"""Part labels from keypoints: limbs of typical thickness drawn onto the crop.

For datasets without human-parsing files. All sizes are shares of the person's standing height, which is
measured on the skeleton; they were fitted by eye to street clothes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

# Labels of a pixel. The first 14 are those of the synthetic benchmark, whose torso is in one piece.
LABELS = (
    *("background", "head", "torso", "left_upper_arm", "right_upper_arm", "left_forearm", "right_forearm"),
    *("left_thigh", "right_thigh", "left_shank", "right_shank", "left_foot", "right_foot", "bag", "hips"),
)
# The human-parsing field (docs/reference/kpr.md 3.1) that stands for a label: under every published grouping
# it is in the part that the label belongs to. Background has none.
FIELD_OF_LABEL = (-1, 29, 24, 25, 26, 27, 28, 18, 20, 17, 19, 15, 16, 24, 23)

MIN_CONFIDENCE = 0.3  # keypoints at or below it are not drawn, as in the prompts (docs/reference/kpr.md 2.3)

_FACE = [0, 1, 2, 3, 4]
_NOSE, _HEAD_BOTTOM, _HEAD_TOP = 0, 1, 2  # the last two in PoseTrack's skeleton
_EARS, _SHOULDERS, _HIPS = [3, 4], [5, 6], [11, 12]
_ARMS, _LEGS = ((5, 7, 9), (6, 8, 10)), ((11, 13, 15), (12, 14, 16))

# Lengths between keypoints, of the standing height (Winter, Biomechanics of Human Movement, fig. 4.1).
_LENGTHS = {
    **{(5, 7): 0.186, (6, 8): 0.186, (7, 9): 0.146, (8, 10): 0.146},
    **{(11, 13): 0.245, (12, 14): 0.245, (13, 15): 0.246, (14, 16): 0.246},
    **{(5, 11): 0.288, (6, 12): 0.288},
}
_MOST_STRETCHED = 75  # percentile: perspective only shortens, but a keypoint may be wrong

Circle = tuple[np.ndarray, float]  # centre x y, radius in heights


@dataclass(frozen=True)
class _Body:
    """A skeleton and the measures derived from it."""

    points: np.ndarray  # [17, 2]
    known: np.ndarray  # [17] bool
    height: float  # standing, pixels
    up: np.ndarray  # [2] unit length, from the hips to the head
    facing: float  # -1: to the left of the image, 1: to the right, 0: to or from the camera
    posetrack: bool

    def middle(self, rows: list[int]) -> np.ndarray | None:
        found = [row for row in rows if self.known[row]]
        return self.points[found].mean(axis=0) if found else None


def part_labels_of(
    keypoints: np.ndarray,
    height: int,
    width: int,
    *,
    posetrack: bool = False,
    person: np.ndarray | None = None,
) -> np.ndarray:
    """Draw the part label of each pixel, [height, width] uint8 rows of LABELS; all 0 without keypoints.

    Args:
        keypoints: [17, 3] in pixels of the crop.
        posetrack: Rows 1 and 2 are head_bottom and head_top.
        person: [height, width] bool, the pixels of the person if known; then nothing else is labelled, and
            what the limbs miss of it gets the nearest label.
    """
    labels = np.zeros((height, width), np.uint8)
    body = _measure(keypoints, height, posetrack=posetrack)
    for name, circles in _shapes(body):
        _fill(labels, LABELS.index(name), circles, body.height)
    if person is None:
        return labels
    if labels[person].any():
        labels = _nearest(np.where(person, labels, 0))
    return np.where(person, labels, 0).astype(np.uint8)


def _measure(keypoints: np.ndarray, image_height: int, *, posetrack: bool) -> _Body:
    points, known = keypoints[:, :2].astype(np.float64), keypoints[:, 2] > MIN_CONFIDENCE
    heights = [
        float(np.linalg.norm(points[a] - points[b])) / share
        for (a, b), share in _LENGTHS.items()
        if known[a] and known[b]
    ]
    height = float(np.percentile(heights, _MOST_STRETCHED)) if heights else float(image_height)
    body = _Body(points, known, max(height, 1.0), np.array((0.0, -1.0)), 0.0, posetrack)
    return _Body(points, known, body.height, _up(body), _facing(body), posetrack)


def _up(body: _Body) -> np.ndarray:
    top, bottom = body.middle(_SHOULDERS), body.middle(_HIPS)
    if top is None or bottom is None or np.linalg.norm(top - bottom) < 0.1 * body.height:
        return body.up
    return (top - bottom) / np.linalg.norm(top - bottom)


def _facing(body: _Body) -> float:
    ears = body.middle(_EARS)
    if body.posetrack or ears is None or not body.known[_NOSE]:
        return 0.0
    return float(np.clip((body.points[_NOSE, 0] - ears[0]) / (0.05 * body.height), -1, 1))


def _shapes(body: _Body) -> Iterator[tuple[str, list[Circle]]]:
    """Labels with the circles whose hull shows them, from back to front."""
    across = _shoulders_across(body)
    # A person facing right shows the right side; with broad shoulders only the head is turned.
    turned = abs(body.facing) > 0.5 and abs(across) < 0.1
    far = ("left" if body.facing > 0 else "right") if turned else ""
    sides = ("right", "left") if far == "right" else ("left", "right")
    arms = [(side, shape) for side in sides for shape in _arm(body, side)]
    # From behind the left shoulder is on the left.
    behind = [side == far or (across < -0.06 and "forearm" in name) for side, (name, _) in arms]
    yield from (shape for (_, shape), hidden in zip(arms, behind, strict=True) if hidden)
    for side in sides:
        yield from _leg(body, side)
    yield from _torso(body)
    yield from _head(body)
    yield from (shape for (_, shape), hidden in zip(arms, behind, strict=True) if not hidden)


def _shoulders_across(body: _Body) -> float:
    """How far the left shoulder is to the right of the right one, in heights; 0 if one is unknown."""
    left, right = _SHOULDERS
    if not (body.known[left] and body.known[right]):
        return 0.0
    return float(body.points[left, 0] - body.points[right, 0]) / body.height


def _arm(body: _Body, side: str) -> Iterator[tuple[str, list[Circle]]]:
    shoulder, elbow, wrist = _ARMS[side == "right"]
    p, known = body.points, body.known
    if known[shoulder] and known[elbow]:
        yield f"{side}_upper_arm", [(p[shoulder], 0.036), (p[elbow], 0.03)]
    if known[elbow] and known[wrist]:
        hand = p[wrist] + _unit(p[wrist] - p[elbow]) * 0.045 * body.height
        yield f"{side}_forearm", [(p[elbow], 0.03), (p[wrist], 0.024), (hand, 0.02)]


def _leg(body: _Body, side: str) -> Iterator[tuple[str, list[Circle]]]:
    hip, knee, ankle = _LEGS[side == "right"]
    p, known = body.points, body.known
    if known[knee] and known[ankle]:
        yield f"{side}_shank", [(p[knee], 0.042), (p[ankle], 0.026)]
    if known[hip] and known[knee]:
        yield f"{side}_thigh", [(p[hip], 0.062), (p[knee], 0.044)]
    if known[ankle]:
        down = _unit(p[ankle] - p[knee]) if known[knee] else -body.up
        instep, sole = (p[ankle] + down * share * body.height for share in (0.008, 0.035))
        toe = sole + np.array((body.facing * 0.06, 0.0)) * body.height
        yield f"{side}_foot", [(instep, 0.025), (sole, 0.026), (toe, 0.02)]


def _torso(body: _Body) -> Iterator[tuple[str, list[Circle]]]:
    """Chest and hips, which meet half-way."""
    shoulders = [body.points[row] for row in _SHOULDERS if body.known[row]]
    hips = [body.points[row] for row in _HIPS if body.known[row]]
    if not shoulders:
        return
    if not hips:  # hidden or beyond the image: only the chest is certain
        ribs = [each - body.up * 0.12 * body.height for each in shoulders]
        yield "torso", [(each, 0.05) for each in (*shoulders, *ribs)]
        return
    waist = [(shoulder + hip) / 2 for shoulder, hip in zip(_both(shoulders), _both(hips), strict=True)]
    yield "hips", [(each, 0.06) for each in (*waist, *hips)]
    yield "torso", [*((each, 0.046) for each in shoulders), *((each, 0.056) for each in waist)]


def _head(body: _Body) -> Iterator[tuple[str, list[Circle]]]:
    """The head with hair, and the neck."""
    if body.posetrack:
        if not body.known[[_NOSE, _HEAD_BOTTOM, _HEAD_TOP]].any():
            return
        top, bottom = _head_ends(body)
        skull = [(top + (bottom - top) * share, 0.05) for share in (0.35, 0.65)]
    else:
        face, ears = body.middle(_FACE), body.middle(_EARS)
        if face is None:
            return
        # Seen from the side an ear is in the middle of the head, the rest of the face in front.
        middle = face if ears is None else (face + ears) / 2
        middle = middle - np.array((0.012 * body.facing, 0.0)) * body.height  # hair
        skull = [(middle + body.up * body.height * shift, 0.053) for shift in (0.042, 0.0)]
    neck = body.middle(_SHOULDERS)
    if neck is not None:
        yield "head", [(skull[1][0], 0.036), (neck + body.up * 0.03 * body.height, 0.03)]
    yield "head", skull


def _head_ends(body: _Body) -> tuple[np.ndarray, np.ndarray]:
    """Top and bottom of a PoseTrack head; one that is unknown follows from another joint of the three."""
    above = {_NOSE: 0.065, _HEAD_TOP: 0.0, _HEAD_BOTTOM: 0.13}  # heights from the joint to the top
    known = {row: up for row, up in above.items() if body.known[row]}
    ends = []
    for end in (_HEAD_TOP, _HEAD_BOTTOM):
        row = end if end in known else next(iter(known))
        ends.append(body.points[row] + body.up * body.height * (above[row] - above[end]))
    return ends[0], ends[1]


def _both(found: list[np.ndarray]) -> list[np.ndarray]:
    """Two points: a single one is used twice."""
    return [found[0], found[-1]]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _fill(labels: np.ndarray, label: int, circles: list[Circle], unit: float) -> None:
    """Write the label into the hull of the circles."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rim = np.stack((np.cos(turn), np.sin(turn)), axis=1)
    outline = np.concatenate([centre + radius * unit * rim for centre, radius in circles])
    # 4 bits below the pixel; far points are cut, where OpenCV's whole numbers would overflow.
    whole = np.rint(outline.clip(-4096, 2 * 4096) * 16).astype(np.int32)
    cv2.fillConvexPoly(labels, cv2.convexHull(whole), label, shift=4)


def _nearest(labels: np.ndarray) -> np.ndarray:
    """Every pixel with the label nearest to it; some pixel has one."""
    _, owner = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    known = labels > 0
    names = np.zeros(owner.max() + 1, np.uint8)
    names[owner[known]] = labels[known]
    return names[owner]
