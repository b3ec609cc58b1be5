"""COCO-WholeBody-133: COCO's 17 keypoints, 6 of the feet, 68 of the face and 21 of each hand.

Names and limbs as in MMPose; OKS constants as in COCO-WholeBody's evaluation (Jin et al., ECCV 2020).
"""

from kprtrack.core.skeleton import FLIP, KEYPOINTS, LIMBS, OKS_SIGMAS, Skeleton

_FEET = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel"))
_FACE_POINTS = 68
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_HAND = ("hand_root", *(f"{finger}{number}" for finger in _FINGERS for number in range(1, 5)))
_FOOT_ROW = len(KEYPOINTS)
_FACE_ROW = _FOOT_ROW + len(_FEET)
_LEFT_HAND_ROW = _FACE_ROW + _FACE_POINTS
_RIGHT_HAND_ROW = _LEFT_HAND_ROW + len(_HAND)
_WRISTS = {_LEFT_HAND_ROW: 9, _RIGHT_HAND_ROW: 10}

# Points of the face (iBUG's 68) whose numbers run from one side to the other: first, last.
_CONTOURS = ((0, 16), (17, 26), (31, 35), (48, 54), (55, 59), (60, 64), (65, 67))
_EYES = {36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46}  # right eye -> left eye

_FOOT_SIGMAS = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)
_FACE_SIGMAS = (
    *(0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020, 0.023, 0.029, 0.032, 0.037, 0.038),
    *(0.043, 0.041, 0.045, 0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015, 0.009),
    *(0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010, 0.017, 0.011, 0.009, 0.011, 0.009, 0.007),
    *(0.013, 0.008, 0.011, 0.012, 0.010, 0.034, 0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008),
    *(0.009, 0.009, 0.009, 0.007, 0.007, 0.008, 0.011, 0.008, 0.008, 0.008, 0.010, 0.008),
)
_HAND_SIGMAS = (
    *(0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024),
    *(0.022, 0.026, 0.017, 0.021, 0.021, 0.032, 0.020, 0.019, 0.022, 0.031),
)


def _face_flip() -> list[int]:
    flip = list(range(_FACE_POINTS))  # the ridge of the nose and the chin are their own mirror images
    for first, last in _CONTOURS:
        flip[first : last + 1] = range(last, first - 1, -1)
    for right, left in _EYES.items():
        flip[right], flip[left] = left, right
    return flip


def _hand_edges(root: int) -> list[tuple[int, int]]:
    """Each finger from the wrist of the body to its tip; the root of the hand is the same place."""
    edges = []
    for finger in range(len(_FINGERS)):
        first = root + 1 + 4 * finger
        edges += [(_WRISTS[root], first), *((row, row + 1) for row in range(first, first + 3))]
    return edges


WHOLEBODY133 = Skeleton(
    "wholebody133",
    (
        *KEYPOINTS,
        *_FEET,
        *(f"face-{number}" for number in range(_FACE_POINTS)),
        *(f"left_{name}" for name in _HAND),
        *(f"right_{name}" for name in _HAND),
    ),
    (
        *LIMBS,
        *((15, _FOOT_ROW + row) for row in range(3)),
        *((16, _FOOT_ROW + row) for row in range(3, 6)),
        *_hand_edges(_LEFT_HAND_ROW),
        *_hand_edges(_RIGHT_HAND_ROW),
    ),
    (
        *FLIP,
        *(_FOOT_ROW + row for row in (3, 4, 5, 0, 1, 2)),
        *(_FACE_ROW + row for row in _face_flip()),
        *range(_RIGHT_HAND_ROW, _RIGHT_HAND_ROW + len(_HAND)),
        *range(_LEFT_HAND_ROW, _LEFT_HAND_ROW + len(_HAND)),
    ),
    (*OKS_SIGMAS, *_FOOT_SIGMAS, *_FACE_SIGMAS, *_HAND_SIGMAS, *_HAND_SIGMAS),
    body=_FACE_ROW,
)
