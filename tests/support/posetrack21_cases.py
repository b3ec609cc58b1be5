"""PoseTrack21 folders for tests: the stored reference cases, and a small hand-made one to modify."""

import copy
import gzip
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from eval.datatypes import Scores
from kprtrack.core.skeleton import POSETRACK_KEYPOINTS
from support import paths

GOLDEN = paths.GOLDEN
SHARED = paths.SHARED / "fixtures" / "eval"
BASIC = "pt21_basic"
CRASHES = ("11_gt_empty_frames", "13_gt_empty_sequence", "15_all_gt_ignored_frame")  # of the official program
ANSWERED = ("12_pred_empty_sequence", "14_bowtie_ignore", "16_pred_empty_frames")

IMAGE = 10_000_010_000  # id of the first image of the hand-made sequence
FRAMES = 4  # of it; the last one is not labelled
HEAD_PX = 6.0  # 0.6 x the diagonal of its head boxes, 6 x 8 pixels
NAME = "000001_made_test"


@cache
def _stored(name: str) -> dict[str, Any]:
    return json.loads(gzip.decompress((GOLDEN / name).read_bytes()))


def _golden(case: str, what: str) -> Any:
    return _stored(f"eval_pt21_{'basic' if case == BASIC else 'quirks'}{what}.json.gz")[case]


def unpack(case: str, folder: Path) -> Path:
    """The root of a stored case, with the tracker `noisy` in trackers/noisy/{pose,mot}."""
    for name, content in _golden(case, "").items():
        path = folder / case / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / case


def official(case: str) -> Mapping[str, Any]:
    """Return the official scores of `noisy`: pose, reid, mot, map, mota."""
    return _golden(case, "_expected")


def assert_scores(ours: Scores, theirs: Mapping[str, Any]) -> None:
    """All fields are there and equal to 1e-9, counts exactly."""
    assert set(ours) == set(theirs)
    for name, values in theirs.items():
        margin = 0 if name.startswith("HOTA_") else 1e-9
        np.testing.assert_allclose(ours[name], np.array(values, float), rtol=0, atol=margin, err_msg=name)


# A hand-made sequence: two people, 1 at x 100 and 2 at x 200, all joints of a person at the same place.


def made(folder: Path, *, names: tuple[str, ...] = (NAME,)) -> tuple[Path, Path]:
    """Write ground truth and perfect results, without box files, of equal sequences."""
    ground_truth, results = folder / "truth", folder / "results"
    for name in names:
        write(gt_file(ground_truth, name), _document(ground_truth=True))
        write(results / f"{name}.json", _document(ground_truth=False))
    return ground_truth, results


def gt_file(ground_truth: Path, name: str = NAME) -> Path:
    return ground_truth / "posetrack_data" / "val" / f"{name}.json"


def write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def spoil(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a json file holds."""
    document = json.loads(path.read_text())
    change(document)
    write(path, document)


def _document(*, ground_truth: bool) -> dict[str, Any]:
    images = [{"id": IMAGE + frame, "frame_id": IMAGE + frame} for frame in range(FRAMES)]
    people = [
        {
            "image_id": image["id"],
            "track_id": person_number,
            "person_id": 10 + person_number,
            "bbox": [100.0 * person_number, 50.0, 20.0, 40.0],
        }
        | {"keypoints": keypoints(100.0 * person_number, 60.0)}
        for image in images
        for person_number in (1, 2)
    ]
    if ground_truth:
        for frame, image in enumerate(images):
            image |= {"is_labeled": frame < FRAMES - 1, "ignore_regions_x": [], "ignore_regions_y": []}
        for person in people:
            person["bbox_head"] = [0.0, 0.0, 6.0, 8.0]
    return {"images": images, "annotations": copy.deepcopy(people)}


def keypoints(x: float, y: float) -> list[float]:
    """All joints at one place, ears missing."""
    return [
        number
        for name in POSETRACK_KEYPOINTS
        for number in ((0.0, 0.0, 0.0) if name.endswith("ear") else (x, y, 1.0))
    ]
