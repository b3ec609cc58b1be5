"""Score a detector or a pose network and its teacher on the held-out data of tools/make_person_data.py.

    python tools/score_small_models.py detector --data PERSON --teacher yolox_nano.pth
    python tools/score_small_models.py pose --data PERSON --teacher tinypose_256x192.xml
    python tools/score_small_models.py detector --data PERSON --weights runs/detector/best.safetensors

Detector: images with manually annotated boxes, and images without people. Pose: people with manually
annotated joints, in their ground truth boxes; also synthetic people, and a held-out video with the joints of
the teacher as reference. Both networks run as in `kprtrack track`. The model cards in kprtrack/weights have
the results.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from kprtrack.build import build_detector, build_pose_estimator
from kprtrack.config import ComponentConfig
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.geometry import iou
from kprtrack.inference.devices import ComputeConfig, usable_cores
from kprtrack.training.annotations import LabelledImage, read_annotations
from kprtrack.training.config import Source
from kprtrack.training.detector.scores import average_precision, false_people
from kprtrack.training.pose.config import PoseLabels
from kprtrack.training.pose.data import LabelledPerson, labelled_people, read_rgb
from kprtrack.training.pose.scores import score_poses

_BATCH = 8
_FACE = 5  # the first keypoints: nose, eyes, ears
_MIN_SCORE = 0.3
_HEIGHTS_PX = (0, 16, 32, 64, 128, 256)
_HELD_OUT_VIDEO = "mmaction2_basketball"

Detect = Callable[[list[Frame]], list[Detections]]
Estimate = Callable[[list[Frame], list[Detections]], list[Poses]]


def main() -> None:
    """Print one table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=("detector", "pose"))
    parser.add_argument("--data", type=Path, required=True, help="output folder of tools/make_person_data.py")
    parser.add_argument("--weights", help="weights of the small network; default: those in the package")
    parser.add_argument("--teacher", help="weights of YOLOX-nano, or of a network for --pose heatmap")
    parser.add_argument(
        "--canvas",
        type=int,
        nargs="+",
        default=[416, 832],
        help="sides of the canvas of the detector, in pixels",
    )
    options = parser.parse_args()
    compute = ComputeConfig("cpu", batch=16, threads=usable_cores())
    (_detectors if options.kind == "detector" else _poses)(options, compute)


def _detectors(options: argparse.Namespace, compute: ComputeConfig) -> None:
    images = _of(options.data / "val.json", "labels", "true")
    empty = read_annotations(options.data / "background_val.json", options.data / "images")
    print(f"{len(images)} images with {sum(len(each.boxes) for each in images)} people, {len(empty)} without")
    sources = sorted({_source(each) for each in images})
    heights = []
    print(f"| | canvas | AP50 | false positives | {' | '.join(sources)} |")
    print("|---" * (4 + len(sources)) + "|")
    for canvas in options.canvas:
        for network, weights in _both(options, "small-detector"):
            settings = {"min_score": 0.01, "input_height": canvas, "input_width": canvas, "padding": "full"}
            part = ComponentConfig("yolox-nano", weights, settings)
            detect = build_detector(part, compute)
            found = list(_detected(detect, images))
            false = false_people(list(_detected(detect, empty)), empty)
            ap = [average_precision(found, images)]
            for source in sources:
                rows = [row for row, each in enumerate(images) if _source(each) == source]
                ap.append(average_precision([found[row] for row in rows], [images[row] for row in rows]))
            texts = [f"{100 * value:.1f}" for value in ap]
            texts.insert(1, f"{false:.3f}")
            print(f"| {network} | {canvas} | {' | '.join(texts)} |", flush=True)
            heights.append(
                f"| {network} | {canvas} | {' | '.join(_found_by_height(found, images, canvas))} |"
            )
    print(f"\nPeople found at a score of {_MIN_SCORE}, in percent, by their height on the canvas:\n")
    print(f"| | canvas | {' | '.join(f'from {least} px' for least in _HEIGHTS_PX)} |")
    print("|---" * (2 + len(_HEIGHTS_PX)) + "|", *heights, sep="\n")


