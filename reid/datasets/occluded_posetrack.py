"""Occluded-PoseTrack-ReID: people of PoseTrack21, the most occluded of them as queries.

Reads what `kprtrack data build` or the authors' code made below PoseTrack21/occluded_posetrack_reid:
    {train,val}_dataset_sampling.json               which annotations belong to the dataset
    images/anns/{train,val}_reid_crops_anns.json    path and size of their crops, keypoints of others
    masks/{train,val}/VIDEO/CROP.npy                human parsing, 36 fields; or part labels, see `masks`
The person's own keypoints come from posetrack_data. Source: docs/reference/kpr.md 5.1, 5.3.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.files.folders import InsideFolder, visible
from kprtrack.core.files.json_file import load_json
from kprtrack.core.files.numbers import LARGEST, whole_number
from kprtrack.core.skeleton import KEYPOINTS
from reid.datasets.layout import validate_empty
from reid.datasets.posetrack_people import (
    Person,
    occlusion_level,
    poses_in_crop,
    query_ids,
    read_people,
)
from reid.datasets.sample import ReidData, ReidSample

FOLDER, IMAGES = "occluded_posetrack_reid", "images"
SPLITS = ("train", "val")
PUBLISHED_MASKS = "masks"
NOWHERE = ("none", None)  # the split of annotations that are not in the dataset
_AGAIN = "Delete the file and build the dataset again."
CROP_COLUMNS = ("id", "reid_crop_path", "reid_crop_width", "reid_crop_height", "negative_kps")


def sampling_file(root: Path, split: str) -> Path:
    """Which annotations belong to the dataset.

    Args:
        root: Folder of PoseTrack21.
        split: "train" or "val".

    Returns:
        Path of the .json file.
    """
    return root / FOLDER / f"{split}_dataset_sampling.json"


def crops_file(root: Path, split: str) -> Path:
    """What was cut; it is written last.

    Args:
        root: Folder of PoseTrack21.
        split: "train" or "val".

    Returns:
        Path of the .json file.
    """
    return root / FOLDER / IMAGES / "anns" / f"{split}_reid_crops_anns.json"


@dataclass(frozen=True)
class OccludedPosetrackConfig:
    """Options of Occluded-PoseTrack-ReID."""

    masks: str | None = PUBLISHED_MASKS  # `masks` (.npy) or a folder of part labels (.png); None: no masks


def occluded_posetrack(root: Path, config: OccludedPosetrackConfig) -> ReidData:
    """Open the folder of PoseTrack21 with its crops.

    Args:
        root: Folder of PoseTrack21.
        config: Options of the dataset.

    Returns:
        Training set, query and gallery.
    """
    videos = {
        name: row
        for row, name in enumerate(
            sorted(p.stem for split in SPLITS for p in visible(root / "posetrack_data" / split, "*.json"))
        )
    }
    train = _read(root, "train", config.masks, videos)
    val = _read(root, "val", config.masks, videos)
    queries = query_ids(
        {annotation: sample.occlusion for annotation, sample in val.items()},
        {annotation: sample.identity for annotation, sample in val.items()},
    )
    data = ReidData(
        "occluded_posetrack",
        train=tuple(train.values()),
        query=tuple(sample for annotation, sample in val.items() if annotation in queries),
        gallery=tuple(sample for annotation, sample in val.items() if annotation not in queries),
        protocol="mot_inter_intra_video",
    )
    return validate_empty(data, root)


@dataclass(frozen=True)
class _Files:
    """Where the crops of a split and their masks are."""

    root: Path
    split: str
    masks: str | None
    videos: dict[str, int]  # numbers of the videos of both splits by name
    inside: InsideFolder  # the folder of the images

    def masks_of(self, image: Path) -> Path | None:
        """The file of masks of an image, whose path below the folder of the images is given."""
        if self.masks is None:
            return None
        suffix = ".npy" if self.masks == PUBLISHED_MASKS else ".png"
        return (self.root / FOLDER / self.masks / image).with_suffix(suffix)


def _read(root: Path, split: str, masks: str | None, videos: dict[str, int]) -> dict[int, ReidSample]:
    """The samples of a split by annotation id."""
    for path in (crops_file(root, split), sampling_file(root, split)):
        if not path.exists():
            raise InputError(
                f"There is no {path}. Cut the crops out first: "
                f"kprtrack data build occluded_posetrack --root {root}"
            )
    rows = read_table(sampling_file(root, split), ("id", "split"))
    chosen = {row["id"] for row in rows if row["split"] not in NOWHERE}
    crops = {row["id"]: row for row in read_table(crops_file(root, split), CROP_COLUMNS)}
    people = {person.id: person for person in read_people(root, split) if person.id in chosen}
    for name, found in (("annotations of posetrack_data", people), ("crops", crops)):
        if missing := sorted(chosen - set(found)):
            raise InputError(
                f"{sampling_file(root, split)} names {len(missing)} people who are not among the {name}, "
                f"first {missing[0]}. Delete {crops_file(root, split).name} and build the dataset again."
            )
    inside = InsideFolder(root / FOLDER / IMAGES, str(crops_file(root, split)), _AGAIN)
    files = _Files(root, split, masks, videos, inside)
    return {each: _sample(files, people[each], crops[each]) for each in sorted(chosen)}


def _sample(files: _Files, person: Person, crop: dict) -> ReidSample:
    place = f"{crops_file(files.root, files.split)}, id {person.id}"
    try:
        size = int(crop["reid_crop_width"]), int(crop["reid_crop_height"])
        others = np.array(crop["negative_kps"], np.float64).reshape(-1, len(KEYPOINTS), 3)
        image = _below_images(str(crop["reid_crop_path"]))
        valid = min(size) > 0 and max(size) < LARGEST and (np.abs(others) < LARGEST).all()
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise InputError(f"{place}: the crop's path, size or negative_kps is wrong. {_AGAIN}")
    if person.video not in files.videos:
        raise InputError(
            f"{place}: there is no {person.video}.json in posetrack_data, the video of the crop."
        )
    own = poses_in_crop(person.keypoints[None], person.box, *size)
    return ReidSample(
        files.inside.path(image),
        person.identity,
        camera=files.videos[person.video],
        keypoints=np.concatenate((own, others)).astype(np.float32),
        masks=files.masks_of(image),
        occlusion=occlusion_level(own[0], others),
        video=files.videos[person.video],
    )


def _below_images(path: str) -> Path:
    """The crop's path below the folder of the images, wherever the dataset was built."""
    parts = Path(path).parts
    parts = parts[parts.index(FOLDER) + 1 :] if FOLDER in parts else parts
    if parts[:1] != (IMAGES,):
        raise ValueError(path)
    return Path(*parts[1:])


def read_table(path: Path, columns: tuple[str, ...]) -> list[dict]:
    """Read the rows of a table that pandas wrote: a list of rows, or for each column the values by row name.

    Args:
        path: The .json file.
        columns: Names that every row must have; the first holds whole numbers.

    Returns:
        The rows, one or more.

    Raises:
        InputError: A column is missing, or a value of the first column.
    """
    data = load_json(path)
    rows: list[dict] = []
    if isinstance(data, dict) and all(isinstance(data.get(column), dict) for column in columns):
        names = list(data[columns[0]])
        rows = [{column: data[column].get(name) for column in columns} for name in names]
    elif isinstance(data, list) and all(isinstance(row, dict) for row in data):
        rows = data
    complete = bool(rows) and all(column in row for row in rows for column in columns)
    ids = [whole_number(row[columns[0]]) for row in rows] if complete else [None]
    if any(number is None for number in ids):
        raise InputError(
            f"{path} must be a table with the columns {', '.join(columns)}, the first of whole numbers. "
            "Copy or make it again."
        )
    return [row | {columns[0]: number} for row, number in zip(rows, ids, strict=True)]
