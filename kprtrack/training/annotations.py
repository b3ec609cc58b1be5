"""Labelled images for training: COCO's json, and PoseTrack21's folders of them, as plain arrays.

Regions that say "whoever is here was not labelled" come as polygons: COCO's crowds (iscrowd 1) and
PoseTrack21's ignore regions. An annotation may have a `score`, how certain the teacher who made it was, and
`keypoint_scores` for its keypoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.files.coco import file_name, ignore_regions, image_size, read_coco
from kprtrack.core.files.columns import Annotations, Entry
from kprtrack.core.files.folders import InsideFolder, visible
from kprtrack.core.files.paths import expanded
from kprtrack.core.files.selection import Selection
from kprtrack.core.skeleton import POSETRACK_SKELETON
from kprtrack.core.skeleton import Skeleton as KeypointSet
from kprtrack.io.annotations import skeleton_of

Skeleton = Literal["coco", "posetrack"]


@dataclass(frozen=True)
class LabelledImage:
    """An image and its N labelled people."""

    path: Path
    width: int
    height: int
    boxes: np.ndarray  # [N, 4] float32, x1 y1 x2 y2, pixels; may reach outside the image
    scores: np.ndarray  # [N] float32 in [0, 1]; 1 where the file has none
    keypoints: np.ndarray  # [N, 17, 3] float32, x y v: 0 unknown, 1 hidden, 2 visible
    keypoint_scores: np.ndarray  # [N, 17] float32; where the file has none 1, unknown ones 0
    ignore: tuple[np.ndarray, ...] = ()  # polygons, each [V, 2] float32, of regions without labels
    skeleton: Skeleton = "coco"  # the order of the keypoints


def read_annotations(
    annotations: str | Path, images_root: str | Path | None = None, category: str | None = None
) -> tuple[LabelledImage, ...]:
    """Read the images of a JSON file, or of all JSON files of a folder, in their order.

    Images with `is_labeled: false` (PoseTrack21) are left out, as are other categories than people.

    Args:
        annotations: The file or folder.
        images_root: Folder that image names are relative to; None: the folder of the JSON file or one of
            those around it, as PoseTrack21 needs.
        category: Category of people, for files that have several; None: "person", or the only one.

    Returns:
        The images with their people.

    Raises:
        InputError: A field is wrong or an image is missing; the message names file and field.
    """
    path = expanded(annotations)
    files = visible(path, "*.json") if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path} holds no json file. Name a file of annotations, or a folder of them.")
    folder = path if path.is_dir() else path.parent
    select = Selection(category, option="{}=NAME beside annotations")
    named = [image for file in files for image in _read_file(file, select)]
    if not named:
        raise InputError(f"{path}: no image is labelled (is_labeled is false for all).")
    around = [folder, *folder.parents[:2]] if images_root is None else [expanded(images_root)]
    root = next((each for each in around if (each / named[0].path).is_file()), around[0])
    inside = InsideFolder(
        root, str(path), "Name the folder that holds them: images=FOLDER beside annotations."
    )
    found = [replace(image, path=inside.path(image.path)) for image in named]
    missing = [image.path for image in found if not image.path.is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of the {len(found)} images of {path} are missing, first {missing[0]}. "
            "Say where they are: images=FOLDER beside annotations."
        )
    return tuple(image if image.width else _measured(image) for image in found)


def _read_file(path: Path, select: Selection) -> list[LabelledImage]:
    """The images of one file; their paths are still without the folder."""
    file = read_coco(path)
    own = skeleton_of(file, select)
    skeleton: Skeleton = "posetrack" if own == POSETRACK_SKELETON else "coco"
    annotations = file.people(select).by_image()
    crowd = np.array([bool(entry.get("iscrowd")) for entry in annotations.entries], bool)
    people, crowds = annotations.at(~crowd), annotations.at(crowd)
    boxes, scores, keypoints, keypoint_scores = _columns(people, own)
    crowd_boxes = _corners(crowds.boxes())
    found = []
    for index, image in enumerate(file.images):
        if image.get("is_labeled", True):
            name, width, height = _name_and_size(image, f"{path}, image {index}")
            rows, crowd_rows = people.images == index, crowds.images == index
            regions = (*map(corners_of, crowd_boxes[crowd_rows]), *_regions(image, path))
            columns = boxes[rows], scores[rows], keypoints[rows], keypoint_scores[rows]
            found.append(LabelledImage(name, width, height, *columns, regions, skeleton))
    return found


def _columns(people: Annotations, own: KeypointSet) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores, keypoints and keypoint scores as in `LabelledImage`, of all images.

    own: The set of the file; of another one than PoseTrack's, COCO's keypoints are taken.
    """
    scores = people.scalars("score", default=1.0)
    for row in np.flatnonzero((scores < 0) | (scores > 1))[:1].tolist():
        raise InputError(f"{people.place(row)}: score {scores[row]:g} must be between 0 and 1.")
    count = len(own)
    keypoints = people.numbers("keypoints", 3 * count, default=0.0).reshape(-1, count, 3)
    keypoint_scores = people.numbers("keypoint_scores", count, default=np.nan)
    if own != POSETRACK_SKELETON:
        keypoints, keypoint_scores = own.to_coco(keypoints), own.to_coco(keypoint_scores[..., None])[..., 0]
    keypoint_scores = np.where(np.isnan(keypoint_scores), keypoints[..., 2] > 0, keypoint_scores)
    columns = _corners(people.boxes()), scores, keypoints, keypoint_scores
    boxes, scores, keypoints, keypoint_scores = (column.astype(np.float32) for column in columns)
    return boxes, scores, keypoints, keypoint_scores


def _corners(boxes: np.ndarray) -> np.ndarray:
    """x1 y1 x2 y2 of x y width height, [N, 4]."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _rows_of(images: np.ndarray, count: int) -> list[slice]:
    """The rows of every image; images: [N] rising."""
    ends = np.searchsorted(images, np.arange(count), side="right").tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def _name_and_size(image: Entry, place: str) -> tuple[Path, int, int]:
    name = file_name(image, place)
    return Path(name), *(image_size(image, f"{place} ({name})") or (0, 0))  # PoseTrack21 has no size


def _regions(image: Entry, path: Path) -> list[np.ndarray]:
    place = f"{path}, image {image.get('file_name')}"
    return [region.astype(np.float32) for region in ignore_regions(image, place)]


def corners_of(box: Sequence[float] | np.ndarray) -> np.ndarray:
    """[4, 2] float32: the corners of a box x1 y1 x2 y2, in their order around it.

    Args:
        box: x1 y1 x2 y2 in pixels.

    Returns:
        [4, 2] float32, x y in pixels, in their order around the box.
    """
    x1, y1, x2, y2 = box
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], np.float32)


def _measured(image: LabelledImage) -> LabelledImage:
    """Add the size read from the image file."""
    from PIL import Image

    try:
        with Image.open(image.path) as opened:
            width, height = opened.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"The image {image.path} cannot be read: {error}.") from error
    return replace(image, width=width, height=height)
