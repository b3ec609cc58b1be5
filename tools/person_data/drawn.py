"""Frames of the synthetic benchmark, with other seeds, people and places than the demo clip."""

from collections.abc import Iterator

import numpy as np

from eval.synthetic.benchmark import SyntheticConfig, SyntheticFrame
from eval.synthetic.scene import Scene
from person_data.labels import ImageRecord, Person, ignored, person

_FRAMES = 16  # frames of each scene
_APART = 23  # frames between two of them
_SIZES = ((640, 360), (512, 384), (640, 360), (480, 480))
_MOSTLY_HIDDEN = 0.12  # share of the box that shows the person; an unoccluded person fills about 0.4
_PCKH_HEAD = 0.6  # PCKh's head size, relative to the head box's diagonal
FIRST_SEED = {False: 1000, True: 2000}  # of training and of held-out scenes; the demo clip has seed 0


def drawn(seed: int, count: int, *, held_out: bool) -> Iterator[ImageRecord]:
    """Yield `count` frames of as many scenes as needed."""
    for number in range(count):
        scene_number, row = divmod(number, _FRAMES)
        if row == 0:
            width, height = _SIZES[scene_number // 4 % len(_SIZES)]
            config = SyntheticConfig(
                sequences=4,
                frames=_FRAMES * _APART,
                people=3 + scene_number % 6,
                width=width,
                height=height,
                seed=FIRST_SEED[held_out] + 100 * seed + scene_number,
                split="val" if held_out else "train",
            )
            scene = Scene(config, scene_number // 2 % 4)
        frame = scene.frame(row * _APART)
        name = f"{'val' if held_out else 'train'}_{scene_number:03d}_{frame.number:04d}"
        yield ImageRecord(name, frame.image, tuple(_people(frame)), "drawn", held_out, "drawn")


def _people(frame: SyntheticFrame) -> Iterator[Person]:
    heads = np.hypot(*(frame.head_boxes[:, 2:] - frame.head_boxes[:, :2]).T) * _PCKH_HEAD
    rows = zip(frame.boxes, frame.keypoints, frame.visibility, heads, strict=True)
    for box, keypoints, visibility, head in rows:
        hidden = bool(visibility < _MOSTLY_HIDDEN)
        yield person(box, keypoints, head_px=float(head), ignore=hidden)
    for region in frame.ignore_regions:
        yield ignored(np.concatenate((region.min(axis=0), region.max(axis=0))))
