"""Keypoint files in the published format: per crop a JSON list of skeletons, one of them the target.

Source: docs/reference/kpr.md 2.6 and 5.2.
"""

from pathlib import Path

import numpy as np
import orjson

from kprtrack.core.errors import InputError
from kprtrack.core.files.json_file import load_json
from kprtrack.core.files.numbers import LARGEST, MOST_PEOPLE
from kprtrack.core.skeleton import KEYPOINTS

_HOW_TO_GET = (
    "Make keypoints with `kprtrack data keypoints`, name another folder with keypoints=NAME, "
    "or use none: keypoints=none."
)


def read_keypoints(path: Path) -> np.ndarray:
    """The skeletons of a crop, the target first: [1 + M, 17, 3] float32 x y confidence, as they are stored.

    The target is the one with `is_target` true, or the first if none has that field. An empty list is a
    target without keypoints.

    Args:
        path: A .json file of a list of skeletons.

    Returns:
        [1 + M, 17, 3] float32 x y confidence in pixels of the crop.

    Raises:
        InputError: The file is missing or damaged.
    """
    entries = _load(path)
    if len(entries) > MOST_PEOPLE:
        raise InputError(f"{path} has {len(entries)} skeletons; at most {MOST_PEOPLE} are read.")
    if not entries:
        return np.zeros((1, len(KEYPOINTS), 3), np.float32)
    skeletons = np.stack([_skeleton(entry, f"{path}, skeleton {row}") for row, entry in enumerate(entries)])
    target = _target(entries, path)
    return np.concatenate((skeletons[target : target + 1], np.delete(skeletons, target, axis=0)))


def keypoints_json(keypoints: np.ndarray) -> bytes:
    """The file of a crop: keypoints [1 + M, 17, 3], the target first.

    Args:
        keypoints: [1 + M, 17, 3] x y confidence in pixels of the crop, the target first.

    Returns:
        Content of the file, rounded to 0.01.
    """
    rounded = np.round(keypoints.astype(np.float64), 2)
    return orjson.dumps(
        [{"keypoints": each.tolist(), "is_target": row == 0} for row, each in enumerate(rounded)]
    )


def _load(path: Path) -> list[dict]:
    if not path.exists():
        raise InputError(f"There is no keypoint file {path}. {_HOW_TO_GET}")
    found = load_json(path)
    entries = [found] if isinstance(found, dict) else found
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(
            f'The keypoint file {path} must be a list of skeletons such as {{"keypoints": [...], '
            '"is_target": true}.'
        )
    return entries


def _skeleton(entry: dict, place: str) -> np.ndarray:
    if "keypoints" not in entry:
        raise InputError(f'{place}: "keypoints" is missing.')
    try:
        found = np.array(entry["keypoints"])
        valid = found.dtype.kind in "iuf" and found.size == 3 * len(KEYPOINTS)
    except ValueError:  # lists of different lengths
        valid = False
    if not valid:
        raise InputError(f'{place}: "keypoints" must be {len(KEYPOINTS)} x [x, y, confidence] in numbers.')
    found = found.reshape(len(KEYPOINTS), 3)
    wrong = ~((found > -LARGEST) & (found < LARGEST))
    if wrong.any():
        row = int(np.argwhere(wrong)[0, 0])
        raise InputError(f"{place}: the {KEYPOINTS[row]} is {found[row].tolist()}, not finite.")
    return found.astype(np.float32)


def _target(entries: list[dict], path: Path) -> int:
    flags = [entry.get("is_target") for entry in entries]
    if all(flag is None for flag in flags):
        return 0
    targets = [row for row, flag in enumerate(flags) if flag]
    if len(targets) != 1:
        raise InputError(
            f'{path}: {len(targets)} of {len(entries)} skeletons are the target. Set "is_target" to true for '
            "the person the crop shows."
        )
    return targets[0]
