"""BlazePose-33: the landmarks of MediaPipe's pose landmarker, with its names and connections.

It publishes no OKS constants. A keypoint that COCO lacks has the one of the nearest keypoint of COCO: the
eye, the nose (mouth), the wrist (fingers) or the ankle (heel and foot index).
"""

from kprtrack.core.skeleton import KEYPOINTS, OKS_SIGMAS, Skeleton

_NAMES = (
    "nose",
    *("left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer"),
    *("left_ear", "right_ear", "mouth_left", "mouth_right"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_pinky", "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    *("left_heel", "right_heel", "left_foot_index", "right_foot_index"),
)
# Part of a name -> the keypoint of COCO whose constant is taken.
_LIKE = {
    "eye_inner": "left_eye",
    "eye_outer": "left_eye",
    "mouth": "nose",
    "pinky": "left_wrist",
    "thumb": "left_wrist",
    "foot_index": "left_ankle",
    "heel": "left_ankle",
    "index": "left_wrist",
}


def _sigma(name: str) -> float:
    like = name if name in KEYPOINTS else next(coco for part, coco in _LIKE.items() if part in name)
    return OKS_SIGMAS[KEYPOINTS.index(like)]


def _mirrored(name: str) -> str:
    return name.replace("left", "RIGHT").replace("right", "left").lower()


BLAZEPOSE33 = Skeleton(
    "blazepose33",
    _NAMES,
    (
        *((0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (9, 10), (11, 12)),
        *((11, 13), (13, 15), (15, 17), (15, 19), (15, 21), (17, 19)),
        *((12, 14), (14, 16), (16, 18), (16, 20), (16, 22), (18, 20)),
        *((11, 23), (12, 24), (23, 24), (23, 25), (25, 27), (24, 26), (26, 28)),
        *((27, 29), (27, 31), (29, 31), (28, 30), (28, 32), (30, 32)),
    ),
    tuple(_NAMES.index(_mirrored(name)) for name in _NAMES),
    tuple(map(_sigma, _NAMES)),
)
