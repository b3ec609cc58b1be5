"""Score detectors and pose networks on the images of tools/make_person_data.py that no training used.

    python tools/score_honest.py boxes --data PERSON --detector small-detector=small \
        origin=yolox-nano:yolox_nano.pth
    python tools/score_honest.py poses --data PERSON --pose small-pose=small \
        origin=heatmap:tinypose_256x192.onnx,flip_test=false
    python tools/score_honest.py both --data PERSON --detector ours=small --pose ours=small

A network is NAME=COMPONENT[:WEIGHTS][,OPTION=VALUE...]: a name for the table, a name of `kprtrack track
--detector` or `--pose`, a file or a name of `kprtrack models list`, and options of the component. Networks
run as in `kprtrack track`, detectors on a square canvas of --canvas pixels with all its padding.

boxes  person AP / AP50 of COCO's evaluation on images with ground truth boxes, by source, and on photographs
       and videos labelled by the teacher, which favour networks that learned from it; mean IoU of
       ground truth boxes and the detections that match them, and the same on the frames of videos; false
       positives: detections with a score above 0.5 per image without people.
poses  keypoint AP / mean OKS in ground truth boxes: of all people; of those with another person in the crop;
       and with a person of Penn-Fudan pasted in (PERSON/honest_cutouts), four images of each person.
both   keypoint AP / AP50 with detected boxes, of the first detector and the first pose network, and so on.

All values but IoU and false positives are in percent. The same command prints the same numbers.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from honest.lists import Entry, ImageList, corners, has_joints, read_list, with_neighbours
from honest.pasting import pasted, read_cutouts
from honest.scores import box_ap, coco_ap, keypoint_results, matched_ious, person_oks

from kprtrack.build import build_detector, build_pose_estimator
from kprtrack.config import ComponentConfig
from kprtrack.core.datatypes import Detections, Frame
from kprtrack.core.errors import UserError
from kprtrack.core.settings import nested
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import Detector, PoseEstimator

_SOURCES = ("pennfudan", "mmpose", "posetrack18", "mot17")  # with ground truth boxes
_VIDEO_SOURCES = ("posetrack18", "mot17")
_JOINT_SOURCES = ("mmpose", "posetrack18")
_FALSE_SCORE = 0.5
_POSE_SCORE = 0.1  # of boxes in which keypoints are estimated
_DETECTOR = {"min_score": 0.01, "nms_iou": 0.65, "padding": "full"}  # as in YOLOX's evaluation
_COMPUTE = ComputeConfig("cpu", batch=16, threads=1)
_FRAMES = 8  # at once
_SYNTAX = "NAME=COMPONENT[:WEIGHTS][,OPTION=VALUE...]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=("boxes", "poses", "both"))
    parser.add_argument("--data", type=Path, required=True, help="output folder of tools/make_person_data.py")
    parser.add_argument("--detector", nargs="+", default=["small-detector=small"], metavar=_SYNTAX)
    parser.add_argument("--pose", nargs="+", default=["small-pose=small"], metavar=_SYNTAX)
    parser.add_argument("--canvas", type=int, default=640, help="side in pixels, of the detectors")
    parser.add_argument(
        "--quick", action="store_true", help="without the images that are labelled by the teacher"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        {"boxes": _boxes, "poses": _poses, "both": _both}[options.kind](options)
    except UserError as error:
        print(f"score_honest: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def components(texts: Sequence[str]) -> dict[str, ComponentConfig]:
    """Read networks from the command line, by their names in the table. Raises: UserError."""
    found = {}
    for text in texts:
        name, _, rest = text.partition("=")
        component, *assignments = rest.split(",")
        kind, _, weights = component.partition(":")
        if not name or not kind:
            raise UserError(f"{text}: write {_SYNTAX}, such as small-pose=small.")
        found[name] = ComponentConfig(kind, weights or None, nested(assignments, "flip_test=false"))
    return found


def _boxes(options: argparse.Namespace) -> None:
    detectors = _detectors(options)
    file = options.data / "honest.json"
    groups: dict[str, Callable[[Entry], bool]] = {
        "all ground truth": lambda each: each["labels"] == "true" and each["source"] in _SOURCES,
        **{name: (lambda each, name=name: each["source"] == name) for name in _SOURCES},
    }
    if not options.quick:
        for name in ("photographs", "videos"):
            groups[f"{name} (teacher)"] = lambda each, name=name: each["source"] == name
    lists = {name: found for name, chosen in groups.items() if (found := read_list(file, chosen)).images}
    empty = read_list(options.data / "background_honest.json")
    _print_counts(lists, lambda person: not person["iscrowd"])
    print(f"without people: {len(empty.images)} images\n")
    _print_header([*(f"{name} AP / AP50" for name in lists), "IoU", "IoU in videos", "false positives"])
    for name, detect in detectors.items():
        cells, ious = [], {}
        known: dict[str, Detections] = {}  # by file: images are in several groups
        for group, images in lists.items():
            new = [each for each in images.images if each["file_name"] not in known]
            found = _detected(detect, images, new)
            known |= {each["file_name"]: one for each, one in zip(new, found, strict=True)}
            detections = [known[each["file_name"]] for each in images.images]
            cells.append(_percent(*box_ap(images, detections)))
            ious[group] = matched_ious(images, detections)
        false = sum(
            int((each.scores > _FALSE_SCORE).sum()) for each in _detected(detect, empty, empty.images)
        )
        videos = np.concatenate([ious[each] for each in _VIDEO_SOURCES if each in ious] or [np.zeros(0)])
        cells += [_mean(ious.get("all ground truth", videos)), _mean(videos)]
        cells.append(f"{false / max(1, len(empty.images)):.4f} ({false})")
        _print_row(name, cells)


def _poses(options: argparse.Namespace) -> None:
    pose_estimators = _pose_estimators(options)
    file = options.data / "pose_honest.json"
    images = read_list(file, lambda each: each["joints"] == "true")
    lists = {"all": images, "another person in the crop": with_neighbours(images)}
    if cutouts := read_cutouts(options.data / "honest_cutouts"):
        lists["a person pasted in"] = pasted(images, cutouts)
    _print_counts(lists, has_joints)
    print()
    _print_header([f"{name} AP / OKS" for name in lists])
    for name, estimate in pose_estimators.items():
        _print_row(name, [_percent(*_pose_scores(each, estimate), digits=2) for each in lists.values()])


def _pose_scores(images: ImageList, estimate: PoseEstimator) -> tuple[float, float]:
    """Keypoint AP and mean OKS in 0..1, each person in the ground truth box."""
    results: list[Entry] = []
    similarities = []
    for image in images.images:
        people = [each for each in images.of(image) if has_joints(each)]
        boxes = np.array([corners(each) for each in people], np.float32).reshape(-1, 4)
        scores = np.ones(len(boxes), np.float32)
        (poses,) = estimate([Frame(0, 0.0, images.read(image))], [Detections(boxes, scores)])
        results += keypoint_results(image, scores, poses.keypoints)
        similarities += [person_oks(*pair) for pair in zip(people, poses.keypoints, strict=True)]
    return coco_ap(images, results, "keypoints")[0], float(np.mean(similarities)) if similarities else 0.0


def _both(options: argparse.Namespace) -> None:
    detectors, pose_estimators = _detectors(options), _pose_estimators(options)
    if len(detectors) != len(pose_estimators):
        raise UserError(
            f"{len(detectors)} detectors and {len(pose_estimators)} pose networks cannot be paired. "
            "Name as many of --detector as of --pose."
        )
    images = read_list(
        options.data / "honest.json",
        lambda each: each["joints"] == "true" and each["source"] in _JOINT_SOURCES,
    )
    _print_header(["keypoint AP / AP50"])
    for (name, detect), (pose_name, estimate) in zip(detectors.items(), pose_estimators.items(), strict=True):
        results: list[Entry] = []
        for image, found in zip(images.images, _detected(detect, images, images.images), strict=True):
            rows = found.scores >= _POSE_SCORE
            chosen = Detections(found.boxes[rows], found.scores[rows])
            (poses,) = estimate([Frame(0, 0.0, images.read(image))], [chosen])
            results += keypoint_results(image, chosen.scores, poses.keypoints)
        _print_row(f"{name} + {pose_name}", [_percent(*coco_ap(images, results, "keypoints"))])


def _detectors(options: argparse.Namespace) -> dict[str, Detector]:
    canvas = {"input_height": options.canvas, "input_width": options.canvas}
    return {
        name: build_detector(
            ComponentConfig(each.name, each.weights, _DETECTOR | canvas | dict(each.options)), _COMPUTE
        )
        for name, each in components(options.detector).items()
    }


def _pose_estimators(options: argparse.Namespace) -> dict[str, PoseEstimator]:
    return {name: build_pose_estimator(each, _COMPUTE) for name, each in components(options.pose).items()}


def _detected(detect: Detector, images: ImageList, chosen: Sequence[Entry]) -> list[Detections]:
    found: list[Detections] = []
    for start in range(0, len(chosen), _FRAMES):
        found += detect([Frame(0, 0.0, images.read(each)) for each in chosen[start : start + _FRAMES]])
    return found


def _print_counts(lists: Mapping[str, ImageList], counted: Callable[[Mapping[str, Any]], bool]) -> None:
    for name, each in lists.items():
        print(f"{name}: {len(each.images)} images, {sum(map(counted, each.people))} people")


def _print_header(columns: Sequence[str]) -> None:
    print(f"| | {' | '.join(columns)} |")
    print("|---" * (1 + len(columns)) + "|")


def _print_row(name: str, cells: Sequence[str]) -> None:
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _percent(first: float, second: float, *, digits: int = 1) -> str:
    return f"{100 * first:.1f} / {100 * second:.{digits}f}"


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.3f}" if len(values) else "-"


if __name__ == "__main__":
    main()
