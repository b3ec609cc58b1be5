"""Average precision is COCO's, and ignored regions count neither way."""

from pathlib import Path

import numpy as np
import pytest

from kprtrack.core.datatypes import Detections
from kprtrack.training.annotations import LabelledImage, corners_of
from kprtrack.training.detector.scores import average_precision, false_people


def image(boxes: list[list[float]], regions: list[list[float]] | None = None) -> LabelledImage:
    count = len(boxes)
    return LabelledImage(
        Path("a.jpg"),
        100,
        100,
        np.float32(boxes).reshape(-1, 4),
        np.ones(count, np.float32),
        np.zeros((count, 17, 3), np.float32),
        np.zeros((count, 17), np.float32),
        tuple(corners_of(region) for region in regions or []),
    )


def found(*rows: tuple[float, ...]) -> Detections:
    table = np.float32(rows).reshape(-1, 5)
    return Detections(table[:, :4], table[:, 4])


def test_everybody_found_and_nobody_else_is_perfect() -> None:
    ground_truth = [image([[0, 0, 10, 20], [50, 50, 70, 90]]), image([])]
    assert average_precision([found((0, 0, 10, 20, 0.3), (50, 50, 70, 90, 0.9)), found()], ground_truth) == 1


def test_a_second_box_on_the_same_person_is_a_false_one() -> None:
    ground_truth = [image([[0, 0, 10, 20], [50, 50, 70, 90]])]
    twice = [found((0, 0, 10, 20, 0.9), (0, 0, 10, 19, 0.8), (50, 50, 70, 90, 0.7))]
    # Recall 0.5 at precision 1, recall 1 at precision 2/3, at 51 and 50 of the 101 points.
    assert average_precision(twice, ground_truth) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_what_is_found_in_an_ignored_region_counts_neither_way() -> None:
    ground_truth = [image([[0, 0, 10, 20]], [[40, 40, 100, 100]])]
    assert average_precision([found((50, 50, 60, 60, 0.9), (0, 0, 10, 20, 0.5))], ground_truth) == 1
    assert average_precision([found((20, 50, 30, 60, 0.9), (0, 0, 10, 20, 0.5))], ground_truth) == 0.5


def test_nothing_found_is_worth_nothing() -> None:
    assert average_precision([found()], [image([[0, 0, 10, 20]])]) == 0


def test_false_people_are_counted_on_pictures_without_people() -> None:
    ground_truth = [image([[0, 0, 9, 9]]), image([]), image([]), image([], [[0, 0, 99, 99]])]
    sure, low_score = (0, 0, 9, 9, 0.5), (0, 0, 9, 9, 0.4)
    assert false_people([found(sure), found(sure, sure, low_score), found(), found(sure)], ground_truth) == 1
    assert false_people([found(sure)], ground_truth[:1]) is None


def plain_ap(detections: list[Detections], ground_truth: list[LabelledImage]) -> float:
    """COCO's evaluation written plainly, for one class at an overlap of 0.5, crowds as regions."""
    rows, people = [], 0
    for boxes, labelled in zip(detections, ground_truth, strict=True):
        people += len(labelled.boxes)
        crowds = [np.concatenate((each.min(0), each.max(0))) for each in labelled.ignore]
        truths = [(each, False) for each in labelled.boxes] + [(each, True) for each in crowds]
        taken = [False] * len(truths)
        for d in np.argsort(-boxes.scores, kind="mergesort")[:100]:
            best, match = 0.5 - 1e-10, -1
            for g, (box, crowd) in enumerate(truths):
                if taken[g] and not crowd:
                    continue
                if match > -1 and not truths[match][1] and crowd:
                    break
                overlap = plain_overlap(boxes.boxes[d], box, crowd)
                if overlap >= best:
                    best, match = overlap, g
            if match > -1:
                taken[match] = True
            if match == -1 or not truths[match][1]:
                rows.append((float(boxes.scores[d]), match > -1))
    rows.sort(key=lambda row: -row[0])
    hits = np.cumsum([hit for _, hit in rows])
    precisions, recalls = hits / np.arange(1, len(rows) + 1), hits / people
    return float(np.mean([max((precisions[recalls >= r]), default=0.0) for r in np.linspace(0, 1, 101)]))


def plain_overlap(a: np.ndarray, b: np.ndarray, crowd: bool) -> float:
    a, b = a.astype(float), b.astype(float)
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(sides[0], 0) * max(sides[1], 0)
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (area_a if crowd else area_a + area_b - shared)


def test_random_cases_give_what_a_plain_transcription_gives() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        ground_truth, detections = [], []
        for _ in range(6):
            corners = rng.uniform(0, 80, (5, 2))
            boxes = np.concatenate((corners, corners + rng.uniform(13, 40, (5, 2))), 1)
            count = int(rng.integers(1, 4))
            ground_truth.append(image(boxes[:count].tolist(), boxes[4:].tolist()))
            moved = boxes[rng.integers(0, 5, 12)] + rng.uniform(-6, 6, (12, 4))
            scores = rng.integers(1, 10, 12) / 10
            detections.append(found(*np.c_[moved, scores].tolist()))
        assert average_precision(detections, ground_truth) == pytest.approx(
            plain_ap(detections, ground_truth), abs=1e-9
        )