def _found_by_height(
    found: Sequence[Detections], images: Sequence[LabelledImage], canvas: int
) -> Iterator[str]:
    heights, seen = [], []
    for boxes, image in zip(found, images, strict=True):
        overlap = iou(
            image.boxes.astype(np.float64), boxes.boxes[boxes.scores >= _MIN_SCORE].astype(np.float64)
        )
        seen.append(overlap.max(axis=1, initial=0) >= 0.5)
        scale = canvas / max(image.width, image.height)
        heights.append((image.boxes[:, 3] - image.boxes[:, 1]) * scale)
    group = np.searchsorted(_HEIGHTS_PX, np.concatenate(heights), side="right") - 1
    all_seen = np.concatenate(seen)
    for row in range(len(_HEIGHTS_PX)):
        own = all_seen[group == row]
        yield f"{100 * own.mean():.0f} of {len(own)}" if len(own) else "-"


def _poses(options: argparse.Namespace, compute: ComputeConfig) -> None:
    file = options.data / "pose_val.json"
    groups = {f"joints {kind}": _people(file, _of(file, "joints", kind)) for kind in ("true", "drawn")}
    video = [each for each in _of(file, "joints", "teacher") if _HELD_OUT_VIDEO in str(each.path)]
    groups[f"{_HELD_OUT_VIDEO}, by the teacher"] = _people(file, video)
    print("| | people | PCKh@0.5 | without the face | keypoints of similarity 0.5 | joints |")
    print("|---|---|---|---|---|---|")
    for name, people in groups.items():
        for network, weights in _both(options, "small-pose"):
            part = ComponentConfig("small" if network == "small" else "heatmap", weights)
            estimate = build_pose_estimator(part, compute)
            found = np.concatenate(list(_estimated(estimate, people)))
            ground_truth = np.stack([person.keypoints for person in people])
            areas = np.array([np.prod(person.box[2:] - person.box[:2]) for person in people])
            scores = score_poses(found, ground_truth, areas)
            body = np.nanmean(list(scores.pckh_joints.values())[_FACE:])
            joints = ", ".join(
                f"{joint} {100 * value:.0f}" for joint, value in scores.pckh_joints.items() if value == value
            )
            print(
                f"| {name}: {network} | {scores.people} | {100 * scores.pckh:.1f} | {100 * body:.1f} "
                f"| {100 * scores.pck_oks:.1f} | {joints} |",
                flush=True,
            )


def _both(options: argparse.Namespace, shipped: str) -> list[tuple[str, str]]:
    ours = ("small", options.weights or shipped)
    return [ours, ("teacher", options.teacher)] if options.teacher else [ours]


def _of(file: Path, key: str, value: str) -> list[LabelledImage]:
    """Return the images of a list whose field `key` has this value."""
    names = {each["file_name"] for each in json.loads(file.read_text())["images"] if each[key] == value}
    root = file.parent / "images"
    return [each for each in read_annotations(file, root) if _inside(each, root) in names]


def _inside(image: LabelledImage, root: Path) -> str:
    return Path(image.path).relative_to(root).as_posix()


def _source(image: LabelledImage) -> str:
    return Path(image.path).parent.name


def _people(file: Path, images: Sequence[LabelledImage]) -> list[LabelledPerson]:
    wanted = {each.path for each in images}
    source = Source(str(file), str(file.parent / "images"))
    labels = PoseLabels(least_keypoints=5, least_confidence=0.3)
    return [each for each in labelled_people(source, "coco", labels) if each.image.path in wanted]


def _frames(images: Sequence[LabelledImage]) -> list[Frame]:
    return [Frame(number, 0.0, read_rgb(image)) for number, image in enumerate(images)]


def _detected(detect: Detect, images: Sequence[LabelledImage]) -> Iterator[Detections]:
    for start in range(0, len(images), _BATCH):
        yield from detect(_frames(images[start : start + _BATCH]))


def _estimated(estimate: Estimate, people: Sequence[LabelledPerson]) -> Iterator[np.ndarray]:
    images = [list(group) for _, group in groupby(people, key=lambda person: person.image.path)]
    for start in range(0, len(images), _BATCH):
        some = images[start : start + _BATCH]
        seen = [
            Detections(np.stack([person.box for person in group]), np.ones(len(group), np.float32))
            for group in some
        ]
        yield from (poses.keypoints for poses in estimate(_frames([group[0].image for group in some]), seen))


if __name__ == "__main__":
    main()
