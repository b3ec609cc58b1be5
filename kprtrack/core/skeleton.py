"""Skeletons: keypoint names, mirror pairs, limbs, OKS constants and prompt groups.

`KEYPOINTS` are COCO's 17 in COCO's order. PoseTrack's 17 differ only in rows 1 and 2 (head_bottom and
head_top in place of the eyes); KPR treats both alike (docs/reference/kpr.md 2.1). The other sets are in
`kprtrack.core.skeletons`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

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


@dataclass(frozen=True)
class Skeleton:
    """A set of keypoints: what the rows of every keypoint array of that set are.

    Args:
        name: Its name in result files and messages.
        names: Names of its K keypoints; equal names in two sets are the same keypoint.
        edges: Pairs of rows, from 0, that are drawn as limbs.
        flip: Row i of a mirrored person is row `flip[i]` of the original.
        sigmas: OKS constants of the keypoints, standard deviations relative to the square root of the area.
        body: The first rows are of body and feet; those after them, of face and hands, are drawn smaller.
            None: all.
        prompt_rows: For each of the 17 keypoints that prompt KPR, the row of this set; -1 where it has none.
            None: the rows of the same names.

    Raises:
        ValueError: The lengths differ.

    Examples:
        >>> halpe = SKELETONS["halpe26"]
        >>> len(halpe), halpe.names[17:20], halpe.coco_rows[:3]
        (26, ('head', 'neck', 'hip'), (0, 1, 2))
    """

    name: str
    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    flip: tuple[int, ...]
    sigmas: tuple[float, ...]
    body: int | None = None
    prompt_rows: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not len(self.names) == len(set(self.names)) == len(self.flip) == len(self.sigmas):
            raise ValueError(f"{self.name}: names, flip and sigmas differ in length, or a name comes twice")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def coco_rows(self) -> tuple[int, ...]:
        """For each of COCO's 17 keypoints the row of the same name; -1 where the set has none."""
        return tuple(self.names.index(name) if name in self.names else -1 for name in KEYPOINTS)

    @cached_property
    def oks_spread(self) -> np.ndarray:
        """[K] float32, the distances that OKS divides by, relative to the square root of the area."""
        spread: np.ndarray = np.sqrt(8) * np.array(self.sigmas)
        return spread.astype(np.float32)

    def to_coco(self, keypoints: np.ndarray) -> np.ndarray:
        """Select COCO's 17 keypoints by name.

        Args:
            keypoints: [..., K, 3] x y confidence.

        Returns:
            [..., 17, 3]; keypoints that the set lacks are zero. Those of COCO's own set are not copied.
        """
        return _select(keypoints, self.coco_rows)

    def to_prompts(self, keypoints: np.ndarray) -> np.ndarray:
        """Select the 17 keypoints that prompt KPR, as `to_coco` but by `prompt_rows`."""
        return _select(keypoints, self.coco_rows if self.prompt_rows is None else self.prompt_rows)


def _select(keypoints: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    if keypoints.shape[-2] == len(rows) and tuple(rows) == _ALL:
        return keypoints
    selected: np.ndarray = keypoints[..., rows, :]
    selected[..., np.array(rows) < 0, :] = 0
    return selected


_ALL = tuple(range(len(KEYPOINTS)))

COCO_SKELETON = Skeleton("coco17", KEYPOINTS, LIMBS, FLIP, OKS_SIGMAS)
# PoseTrack's head: nose - neck - top; its ears are placeholders without limbs. OKS constants as in MMPose,
# which takes those of COCO's eyes for neck and top. KPR is trained with its joints in the rows of COCO's.
POSETRACK_SKELETON = Skeleton(
    "posetrack17",
    POSETRACK_KEYPOINTS,
    ((0, 1), (0, 2), *LIMBS[4:]),
    POSETRACK_FLIP,
    OKS_SIGMAS,
    prompt_rows=_ALL,
)
