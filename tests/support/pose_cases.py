"""Drawn stick figures with their keypoints, as a training set of a few images."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kprtrack.core.skeleton import KEYPOINTS, LIMBS
from kprtrack.training.config import with_settings
from kprtrack.training.pose.config import PoseTrainConfig
from support.changes import nested_changes

# x y of a standing person's keypoints, from 0 to 1 in a box.
STANDING = np.array(
    [
        *((0.50, 0.10), (0.55, 0.08), (0.45, 0.08), (0.60, 0.09), (0.40, 0.09)),
        *((0.68, 0.22), (0.32, 0.22), (0.80, 0.36), (0.20, 0.36), (0.85, 0.50), (0.15, 0.50)),
        *((0.61, 0.52), (0.39, 0.52), (0.63, 0.74), (0.37, 0.74), (0.65, 0.95), (0.35, 0.95)),
    ]
)

QUIET_AUGMENT = {"half_body": 0.0, "shift": 0.0, "scale_share": 0.05, "rotate": 0.0}
TINY: dict[str, Any] = {
    "small": {
        "input_height": 64,
        "input_width": 64,
        "stem_width": 8,
        "stage_widths": (12, 16, 24, 32),
        "neck_width": 24,
    },
    "sigma": 1.0,
    "augment": QUIET_AUGMENT,
    "batch": 8,
    "schedule": {"peak": 0.01, "epochs": 2, "warmup_epochs": 0.5},
    "computing": {"workers": 0, "device": "cpu"},
}


def tiny_config(annotations: Path, out: Path | None, /, **changes: Any) -> PoseTrainConfig:
    """TINY on the images that `write_figures` wrote, with dotted changes, written a__b=1."""
    sources = {"train": str(annotations), "val": str(annotations)}
    config = with_settings(PoseTrainConfig(), TINY | {"data": sources, "out": out and str(out)})
    for change in nested_changes(changes):
        config = with_settings(config, change)
    return config


def figure(rng: np.random.Generator, *, wide: int = 96, high: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """An image [high, wide, 3] uint8 RGB and keypoints [17, 3], left limbs in another colour than right."""
    points = STANDING + rng.uniform(-0.04, 0.04, STANDING.shape)
    points = points * (0.6 * wide, 0.8 * high) + (0.2 * wide, 0.1 * high)
    image = np.full((high, wide, 3), rng.integers(0, 90, 3), np.uint8)
    for a, b in LIMBS:
        colour = (250, 120, 40) if KEYPOINTS[b].startswith("left") else (60, 200, 250)
        ends = [tuple(int(value) for value in np.rint(points[row])) for row in (a, b)]
        cv2.line(image, *ends, colour, 3)
    return image, np.column_stack((points, np.full(17, 2)))


def write_figures(folder: Path, count: int, *, seed: int = 0, **category: object) -> Path:
    """Pictures and `people.json` in COCO's form, one person each; returns the json file."""
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, keypoints = figure(rng)
        high, wide = image.shape[:2]
        cv2.imwrite(str(folder / f"{number}.png"), image[..., ::-1])
        images.append({"id": number, "file_name": f"{number}.png", "width": wide, "height": high})
        low, top = keypoints[:, :2].min(0) - 4, keypoints[:, :2].max(0) + 4
        box = [*low.tolist(), *(top - low).tolist()]
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "bbox": box,
                "keypoints": keypoints.ravel().tolist(),
            }
        )
    person = {"id": 1, "name": "person", "keypoints": list(KEYPOINTS)} | category
    path = folder / "people.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [person]}))
    return path


def edit(path: Path, **changes: object) -> Path:
    """The json file with these entries in every annotation."""
    data = json.loads(path.read_text())
    for annotation in data["annotations"]:
        annotation.update(changes)
    path.write_text(json.dumps(data))
    return path
