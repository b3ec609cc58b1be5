"""Build training and held-out data for a person detector and a 17-keypoint pose network.

    python tools/make_person_data.py --real ../shared/real --out ../data/person

The sources are a folder of real data (photographs, videos, Penn-Fudan, Clothing Co-Parsing, MOT17,
PoseTrack18, samples of mmpose, Leeds Sports Pose Extended, CUHK, ImageNet images) and the synthetic
benchmark. Missing annotations are pseudo-labels of two teachers, YOLOX-nano and PP-TinyPose; their
detections of low score are ignored (iscrowd 1). Written to --out, images with a long side of at most 640
pixels, lists in COCO's format:

    images/SOURCE/NAME.jpg
    train.json, val.json              boxes, and keypoints where known. Each image has their origin: "labels"
                                      of boxes (true, teacher, drawn; pasted: people pasted on another
                                      background), "joints" of keypoints (true, teacher, drawn)
    pose_train.json, pose_val.json    people with at least 5 known keypoints, 24 pixels tall or more
    train/SOURCE.json                 train.json by source, for a mix of sources
    pose_train/SOURCE.json            pose_train.json by source
    background_val.json               images without people
    honest.json, pose_honest.json, background_honest.json
                                      those held-out images whose whole source is held out; read by
                                      tools/score_honest.py
    cutouts/, honest_cutouts/         people to paste, of Clothing Co-Parsing and of Penn-Fudan
    summary.json                      counts by source, and the held-out parts
    cache/, parts/                    outputs of the teachers, finished sources: an interrupted run resumes

Boxes are the visible extent of a person inside the image, as in COCO; for MOT17 and synthetic people they
include occluded parts. Keypoints of teachers have v 2 from confidence 0.5, v 1 from 0.3 or if occluded, else
0; "keypoint_scores" has the confidences of visible and occluded ones. "head_size" is that of PCKh, in pixels.

Held out: the sources in person_data/honest_split.json (Penn-Fudan, PoseTrack18, the samples of mmpose, four
videos, MOT17-09 and -13, photographs of eleven origins); of other sources 15 % of the images (for CUHK: of
the identities), selected by --seed; composites of their people and backgrounds; synthetic scenes of
other seeds. Puppets, people reposed to poses of Leeds Sports, are made of training images and only for
training. Of CUHK03 only the 600 training identities of ReID (seed 0) are used. CUHK01 may show the same
people, which does not matter for poses.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from person_data.composites import composites
from person_data.cutouts import write_cutouts
from person_data.drawn import FIRST_SEED, drawn
from person_data.labels import HELD_OUT_SHARE, ImageRecord
from person_data.photographs import no_people, photographs
from person_data.puppets import puppets
from person_data.reading import SourceContext
from person_data.single import (
    CUHK03_TRAIN,
    ccp,
    cuhk01,
    cuhk03,
    lspet,
    masked_ccp,
    masked_pennfudan,
    pennfudan,
)
from person_data.split import MOT17, PHOTOGRAPHS, SOURCES, VIDEOS
from person_data.street import backgrounds, everyday, mmpose, mot17, posetrack18, sports, videos
from person_data.teachers import Teachers
from person_data.writing import write_lists, write_source

from kprtrack.core.errors import UserError

VERSION = 2  # raise it when the same sources give other labels
VAL_SHARE = 10  # training composites or synthetic frames for each held-out one
REAL: dict[str, Callable[[SourceContext], Iterator[ImageRecord]]] = {
    "photographs": photographs,
    "no_people": no_people,
    "pennfudan": pennfudan,
    "ccp": ccp,
    "backgrounds": backgrounds,
    "everyday": everyday,
    "sports": sports,
    "mot17": mot17,
    "posetrack18": posetrack18,
    "mmpose": mmpose,
    "videos": videos,
    "lspet": lspet,
    "cuhk01": cuhk01,
    "cuhk03": cuhk03,
}
MADE = {  # generated sources, and the sources that they need
    "composites": ("backgrounds", "ccp", "pennfudan"),
    "puppets": ("backgrounds", "ccp", "lspet", "pennfudan"),
    "synthetic": (),
}


def main() -> None:
    """Build everything that is missing."""
    try:
        options = _options()
        build(options)
    except UserError as error:
        print(f"make_person_data: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def build(options: argparse.Namespace) -> None:
    """Write all sources, then the lists and the summary. Raises: InputError, OutputError."""
    teachers = Teachers(
        options.real, options.out / "cache", threads=options.threads, poses=not options.boxes_only
    )
    context = SourceContext(options.real, teachers, options.seed)
    counts = {name: getattr(options, name) for name in MADE}
    entries = []
    for source in [*REAL, *MADE]:
        if source not in options.without:
            settings = {"version": VERSION, "seed": options.seed, "count": counts.get(source)}
            settings |= {"boxes_only": True} if options.boxes_only else {}
            entries += write_source(options.out, source, _images(source, context, counts), settings)
    if "ccp" not in options.without:
        write_cutouts(options.out / "cutouts", masked_ccp(context), held_out=False)
    if "pennfudan" not in options.without:
        write_cutouts(options.out / "honest_cutouts", masked_pennfudan(context), held_out=True)
    metadata = {
        "seed": options.seed,
        "without": sorted(options.without),
        "held_out": {
            "videos": VIDEOS,
            "mot17": MOT17,
            "photographs, no_people": sorted(PHOTOGRAPHS),
            ", ".join(sorted(SOURCES)): "all",
            "cuhk03": f"{HELD_OUT_SHARE:.0%} of the {CUHK03_TRAIN} training identities; others are unused",
            "other sources": f"{HELD_OUT_SHARE:.0%} of the images or identities by seed",
            "synthetic": f"scenes of seeds from {FIRST_SEED[True]} on",
        },
    }
    summary = write_lists(options.out, entries, metadata)
    for name, counted in summary["lists"].items():
        print(f"{name}: {counted['total']}")


def _images(source: str, context: SourceContext, counts: dict[str, int]) -> Iterator[ImageRecord]:
    if source in REAL:
        return REAL[source](context)
    if source == "puppets":
        return puppets(context, counts[source])
    sides = [(counts[source], False), (-(-counts[source] // VAL_SHARE), True)]
    if source == "composites":
        return chain.from_iterable(composites(context, count, held_out=side) for count, side in sides)
    return chain.from_iterable(drawn(context.seed, count, held_out=side) for count, side in sides)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*REAL, *MADE]
    parser.add_argument("--real", type=Path, required=True, help="the folder of real data")
    parser.add_argument("--out", type=Path, required=True, help="output folder, outside the repository")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--composites", type=int, default=4000, help="training images")
    parser.add_argument("--puppets", type=int, default=10000, help="reposed people for training")
    parser.add_argument("--synthetic", type=int, default=640, help="training frames")
    parser.add_argument(
        "--without", nargs="+", default=[], choices=names, metavar="SOURCE", help=", ".join(names)
    )
    parser.add_argument("--boxes-only", action="store_true", help="no keypoints of the teacher: faster")
    parser.add_argument("--threads", type=int, default=1, help="threads of the teachers")
    options = parser.parse_args()
    for made, of in MADE.items():
        lacking = sorted(set(of) & set(options.without))
        if lacking and made not in options.without:
            raise UserError(
                f"The source {made} needs {', '.join(of)}: "
                f"with --without {' '.join(lacking)}, add {made} to --without as well."
            )
    if not options.real.is_dir():
        raise UserError(f"--real {options.real}: there is no such folder.")
    if Path(__file__).resolve().parents[1] in (options.out / "x").resolve().parents:
        raise UserError(f"--out {options.out} lies inside the repository. Choose a folder elsewhere.")
    return options


if __name__ == "__main__":
    main()
