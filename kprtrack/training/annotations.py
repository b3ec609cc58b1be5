"""Labelled pictures for training: COCO's json, and PoseTrack21's folders of them, as plain arrays.

Regions that say "whoever is here was not labelled" come as polygons: COCO's crowds (iscrowd 1) and
PoseTrack21's ignore regions. An annotation may have a `score`, how certain the teacher who made it was, and
`keypoint_scores` for its keypoints.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS

Skeleton = Literal["coco", "posetrack"]

_JOINTS = len(KEYPOINTS)
_SKELETONS: dict[tuple[str, ...], Skeleton] = {KEYPOINTS: "coco", POSETRACK_KEYPOINTS: "posetrack"}
_PERSON = "person"
_FEWEST_CORNERS = 3

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class LabelledImage:
    """A picture and its N labelled people."""

    path: Path
    width: int
    height: int
    boxes: np.ndarray  # [N, 4] float32, x1 y1 x2 y2, pixels; may reach outside the picture
    scores: np.ndarray  # [N] float32 in [0, 1]; 1 where the file has none
    keypoints: np.ndarray  # [N, 17, 3] float32, x y v: 0 unknown, 1 hidden, 2 visible
    keypoint_scores: np.ndarray  # [N, 17] float32; where the file has none 1, unknown ones 0
    ignore: tuple[np.ndarray, ...] = ()  # polygons, each [V, 2] float32, of regions where nobody was labelled
    skeleton: Skeleton = "coco"  # the order of the keypoints


@dataclass(frozen=True)
class _File:
    """What the messages about a json file and its annotations need."""

    path: Path
    skeleton: Skeleton
    person: object  # the category's id; None: there is only one

    def place(self, entry: Entry) -> str:
        return f"{self.path}, annotation {entry.get('id')} of image {entry.get('image_id')}"


def read_annotations(
    annotations: str | Path, images_root: str | Path | None = None
) -> tuple[LabelledImage, ...]:
    """The pictures of a json file, or of all those in a folder, in their order.

    images_root: what the names of pictures begin at; None: the folder of the json file or one of those around
    it, as PoseTrack21 needs. Pictures that say `is_labeled: false` (PoseTrack21) are left out, as are other
    categories than people.
    Raises: InputError naming file and field, or the first picture that is missing.
    """
    path = Path(annotations).expanduser()
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path} holds no json file. Name a file of annotations, or a folder of them.")
    folder = path if path.is_dir() else path.parent
    named = [image for file in files for image in _read_file(file)]
    if not named:
        raise InputError(f"{path}: no picture is labelled (all say is_labeled: false).")
    around = [folder, *folder.parents[:2]] if images_root is None else [Path(images_root).expanduser()]
    root = next((each for each in around if (each / named[0].path).is_file()), around[0])
    found = [replace(image, path=root / image.path) for image in named]
    missing = [image.path for image in found if not image.path.is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of the {len(found)} pictures of {path} are not there, first {missing[0]}. "
            "Say where they are: images=FOLDER beside annotations."
        )
    return tuple(image if image.width else _measured(image) for image in found)


def _read_file(path: Path) -> list[LabelledImage]:
    data = _load(path)
    images, entries = (_objects(data, name, path) for name in ("images", "annotations"))
    if not images:
        raise InputError(f"{path}: 'images' is empty, so there is nothing to learn from.")
    file = _File(path, *_category(data, path))
    entries_of: dict[object, list[Entry]] = {_image_id(image, path): [] for image in images}
    if len(entries_of) < len(images):
        raise InputError(f"{path}: {len(images) - len(entries_of)} images have an id that was there before.")
    for entry in entries:
        if entry.get("image_id") not in entries_of:
            raise InputError(f"{file.place(entry)}: there is no such image in 'images'.")
        if file.person is None or entry.get("category_id") == file.person:
            entries_of[entry["image_id"]].append(entry)
    return [
        _image(image, entries_of[_image_id(image, path)], file)
        for image in images
        if image.get("is_labeled", True)
    ]


def _image(image: Entry, entries: Sequence[Entry], file: _File) -> LabelledImage:
    """The picture, its path still without the folder."""
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise InputError(f"{file.path}, image {image.get('id')}: 'file_name' is {name!r:.40}, no file name.")
    place = f"{file.path}, image {name}"
    crowds = [_box(entry, file) for entry in entries if entry.get("iscrowd")]
    people = [entry for entry in entries if not entry.get("iscrowd")]
    keypoints = np.stack([_keypoints(entry, file) for entry in people] or [np.zeros((_JOINTS, 3))])
    keypoint_scores = [_joint_scores(entry, file) for entry in people] or [np.zeros(_JOINTS)]
    count = len(people)
    return LabelledImage(
        Path(name),
        _side(image, "width", place),
        _side(image, "height", place),
        np.array([_box(entry, file) for entry in people], np.float32).reshape(-1, 4),
        np.array([_score(entry, file) for entry in people], np.float32),
        keypoints[:count].astype(np.float32),
        np.stack(keypoint_scores)[:count].astype(np.float32),
        (*(corners_of(box) for box in crowds), *_polygons(image, place)),
        file.skeleton,
    )


def corners_of(box: Sequence[float] | np.ndarray) -> np.ndarray:
    """[4, 2] float32: the corners of a box x1 y1 x2 y2, in their order around it."""
    x1, y1, x2, y2 = box
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], np.float32)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read the annotations {path}: {error.strerror}.") from error
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            data = json.loads(text)  # takes NaN, which the checks then name with its place
        except (ValueError, RecursionError):
            raise InputError(f"{path} is no valid json: {error}. Is it cut off?") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} holds a list; annotations are an object with 'images' and 'annotations'.")
    return data


def _objects(data: Mapping[str, Any], name: str, path: Path) -> list[Entry]:
    found = data.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InputError(f"{path}: '{name}' must be a list of objects, as in COCO's files.")
    return found


def _category(data: Mapping[str, Any], path: Path) -> tuple[Skeleton, object]:
    """The order of a person's keypoints, and the person's id among the categories; None: the only one."""
    categories = _objects(data, "categories", path) if "categories" in data else []
    people = [each for each in categories if each.get("name") == _PERSON]
    if not people and len(categories) > 1:
        names = ", ".join(str(each.get("name")) for each in categories[:5])
        raise InputError(f"{path}: none of the 'categories' is called '{_PERSON}', but {names}.")
    chosen = (people or categories or [{}])[0]
    joints = tuple(chosen.get("keypoints") or KEYPOINTS)
    if joints not in _SKELETONS:
        raise InputError(
            f"{path}: 'categories' names other keypoints than COCO or PoseTrack: {joints[:5]}..."
        )
    return _SKELETONS[joints], chosen.get("id") if len(categories) > 1 else None


def _image_id(image: Entry, path: Path) -> object:
    image_id = image.get("id", image.get("frame_id"))
    if not isinstance(image_id, int | str):
        raise InputError(f"{path}, image {image.get('file_name')}: 'id' is {image_id!r:.40}.")
    return image_id


def _side(image: Entry, name: str, place: str) -> int:
    side = image.get(name, 0)  # PoseTrack21 has none
    if not isinstance(side, int) or side < 0:
        raise InputError(f"{place}: '{name}' is {side!r:.40}, no number of pixels.")
    return side


def _numbers(entry: Entry, name: str, count: int, file: _File) -> np.ndarray:
    try:
        values = np.array(entry[name], np.float64)
    except (KeyError, TypeError, ValueError):
        values = np.zeros(0)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise InputError(
            f"{file.place(entry)}: '{name}' is {entry.get(name)!r:.60}; expected {count} finite numbers."
        )
    return values


def _box(entry: Entry, file: _File) -> np.ndarray:
    x, y, width, height = _numbers(entry, "bbox", 4, file)
    if min(width, height) < 0:
        raise InputError(
            f"{file.place(entry)}: 'bbox' has the size {width:g} x {height:g} (x y width height)."
        )
    return np.array((x, y, x + width, y + height))


def _score(entry: Entry, file: _File) -> float:
    score = entry.get("score", 1.0)
    if not isinstance(score, int | float) or not 0 <= score <= 1:
        raise InputError(f"{file.place(entry)}: 'score' is {score!r:.40}; expected a number in 0..1.")
    return float(score)


def _keypoints(entry: Entry, file: _File) -> np.ndarray:
    if not entry.get("keypoints"):
        return np.zeros((_JOINTS, 3))
    return _numbers(entry, "keypoints", 3 * _JOINTS, file).reshape(_JOINTS, 3)


def _joint_scores(entry: Entry, file: _File) -> np.ndarray:
    if entry.get("keypoint_scores") is None:
        return (_keypoints(entry, file)[:, 2] > 0).astype(np.float64)
    return _numbers(entry, "keypoint_scores", _JOINTS, file)


def _polygons(image: Entry, place: str) -> tuple[np.ndarray, ...]:
    """PoseTrack21's ignore regions; a single one may be a flat list."""
    xs, ys = (image.get(f"ignore_regions_{axis}") or [] for axis in "xy")
    try:
        if xs and not isinstance(xs[0], list):
            xs, ys = [xs], [ys]
        polygons = [np.array(pair, np.float32).T for pair in zip(xs, ys, strict=True)]
        sound = all(polygon.ndim == 2 and np.isfinite(polygon).all() for polygon in polygons if polygon.size)
    except (TypeError, ValueError, KeyError):
        sound = False
    if not sound:
        raise InputError(f"{place}: 'ignore_regions_x' and '_y' must be lists of polygons, as many x as y.")
    return tuple(polygon for polygon in polygons if len(polygon) >= _FEWEST_CORNERS)


def _measured(image: LabelledImage) -> LabelledImage:
    """With the size that the picture itself tells."""
    from PIL import Image

    try:
        with Image.open(image.path) as opened:
            width, height = opened.size
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"The picture {image.path} cannot be read: {error}.") from error
    return replace(image, width=width, height=height)
