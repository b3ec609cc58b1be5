"""Make the clip of `kprtrack demo` and its ground truth: kprtrack/demo/clip.mp4 and ground_truth.json.gz.

    python tools/make_demo_clip.py                       as they ship
    python tools/make_demo_clip.py --seed 4 --out DIR    other people in another place, for inspection

Six people of the synthetic benchmark, about 190 pixels tall, in a park: two hug and one of them walks off
behind the other, one hides behind a tree for three seconds, one leaves for six, two in the same kit cross,
and the camera pans. The ground truth holds a person in the frames in which at least a quarter of the person
is visible, as MOTChallenge counts people. It is the same on every machine; the bytes of the video depend on
the H.264 encoder.
"""

import argparse
import gzip
import math
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval.synthetic.benchmark import SyntheticConfig, SyntheticFrame
from eval.synthetic.files import write_sequence
from eval.synthetic.motion import Action, PersonPlan
from eval.synthetic.scene import Scene

FOLDER = Path(__file__).resolve().parents[1] / "kprtrack" / "demo"
SEED = 0
# The sixth sequence has no bystanders, who would be detected without ground truth.
NUMBER = 5
MIN_VISIBLE_FRACTION = 0.25
_END_S = 12.0
_BEYOND_S = _END_S + 1
# Yaw of a person in radians: walking to the right of the image is RIGHT.
_RIGHT, _LEFT, _TO_CAMERA = math.pi / 2, -math.pi / 2, math.pi


def _plans() -> list[PersonPlan]:
    """Return paths (seconds, x and z in metres) and actions; the view is 6.5 m wide 5.5 m from the camera."""
    x, z, start_s, end_s = -1.3, 5.9, 2.8, 3.8  # where and when two people hug
    waits = PersonPlan(
        [(0.0, x, z), (_END_S, x, z)],
        [
            Action(-1.0, 2.3, "phone", _TO_CAMERA - 0.5),
            Action(start_s - 0.3, end_s, "hug", _RIGHT),
            Action(end_s + 0.6, _BEYOND_S, "folded", _TO_CAMERA - 0.2),
        ],
    )
    hugs_and_leaves = PersonPlan(
        [
            (0.0, x + 2.2, z + 0.8),
            (start_s, x + 0.4, z),
            (end_s, x + 0.4, z),
            (end_s + 0.5, x + 0.3, z + 0.5),
            (_END_S, x - 9.0, z + 0.5),
        ],
        [Action(start_s - 0.3, end_s, "hug", _LEFT)],
    )
    crosses_in_front = PersonPlan(
        [(0.0, -9.0, 5.1), (6.4, -3.2, 5.1), (10.5, 0.48, 5.1), (_END_S, 0.48, 5.1)],
        [Action(10.8, _BEYOND_S, "hips", _TO_CAMERA - 0.3)],
    )
    crosses_behind = PersonPlan([(0.0, 12.0, 6.5), (_END_S, -2.4, 6.5)])
    hides = PersonPlan(
        [(0.0, 3.0, 6.2), (2.0, 1.6, 6.1), (4.6, 1.45, 6.1), (5.4, 2.5, 6.0), (_END_S, 2.5, 6.0)],
        [Action(5.6, _BEYOND_S, "phone", _TO_CAMERA + 0.3)],
    )
    returns = PersonPlan(
        [
            (0.0, -0.3, 5.0),
            (2.4, -3.3, 5.0),
            (5.5, -5.0, 5.6),
            (8.2, -4.1, 6.1),
            (9.6, -2.45, 6.1),
            (_END_S, -2.45, 6.1),
        ],
        [Action(9.9, _BEYOND_S, "hips", _TO_CAMERA - 0.6)],
    )
    # The second and the third of the six people wear the same kit.
    return [waits, crosses_in_front, crosses_behind, hugs_and_leaves, hides, returns]


def demo_scene(seed: int = SEED) -> tuple[SyntheticConfig, Scene]:
    """Return settings and scene of the clip."""
    config = SyntheticConfig(NUMBER + 1, frames=300, people=6, width=768, height=432, fps=25.0, seed=seed)
    return config, Scene(config, NUMBER, _plans())


def demo_frame(scene: Scene, number: int) -> SyntheticFrame:
    """Return a frame of the clip; people of whom less than a quarter is visible are not annotated."""
    frame = scene.frame(number)
    keep = frame.visible_fraction >= MIN_VISIBLE_FRACTION
    rows = ("ids", "person_ids", "boxes", "head_boxes", "keypoints", "posetrack")
    rows += ("visibility", "visible_fraction")
    mask = np.where(np.isin(frame.mask, frame.ids[keep]), frame.mask, 0).astype(frame.mask.dtype)
    return replace(
        frame,
        **{name: getattr(frame, name)[keep] for name in rows},
        mask=mask,
        parts=np.where(mask > 0, frame.parts, 0).astype(frame.parts.dtype),
        labelled=frame.labelled and bool(keep.any()),
    )


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR")
    options = parser.parse_args()
    config, scene = demo_scene(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        frames = (demo_frame(scene, number) for number in range(config.frames))
        write_sequence(root, config, scene.name, frames, video=True)
        shutil.copyfile(root / "videos" / f"{scene.name}.mp4", options.out / "clip.mp4")
        ground_truth = (root / "tracks" / f"{scene.name}.json").read_bytes()
    # Without a time stamp: the same ground truth gives the same file.
    (options.out / "ground_truth.json.gz").write_bytes(gzip.compress(ground_truth, mtime=0))
    for file in ("clip.mp4", "ground_truth.json.gz"):
        print(options.out / file, (options.out / file).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
