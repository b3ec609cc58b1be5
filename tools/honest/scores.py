"""Scores of boxes and keypoints by COCO's own evaluation (pycocotools), IoU of matched boxes, mean OKS."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from honest.lists import Entry, ImageList, corners
from kprtrack.core.datatypes import Detections
from kprtrack.core.geometry import iou, oks

_MATCHED_SCORE, _MATCHED_IOU = 0.3, 0.5  # of the boxes whose IoU is averaged
_CONFIDENT = 0.2  # of the keypoints whose mean is the score of a pose, as HRNet does


def box_ap(images: ImageList, found: Sequence[Detections]) -> tuple[float, float]:
    """Compute AP and AP50 of boxes.

    Args:
        images: Ground truth.
        found: Detections of each image, clipped to it here.

    Returns:
        AP over the IoU thresholds 0.5 to 0.95, and AP at 0.5, in 0..1.
    """
    rows = []
    for image, detections in zip(images.images, found, strict=True):
        boxes = _clipped(detections.boxes, image)
        boxes[:, 2:] -= boxes[:, :2]
        rows += [
            {"image_id": image["id"], "category_id": 1, "bbox": box.tolist(), "score": float(score)}
            for box, score in zip(boxes, detections.scores, strict=True)
        ]
    return coco_ap(images, rows, "bbox")


def coco_ap(images: ImageList, results: list[Entry], kind: str) -> tuple[float, float]:
    """Compute AP and AP50 of results in COCO's format, kind "bbox" or "keypoints", in 0..1."""
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = COCO()
        ground_truth.dataset = {
            "images": list(images.images),
            "annotations": list(images.people),
            "categories": images.categories,
            "info": {},
        }
        ground_truth.createIndex()
        if not results:
            return 0.0, 0.0
        evaluation = COCOeval(ground_truth, ground_truth.loadRes(results), kind)
        evaluation.params.imgIds = [each["id"] for each in images.images]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


def matched_ious(images: ImageList, found: Sequence[Detections]) -> np.ndarray:
    """Compute the best IoU of each annotated person with a detection of score 0.3 or more.

    Returns:
        [M] of the people whose best IoU is at least 0.5.
    """
    best = []
    for image, detections in zip(images.images, found, strict=True):
        people = [corners(each) for each in images.of(image) if not each["iscrowd"]]
        confident = _clipped(detections.boxes[detections.scores >= _MATCHED_SCORE], image)
        best.append(iou(np.array(people).reshape(-1, 4), confident).max(axis=1, initial=0))
    found_ious = np.concatenate(best or [np.zeros(0)])
    return found_ious[found_ious >= _MATCHED_IOU]


def keypoint_results(image: Mapping[str, Any], box_scores: np.ndarray, keypoints: np.ndarray) -> list[Entry]:
    """Convert poses to COCO's format.

    Args:
        image: The image.
        box_scores: [N] in 0..1.
        keypoints: [N, 17, 3] x y confidence.

    Returns:
        One entry for each person. The score is that of the box times the mean confidence of the keypoints
        above 0.2, as in the evaluation of HRNet.
    """
    results = []
    for box_score, skeleton in zip(box_scores, keypoints, strict=True):
        confident = skeleton[skeleton[:, 2] > _CONFIDENT, 2]
        score = float(box_score) * (float(confident.mean()) if len(confident) else 0.0)
        flat = np.column_stack((skeleton[:, :2], np.ones(len(skeleton)))).ravel().tolist()
        results.append({"image_id": image["id"], "category_id": 1, "keypoints": flat, "score": score})
    return results


def person_oks(person: Mapping[str, Any], skeleton: np.ndarray) -> float:
    """Compute the OKS in 0..1 of an annotated person and a skeleton [17, 3], whatever its confidence."""
    annotated = np.array(person["keypoints"], np.float32).reshape(1, -1, 3)
    placed = np.column_stack((skeleton[:, :2], np.ones(len(skeleton))))[None]
    return float(oks(annotated, placed, np.array([person["area"]]), 0)[0, 0])


def _clipped(boxes: np.ndarray, image: Mapping[str, Any]) -> np.ndarray:
    return np.clip(boxes.astype(np.float64), 0, [image["width"], image["height"]] * 2)
