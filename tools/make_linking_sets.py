"""Make sets of videos with labelled persons, to measure how well `kprtrack link` links their tracks.

    python tools/make_linking_sets.py drawn OUT --clips 4 --frames 500 --people 6 --seed 61
    python tools/make_linking_sets.py cut OUT --video CLIP.mp4 --ground-truth CLIP.json
    python tools/make_linking_sets.py cuhk03 OUT --root DIR --one-camera 0.3
    python tools/make_linking_sets.py cuhk03 OUT --root DIR --reid onnx --weights osnet.onnx
    python tools/make_linking_sets.py returning OUT --like CUHK03_SET

A set is a folder with a result and its prototypes for each video, and a folder ground_truth with a file of
the same name, whose track IDs are person IDs. Score it after linking with:

    kprtrack link OUT/*.tracks.json --out linked
    kprtrack eval linked OUT/ground_truth linked
"""

import argparse
from pathlib import Path

from linking_sets.cuhk import write_people
from linking_sets.cut_at_exits import write_clip, write_drawn
from linking_sets.returning import write_returning

from eval.synthetic.benchmark import SyntheticConfig
from kprtrack.build import build_networks
from kprtrack.config import ComponentConfig, TrackConfig


def main() -> None:
    """Read the command line and make a set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sets = parser.add_subparsers(required=True)
    drawn = _add(sets, "drawn", "drawn clips, cut at every moment at which a person leaves")
    for name, number in (("clips", 4), ("frames", 500), ("people", 6), ("seed", 61)):
        drawn.add_argument(f"--{name}", type=int, default=number)
    cut = _add(sets, "cut", "the same with a clip that has labels")
    cut.add_argument("--video", type=Path, required=True)
    cut.add_argument("--ground-truth", type=Path, required=True)
    for name in ("cuhk03", "cuhk01"):
        people = _add(sets, name, "test people, a video for each person and camera")
        people.add_argument("--root", type=Path, required=True)
        people.add_argument("--one-camera", type=float, default=0.0, metavar="SHARE", help="of the people")
    returning = sets.add_parser("returning", help="simulated people of whom some return in other videos")
    returning.set_defaults(kind="returning")
    returning.add_argument("out", type=Path, help="folder of the set")
    returning.add_argument("--like", type=Path, required=True, help="a set of cuhk03 to take statistics from")
    for name, number in (("videos", 50), ("people", 200), ("returning", 60), ("seed", 1)):
        returning.add_argument(f"--{name}", type=int, default=number)
    options = parser.parse_args()
    if options.kind == "returning":
        numbers = (options.videos, options.people, options.returning, options.seed)
        print(f"{write_returning(options.out, options.like, *numbers)} videos in {options.out}")
        return
    settings = {"prompts": False} if options.no_prompts else {}
    reid = ComponentConfig(options.reid, options.weights, settings)
    networks = build_networks(TrackConfig(reid=reid, device="cpu"))
    if options.kind == "drawn":
        config = SyntheticConfig(options.clips, options.frames, options.people, seed=options.seed)
        videos = write_drawn(options.out, config, networks)
    elif options.kind == "cut":
        videos = write_clip(options.out, options.video, options.ground_truth, networks)
    else:
        videos = write_people(options.out, options.kind, options.root, networks, options.one_camera)
    print(f"{videos} videos in {options.out}")


def _add(
    sets: "argparse._SubParsersAction[argparse.ArgumentParser]", kind: str, text: str
) -> argparse.ArgumentParser:
    parser = sets.add_parser(kind, help=text)
    parser.set_defaults(kind=kind)
    parser.add_argument("out", type=Path, help="folder of the set")
    parser.add_argument("--reid", default="small", help="encoder (default: small)")
    parser.add_argument("--weights", help="of the encoder")
    parser.add_argument("--no-prompts", action="store_true")
    return parser


if __name__ == "__main__":
    main()
