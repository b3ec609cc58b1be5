"""The skeleton: keypoint names, mirror pairs, limbs and prompt groups.

Keypoints are COCO's 17 in COCO's order. PoseTrack's 17 differ only in rows 1 and 2 (head_bottom and head_top
in place of the eyes); KPR treats both alike (docs/reference/kpr.md 2.1).
"""

KEYPOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
POSETRACK_KEYPOINTS = ("nose", "head_bottom", "head_top", *KEYPOINTS[3:])

# Row i of a mirrored person is row FLIP[i] of the original.
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
POSETRACK_FLIP = (0, 1, 2, *FLIP[3:])

LIMBS = (
    (0, 1),
    (0, 2),
    (1, 3),
    (2, 4),
    (5, 6),
    (5, 7),
    (7, 9),
    (6, 8),
    (8, 10),
    (5, 11),
    (6, 12),
    (11, 12),
    (11, 13),
    (13, 15),
    (12, 14),
    (14, 16),
)

# COCO's per-keypoint OKS constants: standard deviation relative to the square root of the person's area.
OKS_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)

_HEAD = (0, 1, 2, 3, 4)
_TORSO = (5, 6, 11, 12)

# Prompt groups by the official names; the order is the channel order (docs/reference/kpr.md 2.2).
PROMPT_GROUPS: dict[str, dict[str, tuple[int, ...]]] = {
    "cck8": {
        "head": _HEAD,
        "left_arm": (5, 7, 9),
        "right_arm": (6, 8, 10),
        "torso": _TORSO,
        "left_leg": (13, 15),
        "right_leg": (14, 16),
        "left_feet": (15,),
        "right_feet": (16,),
    },
    "cck6": {
        "head": _HEAD,
        "left_arm": (7, 9),
        "right_arm": (8, 10),
        "left_leg": (13, 15),
        "right_leg": (14, 16),
        "torso": _TORSO,
    },
    "cck4": {"head": _HEAD, "arms": (7, 8, 9, 10), "legs": (13, 14, 15, 16), "torso": _TORSO},
    "cck3": {"head": _HEAD, "legs": (13, 14, 15, 16), "torso": (5, 6, 7, 8, 9, 10, 11, 12)},
    "cck2": {"legs": (13, 14, 15, 16), "torso": tuple(range(13))},
    "cck1": {"body": tuple(range(17))},
    "none": {name: (row,) for row, name in enumerate(POSETRACK_KEYPOINTS)},
}
