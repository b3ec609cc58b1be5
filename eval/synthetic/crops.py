"""Crops in the layout of Occluded-PoseTrack-ReID, from a synthetic benchmark on disk.

occluded_posetrack_reid/
    {train,val}_dataset_sampling.json        columns id (of the annotation) and split, as pandas writes them
    images/{train,val}/SEQ/PERSON_SEQ_IMAGE.jpg
    images/anns/{train,val}_reid_crops_anns.json    id, path, size, keypoints and negative_kps in the crop
    masks/{train,val}/SEQ/PERSON_SEQ_IMAGE.npy      [96, 32] uint8: body part of the person, an index
        of shapes.PARTS; 0 for background and other people. The published files hold 36 fields of floats, 1.7
        MB a crop; these exact labels take 3 kB.
    masks/anns/{train,val}_reid_masks_anns.json     id, path
Source: docs/reference/kpr.md 5.1 and 5.3 (layout, sampling, split by occlusion, transform of keypoints).
"""

import io
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import orjson

from eval.report.output import make_folder
from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import InputError

_LARGEST = 384, 128  # height and width; larger crops are resized to exactly this size
_MASK = 96, 32
_MAX_TRAIN, _MAX_VAL, _FEWEST = 20, 10, 4  # crops of each identity
_MIN_VISIBLE, _MIN_PX = 0.3, 10  # visible share and side length of a training crop
_QUERY_SHARE = 0.2  # of the crops of an identity, the most occluded ones
Entry = dict[str, object]


class _Annotation:
    """One person in one frame, with the poses of all others."""

    def __init__(self, entry: dict, others: list[dict], file_name: str) -> None:
        self.id, self.person, self.image = entry["id"], entry["person_id"], entry["image_id"]
        self.track, self.box, self.file_name = entry["track_id"], np.array(entry["bbox"]), file_name
        self.sequence = Path(file_name).parent.name
        self.pose = np.array(entry["keypoints"], np.float64).reshape(-1, 3)
        self.others = np.array([other["keypoints"] for other in others], np.float64).reshape(-1, 17, 3)
        self.visibility = float(self.pose[:, 2].mean())

    def stem(self) -> str:
        return f"{self.person}_{self.sequence}_{self.image}"


def write_crops(root: Path, split: str, names: list[str]) -> None:
    """Write the crops of these sequences. Raises: InputError, OutputError."""
    people = [found for name in names for found in _read(root, split, name)]
    chosen = _sample(people, train=split == "train")
    base = root / "occluded_posetrack_reid"
    crops: list[Entry] = []
    masks: list[Entry] = []
    occlusion: dict[int, float] = {}
    for person in chosen:
        crop, mask = _write_one(root, base, split, person)
        occlusion[person.id] = _occlusion(crop)
        crops.append(crop)
        masks.append(mask)
    for kind, entries in (("crops", crops), ("masks", masks)):
        folder = base / ("images" if kind == "crops" else "masks") / "anns"
        make_folder(folder)
        write_file(folder / f"{split}_reid_{kind}_anns.json", orjson.dumps(entries))
    roles = _roles(chosen, occlusion, split)
    rows = [(person.id, roles.get(person.id, "none")) for person in people]
    table = {
        name: {str(i): row[column] for i, row in enumerate(rows)}
        for column, name in enumerate(("id", "split"))
    }
    write_file(base / f"{split}_dataset_sampling.json", orjson.dumps(table))


def _read(root: Path, split: str, name: str) -> list[_Annotation]:
    data = orjson.loads((root / "posetrack_data" / split / f"{name}.json").read_bytes())
    files = {image["id"]: image["file_name"] for image in data["images"] if image["is_labeled"]}
    by_image = defaultdict(list)
    for entry in data["annotations"]:
        by_image[entry["image_id"]].append(entry)
    return [
        _Annotation(entry, [other for other in by_image[image] if other is not entry], file_name)
        for image, file_name in files.items()
        for entry in by_image[image]
    ]


def _sample(people: list[_Annotation], *, train: bool) -> list[_Annotation]:
    """Return evenly spaced crops of each person with enough crops."""
    by_person = defaultdict(list)
    for person in people:
        large = min(person.box[2:]) > _MIN_PX
        if large and (not train or person.visibility >= _MIN_VISIBLE):
            by_person[person.person].append(person)
    most = _MAX_TRAIN if train else _MAX_VAL
    chosen = []
    for found in by_person.values():
        if len(found) >= _FEWEST:
            rows = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))
            chosen += [found[row] for row in rows]
    return chosen


