"""Drawn people to detect, and settings with which a training takes a second."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kprtrack.training.config import with_settings
from kprtrack.training.detector.config import DetectorTrainConfig
from support.changes import nested_changes

WIDTH, HEIGHT = 120, 90
TINY: dict[str, Any] = {
    "size": "nano",
    "input_px": 64,
    "input_range_px": (64, 96),
    "batch": 4,
    "augment": {"mosaic": 0.5, "mixup": 0.5, "scale": (0.5, 1.5), "camera": {"noise": 0.5}},
    "schedule": {"epochs": 3, "rate_per_image": 0.002, "warmup_epochs": 1, "plain_epochs": 1},
    "ema_decay": 0.9,
    "computing": {"device": "cpu", "workers": 0},
}


def tiny_config(annotations: Path, out: Path | None, /, **changes: Any) -> DetectorTrainConfig:
    """TINY on drawn images, with dotted changes, written a__b=1."""
    sources = {"train": str(annotations), "val": str(annotations)}
    config = with_settings(DetectorTrainConfig(), TINY | {"data": sources, "out": out and str(out)})
    for change in nested_changes(changes):
        config = with_settings(config, change)
    return config


def draw_plots(folder: Path, *, count: int = 12, seed: int = 5) -> Path:
    """Pictures with bright people on dark ground, every third without any; the path of their annotations."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    for number in range(count):
        image = rng.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        for _ in range(2 if number % 3 else 0):
            x, y = (int(rng.integers(0, limit)) for limit in (WIDTH - 30, HEIGHT - 50))
            cv2.rectangle(image, (x, y), (x + 24, y + 44), (200, 220, 240), -1)
            annotations.append(person(len(annotations), number, (x, y, 25, 45)))
        cv2.imwrite(str(folder / f"{number}.png"), image)
        images.append({"id": number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT})
    return write_annotations(folder / "people.json", images, annotations)


def person(number: int, image: int, box: Sequence[float], **more: Any) -> dict[str, Any]:
    """An annotation of COCO's form; box: x y width height."""
    return {"id": number, "image_id": image, "category_id": 1, "bbox": list(box), **more}


def write_annotations(path: Path, images: list[Any], annotations: list[Any]) -> Path:
    """The file, with one category."""
    told = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    path.write_text(json.dumps(told))
    return path
