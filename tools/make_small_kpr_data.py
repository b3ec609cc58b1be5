"""Assemble the training data of the small KPR as a data set of the form `folder`.

    python tools/make_small_kpr_data.py --cuhk03 DIR --cuhk01 DIR --out OUT

train/ holds the 600 training identities of CUHK03 (seed 0), all 971 of CUHK01, and synthetic people with
exact keypoints, from other seeds than the demo clip; query/ and gallery/ are the other 143 identities of
CUHK03, as in `kprtrack eval reid cuhk03`. Crops are hard-linked where possible, else copied. Next steps:

    kprtrack data keypoints folder --root OUT --others ...
    kprtrack data part-labels folder --root OUT
    kprtrack data features folder --root OUT ... --out osnet.safetensors
"""

import argparse
import os
import shutil
from pathlib import Path

import cv2
import numpy as np

from eval.synthetic.benchmark import SyntheticConfig, SyntheticFrame
from eval.synthetic.scene import Scene
from kprtrack.core.atomic_file import write_file
from reid.datasets import open_dataset
from reid.datasets.keypoint_files import keypoints_json
from reid.datasets.layout import ANNOTATION_FOLDERS, OWN_KEYPOINTS
from reid.datasets.sample import ReidSample

_FIRST_SEED = 3000  # of synthetic scenes; tools/make_person_data.py uses 1000 and 2000
_FRAMES, _APART = 12, 30  # of each scene
# Minimum share of the box that shows the person; an unoccluded person fills about 0.4. For people who are
# occluded more, a teacher without prompts would embed another person.
_MIN_VISIBLE = 0.22
_MIN_PX = (40, 16)  # height and width of a crop


def main() -> None:
    """Fill the folder; existing crops are kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("cuhk03", "cuhk01", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=40, help="synthetic scenes, of three to eight people")
    options = parser.parse_args()
    known = open_dataset("cuhk03", options.cuhk03, {})
    more = open_dataset("cuhk01", options.cuhk01, {"train_identities": 0})
    sets = [
        ("train", "cuhk03", known.train),
        ("query", "cuhk03", known.query),
        ("gallery", "cuhk03", known.gallery),
        ("train", "cuhk01", more.query + more.gallery),
    ]
    for folder, source, samples in sets:
        for sample in samples:
            _link(sample.image, options.out / folder / _name(source, sample))
        print(f"{folder}: {len(samples)} crops of {source}")
    count = sum(_draw(options.out, number) for number in range(options.scenes))
    print(f"train: {count} crops of synthetic people")


def _draw(out: Path, number: int) -> int:
    """Write the crops of all people in a scene, with keypoints; return their number."""
    config = SyntheticConfig(
        4, frames=_FRAMES * _APART, people=3 + number % 6, width=960, height=540, seed=_FIRST_SEED + number
    )
    scene, count = Scene(config, number % 4), 0
    for row in range(_FRAMES):
        frame = scene.frame(row * _APART)
        for person in np.flatnonzero(frame.visibility >= _MIN_VISIBLE):
            count += _write_crop(out, f"drawn{number:03d}", frame, int(person))
    return count


def _write_crop(out: Path, scene: str, frame: SyntheticFrame, person: int) -> int:
    height, width = frame.image.shape[:2]
    left, top, right, bottom = np.rint(frame.boxes[person]).astype(int).clip(0, (width, height) * 2)
    if bottom - top < _MIN_PX[0] or right - left < _MIN_PX[1]:
        return 0
    # The target person first, then all others with a visible joint inside the crop.
    order = [person, *(row for row in range(len(frame.ids)) if row != person)]
    keypoints = frame.keypoints[order].copy()
    keypoints[..., :2] -= (left, top)
    inside = ((keypoints[..., :2] >= 0) & (keypoints[..., :2] < (right - left, bottom - top))).all(-1)
    keypoints[..., 2] = (keypoints[..., 2] == 2) & inside  # 2: visible
    others = keypoints[1:][keypoints[1:, :, 2].any(axis=1)]
    # Each scene is a separate camera.
    name = f"{scene}p{frame.ids[person]}_c{4 + int(scene[5:])}_{frame.number:04d}.jpg"
    _, data = cv2.imencode(".jpg", frame.image[top:bottom, left:right, ::-1])
    write_file(out / "train" / name, data.tobytes())
    keypoints_file = keypoints_json(np.concatenate((keypoints[:1], others)))
    write_file(
        out / ANNOTATION_FOLDERS[0] / OWN_KEYPOINTS / "train" / f"{name}_keypoints.json", keypoints_file
    )
    return 1


def _name(source: str, sample: ReidSample) -> str:
    """Return a file name that starts with person and camera, as the form `folder` requires."""
    camera = sample.camera + 2 * (source == "cuhk01")
    return f"{source}-{sample.identity:04d}_c{camera}_{sample.image.name}"


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
