"""AlphaPose's alphapose-results.json: people with their image, keypoints, box, score and track ID.

The sets that its networks give are COCO's 17 and Halpe-26; of other sets COCO's keypoints are written.
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.numbers import LAST_FRAME
from kprtrack.core.geometry import left_top_size
from kprtrack.core.skeleton import COCO_SKELETON, POSETRACK_SKELETON, Skeleton
from kprtrack.core.skeletons import BY_COUNT, counts_text
from kprtrack.core.skeletons.halpe import HALPE26
from kprtrack.io.columns import NO_ID, PeopleFile, ids_from_one, people_columns
from kprtrack.io.exports.tables import ConvertOptions
from kprtrack.io.header import RunHeader, TrackFile, compact_json
from kprtrack.io.output_file import validate_target

_IMAGE_NAME = re.compile(rb'"image_id"\s*:\s*"')


def write_alphapose(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write one entry for each person and frame; `image_id` is "0.jpg" for frame 0, as for a video.

    Raises:
        UserError: The skeleton is PoseTrack's.
        OutputError: The file cannot be written.
    """
    skeleton = file.header.skeleton
    if skeleton == POSETRACK_SKELETON:
        raise UserError(
            f"{options.source} has PoseTrack's skeleton, and AlphaPose needs COCO's: eyes and ears."
        )
    validate_target(path)
    entries = [
        {
            "image_id": f"{tracks.frame_number}.jpg",
            "category_id": 1,
            "keypoints": np.round(points[row].astype(np.float64), 4).ravel().tolist(),
            "score": round(float(tracks.scores[row]), 4),
            "box": box,
            "idx": track_id,
        }
        for tracks in file.frames
        for points in [tracks.keypoints if skeleton == HALPE26 else skeleton.to_coco(tracks.keypoints)]
        for row, (track_id, box) in enumerate(
            zip(tracks.ids.tolist(), left_top_size(tracks.boxes).tolist(), strict=True)
        )
    ]
    write_file(path, compact_json(entries))
    return [path]


def is_alphapose(start: bytes) -> bool:
    """Whether a JSON file that starts like this is AlphaPose's: a list with names of images as `image_id`."""
    return start.lstrip().startswith(b"[") and _IMAGE_NAME.search(start) is not None


def people_from_alphapose(data: object, path: Path) -> PeopleFile:
    """Read the entries; the number in the name of an image is the frame, and without numbers its place.

    Args:
        data: The document.
        path: Its file, for messages.

    Raises:
        InputError: Names the entry that is wrong.
    """
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise InputError(f"{path} is no result of AlphaPose: it must be a list of people.")
    names = list(dict.fromkeys(str(entry.get("image_id")) for entry in data))
    stems = [PurePosixPath(name).stem for name in names]
    numbered = all(stem.isdecimal() and int(stem) < LAST_FRAME for stem in stems)
    frame_of = {
        name: int(stem) if numbered else row
        for row, (name, stem) in enumerate(zip(names, stems, strict=True))
    }
    skeleton = _skeleton(data, path)
    points = np.zeros((len(data), len(skeleton), 3))
    boxes, scores = np.full((len(data), 4), np.nan), np.full(len(data), np.nan)
    ids = np.full(len(data), NO_ID, np.int64)
    frames = np.zeros(len(data), np.int64)
    for row, entry in enumerate(data):
        place = f"{path}, entry {row}"
        frames[row] = frame_of[str(entry.get("image_id"))]
        points[row] = _numbers(entry, "keypoints", 3 * len(skeleton), place).reshape(-1, 3)
        boxes[row] = _numbers(entry, "box", 4, place) if "box" in entry else _extent(points[row])
        ids[row] = _track_id(entry)
        if isinstance(entry.get("score"), int | float):
            scores[row] = min(max(float(entry["score"]), 0.0), 1.0)  # its pose score may exceed 1
    boxes[:, 2:] += boxes[:, :2]
    order = np.argsort(frames, kind="stable")
    people = people_columns(
        frames[order],
        boxes[order],
        ids=ids_from_one(ids)[order],
        scores=scores[order],
        keypoints=points[order],
    )
    unique = np.unique(frames)
    unknown = np.full(len(unique), np.nan)
    return PeopleFile(
        path,
        RunHeader(skeleton=skeleton),
        people,
        unique,
        unknown,
        lambda row: f"entry {order[row]}",
        True,
        None,
    )


def _skeleton(entries: list[dict[str, object]], path: Path) -> Skeleton:
    """The set with as many keypoints as the first entry has; the others must have as many."""
    first = entries[0].get("keypoints") if entries else None
    count = len(first) // 3 if isinstance(first, list) else len(COCO_SKELETON)
    if count not in BY_COUNT:
        raise InputError(f"{path}, entry 0: it has {count} keypoints; known are {counts_text()}.")
    return BY_COUNT[count]


def _extent(points: np.ndarray) -> np.ndarray:
    """[4] left top width height around the known keypoints."""
    known = points[points.any(axis=1), :2]
    if not len(known):
        return np.full(4, np.nan)
    low, high = known.min(axis=0), known.max(axis=0)
    return np.concatenate([low, high - low])


def _track_id(entry: Mapping[str, object]) -> int:
    value = entry.get("idx")
    while isinstance(value, list) and value:  # some versions nest it
        value = value[0]
    return int(value) if isinstance(value, int | float) and value >= 0 else NO_ID


def _numbers(entry: Mapping[str, object], key: str, count: int, place: str) -> np.ndarray:
    value = entry.get(key)
    good = (
        isinstance(value, list) and len(value) == count and all(isinstance(one, int | float) for one in value)
    )
    if not good:
        raise InputError(f'{place}: "{key}" must be {count} numbers, x y score of each keypoint.')
    return np.array(value, np.float64)
