"""Make the clip of `kprtrack demo` and its ground truth: kprtrack/demo/clip.mp4 and ground_truth.json.gz.

    python tools/make_demo_clip.py                       as they ship
    python tools/make_demo_clip.py --seed 4 --out DIR    another clip, for inspection

Seven people of the synthetic benchmark in a park: two hug, two cross in front of them, one is occluded by a
tree for three seconds, one leaves for five, some wear the same kit, and the camera pans. The ground truth is
the same on every machine; the bytes of the video depend on the H.264 encoder.
"""

import argparse
import gzip
import shutil
import tempfile
from pathlib import Path

from eval.synthetic.benchmark import SyntheticConfig
from eval.synthetic.files import write_sequence
from eval.synthetic.scene import Scene

FOLDER = Path(__file__).resolve().parents[1] / "kprtrack" / "demo"
SEED = 0
# The sixth sequence has no bystanders, who would be detected without ground truth.
NUMBER = 5


def demo_scene(seed: int = SEED) -> tuple[SyntheticConfig, Scene]:
    """Return settings and scene of the clip."""
    config = SyntheticConfig(NUMBER + 1, frames=300, people=7, width=640, height=360, fps=25.0, seed=seed)
    return config, Scene(config, NUMBER)


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
        write_sequence(root, config, scene.name, scene.frames(), video=True)
        shutil.copyfile(root / "videos" / f"{scene.name}.mp4", options.out / "clip.mp4")
        ground_truth = (root / "tracks" / f"{scene.name}.json").read_bytes()
    # Without a time stamp: the same ground truth gives the same file.
    (options.out / "ground_truth.json.gz").write_bytes(gzip.compress(ground_truth, mtime=0))
    for file in ("clip.mp4", "ground_truth.json.gz"):
        print(options.out / file, (options.out / file).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
