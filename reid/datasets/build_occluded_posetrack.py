"""Build Occluded-PoseTrack-ReID from PoseTrack21 with the rule of its authors.

With their sampling files in place exactly their crops are made, else those of the documented rule (see
posetrack_people). Existing crops are kept, so that an interrupted run resumes.
Source: docs/reference/kpr.md 5.3.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import orjson

from kprtrack.core.abandoned_parts import remove_abandoned_parts
from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import InputError
from reid.datasets.crops import read_image
from reid.datasets.occluded_posetrack import (
    FOLDER,
    NOWHERE,
    SPLITS,
    crops_file,
    read_table,
    sampling_file,
)
from reid.datasets.posetrack_people import (
    Person,
    occlusion_level,
    poses_in_crop,
    query_ids,
    read_people,
    sample_people,
)

_HEIGHT, _WIDTH = 384, 128  # a crop that is higher or wider is brought to exactly this size
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)


def build_occluded_posetrack(root: Path, *, on_crop: Callable[[int, int], None] | None = None) -> None:
    """Make the crops and lists of both splits below root/occluded_posetrack_reid; a finished split is kept.

    Args:
        on_crop: Called after each frame with the number of crops made and their total.

    Raises:
        InputError: PoseTrack21 is incomplete; the message names what is missing.
        OutputError: A file cannot be written.
    """
    for split in SPLITS:
        if not (crops_file(root, split).exists() and sampling_file(root, split).exists()):
            _build_split(root, split, on_crop or (lambda done, total: None))


def _build_split(root: Path, split: str, on_crop: Callable[[int, int], None]) -> None:
    people = read_people(root, split)
    given = sampling_file(root, split).exists()
    chosen = _given_sample(root, split, people) if given else sample_people(people, train=split == "train")
    if not chosen:
        raise InputError(
            f"{root / 'posetrack_data' / split} has no person with enough crops. Is it complete?"
        )
    images = root / FOLDER / "images" / split
    remove_abandoned_parts(images / person.video for person in chosen)
    entries: dict[int, dict[str, object]] = {}
    occlusion: dict[int, float] = {}
    frames: dict[str, list[Person]] = defaultdict(list)
    for person in chosen:
        frames[person.image].append(person)
    for image, members in frames.items():
        for annotation, level, entry in _cut_frame(root, split, image, members):
            entries[annotation], occlusion[annotation] = entry, level
        on_crop(len(entries), len(chosen))
    if not given:
        roles = _roles(chosen, occlusion, split)
        rows = {str(row): person.id for row, person in enumerate(people)}
        table = {"id": rows, "split": {row: roles.get(each, "none") for row, each in rows.items()}}
        write_file(sampling_file(root, split), orjson.dumps(table))
    write_file(crops_file(root, split), orjson.dumps([entries[person.id] for person in chosen]))


def _given_sample(root: Path, split: str, people: list[Person]) -> list[Person]:
    rows = read_table(sampling_file(root, split), ("id", "split"))
    wanted = {row["id"] for row in rows if row["split"] not in NOWHERE}
    chosen = [person for person in people if person.id in wanted]
    if missing := wanted - {person.id for person in chosen}:
        raise InputError(
            f"{sampling_file(root, split)} names {len(missing)} annotations that are not in posetrack_data, "
            f"first {min(missing)}. Is PoseTrack21 complete?"
        )
    return chosen


def _cut_frame(
    root: Path, split: str, image: str, members: list[Person]
) -> Iterator[tuple[int, float, dict[str, object]]]:
    """For each member the id of the annotation, its occlusion and its line of the list."""
    frame = None
    for person in members:
        name = f"{person.identity}_{person.video}_{person.image_id}.jpg"
        path = Path(FOLDER, "images", split, person.video, name)
        if (root / path).exists():
            height, width = read_image(root / path).shape[:2]
        else:
            frame = read_image(root / image) if frame is None else frame
            crop = _cut(frame, person.box)
            height, width = crop.shape[:2]
            _, data = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), _JPEG)
            write_file(root / path, data.tobytes(), concurrent=True)
        poses = np.stack((person.keypoints, *person.others))
        own, *others = poses_in_crop(poses, person.box, width, height)
        seen = np.array([each for each in others if each[:, 2].any()]).reshape(-1, *own.shape)
        yield (
            person.id,
            occlusion_level(own, seen),
            {
                "id": person.id,
                "reid_crop_path": path.as_posix(),
                "reid_crop_width": width,
                "reid_crop_height": height,
                "negative_kps": seen.round(3).tolist(),
            },
        )


def _cut(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The frame inside the box, at least one pixel large."""
    size = np.array(frame.shape[1::-1])
    start = box[:2].clip(0, size - 1)
    extent = np.minimum(box[2:], size - 1 - start).clip(1)
    (left, top), (width, height) = start.astype(int), extent.astype(int)
    crop = frame[top : top + height, left : left + width]
    if height > _HEIGHT or width > _WIDTH:
        return cv2.resize(crop, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_LINEAR)
    return crop


def _roles(chosen: list[Person], occlusion: dict[int, float], split: str) -> dict[int, str]:
    if split == "train":
        return {person.id: "train" for person in chosen}
    queries = query_ids(occlusion, {person.id: person.identity for person in chosen})
    return {person.id: "query" if person.id in queries else "gallery" for person in chosen}
