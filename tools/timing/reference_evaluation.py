"""Reference implementation of PoseTrack21's evaluation, one frame, joint and threshold at a time.

Source: docs/reference/tracking_and_evaluation.md 2.1 and 2.2. It implements the official algorithm without
its code. Box HOTA is computed by the TrackEval package from the data of `read_boxes`.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence as List
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from scipy.optimize import linear_sum_assignment

from eval.datatypes import Sequence

ALPHAS = [0.05 * step for step in range(1, 20)]
EPSILON = float(np.finfo(float).eps)
SCORED = [0, 1, 2, *range(5, 17)]  # without ears
JOINTS = len(SCORED)
COUNTS = ("HOTA_TP", "HOTA_FN", "HOTA_FP")
Scores = dict[str, np.ndarray]


@dataclass(frozen=True)
class ReferencePerson:
    """One person in one frame."""

    id: int
    points: np.ndarray  # [15, 2]
    head_size: float  # NaN in tracks


@dataclass(frozen=True)
class ReferenceFrame:
    """One annotated frame."""

    ground_truth: list[ReferencePerson]
    tracks: list[ReferencePerson]
    regions: list[np.ndarray]  # each [V, 2]


def frames_of(sequence: Sequence) -> list[ReferenceFrame]:
    """Return the annotated frames of a sequence."""
    frames = []
    for number in np.flatnonzero(sequence.labelled):
        sides = [
            [
                ReferencePerson(int(side.ids[row]), side.keypoints[row, SCORED], float(side.head_sizes[row]))
                for row in np.flatnonzero(side.frames == number)
            ]
            for side in (sequence.ground_truth, sequence.tracks)
        ]
        frames.append(ReferenceFrame(*sides, list(sequence.ignore_regions[number])))
    return frames


def read_frames(ground_truth: Path, results: Path) -> list[ReferenceFrame]:
    """Return the annotated frames of a pair of pose files."""
    sides = []
    content = json.loads(ground_truth.read_bytes())
    for annotations in (content["annotations"], json.loads(results.read_bytes())["annotations"]):
        people = defaultdict(list)
        for person in annotations:
            points = np.array(person["keypoints"], float).reshape(17, 3)[SCORED, :2]
            head_size = 0.6 * np.hypot(*person["bbox_head"][2:]) if "bbox_head" in person else np.nan
            people[person["image_id"]].append(ReferencePerson(person["track_id"], points, float(head_size)))
        sides.append(people)
    return [
        ReferenceFrame(sides[0][image["id"]], sides[1][image["id"]], _regions(image))
        for image in content["images"]
        if image["is_labeled"]
    ]


def reference_keypoint_hota(frames: List[ReferenceFrame], *, fixed: bool = False) -> Scores:
    """Return arrays [19, 15 joints + total] of one sequence.

    Where the official program crashes, in a frame without ground truth, predicted joints are false positives.

    Args:
        frames: The annotated frames.
        fixed: A frame without predictions adds its own joints to the misses, not those of the whole sequence.
    """
    frames = [_without_ignored(frame) for frame in frames]
    gt_joints, track_joints = defaultdict(_no_joints), defaultdict(_no_joints)
    for frame in frames:
        for people, joints in ((frame.ground_truth, gt_joints), (frame.tracks, track_joints)):
            for person in people:
                joints[person.id] += _present(person)
    everything = sum(gt_joints.values(), _no_joints())
    misses_of_empty_frames = _no_joints()
    hits, similarity_sum = np.zeros((len(ALPHAS), JOINTS)), np.zeros((len(ALPHAS), JOINTS))
    found = _no_joints()  # ground truth joints of frames with predictions
    runs = defaultdict(list)  # (alpha, joint, ground truth ID) -> [track id, length]
    for frame in frames:
        wanted = sum((_present(person) for person in frame.ground_truth), _no_joints())
        if not frame.tracks and track_joints:
            misses_of_empty_frames += wanted if fixed or not frame.ground_truth else everything
            continue
        found += wanted
        _match(frame, hits, similarity_sum, runs)
    scores = {
        "HOTA_TP": hits,
        "HOTA_FN": found + misses_of_empty_frames - hits,
        "HOTA_FP": sum(track_joints.values(), _no_joints()) - hits,
        "LocA": np.maximum(1e-10, similarity_sum) / np.maximum(1e-10, hits),
        **_association(hits, runs, gt_joints, track_joints),
    }
    columns = _final(scores)
    return {
        name: np.column_stack((values, values.sum(1) if name in COUNTS else values.mean(1)))
        for name, values in columns.items()
    }


def combine_reference(sequences: List[Scores]) -> Scores:
    """Combine keypoint HOTA of all sequences: sums of counts, the other fields weighted by hits."""
    combined = {name: sum(scores[name] for scores in sequences) for name in COUNTS}
    hits = combined["HOTA_TP"]
    for name in ("AssA", "AssRe", "AssPr", "FragA"):
        combined[name] = sum(scores[name] * scores["HOTA_TP"] for scores in sequences) / np.maximum(1, hits)
    similarity_sum = sum(scores["LocA"] * scores["HOTA_TP"] for scores in sequences)
    combined["LocA"] = np.maximum(1e-10, similarity_sum) / np.maximum(1e-10, hits)
    return _final(combined)


def read_boxes(ground_truth: Path, results: Path) -> dict:
    """Return the input of TrackEval's metrics, from a folder of posetrack_mot and a file of results.

    In frames with regions, unmatched results inside a region are left out.
    """
    images = json.loads((ground_truth / "image_info.json").read_bytes())
    sides = [np.loadtxt(file, delimiter=",", ndmin=2) for file in (ground_truth / "gt" / "gt.txt", results)]
    data = {"num_timesteps": len(images), "gt_ids": [], "tracker_ids": [], "similarity_scores": []}
    for number, image in enumerate(images, 1):
        (true_ids, true_boxes), (ids, boxes) = (
            (rows[:, 1].astype(int), rows[:, 2:6])
            for rows in (side[side[:, 0] == number] if side.size else np.zeros((0, 10)) for side in sides)
        )
        similarity = _iou(true_boxes, boxes)
        kept = np.ones(len(boxes), bool)
        regions = _regions(image)
        if regions and similarity.size:
            matched = np.where(similarity >= 0.5, similarity, 0)
            rows, columns = linear_sum_assignment(-matched)
            unmatched = set(range(len(boxes))) - set(columns[matched[rows, columns] > 0].tolist())
            kept[[row for row in unmatched if any(_in_region(boxes[row], region) for region in regions)]] = (
                False
            )
        data["gt_ids"].append(true_ids)
        data["tracker_ids"].append(ids[kept])
        data["similarity_scores"].append(similarity[:, kept])
    for side, count in (("gt", "num_gt"), ("tracker", "num_tracker")):
        all_ids = np.concatenate(data[f"{side}_ids"])
        names = np.unique(all_ids)
        data[f"{side}_ids"] = [np.searchsorted(names, ids) for ids in data[f"{side}_ids"]]
        data |= {f"{count}_ids": len(names), f"{count}_dets": len(all_ids)}
    return data


def _regions(image: dict) -> list[np.ndarray]:
    sides = zip(image["ignore_regions_x"], image["ignore_regions_y"], strict=True)
    return [np.column_stack(side).astype(float) for side in sides]


def _no_joints() -> np.ndarray:
    return np.zeros(JOINTS)


def _present(person: ReferencePerson) -> np.ndarray:
    """Return [15] 1 where x and y are above 0."""
    return (person.points > 0).all(1).astype(float)


def _without_ignored(frame: ReferenceFrame) -> ReferenceFrame:
    if not frame.regions:
        return frame
    regions = [shapely.Polygon(region) for region in frame.regions]
    sides: list[list[ReferencePerson]] = []
    for people in (frame.ground_truth, frame.tracks):
        sides.append([])
        for person in people:
            ignored = [any(region.contains(shapely.Point(xy)) for region in regions) for xy in person.points]
            points = np.where(np.array(ignored)[:, None], 0, person.points)
            if not all(ignored) and (points > 0).any():
                sides[-1].append(ReferencePerson(person.id, points, person.head_size))
    return ReferenceFrame(*sides, frame.regions)


def _similarity(ground_truth: ReferencePerson, track: ReferencePerson) -> np.ndarray:
    """Return [15]: 1 at the same position, 0 half a head size away."""
    similarity = _no_joints()
    for joint in np.flatnonzero(_present(ground_truth) * _present(track)):
        distance = np.linalg.norm(ground_truth.points[joint] - track.points[joint]) / ground_truth.head_size
        similarity[joint] = max(0, 1 - distance / 0.5001)
    return similarity


def _match(frame: ReferenceFrame, hits: np.ndarray, similarity_sum: np.ndarray, runs: dict) -> None:
    """Add the hits of a frame."""
    if not frame.ground_truth or not frame.tracks:
        return
    similarity = np.array(
        [[_similarity(ground_truth, track) for track in frame.tracks] for ground_truth in frame.ground_truth]
    )
    for joint in range(JOINTS):
        rows, columns = linear_sum_assignment(-similarity[:, :, joint])
        for number, alpha in enumerate(ALPHAS):
            for row, column in zip(rows, columns, strict=True):
                if similarity[row, column, joint] < alpha - EPSILON:
                    continue
                hits[number, joint] += 1
                similarity_sum[number, joint] += similarity[row, column, joint]
                track = frame.tracks[column].id
                history = runs[number, joint, frame.ground_truth[row].id]
                if history and history[-1][0] == track:
                    history[-1][1] += 1
                else:
                    history.append([track, 1])


def _association(hits: np.ndarray, runs: dict, gt_joints: dict, track_joints: dict) -> Scores:
    scores = {name: np.zeros(hits.shape) for name in ("AssA", "AssRe", "AssPr", "FragA")}
    for (number, joint, ground_truth), history in runs.items():
        at, matched = (number, joint), Counter()
        for track, length in history:
            matched[track] += length
        gt_count = gt_joints[ground_truth][joint]
        for track, count in matched.items():
            tracks = track_joints[track][joint]
            scores["AssA"][at] += count * count / max(1, gt_count + tracks - count)
            scores["AssRe"][at] += count * count / max(1, gt_count)
            scores["AssPr"][at] += count * count / max(1, tracks)
        for track, length in history:
            union = gt_count + track_joints[track][joint] - matched[track]
            scores["FragA"][at] += length**2 / max(1, union)
    return {name: total / np.maximum(1, hits) for name, total in scores.items()}


def _final(scores: Scores) -> Scores:
    hits, misses, false = (scores[name] for name in COUNTS)
    scores = scores | {
        "DetRe": hits / np.maximum(1, hits + misses),
        "DetPr": hits / np.maximum(1, hits + false),
        "DetA": hits / np.maximum(1, hits + misses + false),
    }
    scores["HOTA"] = np.sqrt(scores["DetA"] * scores["AssA"])
    scores["RHOTA"] = np.sqrt(scores["DetRe"] * scores["AssA"])
    fragments = np.sqrt(scores["AssA"] * scores["FragA"])
    return scores | {
        "FA-HOTA": np.sqrt(scores["DetA"] * fragments),
        "FA-RHOTA": np.sqrt(scores["DetRe"] * fragments),
    }


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the IoU [A, B] of boxes x y w h."""
    ends_a, ends_b = a[:, None, :2] + a[:, None, 2:], b[:, :2] + b[:, 2:]
    sides = np.minimum(ends_a, ends_b) - np.maximum(a[:, None, :2], b[:, :2])
    shared = sides.clip(0).prod(2)
    return shared / (a[:, None, 2:].prod(2) + b[:, 2:].prod(1) - shared)


def _in_region(box: np.ndarray, corners: np.ndarray) -> bool:
    x, y, width, height = box
    shape, region = shapely.box(x, y, x + width, y + height), shapely.Polygon(corners).buffer(0)
    parts = getattr(region, "geoms", [region])
    shared = sum(shape.intersection(part).area for part in parts)
    return shared / sum(shape.union(part).area for part in parts) > 0.1
