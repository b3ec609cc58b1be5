"""The known sets of keypoints, and how a file is matched with one."""

from collections.abc import Collection
from functools import cache

import numpy as np

from kprtrack.core.skeleton import COCO_SKELETON, POSETRACK_SKELETON, Skeleton
from kprtrack.core.skeletons.blazepose import BLAZEPOSE33
from kprtrack.core.skeletons.halpe import HALPE26
from kprtrack.core.skeletons.wholebody import WHOLEBODY133

# A new set is one module here and one entry.
SKELETONS: dict[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (COCO_SKELETON, POSETRACK_SKELETON, HALPE26, BLAZEPOSE33, WHOLEBODY133)
}
# Number of keypoints -> the set; of two with equal numbers the first.
BY_COUNT = {len(skeleton): skeleton for skeleton in reversed(SKELETONS.values())}
LARGEST_FIRST = sorted(SKELETONS.values(), key=len, reverse=True)


MOST_KEYPOINTS = 1000
_UNNAMED = "point"  # point1, point2, ...


def counts_text() -> str:
    """List the numbers of keypoints for messages: 17 (coco17), 26 (halpe26), ..."""
    return ", ".join(f"{count} ({BY_COUNT[count].name})" for count in sorted(BY_COUNT))


def is_count(number: int | None) -> bool:
    """Whether a network may give so many keypoints; None, not declared, may be any."""
    return number is None or 1 <= number <= MOST_KEYPOINTS


@cache
def skeleton_of_count(count: int) -> Skeleton:
    """Return the known set of so many keypoints, else one whose keypoints are called point1, point2, ...

    Args:
        count: From 1 to MOST_KEYPOINTS.

    Returns:
        The set. One that is not known has no limbs, prompts no encoder, and its OKS constants are all the
        mean of COCO's.

    Examples:
        >>> skeleton_of_count(26).name, skeleton_of_count(3).names
        ('halpe26', ('point1', 'point2', 'point3'))
    """
    if count in BY_COUNT:
        return BY_COUNT[count]
    names = tuple(f"{_UNNAMED}{number + 1}" for number in range(count))
    sigma = float(np.mean(COCO_SKELETON.sigmas))
    return Skeleton(f"points{count}", names, (), tuple(range(count)), (sigma,) * count)


def skeleton_among(names: Collection[str]) -> Skeleton | None:
    """Return the largest set all of whose keypoints are among the names; None if there is none.

    Args:
        names: Names of keypoints, in any order.

    Examples:
        >>> skeleton_among(SKELETONS["halpe26"].names).name
        'halpe26'
    """
    known = set(names)
    if f"{_UNNAMED}1" in known:
        count = next(number for number in range(1, len(known) + 1) if f"{_UNNAMED}{number + 1}" not in known)
        return skeleton_of_count(count) if count not in BY_COUNT and is_count(count) else None
    return next((each for each in LARGEST_FIRST if known.issuperset(each.names)), None)
