"""Halpe-26: COCO's 17 keypoints, then head, neck, middle of the hips and six points of the feet.

Names and limbs as in MMPose, and OKS constants as in Halpe-FullBody's evaluation (Li et al., CVPR 2020).
"""

from kprtrack.core.skeleton import FLIP, KEYPOINTS, LIMBS, OKS_SIGMAS, Skeleton

_MIDDLE = ("head", "neck", "hip")
_FEET = (
    *("left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe"),
    *("left_heel", "right_heel"),
)
_HEAD, _NECK, _HIP = range(17, 20)

HALPE26 = Skeleton(
    "halpe26",
    (*KEYPOINTS, *_MIDDLE, *_FEET),
    # Shoulders are joined by the neck and hips by their middle, in place of COCO's trunk.
    (
        *(edge for edge in LIMBS if edge not in ((5, 6), (5, 11), (6, 12), (11, 12))),
        *((_HEAD, _NECK), (_NECK, _HIP), (_NECK, 5), (_NECK, 6), (_HIP, 11), (_HIP, 12)),
        *((15, 20), (15, 22), (15, 24), (16, 21), (16, 23), (16, 25)),
    ),
    (*FLIP, _HEAD, _NECK, _HIP, 21, 20, 23, 22, 25, 24),
    (*OKS_SIGMAS, 0.026, 0.026, 0.066, *[0.079] * len(_FEET)),
)
