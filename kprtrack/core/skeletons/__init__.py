"""The known sets of keypoints, and how a file is matched with one."""

from collections.abc import Collection

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


def counts_text() -> str:
    """List the numbers of keypoints for messages: 17 (coco17), 26 (halpe26), ..."""
    return ", ".join(f"{count} ({BY_COUNT[count].name})" for count in sorted(BY_COUNT))


def skeleton_among(names: Collection[str]) -> Skeleton | None:
    """Return the largest set all of whose keypoints are among the names; None if there is none.

    Args:
        names: Names of keypoints, in any order.

    Examples:
        >>> skeleton_among(SKELETONS["halpe26"].names).name
        'halpe26'
    """
    known = set(names)
    return next((each for each in LARGEST_FIRST if known.issuperset(each.names)), None)
