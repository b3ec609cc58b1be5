"""Keypoint files in the published format: per crop a JSON list of skeletons, one of them the target.

Source: docs/reference/kpr.md 2.6 and 5.2.
"""

import codecs
from pathlib import Path

import numpy as np
import orjson

from kprtrack.core.errors import InputError
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
    try:
        found = orjson.loads(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except FileNotFoundError as error:
        raise InputError(f"There is no keypoint file {path}. {_HOW_TO_GET}") from error
    except OSError as error:
        raise InputError(f"Cannot read the keypoint file {path}: {error.strerror}.") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"The keypoint file {path} is not valid JSON: {error}. Write it again.") from error
    entries = [found] if isinstance(found, dict) else found
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(
            f'The keypoint file {path} must be a list of skeletons such as {{"keypoints": [...], '
            '"is_target": true}.'
        )
    return entries


def _skeleton(entry: dict, place: str) -> np.ndarray:
    try:
        found = np.array(entry["keypoints"], np.float32).reshape(len(KEYPOINTS), 3)
    except KeyError as error:
        raise InputError(f'{place}: "keypoints" is missing.') from error
    except (TypeError, ValueError) as error:
        raise InputError(
            f'{place}: "keypoints" must be {len(KEYPOINTS)} x [x, y, confidence] in numbers.'
        ) from error
    if not np.isfinite(found).all():
        row = int(np.argwhere(~np.isfinite(found))[0, 0])
        raise InputError(f"{place}: the {KEYPOINTS[row]} is {found[row].tolist()}, not finite.")
    return found


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
