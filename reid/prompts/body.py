"""Where the 17 keypoints are in the box of a standing person, for points that no pose estimator has named."""

import numpy as np

from kprtrack.core.skeleton import KEYPOINTS

# Share of the height of the body, from the top. Source: Drillis and Contini, "Body segment parameters"
# (1966), as in Winter, "Biomechanics and Motor Control of Human Movement", fig. 4.1; the arms hang down.
_HEIGHTS = {
    "nose": 0.09,
    "eye": 0.065,
    "ear": 0.075,
    "shoulder": 0.182,
    "elbow": 0.37,
    "wrist": 0.515,
    "hip": 0.47,
    "knee": 0.715,
    "ankle": 0.96,
}
# From the middle of the body at this height to its edge; of the person's left side, which is on the right of
# the image of a person who faces the camera.
_SIDES = {"eye": 0.3, "ear": 0.6, "shoulder": 0.55, "elbow": 0.75, "wrist": 0.75, "hip": 0.4}
_SIDES |= {"knee": 0.4, "ankle": 0.4}


def _of(table: dict[str, float], name: str) -> float:
    return table.get(name.split("_")[-1], 0.0)


HEIGHTS = np.array([_of(_HEIGHTS, name) for name in KEYPOINTS])  # [17]
SIDES = np.array([_of(_SIDES, name) * (-1 if name.startswith("right") else 1) for name in KEYPOINTS])  # [17]