def _write_one(root: Path, base: Path, split: str, person: _Annotation) -> tuple[Entry, Entry]:
    """Write the crop and the mask of one person; return their entries of the two lists."""
    path = root / person.file_name
    image = cv2.imread(str(path))
    relative = path.relative_to(root / "images").with_suffix(".png")
    owner = cv2.imread(str(root / "masks" / relative), cv2.IMREAD_UNCHANGED)
    parts = cv2.imread(str(root / "parts" / relative), cv2.IMREAD_UNCHANGED)
    if image is None or owner is None or parts is None:
        raise InputError(f"{path}, its mask or its body parts cannot be read. Write the benchmark again.")
    left, top = np.clip(person.box[:2], 0, (image.shape[1] - 1, image.shape[0] - 1))
    width, height = np.minimum(person.box[2:], (image.shape[1] - 1 - left, image.shape[0] - 1 - top))
    left, top, width, height = (int(v) for v in (left, top, max(width, 1), max(height, 1)))
    window = np.s_[top : top + height, left : left + width]
    crop, labels = image[window], np.where(owner[window] == person.track, parts[window], 0).astype(np.uint8)
    if height > _LARGEST[0] or width > _LARGEST[1]:
        crop = cv2.resize(crop, _LARGEST[::-1], interpolation=cv2.INTER_LINEAR)
    small = cv2.resize(labels, _MASK[::-1], interpolation=cv2.INTER_NEAREST)
    files = [Path(split) / person.sequence / f"{person.stem()}{suffix}" for suffix in (".jpg", ".npy")]
    array = io.BytesIO()
    np.save(array, small)
    _, jpeg = cv2.imencode(".jpg", crop, (cv2.IMWRITE_JPEG_QUALITY, 95))
    for kind, file, data in zip(("images", "masks"), files, (jpeg.tobytes(), array.getvalue()), strict=True):
        make_folder((base / kind / file).parent)
        write_file(base / kind / file, data)
    scale = np.array((crop.shape[1], crop.shape[0])) / person.box[2:]
    negatives = _in_crop(person.others, person.box, scale)
    negatives = negatives[(negatives[..., 2] > 0).any(1)] if len(negatives) else negatives
    entry = {
        "id": person.id,
        "reid_crop_path": str(Path("occluded_posetrack_reid", "images", files[0])),
        "reid_crop_width": crop.shape[1],
        "reid_crop_height": crop.shape[0],
        "keypoints": np.round(_in_crop(person.pose[None], person.box, scale)[0], 2).tolist(),
        "negative_kps": np.round(negatives, 2).tolist(),
    }
    return entry, {"id": person.id, "masks_path": str(Path("occluded_posetrack_reid", "masks", files[1]))}


def _in_crop(poses: np.ndarray, box: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return poses [K, 17, 3] in pixels of the crop; joints outside the box are zero."""
    moved = poses.copy()
    moved[..., :2] -= box[:2]
    outside = ((moved[..., :2] < 0) | (moved[..., :2] >= box[2:])).any(-1)
    moved[..., :2] *= scale
    moved[outside | (poses[..., :2] == 0).all(-1)] = 0
    return moved


def _occlusion(crop: Entry) -> float:
    """Return visible joints of others, relative to those of the person (docs/reference/kpr.md 5.3)."""
    own = float(np.array(crop["keypoints"])[:, 2].sum())
    others = float(np.array(crop["negative_kps"]).reshape(-1, 17, 3)[..., 2].sum())
    return others / own if own else 2 * others


def _roles(chosen: list[_Annotation], occlusion: dict[int, float], split: str) -> dict[int, str]:
    """Return "train" for all, or "query" for the most occluded crops of each identity, else "gallery"."""
    if split == "train":
        return {person.id: "train" for person in chosen}
    by_person = defaultdict(list)
    for person in chosen:
        by_person[person.person].append(person.id)
    roles: dict[int, str] = {}
    for ids in by_person.values():
        ranked = sorted(ids, key=lambda number: (-occlusion[number], number))
        queries = int(_QUERY_SHARE * len(ids))
        roles |= {number: "query" if rank < queries else "gallery" for rank, number in enumerate(ranked)}
    return roles
