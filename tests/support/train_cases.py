"""A tiny data set of drawn people, and settings with which a training takes a second."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reid.datasets import ReidData, ReidSample
from reid.training.config import ReidTrainConfig, with_settings
from support.changes import nested_changes

HEIGHT, WIDTH = 64, 32
TINY: dict[str, Any] = {
    "model": {
        "backbone": "mini_cnn",
        "height": HEIGHT,
        "width": WIDTH,
        "fused_width": 16,
        "dimensions": 8,
        "prompt_groups": "cck6",
    },
    "part_groups": "five_v",
    "sampler": {"identities": 4, "crops_each": 2},
    "schedule": {"peak": 0.05, "epochs": 2, "warmup_epochs": 0},
    "augment": {"padding_px": 2, "occlusion": {"probability": 0.5}},
    "computing": {"device": "cpu", "workers": 0},
}


def tiny_config(folder: Path, /, **changes: Any) -> ReidTrainConfig:
    """TINY with dotted changes, written a__b=1."""
    config = with_settings(ReidTrainConfig(), TINY | {"out": str(folder)})
    for change in nested_changes(changes):
        config = with_settings(config, change)
    return config


def drawn_data(folder: Path, *, people: int = 8, crops: int = 4) -> ReidData:
    """People of two colours each, seen by two cameras; the same for every call with the same folder."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(3)
    colours = rng.integers(0, 256, (people, 2, 3))
    samples = [
        _draw(folder, person, crop, colours[person], rng) for person in range(people) for crop in range(crops)
    ]
    scored = people // 4
    held = tuple(each for each in samples if each.identity >= people - scored)
    return ReidData(
        "drawn",
        tuple(each for each in samples if each.identity < people - scored),
        held[::crops],
        tuple(each for row, each in enumerate(held) if row % crops),
        "mot_inter_intra_video",
    )


def _draw(folder: Path, person: int, crop: int, colours: np.ndarray, rng: np.random.Generator) -> ReidSample:
    image = rng.integers(0, 60, (HEIGHT, WIDTH, 3))
    x, y = 6 + rng.integers(-2, 3), 4 + rng.integers(-2, 3)
    image[y : y + 28, x : x + 20] = colours[0]
    image[y + 28 : y + 56, x : x + 20] = colours[1]
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[y : y + 10, x : x + 20] = 1
    labels[y + 10 : y + 28, x : x + 20] = 2
    labels[y + 28 : y + 56, x : x + 20] = 7
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, :, 0] = x + rng.uniform(2, 18, 17)
    keypoints[0, :, 1] = y + np.linspace(2, 54, 17)
    keypoints[0, :, 2] = 1
    name = f"{person:02}_{crop}"
    cv2.imwrite(str(folder / f"{name}.png"), image.astype(np.uint8))
    cv2.imwrite(str(folder / f"{name}_parts.png"), labels)
    return ReidSample(folder / f"{name}.png", person, crop % 2, keypoints, folder / f"{name}_parts.png")


def metrics(rows: list[Mapping[str, float]]) -> list[dict[str, float]]:
    """What must be equal of two runs: all but the time they took."""
    return [
        {name: value for name, value in row.items() if name not in ("seconds", "images_per_s")}
        for row in rows
    ]
