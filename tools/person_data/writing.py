"""Write images, one list for each finished source, and the lists of all sources in COCO's format."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson

from kprtrack.core.atomic_file import write_file
from kprtrack.core.files.json_file import load_json
from kprtrack.core.skeleton import KEYPOINTS, LIMBS
from person_data.labels import ImageRecord, Person, fitted
from person_data.split import is_honest

QUALITY = 92  # of JPEG
LISTS = (
    *("train", "val", "pose_train", "pose_val", "background_val"),
    *("honest", "pose_honest", "background_honest"),
)
_BY_SOURCE = ("train", "pose_train")  # also in parts: a training can show some sources more often
Entry = dict[str, Any]


def write_source(
    out: Path, source: str, images: Iterable[ImageRecord], settings: Mapping[str, Any]
) -> list[Entry]:
    """Write the images of a source and return its entries; a finished source is not made again.

    Existing images of an unfinished source are kept if the settings are the same.
    """
    done, begun = out / "parts" / f"{source}.json", out / "parts" / f"{source}.begun.json"
    wanted = orjson.loads(orjson.dumps(settings))
    known = load_json(done) if done.exists() else None
    if isinstance(known, dict) and known.get("settings") == wanted and "images" in known:
        return known["images"]
    keep = begun.exists() and load_json(begun) == wanted
    write_file(begun, orjson.dumps(wanted))
    entries = []
    for image in images:
        small = fitted(image)
        path = out / "images" / source / f"{image.name}.jpg"
        if not (keep and path.exists()):
            _, data = cv2.imencode(".jpg", small.image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
            write_file(path, data.tobytes(), concurrent=True)
        entries.append(_entry(small, source))
        if len(entries) % 200 == 0:
            print(f"{source}: {len(entries)} images", flush=True)
    write_file(done, orjson.dumps({"settings": wanted, "images": entries}))
    return entries


def write_lists(out: Path, entries: Sequence[Entry], metadata: Mapping[str, Any]) -> Entry:
    """Write the lists and the summary; return the summary."""
    summary: Entry = {**metadata, "lists": {}}
    for name in LISTS:
        chosen = [entry for entry in entries if belongs(entry, name)]
        content = coco(chosen, poses=name.startswith("pose"))
        write_file(out / f"{name}.json", orjson.dumps(content))
        summary["lists"][name] = _counts(chosen, poses=name.startswith("pose"))
    sources = sorted({entry["source"] for entry in entries})
    for name, source in product(_BY_SOURCE, sources):
        own = [entry for entry in entries if entry["source"] == source and belongs(entry, name)]
        if own:
            content = coco(own, poses=name.startswith("pose"))
            write_file(out / name / f"{source}.json", orjson.dumps(content))
    write_file(out / "summary.json", orjson.dumps(summary, option=orjson.OPT_INDENT_2))
    return summary


def belongs(entry: Entry, name: str) -> bool:
    """Return whether an image is in this list."""
    if name.endswith("honest"):
        honest = is_honest(entry["source"], Path(entry["file_name"]).stem)
        return honest and belongs(entry, name.replace("_honest", "_val").replace("honest", "val"))
    side = "train" if not entry["held_out"] else "val"
    if name.startswith("pose"):
        posed = any(each["posed"] for each in entry["people"])
        return entry["poses"] and posed and name == f"pose_{side}"
    if not entry["detects"]:
        return False
    empty = entry["source"] in ("backgrounds", "no_people")
    return name == ("background_val" if empty and side == "val" else side)


def coco(entries: Sequence[Entry], *, poses: bool) -> Entry:
    """Return a list in COCO's format; one of poses has only people usable for pose training."""
    images, annotations = [], []
    for number, entry in enumerate(entries, start=1):
        fields = ("file_name", "width", "height", "source", "labels", "joints")
        images.append({"id": number} | {field: entry[field] for field in fields})
        for each in entry["people"]:
            if each["posed"] or not poses:
                fields = {key: value for key, value in each.items() if key != "posed"}
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": number, "category_id": 1} | fields
                )
    category = {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(KEYPOINTS)}
    skeleton = [[a + 1, b + 1] for a, b in LIMBS]
    return {"images": images, "annotations": annotations, "categories": [category | {"skeleton": skeleton}]}


def _entry(image: ImageRecord, source: str) -> Entry:
    height, width = image.image.shape[:2]
    return {
        "file_name": f"{source}/{image.name}.jpg",
        "width": width,
        "height": height,
        "source": source,
        "labels": image.labels,
        "joints": image.joints,
        "held_out": image.held_out,
        "detects": image.detects,
        "poses": image.poses,
        "people": [_annotation(each) for each in image.people],
    }


def _annotation(each: Person) -> Entry:
    left, top, right, bottom = np.round(each.box.astype(float), 2).tolist()
    size = [round(right - left, 2), round(bottom - top, 2)]
    entry = {
        "bbox": [left, top, *size],
        "area": round(size[0] * size[1], 1),
        "iscrowd": int(each.ignore),
        "score": round(each.score, 3),
        "num_keypoints": int(np.count_nonzero(each.keypoints[:, 2])),
        "keypoints": [round(value, 2) for value in each.keypoints.astype(float).ravel().tolist()],
        "keypoint_scores": np.round(each.keypoint_scores.astype(float), 3).tolist(),
        "posed": each.posed and not each.ignore,
    }
    return entry | ({} if each.head_px is None else {"head_size": round(each.head_px, 2)})


def _counts(entries: Sequence[Entry], *, poses: bool) -> Entry:
    """Count images, people and ignore regions by source."""
    counts: dict[str, dict[str, int]] = {}
    for entry in entries:
        own = counts.setdefault(entry["source"], {"images": 0, "people": 0, "ignored": 0})
        people = [each for each in entry["people"] if each["posed"] or not poses]
        own["images"] += 1
        own["people"] += sum(not each["iscrowd"] for each in people)
        own["ignored"] += sum(each["iscrowd"] for each in people)
    total = {key: sum(own[key] for own in counts.values()) for key in ("images", "people", "ignored")}
    return {"total": total, "by_source": counts}
